"""Layer 6: Identity."""

from __future__ import annotations

from dropfast.arrays import Array
from dropfast.layers.base import Layer, Passage


class Identity(Layer):
    """Its input, unchanged.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Identity()(np.array([[1.0, 2.0]])).tolist()
    [[1.0, 2.0]]
    """

    def forward(self, x: Array, passage: Passage) -> Array:
        """The input itself."""
        return x

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient itself."""
        return grad
