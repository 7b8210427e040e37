"""Layer 6: initial weights that are drawn independently of their number."""

from __future__ import annotations

import math

import numpy as np

from dropfast.arrays import Array
from dropfast.checks import check_number
from dropfast.initializers.base import Initializer
from dropfast.random import Key, check_seed, random_normal, random_uniform


class RandomUniform(Initializer):
    """Uniform in [minval, maxval).

    Examples
    --------
    >>> import dropfast as df
    >>> drawn = df.initializers.RandomUniform(-1.0, 1.0, seed=0)((1000,))
    >>> bool(drawn.min() >= -1.0), bool(drawn.max() < 1.0)
    (True, True)
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        self.minval, self.maxval = check_number("minval", minval), check_number("maxval", maxval)
        self.seed = check_seed(seed)

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """Uniform variates."""
        unit = random_uniform(math.prod(shape), key).reshape(shape)
        return self.minval + (self.maxval - self.minval) * unit


class RandomNormal(Initializer):
    """Normal with the given mean and standard deviation.

    Examples
    --------
    >>> import dropfast as df
    >>> drawn = df.initializers.RandomNormal(stddev=0.1, seed=0)((10_000,))
    >>> round(float(drawn.std()), 2)
    0.1
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean, self.stddev = check_number("mean", mean), check_number("stddev", stddev, 0.0)
        self.seed = check_seed(seed)

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """Normal variates."""
        return self.mean + self.stddev * random_normal(math.prod(shape), key).reshape(shape)


class TruncatedNormal(Initializer):
    """Normal, cut off at two standard deviations by drawing again.

    Examples
    --------
    >>> import dropfast as df
    >>> drawn = df.initializers.TruncatedNormal(stddev=0.1, seed=0)((10_000,))
    >>> bool(abs(drawn).max() <= 0.2)
    True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean, self.stddev = check_number("mean", mean), check_number("stddev", stddev, 0.0)
        self.seed = check_seed(seed)

    def draw(self, shape: tuple[int, ...], key: Key) -> Array:
        """Normal variates within two deviations."""
        return self.mean + self.stddev * truncated(math.prod(shape), key).reshape(shape)


def truncated(n: int, key: Key) -> Array:
    """The first n normal variates of the stream that lie within two deviations."""
    found = np.empty(0)
    offset = 0
    while len(found) < n:
        # One variate in 22 is refused: 8 % more than needed will nearly always do.
        count = math.ceil((n - len(found)) * 1.08) + 16
        draws = random_normal(count, key, offset)
        found = np.concatenate([found, draws[np.abs(draws) <= 2.0]])
        offset += count
    return found[:n]
