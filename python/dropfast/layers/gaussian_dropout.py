"""Layer 6: GaussianDropout."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from dropfast import _core
from dropfast.arrays import Array, Shape
from dropfast.layers.base import Layer, Passage
from dropfast.layers.rated import Rate, Rated, noise_of
from dropfast.random import Key


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

    by_rows: ClassVar[bool] = True

    def __init__(self, rate: Rate | Any, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_rate(rate, seed)
        if self.rate == 1.0:
            raise ValueError("rate must be in [0, 1). Received: rate=1.0")

    def forward(self, x: Array, passage: Passage) -> Array:
        """The input times the noise."""
        if not passage.training or passage.key is None:
            return x
        return self._multiply(x, passage.key, passage, _core.gaussian_dropout)

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient times the same noise, drawn again."""
        if not passage.training or passage.key is None:
            return grad
        return self._multiply(grad, passage.key, passage, _core.gaussian_dropout_backward)

    def _multiply(self, x: Array, key: Key, passage: Passage, kernel: Any) -> Array:
        rate = self.rate_of(passage)
        if passage.consistent:
            product: Array = x * kernel(np.ones_like(x[:1]), rate, key)
            return product
        scaled: Array = kernel(x, rate, key, offset=noise_of(x.shape, passage)["offset"])
        return scaled

    def native(self, input_shape: Shape) -> dict[str, Any] | None:
        """A "gaussian_dropout" of the native network."""
        return {"kind": "gaussian_dropout", "rate": self.rate_at(0, 0)}
