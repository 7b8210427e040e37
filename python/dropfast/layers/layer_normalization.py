"""Layer 6: LayerNormalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from dropfast import constraints, initializers, regularizers
from dropfast.arrays import Array, Shape, shape_text
from dropfast.checks import check_flag, check_number
from dropfast.layers.base import Layer, Passage
from dropfast.layers.spellings import check_last_axis, last_axis


class LayerNormalization(Layer):
    """Each row gets mean 0 and variance 1 over its last axis, then a scale and a shift.

    Ba, Kiros and Hinton 2016.

    Parameters
    ----------
    axis
        The axis of the features: the last.
    epsilon
        Added to the variance.
    center
        Whether the shift `beta` is learned.
    scale
        Whether the scale `gamma` is learned.
    beta_initializer, gamma_initializer
        Initial values.
    beta_regularizer, gamma_regularizer
        Penalties added to the loss.
    beta_constraint, gamma_constraint
        What the weights are forced back to after every step.

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

    rounds = False
    until_built = ("axis", "center", "scale", "beta_initializer", "gamma_initializer")

    def __init__(
        self,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis = last_axis(axis)
        self.epsilon = float(check_number("epsilon", epsilon, positive=True))
        self.center, self.scale = check_flag("center", center), check_flag("scale", scale)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Array | None = None
        self.beta: Array | None = None

    def build(self, input_shape: Shape) -> None:
        """Make gamma and beta."""
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
