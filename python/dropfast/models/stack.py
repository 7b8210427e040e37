"""Layer 6: a stack of layers: adding, building, weights. What every model is before it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from dropfast.arrays import Array, Shape, float_dtype, shape_text
from dropfast.attributes import changes
from dropfast.checks import check_flag, check_name
from dropfast.configurable import Configurable
from dropfast.layers.base import Layer
from dropfast.layers.dropout import check_rows_per_mask
from dropfast.layers.input import Input
from dropfast.layers.weight import Weight, copy_weights
from dropfast.random import WEIGHTS, Key, check_seed, draw_seed
from dropfast.training.engine import Engine, Native
from dropfast.training.exact import check_own
from dropfast.training.plan import Plan, make_plan
from dropfast.training.stepwise import Stepwise


class NotReadyError(ValueError, AttributeError):
    """A model was asked for what it has only once it is built or compiled.

    It is an AttributeError too, so that `hasattr` and `getattr` with a default work as usual.
    """


class Stack(Configurable):
    """Layers in a row, with their weights. See `dropfast.Sequential`."""

    kind = "model"
    # Tests set it to compare the engines.
    _stepwise_only = False
    moving = frozenset({"calls", "epochs_done", "stop_training"})

    def __init__(
        self,
        layers: Sequence[Layer] | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.dtype = float_dtype(dtype).name
        self.seed: int = draw_seed() if seed is None else Key(seed).seed
        check_seed(self.seed)
        self.name = "sequential" if name is None else check_name(name)
        self.rows_per_mask = 1
        self._layers: list[Layer] = []
        self._input_shape: Shape | None = None
        self._built: Plan | None = None
        self._runner: Native | None = None
        self._stepper: Stepwise | None = None
        self._trainable = True
        # The latest change of any object when the plan was made.
        self._seen: object = None
        check_own(self)
        for layer in layers or ():
            self.add(layer)

    def _set_attribute(self, name: str, value: Any) -> None:
        """Set a setting of the model, checked."""
        if name == "dtype":
            raise AttributeError(f"dtype of a model is read-only. Received: dtype={value!r}")
        if name == "name":
            check_name(value)
        if name == "seed":
            value, self._stepper = Key(value).seed, None
        if name == "rows_per_mask":
            value = check_rows_per_mask(value) or 0
        object.__setattr__(self, name, value)

    # Layers.

    @property
    def layers(self) -> list[Layer]:
        """The layers in order; an `Input` is not among them."""
        return list(self._layers)

    def add(self, layer: Layer) -> None:
        """Add a layer at the end.

        Parameters
        ----------
        layer
            A layer; an `Input` must come first.

        Raises
        ------
        TypeError
            If it is no layer.
        ValueError
            If an `Input` comes late or its shape doesn't fit.
        """
        if not isinstance(layer, Layer):
            raise TypeError(f"layer must be a Layer. Received: layer={layer!r}")
        if isinstance(layer, Input):
            if self._layers or self._input_shape:
                raise ValueError(
                    "an Input must be the first layer. Received: an Input after others"
                )
            self._input_shape = (None, *layer.shape)
            return
        check_own(layer)
        if not any(layer is other for other in self._layers):
            if layer._given_name is None:
                layer._rename(self._free_name(layer.name))
            elif any(layer.name == other.name for other in self._layers):
                raise ValueError(
                    "names of layers must differ within a model. "
                    f"Received: {layer.name!r} for two layers"
                )
        before = self._input_shape
        if layer._row_shape is not None and not self._layers and before is None:
            self._input_shape = (None, *layer._row_shape)
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
        last = self._layers[-1]
        self._change(self._layers[:-1])
        return last

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its place.

        Raises
        ------
        ValueError
            If there is none, or not exactly one of both is given.
        """
        if (name is None) == (index is None):
            raise ValueError(
                f"one of name and index must be given. Received: name={name!r}, index={index!r}"
            )
        if index is not None:
            if not -len(self._layers) <= index < len(self._layers):
                raise ValueError(
                    f"index must be below {len(self._layers)}. Received: index={index}"
                )
            return self._layers[index]
        for layer in self._layers:
            if layer.name == name:
                return layer
        known = ", ".join(layer.name for layer in self._layers)
        raise ValueError(f"name must be one of {known}. Received: name={name!r}")

    def _free_name(self, name: str) -> str:
        taken = {layer.name for layer in self._layers}
        free, count = name, 0
        while free in taken:
            count += 1
            free = f"{name}_{count}"
        return free

    def _change(self, layers: list[Layer]) -> None:
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

    # Building.

    @property
    def built(self) -> bool:
        """Whether shapes and weights are known."""
        return self._built is not None

    def build(self, input_shape: Shape | None = None) -> None:
        """Make the weights for inputs of a shape.

        Parameters
        ----------
        input_shape
            Shape of a batch, with None for the number of rows; None takes the known one.

        Raises
        ------
        ValueError
            If the shape is not known or a layer can't take it.
        """
        self._build(self._input_shape if input_shape is None else tuple(input_shape))

    def _build(self, shape: Shape | None, values: Iterator[Array] | None = None) -> None:
        """Build, with initial weights that are drawn or given."""
        if not self._layers:
            raise ValueError("model must have layers before it is built. Received: none")
        if shape is None:
            raise ValueError("input_shape must be given where no Input is. Received: None")
        if len(shape) < 2 or not all(isinstance(size, int) and size > 0 for size in shape[1:]):
            raise ValueError(
                "input_shape must be (None, sizes...), sizes positive. "
                f"Received: input_shape={shape_text(shape)}"
            )
        shape = (None, *shape[1:])
        if self._built is not None:
            if shape != self._input_shape:
                raise ValueError(
                    f"input_shape must be {shape_text(self._input_shape or ())}, for which the "
                    f"model is built. Received: input_shape={shape_text(shape)}"
                )
            return
        at, made = shape, 0

        def next_key() -> Key:
            nonlocal made
            made += 1
            return Key(self.seed, WEIGHTS | made - 1)

        for i, layer in enumerate(self._layers):
            if layer.built and not any(layer is other for other in self._layers[:i]):
                made += len(layer.weights)
            self._check_dtype(layer)
            layer.build_once(at, self.dtype, next_key, values)
            at = layer.compute_output_shape(at)
        self._input_shape = shape
        self._plan_again()

    def _check_dtype(self, layer: Layer) -> None:
        found = layer._weight_dtype if layer.weights else layer.dtype
        if found not in (None, self.dtype):
            raise ValueError(
                f"dtype of layer {layer.name!r} must be the model's, {self.dtype}. "
                f"Received: dtype={found!r}"
            )

    def _plan_again(self) -> None:
        """Look at the layers as they are now; what runs is kept where that changes nothing."""
        seen = changes.latest
        shape = self._input_shape or ()
        plan = make_plan(self._layers, shape, self.rows_per_mask, self._trainable)
        if not plan.same(self._built):
            self._built, self._runner, self._stepper = plan, None, None
        self._seen = seen

    @property
    def plan(self) -> Plan:
        """Places of the built model, made anew after any change of a layer.

        Raises
        ------
        ValueError
            If it is not built.
        """
        if self._built is None:
            raise NotReadyError(
                f"model {self.name!r} must be built: call build, fit or predict. Received: a model "
                "that is not built"
            )
        if self._seen is not changes.latest:
            self._plan_again()
        return self._built

    @property
    def input_shape(self) -> Shape:
        """Shape of a batch of inputs."""
        return self.plan.places[0].input_shape

    @property
    def output_shape(self) -> Shape:
        """Shape of a batch of outputs."""
        return self.plan.places[-1].output_shape

    def engine(self, only_stepwise: bool = False) -> Engine:
        """What the model runs on, chosen once: one native network where that knows all layers."""
        plan, dtype = self.plan, np.dtype(self.dtype)
        if only_stepwise or plan.obstacle or self._stepwise_only:
            if self._stepper is None:
                self._stepper = Stepwise(plan, self._weights, dtype, self.seed)
            return self._stepper
        if self._runner is None:
            held = [w.value for p in plan.places[plan.preparation :] for w in p.layer._weights]
            self._runner = Native(plan, self.input_shape, held, dtype)
        return self._runner

    # Weights.

    @property
    def _weights(self) -> list[Weight]:
        found: list[Weight] = []
        for i, layer in enumerate(self._layers):
            if not any(layer is other for other in self._layers[:i]):
                found += layer._weights
        return found

    @property
    def weights(self) -> list[Array]:
        """All weight arrays in the order of the layers, themselves and not copies."""
        return [weight.value for weight in self._weights]

    @property
    def trainable_weights(self) -> list[Array]:
        """The weight arrays that training moves."""
        if not self._trainable:
            return []
        return self._collect(lambda layer: layer.trainable_weights)

    @property
    def trainable(self) -> bool:
        """Whether training moves weights; setting it sets it for every layer too, as in Keras."""
        held = [layer.trainable for layer in self._layers if layer.weights]
        return self._trainable and (any(held) or not held)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._layers:
            layer.trainable = value
        self._trainable = check_flag("trainable", value)

    def _collect(self, what: Callable[[Layer], list[Array]]) -> list[Array]:
        found: list[Array] = []
        for i, layer in enumerate(self._layers):
            if not any(layer is other for other in self._layers[:i]):
                found += what(layer)
        return found

    def get_weights(self) -> list[Array]:
        """Copies of all weight arrays."""
        return [array.copy() for array in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Copy arrays into the model's weights.

        Raises
        ------
        ValueError
            If the model is not built, or their number or a shape does not fit; no weight is
            changed then.
        """
        _ = self.plan
        copy_weights(f"model {self.name!r}", self._weights, weights)

    def count_params(self) -> int:
        """Number of weights, all arrays together."""
        return sum(array.size for array in self.weights)

    def __getstate__(self) -> dict[str, Any]:
        # The native network holds buffers only: a copy makes its own.
        return {**vars(self), "_runner": None, "_stepper": None, "_seen": None}

    def get_config(self) -> dict[str, Any]:
        """Layers and settings, without weights."""
        from dropfast.models.saving import describe_model

        return describe_model(self)

    def __repr__(self) -> str:
        inner = ", ".join(map(repr, self._layers))
        return f"Sequential([{inner}], seed={self.seed})"
