"""Layer 6: ActivityRegularization."""

from __future__ import annotations

from typing import Any

from dropfast import regularizers
from dropfast.arrays import Array
from dropfast.layers.base import Layer, Passage


class ActivityRegularization(Layer):
    """Its input, unchanged, with a penalty on it that is added to the loss.

    Models with it train layer by layer instead of in one native call.

    Parameters
    ----------
    l1, l2
        Factors of sum(abs(x)) and sum(x * x) of a row, not negative; rows are averaged.

    Raises
    ------
    ValueError
        If a factor is negative or not finite.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> model = df.Sequential([df.layers.ActivityRegularization(l2=0.5)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> x = np.array([[1.0, 1.0], [3.0, 1.0]])
    >>> model.evaluate(x, x)
    3.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        checked = regularizers.L1L2(l1, l2)
        self.l1, self.l2 = checked.l1, checked.l2

    @property
    def activity_regularizer(self) -> regularizers.Regularizer:  # type: ignore[override]
        """The penalty."""
        return regularizers.L1L2(self.l1, self.l2)

    def forward(self, x: Array, passage: Passage) -> Array:
        """The input itself."""
        return x

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient itself; the penalty's is added before."""
        return grad
