"""Layer 6: BatchNormalization."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dropfast import constraints, initializers, regularizers
from dropfast.arrays import Array, Shape, shape_text
from dropfast.checks import check_flag, check_number
from dropfast.layers.base import Layer, Passage
from dropfast.layers.spellings import check_last_axis, last_axis

# The mean over all rows of a batch, from the blocks that are here.
MeanOf = Callable[[Sequence[Array]], Array]


class BatchNormalization(Layer):
    """Each feature gets mean 0 and variance 1 over the batch, then a scale and a shift.

    Ioffe and Szegedy 2015. Inference uses running means of both. Right behind dropout the variance
    it learns in training is not that of inference (Li et al. 2018): put dropout after it.

    Parameters
    ----------
    axis
        The axis of the features: the last.
    momentum
        Share of the running statistics that is kept at each step, in [0, 1).
    epsilon
        Added to the variance.
    center
        Whether the shift `beta` is learned.
    scale
        Whether the scale `gamma` is learned.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer
        Initial values.
    beta_regularizer, gamma_regularizer
        Penalties added to the loss.
    beta_constraint, gamma_constraint
        What the weights are forced back to after every step.

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

    rounds = False
    until_built = (
        "axis",
        "center",
        "scale",
        "beta_initializer",
        "gamma_initializer",
        "moving_mean_initializer",
        "moving_variance_initializer",
    )

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = last_axis(axis)
        self.momentum = float(check_number("momentum", momentum, 0.0, 1.0))
        self.epsilon = float(check_number("epsilon", epsilon, positive=True))
        self.center, self.scale = check_flag("center", center), check_flag("scale", scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Array | None = None
        self.beta: Array | None = None
        self.moving_mean: Array
        self.moving_variance: Array

    def build(self, input_shape: Shape) -> None:
        """Make gamma, beta and the running statistics."""
        check_last_axis(self.axis, input_shape)
        size = input_shape[-1]
        if size is None:
            raise ValueError(
                f"input of layer {self.name!r} must have a known last size. "
                f"Received: shape {shape_text(input_shape)}"
            )
        if self.scale:
            self.gamma = self.add_weight(
                "gamma",
                (size,),
                self.gamma_initializer,
                self.gamma_regularizer,
                self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                "beta", (size,), self.beta_initializer, self.beta_regularizer, self.beta_constraint
            )
        self.moving_mean = self.add_weight(
            "moving_mean", (size,), self.moving_mean_initializer, trainable=False
        )
        self.moving_variance = self.add_weight(
            "moving_variance", (size,), self.moving_variance_initializer, trainable=False
        )

    def forward(self, x: Array, passage: Passage) -> Array:
        """Gamma * (x - mean) / sqrt(variance + epsilon) + beta."""
        wide = x.astype(np.float64)
        # A frozen layer works as in inference, as Keras' does.
        batch = passage.training and self.trainable
        if batch:
            rows = tuple(range(x.ndim - 1))
            mean = wide.mean(axis=rows)
            variance = np.square(wide - mean).mean(axis=rows)
            self._move(passage, mean, variance)
        else:
            mean = self.moving_mean.astype(np.float64)
            variance = self.moving_variance.astype(np.float64)
        inverse = 1.0 / np.sqrt(variance + self.epsilon)
        normal = (wide - mean) * inverse
        passage.saved = (normal, inverse, batch)
        y = normal if self.gamma is None else normal * self.gamma
        shifted: Array = y if self.beta is None else y + self.beta
        return shifted.astype(x.dtype)

    def _move(self, passage: Passage, mean: Array, variance: Array) -> None:
        for running, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
            kept = passage.latest(running) * self.momentum
            passage.update(running, kept + now * (1.0 - self.momentum))

    def forward_blocks(
        self,
        parts: Sequence[Array],
        passages: Sequence[Passage],
        mean_of: MeanOf,
        whole: Passage,
    ) -> list[Array]:
        """As `forward` in training, for blocks of a batch whose means come from elsewhere.

        Running statistics go to the passage of the whole batch, of which no block may be here.
        """
        wide = [part.astype(np.float64) for part in parts]
        mean = mean_of(wide)
        variance = mean_of([np.square(part - mean) for part in wide])
        self._move(whole, mean, variance)
        inverse = 1.0 / np.sqrt(variance + self.epsilon)
        found = []
        for part, given, passage in zip(wide, parts, passages, strict=True):
            normal = (part - mean) * inverse
            passage.saved = (normal, inverse, True)
            y = normal if self.gamma is None else normal * self.gamma
            found.append((y if self.beta is None else y + self.beta).astype(given.dtype))
        return found

    def gradient_blocks(
        self, grads: Sequence[Array], passages: Sequence[Passage], mean_of: MeanOf
    ) -> list[Array]:
        """As `gradient`, likewise."""
        wide, along = [], []
        for grad, passage in zip(grads, passages, strict=True):
            part, normal = grad.astype(np.float64), passage.saved[0]
            rows = tuple(range(grad.ndim - 1))
            if self.gamma is not None:
                passage.gradients["gamma"] = (part * normal).sum(axis=rows).astype(grad.dtype)
            if self.beta is not None:
                passage.gradients["beta"] = part.sum(axis=rows).astype(grad.dtype)
            wide.append(part if self.gamma is None else part * self.gamma)
            along.append(wide[-1] * normal)
        mean, mean_along = mean_of(wide), mean_of(along)
        return [
            (p.saved[1] * (part - mean - p.saved[0] * mean_along)).astype(grad.dtype)
            for part, p, grad in zip(wide, passages, grads, strict=True)
        ]

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
