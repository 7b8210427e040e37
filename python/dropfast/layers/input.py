"""Layer 6: Input, which says the shape of a row before data is seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dropfast.arrays import Array
from dropfast.layers.base import Layer, Passage


class Input(Layer):
    """The shape of one row. First in a Sequential, it builds the model at once.

    As in Keras it is not one of ``model.layers``.

    Parameters
    ----------
    shape
        Shape of a row, without the batch; an int is a vector's length.

    Raises
    ------
    ValueError
        If a size is not a positive integer.

    Examples
    --------
    >>> import dropfast as df
    >>> model = df.Sequential([df.layers.Input((4,)), df.layers.Dense(2)], seed=0)
    >>> model.output_shape
    (None, 2)
    """

    def __init__(self, shape: Sequence[int] | int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        if not all(hasattr(size, "__index__") and size > 0 for size in sizes):
            raise ValueError(f"shape must hold positive integers. Received: shape={shape!r}")
        self.shape = sizes

    def forward(self, x: Array, passage: Passage) -> Array:
        """The input itself."""
        return x

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient itself."""
        return grad
