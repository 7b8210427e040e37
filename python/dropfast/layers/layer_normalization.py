"""Layer 6: LayerNormalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from dropfast.arrays import Array, Shape, shape_text
from dropfast.layers.base import Layer, Passage


class LayerNormalization(Layer):
    """Each row gets mean 0 and variance 1 over its last axis, then a scale and a shift.

    Ba, Kiros and Hinton 2016.

    Parameters
    ----------
    epsilon
        Added to the variance.
    center
        Whether the shift `beta` is learned.
    scale
        Whether the scale `gamma` is learned.

    Raises
    ------
    ValueError
        If `epsilon` is not positive.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.LayerNormalization(epsilon=1e-12)(np.array([[1.0, 3.0]])).round(6).tolist()
    [[-1.0, 1.0]]
    """

    until_built = ("center", "scale")

    def __init__(
        self, epsilon: float = 1e-3, center: bool = True, scale: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not epsilon > 0:
            raise ValueError(f"epsilon must be positive. Received: epsilon={epsilon!r}")
        self.epsilon, self.center, self.scale = float(epsilon), bool(center), bool(scale)
        self.gamma: Array | None = None
        self.beta: Array | None = None

    def build(self, input_shape: Shape) -> None:
        """Make gamma and beta."""
        size = input_shape[-1]
        if size is None:
            raise ValueError(
                f"input of layer {self.name!r} must have a known last size. "
                f"Received: shape {shape_text(input_shape)}"
            )
        if self.scale:
            self.gamma = self.add_weight("gamma", (size,), "ones")
        if self.center:
            self.beta = self.add_weight("beta", (size,), "zeros")

    def forward(self, x: Array, passage: Passage) -> Array:
        """Gamma * (x - mean) / sqrt(variance + epsilon) + beta."""
        wide = x.astype(np.float64)
        centred = wide - wide.mean(axis=-1, keepdims=True)
        inverse = 1.0 / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + self.epsilon)
        normal = centred * inverse
        passage.saved = (normal, inverse)
        y = normal if self.gamma is None else normal * self.gamma
        shifted: Array = y if self.beta is None else y + self.beta
        return shifted.astype(x.dtype)

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """Inverse * (g - mean(g) - normal * mean(g * normal)) with g = grad * gamma."""
        normal, inverse = passage.saved
        wide = grad.astype(np.float64)
        rows = tuple(range(grad.ndim - 1))
        if self.gamma is not None:
            passage.gradients["gamma"] = (wide * normal).sum(axis=rows).astype(grad.dtype)
            g = wide * self.gamma
        else:
            g = wide
        if self.beta is not None:
            passage.gradients["beta"] = wide.sum(axis=rows).astype(grad.dtype)
        along = (g * normal).mean(axis=-1, keepdims=True)
        dx: Array = inverse * (g - g.mean(axis=-1, keepdims=True) - normal * along)
        return dx.astype(grad.dtype)
