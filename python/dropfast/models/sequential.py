"""Layer 6: Sequential, a model of layers in a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import DTypeLike

from dropfast.arrays import Shape
from dropfast.attributes import changes
from dropfast.graph import SymbolicTensor
from dropfast.layers.base import Layer
from dropfast.mixed_precision import Policy
from dropfast.models.model import Model
from dropfast.models.stack import Stack, free_name
from dropfast.training.exact import check_own


class Sequential(Model):
    """A model whose layers follow one another.

    ============  =================================================================
    building      `add`, `pop`, `build`, `get_layer`, `weights`, `summary`
    training      `compile`, `fit`, `train_on_batch`, `evaluate`
    prediction    ``model(x, training=...)``, `predict`, `predict_mc`
    dropout       `explain_dropout`
    files         `save`, `save_weights`, `load_weights`; `dropfast.load_model`
    ============  =================================================================

    All randomness comes from the one seed: initial weights, shuffling, masks, Monte Carlo samples.

    Parameters
    ----------
    layers
        Layers in order. With an `Input` first the model is built at once, otherwise when it sees
        the first data. A layer object may stand at several places: each place draws its own masks,
        and all share the weights.
    seed
        Integer in [0, 2**64). None takes one from `dropfast.set_random_seed`, or else from the
        operating system; ``model.seed`` holds it.
    name
        A name.
    dtype
        "float32", "float64" or "mixed_bfloat16", or a `dropfast.mixed_precision.Policy`: what the
        model computes in. None takes the global policy.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its range or a layer doesn't fit the one before it.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> model = df.Sequential(
    ...     [
    ...         df.layers.Dropout(0.2),
    ...         df.layers.Dense(16, activation="relu"),
    ...         df.layers.Dropout(0.5),
    ...         df.layers.Dense(2, activation="softmax"),
    ...     ],
    ...     seed=0,
    ... )
    >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    >>> x = np.random.default_rng(0).normal(size=(256, 4))
    >>> y = x[:, 0] > 0
    >>> history = model.fit(x, y, epochs=30, verbose=0)
    >>> loss, accuracy = model.evaluate(x, y)
    >>> accuracy > 0.9
    True
    """

    one_input = True

    def __init__(
        self,
        layers: Sequence[Layer | Stack | SymbolicTensor] | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: DTypeLike | Policy | None = None,
    ) -> None:
        self._layers: list[Any] = []
        super().__init__(seed=seed, name=name, dtype=dtype)
        given: Any = layers
        if not isinstance(given, Iterable | None) or isinstance(given, str | bytes | type):
            raise TypeError(f"layers must be a list of layers. Received: layers={layers!r}")
        for layer in () if layers is None else layers:
            try:
                self.add(layer)
            except TypeError as error:
                raise TypeError(f"layers: {error}") from error

    def call(self, x: Any, training: bool | None = None) -> Any:
        """One layer after the other."""
        if not self._layers:
            raise ValueError("model must have layers before it is built. Received: none")
        for layer in self._layers:
            x = layer(x)
        return x

    # Layers.

    @property
    def layers(self) -> list[Layer]:
        """The layers in order; an `Input` is not among them."""
        return list(self._layers)

    def add(self, layer: Layer | Stack | SymbolicTensor) -> None:
        """Add a layer at the end.

        Parameters
        ----------
        layer
            A layer or a model; an `Input` must come first.

        Raises
        ------
        TypeError
            If it is no layer.
        ValueError
            If an `Input` comes late or its shape doesn't fit.
        """
        if isinstance(layer, SymbolicTensor) and layer.call is None:
            if self._layers or self._input_shape:
                raise ValueError(
                    "an Input must be the first layer. Received: an Input after others"
                )
            self._input_shape = layer.shape
            return
        if not isinstance(layer, Layer | Stack):
            raise TypeError(f"layer must be a Layer. Received: layer={layer!r}")
        check_own(layer)
        if not any(layer is other for other in self._layers):
            taken = {other.name for other in self._layers}
            if layer._given_name is None:
                layer._rename(free_name(layer.name, taken))
            elif layer.name in taken:
                raise ValueError(
                    "names of layers must differ within a model. "
                    f"Received: {layer.name!r} for two layers"
                )
        before = self._input_shape
        row = getattr(layer, "_row_shape", None)
        if row is not None and not self._layers and before is None:
            self._input_shape = (None, *row)
        try:
            self._change([*self._layers, layer])
        except BaseException:
            self._input_shape = before
            raise

    def pop(self) -> Layer:
        """Remove the last layer and return it.

        Raises
        ------
        ValueError
            If there is none.
        """
        if not self._layers:
            raise ValueError("model must have a layer to remove. Received: a model without layers")
        last: Layer = self._layers[-1]
        self._change(self._layers[:-1])
        return last

    def _change(self, layers: list[Any]) -> None:
        """Take another list of layers; where the input is known, build."""
        before = self._layers, self._built, self._runner, self._stepper
        self._layers, self._built, self._runner, self._stepper = layers, None, None, None
        changes.note()
        try:
            if self._input_shape is not None and layers:
                self.build(self._input_shape)
        except BaseException:
            self._layers, self._built, self._runner, self._stepper = before
            raise

    def _build(self, shape: Shape | None, values: Any = None) -> None:
        if not self._layers:
            raise ValueError("model must have layers before it is built. Received: none")
        super()._build(shape, values)

    def __repr__(self) -> str:
        inner = ", ".join(map(repr, self._layers))
        return f"Sequential([{inner}], seed={self.seed})"
