"""Layer 6: activations as layers of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from dropfast import activations
from dropfast.arrays import Array, Shape
from dropfast.checks import check_number
from dropfast.layers.base import Layer, Passage
from dropfast.layers.spellings import last_axis, renamed
from dropfast.training.exact import exact


class Activation(Layer):
    """An activation function.

    Parameters
    ----------
    activation
        Its name, or a `dropfast.activations.Function`.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Activation("relu")(np.array([[-1.0, 2.0]])).tolist()
    [[0.0, 2.0]]
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    @property
    def rounds(self) -> bool:  # type: ignore[override]
        """False for softmax, which takes float32 under every policy."""
        return self.activation.name != "softmax"

    def forward(self, x: Array, passage: Passage) -> Array:
        """activation(x)."""
        y = x if passage.linear else self.activation(x)
        passage.saved = (x, y)
        return y

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient with respect to x."""
        return (
            grad
            if passage.linear
            else self.activation.backward(passage.saved[0], passage.saved[1], grad)
        )

    def native(self, input_shape: Shape) -> dict[str, Any] | None:
        """An "activation" of the native network; softmax needs the rows to be vectors."""
        if self.activation.name == "softmax" and len(input_shape) != 2:
            return None
        if not exact(self.activation) or type(self.activation) is not activations.Function:
            return None
        return {
            "kind": "activation",
            "activation": self.activation.native_name,
            **self.activation.options,
        }


class ReLU(Activation):
    """max(x, 0), or with a slope, an end and a threshold.

    Parameters
    ----------
    max_value
        Largest value, or None.
    negative_slope
        Slope below the threshold.
    threshold
        Where the rise begins.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.ReLU()(np.array([[-1.0, 2.0]])).tolist()
    [[0.0, 2.0]]
    """

    fixed = ("activation",)

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        given = {"negative_slope": negative_slope, "threshold": threshold, "max_value": max_value}
        for name in ("negative_slope", "threshold"):
            check_number(name, given[name], 0.0)
        options: dict[str, Any] = {name: value for name, value in given.items() if value}
        if max_value is not None:
            options["max_value"] = check_number("max_value", max_value, 0.0)
        super().__init__(activations.Function("relu", **options), **kwargs)
        self.max_value, self.negative_slope = max_value, negative_slope
        self.threshold = threshold


class LeakyReLU(Activation):
    """x where positive, else negative_slope * x; the layer's default slope is Keras' 0.3.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.LeakyReLU(0.5)(np.array([[-1.0, 2.0]])).tolist()
    [[-0.5, 2.0]]
    """

    fixed = ("activation",)

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        kwargs = renamed("LeakyReLU", kwargs, {"alpha": "negative_slope"})
        negative_slope = kwargs.pop("negative_slope", negative_slope)
        super().__init__(
            activations.Function(
                "leaky_relu", negative_slope=check_number("negative_slope", negative_slope, 0.0)
            ),
            **kwargs,
        )
        self.negative_slope = negative_slope


class ELU(Activation):
    """x where positive, else alpha * (exp(x) - 1).

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.ELU()(np.array([[-1.0, 2.0]])).round(4).tolist()
    [[-0.6321, 2.0]]
    """

    fixed = ("activation",)

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(activations.Function("elu", alpha=check_number("alpha", alpha)), **kwargs)
        self.alpha = alpha


class Softmax(Activation):
    """exp(x) / sum(exp(x)) over an axis, the last by default.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.layers.Softmax()(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """

    fixed = ("activation",)
    until_built = ("axis",)

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__("softmax", **kwargs)
        self.axis = last_axis(axis)

    def forward(self, x: Array, passage: Passage) -> Array:
        """Softmax along the axis."""
        y = super().forward(np.moveaxis(x, self.axis, -1), passage)
        return np.moveaxis(y, -1, self.axis)

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient with respect to x."""
        dx = super().gradient(np.moveaxis(grad, self.axis, -1), passage)
        return np.moveaxis(dx, -1, self.axis)

    def native(self, input_shape: Shape) -> dict[str, Any] | None:
        """Native along the last axis."""
        along_last = self.axis in (-1, len(input_shape) - 1)
        return super().native(input_shape) if along_last else None
