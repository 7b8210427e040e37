"""Layer 6: PReLU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dropfast import constraints, initializers, regularizers
from dropfast.arrays import Array, Shape, shape_text
from dropfast.layers.base import Layer, Passage


class PReLU(Layer):
    """x where positive, else alpha * x with a slope that is learned (He et al. 2015).

    Parameters
    ----------
    alpha_initializer
        Initial slopes.
    alpha_regularizer, alpha_constraint
        Penalty and bound of the slopes.
    shared_axes
        Axes along which one slope serves all; axes count from 1.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> layer = df.layers.PReLU(df.initializers.Constant(0.25))
    >>> layer(np.array([[-2.0, 3.0]])).tolist()
    [[-0.5, 3.0]]
    """

    until_built = ("alpha_initializer", "shared_axes")

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Sequence[int] | int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        axes = (shared_axes,) if hasattr(shared_axes, "__index__") else shared_axes
        if axes is not None and not (
            isinstance(axes, list | tuple)
            and all(hasattr(axis, "__index__") and axis >= 1 for axis in axes)
            and not any(isinstance(axis, bool) for axis in axes)
        ):
            raise ValueError(
                f"shared_axes must hold integers from 1. Received: shared_axes={shared_axes!r}"
            )
        self.shared_axes = None if axes is None else [int(axis) for axis in axes]
        self.alpha: Array

    def build(self, input_shape: Shape) -> None:
        """Make the slopes."""
        shared = self.shared_axes or []
        if any(size is None for size in input_shape[1:]) or any(
            axis >= len(input_shape) for axis in shared
        ):
            raise ValueError(
                f"input of layer {self.name!r} must have known sizes and the shared axes {shared}. "
                f"Received: shape {shape_text(input_shape)}"
            )
        shape = [
            1 if axis in shared else size or 1 for axis, size in enumerate(input_shape[1:], start=1)
        ]
        self.alpha = self.add_weight(
            "alpha",
            shape,
            self.alpha_initializer,
            self.alpha_regularizer,
            self.alpha_constraint,
        )

    def forward(self, x: Array, passage: Passage) -> Array:
        """X, or alpha * x below 0."""
        passage.saved = x
        return np.where(x > 0, x, self.alpha * x)

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient with respect to x; that of the slopes is the sum of grad * x below 0."""
        x = passage.saved
        below = np.where(x > 0, 0, grad * x).astype(np.float64).sum(axis=0)
        axes = tuple(axis - 1 for axis in self.shared_axes or ())
        passage.gradients["alpha"] = below.sum(axis=axes, keepdims=True).astype(grad.dtype)
        return np.where(x > 0, grad, grad * self.alpha)
