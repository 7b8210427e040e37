"""Layer 6: Permute, RepeatVector and UnitNormalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dropfast.arrays import Array, Shape, shape_text
from dropfast.checks import check_integer
from dropfast.layers.base import Layer, Passage


class Permute(Layer):
    """The axes of a row in another order.

    Parameters
    ----------
    dims
        Numbers of the axes, from 1, in their new order.

    Raises
    ------
    ValueError
        If they are no order of the numbers from 1 on.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Permute((2, 1))(np.ones((1, 2, 3))).shape
    (1, 3, 2)
    """

    until_built = ("dims",)

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(f"dims must be an order of 1, 2, ... Received: dims={dims!r}")

    def forward(self, x: Array, passage: Passage) -> Array:
        """The axes moved."""
        return np.ascontiguousarray(np.transpose(x, (0, *self.dims)))

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The axes moved back."""
        return np.transpose(grad, np.argsort((0, *self.dims)))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The sizes in their new order."""
        if len(input_shape) != len(self.dims) + 1:
            raise ValueError(
                f"input of layer {self.name!r} must have {len(self.dims)} axes beside the rows. "
                f"Received: shape {shape_text(input_shape)}"
            )
        return (None, *(input_shape[axis] for axis in self.dims))


class RepeatVector(Layer):
    """A vector n times: (rows, units) becomes (rows, n, units).

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.RepeatVector(2)(np.array([[1.0, 2.0]])).tolist()
    [[[1.0, 2.0], [1.0, 2.0]]]
    """

    until_built = ("n",)

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = check_integer("n", n, 1)

    def forward(self, x: Array, passage: Passage) -> Array:
        """The vectors repeated."""
        return np.repeat(x[:, None], self.n, axis=1)

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The sum over the repetitions."""
        found: Array = grad.sum(axis=1)
        return found

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """One axis more."""
        if len(input_shape) != 2:
            raise ValueError(
                f"input of layer {self.name!r} must be vectors. "
                f"Received: shape {shape_text(input_shape)}"
            )
        return (None, self.n, input_shape[1])


class UnitNormalization(Layer):
    """Rows of length 1 along the last axis; the sum of squares is at least 1e-12.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.UnitNormalization()(np.array([[3.0, 4.0]])).round(6).tolist()
    [[0.6, 0.8]]
    """

    until_built = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if axis != -1:
            raise ValueError(f"axis must be -1. Received: axis={axis!r}")
        self.axis = axis

    def forward(self, x: Array, passage: Passage) -> Array:
        """The rows divided by their lengths."""
        squares = np.square(x).sum(axis=-1, keepdims=True)
        scale = 1 / np.sqrt(np.maximum(squares, x.dtype.type(1e-12)))
        y: Array = x * scale
        passage.saved = (y, scale, squares > 1e-12)
        return y

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """What is across the row, divided by its length."""
        y, scale, long = passage.saved
        along = np.where(long, (grad * y).sum(axis=-1, keepdims=True), 0)
        found: Array = ((grad - y * along) * scale).astype(grad.dtype)
        return found
