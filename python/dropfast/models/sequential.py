"""Layer 6: Sequential, the model; each of its bases adds one idea."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike, DTypeLike

from dropfast.layers.base import Layer
from dropfast.models import explaining, saving, summary
from dropfast.models.attributes import Attributes


class Sequential(Attributes):
    """Layers in a row: the model of this package.

    ============  =================================================================
    building      `add`, `pop`, `build`, `get_layer`, `weights`, `summary`
    training      `compile`, `fit`, `train_on_batch`, `evaluate`
    answers       ``model(x, training=...)``, `predict`, `predict_mc`
    dropout       `explain_dropout`
    files         `save`, `save_weights`, `load_weights`; `dropfast.load_model`
    ============  =================================================================

    All randomness comes from the one seed: initial weights, shuffling, masks, Monte Carlo samples.

    Parameters
    ----------
    layers
        Layers in order. An `Input` first builds the model at once; else the first data does.
        A layer object may stand at several places: each draws its own masks, weights are shared.
    seed
        Integer in [0, 2**64). None takes one from `dropfast.set_random_seed`, or else from the
        operating system, and keeps it as ``model.seed``.
    name
        A name.
    dtype
        "float32" or "float64": what the model computes in.

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

    def __init__(
        self,
        layers: Sequence[Layer] | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: DTypeLike = "float32",
    ) -> None:
        super().__init__(layers, seed, name, dtype)

    def summary(
        self, line_length: int | None = None, print_fn: Callable[[str], Any] = print
    ) -> None:
        """Print layers, shapes, numbers of weights, and drop rates.

        After training the share of elements that a dropout layer really dropped is measured on its
        latest step.

        Parameters
        ----------
        line_length
            Width in characters; None takes what is needed.
        print_fn
            Called with each line.

        Examples
        --------
        >>> import dropfast as df
        >>> model = df.Sequential([df.layers.Input(4), df.layers.Dense(2, name="out")], seed=0)
        >>> model.summary()
        Model "sequential" (seed 0, float32)
        ...
        """
        for line in summary.lines(self, line_length):
            print_fn(line)

    def explain_dropout(
        self, x: ArrayLike, step: int | None = None, row: int = 0
    ) -> explaining.Explanation:
        """Which units training drops for a row of a batch at a step: from the key alone.

        Parameters
        ----------
        x
            The batch, or as many rows as matter; only its shape counts.
        step
            Number of optimizer steps before this one; None is the latest step done.
        row
            Row in the batch.

        Returns
        -------
        Explanation
            One entry a dropout layer.

        Raises
        ------
        ValueError
            If the row or step is outside its range.

        Examples
        --------
        >>> import numpy as np, dropfast as df
        >>> model = df.Sequential([df.layers.Dropout(0.5), df.layers.Dense(1)], seed=0)
        >>> told = model.explain_dropout(np.ones((2, 4)), step=0)
        >>> told[0].dropped.tolist()
        [...]
        """
        return explaining.explain(self, x, step, row)

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the model with its optimizer's state to a safetensors file, atomically.

        Training that goes on after `dropfast.load_model` gives the bits of one that was never
        saved.

        Parameters
        ----------
        filepath
            File to write.
        overwrite
            False makes a file that exists an error.

        Raises
        ------
        ValueError
            If the model is not built, or holds functions or classes without a name.
        FileExistsError
            If the file exists and must not be overwritten.

        Examples
        --------
        >>> import os, tempfile, numpy as np, dropfast as df
        >>> path = os.path.join(tempfile.mkdtemp(), "m.safetensors")
        >>> model = df.Sequential([df.layers.Input(2), df.layers.Dense(1)], seed=0)
        >>> model.save(path)
        >>> again = df.load_model(path)
        >>> x = np.ones((1, 2))
        >>> bool((again.predict(x) == model.predict(x)).all())
        True
        """
        saving.save(self, filepath, overwrite)

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the weights alone; parameters and errors as `save`."""
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Read weights that `save` or `save_weights` wrote into this model.

        Raises
        ------
        ValueError
            If the file is damaged or doesn't fit; the weights are as before then.
        FileNotFoundError
            If there is none.
        """
        saving.load_weights(self, filepath)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Sequential:
        """Make a model, with new weights, from what `get_config` returned.

        Raises
        ------
        ValueError
            If the config has unknown keys or values.
        """
        return saving.model_from_description(config, custom_objects)

    def _itself(self) -> Sequential:
        return self

    def _repr_html_(self) -> str:
        return summary.html(self)
