"""Layer 6: Rescaling."""

from __future__ import annotations

from typing import Any

from dropfast.arrays import Array, Shape
from dropfast.checks import check_number
from dropfast.layers.base import Layer, Passage


class Rescaling(Layer):
    """x * scale + offset: for example 1 / 255 for images of bytes.

    Parameters
    ----------
    scale
        Factor.
    offset
        Summand.

    Raises
    ------
    ValueError
        If one of them is not finite.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Rescaling(1 / 255)(np.array([[0, 255]], np.uint8)).tolist()
    [[0.0, 1.0]]
    """

    rounds = False

    def __init__(self, scale: float, offset: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = float(check_number("scale", scale))
        self.offset = float(check_number("offset", offset))

    def forward(self, x: Array, passage: Passage) -> Array:
        """The rescaled input."""
        number = x.dtype.type
        scaled: Array = x * number(self.scale) + number(self.offset)
        return scaled

    def native(self, input_shape: Shape) -> dict[str, Any] | None:
        """A "rescaling" of the native network, which takes it in the first place only."""
        return {"kind": "rescaling", "scale": self.scale, "offset": self.offset}

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient times the scale."""
        scaled: Array = grad * grad.dtype.type(self.scale)
        return scaled
