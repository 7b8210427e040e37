"""Layer 6: Reshape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dropfast.arrays import Array, Shape, shape_text
from dropfast.layers.base import Layer, Passage


class Reshape(Layer):
    """Rows in another shape.

    Parameters
    ----------
    target_shape
        Shape of a row; one size may be -1, which is what is left.

    Raises
    ------
    ValueError
        If a size is no positive integer, or rows have another number of elements.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Reshape((2, -1))(np.zeros((5, 6))).shape
    (5, 2, 3)
    """

    until_built = ("target_shape",)

    def __init__(self, target_shape: Sequence[int] | int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        sizes = (target_shape,) if hasattr(target_shape, "__index__") else target_shape
        good = isinstance(sizes, list | tuple) and all(
            hasattr(size, "__index__") and not isinstance(size, bool) and (size > 0 or size == -1)
            for size in sizes
        )
        if not good or list(sizes).count(-1) > 1:
            raise ValueError(
                "target_shape must hold positive integers, and -1 at most once. "
                f"Received: target_shape={target_shape!r}"
            )
        self.target_shape = tuple(int(size) for size in sizes)

    def forward(self, x: Array, passage: Passage) -> Array:
        """[n, ...] -> [n, *target_shape]."""
        passage.saved = x.shape
        shaped: Array = x.reshape((len(x), *self._sizes(x.shape)))
        return shaped

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """Back into the input's shape."""
        shaped: Array = grad.reshape(passage.saved)
        return shaped

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The target shape, with the size that is left."""
        return (None, *self._sizes(input_shape))

    def _sizes(self, input_shape: Shape) -> tuple[int, ...]:
        size = math.prod(size for size in input_shape[1:] if size is not None)
        known = math.prod(size for size in self.target_shape if size != -1)
        found = tuple(wanted if wanted != -1 else size // known for wanted in self.target_shape)
        if math.prod(found) != size:
            raise ValueError(
                f"target_shape must have as many elements as the input, {size}. Received: "
                f"target_shape={self.target_shape} for {shape_text(input_shape)}"
            )
        return found
