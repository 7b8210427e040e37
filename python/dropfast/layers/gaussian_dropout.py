"""Layer 6: GaussianDropout."""

from __future__ import annotations

from typing import Any

from dropfast import _core
from dropfast.arrays import Array, Shape
from dropfast.layers.base import Layer, Passage
from dropfast.layers.rated import Rate, Rated


class GaussianDropout(Rated, Layer):
    """Multiplies by Gaussian noise of mean 1 and variance rate / (1 - rate) in training.

    Srivastava et al. 2014, section 10.

    Parameters
    ----------
    rate
        The rate of the dropout that has the same variance, in [0, 1), or a schedule.
    seed
        Seed of its own; None takes the model's.

    Raises
    ------
    ValueError
        If the rate is outside its range.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> y = df.layers.GaussianDropout(0.5, seed=0)(np.ones((1, 10_000)), training=True)
    >>> bool(abs(y.mean() - 1) < 0.05), bool(abs(y.std() - 1) < 0.05)
    (True, True)
    """

    def __init__(self, rate: Rate | Any, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_rate(rate, seed)
        if self.rate == 1.0:
            raise ValueError("rate must be in [0, 1). Received: rate=1.0")

    def forward(self, x: Array, passage: Passage) -> Array:
        """The input times the noise."""
        if not passage.training or passage.key is None:
            return x
        return _core.gaussian_dropout(x, self.rate_of(passage), passage.key)

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient times the same noise, drawn again."""
        if not passage.training or passage.key is None:
            return grad
        return _core.gaussian_dropout_backward(grad, self.rate_of(passage), passage.key)

    def native(self, input_shape: Shape) -> dict[str, Any] | None:
        """A "gaussian_dropout" of the native network."""
        return {"kind": "gaussian_dropout", "rate": self.rate_at(0, 0)}
