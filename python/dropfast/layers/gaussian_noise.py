"""Layer 6: GaussianNoise."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from dropfast.arrays import Array
from dropfast.checks import check_number
from dropfast.layers.base import Layer, Passage
from dropfast.layers.rated import noise_of
from dropfast.random import check_seed, random_normal


class GaussianNoise(Layer):
    """Adds Gaussian noise of mean 0 in training.

    Parameters
    ----------
    stddev
        Standard deviation, at least 0.
    seed
        Seed of its own; None takes the model's.

    Raises
    ------
    ValueError
        If `stddev` is negative or not finite.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> y = df.layers.GaussianNoise(0.1, seed=0)(np.zeros((1, 10_000)), training=True)
    >>> round(float(y.std()), 2)
    0.1
    """

    stochastic: ClassVar[bool] = True
    by_rows: ClassVar[bool] = True

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev = float(check_number("stddev", stddev, 0.0))
        self.seed = check_seed(seed)

    def forward(self, x: Array, passage: Passage) -> Array:
        """The input plus noise."""
        if not passage.training or passage.key is None:
            return x
        shape = (1, *x.shape[1:]) if passage.consistent else x.shape
        offset = noise_of(x.shape, passage)["offset"]
        drawn = random_normal(math.prod(shape), passage.key, offset).reshape(shape)
        noise = self.stddev * drawn
        noisy: Array = x + noise.astype(x.dtype)
        return noisy

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient itself."""
        return grad
