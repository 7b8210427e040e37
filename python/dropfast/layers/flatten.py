"""Layer 6: Flatten."""

from __future__ import annotations

import math
from typing import Any

from dropfast.arrays import Array, Shape
from dropfast.layers.base import Layer, Passage


class Flatten(Layer):
    """Rows of any shape become vectors.

    Parameters
    ----------
    data_format
        For compatibility: None or "channels_last".

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Flatten()(np.zeros((5, 28, 28))).shape
    (5, 784)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if data_format not in (None, "channels_last"):
            raise ValueError(
                "data_format must be None or 'channels_last'. "
                f"Received: data_format={data_format!r}"
            )
        self.data_format = data_format

    def forward(self, x: Array, passage: Passage) -> Array:
        """[n, ...] -> [n, features]."""
        passage.saved = x.shape
        flat: Array = x.reshape((len(x), math.prod(x.shape[1:])))
        return flat

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """Back into the input's shape."""
        shaped: Array = grad.reshape(passage.saved)
        return shaped

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The product of a row's sizes."""
        return (None, math.prod(size for size in input_shape[1:] if size is not None))
