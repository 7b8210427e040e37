"""Layer 6: BatchNormalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from dropfast.arrays import Array, Shape, shape_text
from dropfast.layers.base import Layer, Passage


class BatchNormalization(Layer):
    """Each feature gets mean 0 and variance 1 over the batch, then a scale and a shift.

    Ioffe and Szegedy 2015. Inference uses running means of both. Right behind dropout the variance
    it learns in training is not that of inference (Li et al. 2018): put dropout after it.

    Parameters
    ----------
    momentum
        Share of the running statistics that is kept at each step, in [0, 1).
    epsilon
        Added to the variance.
    center
        Whether the shift `beta` is learned.
    scale
        Whether the scale `gamma` is learned.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> layer = df.layers.BatchNormalization(epsilon=1e-12)
    >>> layer(np.array([[1.0], [3.0]]), training=True).round(6).tolist()
    [[-1.0], [1.0]]
    """

    until_built = ("center", "scale")

    def __init__(
        self,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"momentum must be in [0, 1). Received: momentum={momentum!r}")
        if not epsilon > 0:
            raise ValueError(f"epsilon must be positive. Received: epsilon={epsilon!r}")
        self.momentum, self.epsilon = float(momentum), float(epsilon)
        self.center, self.scale = bool(center), bool(scale)
        self.gamma: Array | None = None
        self.beta: Array | None = None
        self.moving_mean: Array
        self.moving_variance: Array

    def build(self, input_shape: Shape) -> None:
        """Make gamma, beta and the running statistics."""
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
        self.moving_mean = self.add_weight("moving_mean", (size,), "zeros", trainable=False)
        self.moving_variance = self.add_weight("moving_variance", (size,), "ones", trainable=False)

    def forward(self, x: Array, passage: Passage) -> Array:
        """Gamma * (x - mean) / sqrt(variance + epsilon) + beta."""
        wide = x.astype(np.float64)
        # A frozen layer works as in inference, as Keras' does.
        batch = passage.training and self.trainable
        if batch:
            rows = tuple(range(x.ndim - 1))
            mean = wide.mean(axis=rows)
            variance = np.square(wide - mean).mean(axis=rows)
            self._move(self.moving_mean, mean)
            self._move(self.moving_variance, variance)
        else:
            mean = self.moving_mean.astype(np.float64)
            variance = self.moving_variance.astype(np.float64)
        inverse = 1.0 / np.sqrt(variance + self.epsilon)
        normal = (wide - mean) * inverse
        passage.saved = (normal, inverse, batch)
        y = normal if self.gamma is None else normal * self.gamma
        shifted: Array = y if self.beta is None else y + self.beta
        return shifted.astype(x.dtype)

    def _move(self, running: Array, now: Array) -> None:
        running[...] = running * self.momentum + now * (1.0 - self.momentum)

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """Inverse * (g - mean(g) - normal * mean(g * normal)) with g = grad * gamma."""
        normal, inverse, batch = passage.saved
        wide = grad.astype(np.float64)
        rows = tuple(range(grad.ndim - 1))
        if self.gamma is not None:
            passage.gradients["gamma"] = (wide * normal).sum(axis=rows).astype(grad.dtype)
            wide_g = wide * self.gamma
        else:
            wide_g = wide
        if self.beta is not None:
            passage.gradients["beta"] = wide.sum(axis=rows).astype(grad.dtype)
        if not batch:
            scaled: Array = wide_g * inverse
            return scaled.astype(grad.dtype)
        along = (wide_g * normal).mean(axis=rows)
        dx: Array = inverse * (wide_g - wide_g.mean(axis=rows) - normal * along)
        return dx.astype(grad.dtype)
