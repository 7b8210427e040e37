"""Layer 6: where a model's one seed comes from."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from dropfast._core import Key, permutation, random_normal, random_uniform, random_words

__all__ = [
    "Key",
    "SeedGenerator",
    "draw_seed",
    "normal",
    "permutation",
    "randint",
    "random_normal",
    "random_uniform",
    "random_words",
    "set_random_seed",
    "uniform",
]

# Domains of the stream: its upper 16 bits (docs/random-stream.md).
SHUFFLE = 2 << 48
WEIGHTS = 3 << 48
MONTE_CARLO = 4 << 48
CALLS = 5 << 48
SEEDS = 6 << 48
AUGMENT = 7 << 48
DRAWS = 8 << 48

_sequence: tuple[int, count[int]] | None = None


def set_random_seed(seed: int) -> None:
    """Make all models and layers created from now on reproducible.

    Each one without a seed of its own takes the next seed of a sequence, which `seed` determines.

    Parameters
    ----------
    seed
        Integer in [0, 2**64).

    Raises
    ------
    ValueError
        If the seed is outside that range.

    Examples
    --------
    >>> import dropfast as df
    >>> df.set_random_seed(1)
    >>> first = df.Sequential().seed
    >>> df.set_random_seed(1)
    >>> df.Sequential().seed == first
    True
    """
    global _sequence
    Key(seed)
    _sequence = (seed, count())


def draw_seed() -> int:
    """A seed for an object that was given none: of the sequence, or of the operating system."""
    if _sequence is None:
        return secrets.randbits(63)
    seed, counter = _sequence
    low, high = random_words(2, Key(seed, SEEDS, next(counter))).tolist()
    return int(low | (high & 0x7FFFFFFF) << 32)


def check_seed(seed: Any) -> int | None:
    """A seed in [0, 2**64), also of a `SeedGenerator`, or None."""
    if isinstance(seed, SeedGenerator):
        return seed.seed
    if seed is not None:
        Key(seed)
    found: int | None = seed
    return found


class SeedGenerator:
    """A seed and how often it was used: each use of it draws other numbers.

    Parameters
    ----------
    seed
        Integer in [0, 2**64); None takes one as models do.
    name
        A name.

    Examples
    --------
    >>> import dropfast as df
    >>> seeds = df.random.SeedGenerator(1)
    >>> a, b = df.random.normal((2,), seed=seeds), df.random.normal((2,), seed=seeds)
    >>> bool((a == b).any()), bool((a == df.random.normal((2,), seed=1)).all())
    (False, True)
    """

    def __init__(self, seed: int | None = None, name: str | None = None) -> None:
        self.seed: int = draw_seed() if seed is None else Key(seed).seed
        self.name, self._uses = name, count()

    def next(self) -> Key:
        """The key of the next use."""
        return Key(self.seed, DRAWS, next(self._uses))


def _key(seed: int | SeedGenerator | None) -> Key:
    if isinstance(seed, SeedGenerator):
        return seed.next()
    return Key(draw_seed() if seed is None else seed, DRAWS)


def normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: DTypeLike = "float32",
    seed: int | SeedGenerator | None = None,
) -> NDArray[Any]:
    """Numbers of the normal distribution.

    Parameters
    ----------
    shape
        Of the array.
    mean, stddev
        Of the distribution.
    dtype
        Of the array.
    seed
        An integer gives the same numbers at each call, a `SeedGenerator` others.
    """
    drawn = mean + stddev * random_normal(math.prod(shape), _key(seed))
    return drawn.reshape(shape).astype(dtype or "float32")


def uniform(
    shape: Sequence[int],
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: DTypeLike = "float32",
    seed: int | SeedGenerator | None = None,
) -> NDArray[Any]:
    """Numbers in [minval, maxval), all alike; arguments as `normal`."""
    drawn = minval + (maxval - minval) * random_uniform(math.prod(shape), _key(seed))
    return drawn.reshape(shape).astype(dtype or "float32")


def randint(
    shape: Sequence[int],
    minval: int,
    maxval: int,
    dtype: DTypeLike = "int32",
    seed: int | SeedGenerator | None = None,
) -> NDArray[Any]:
    """Whole numbers in [minval, maxval), all alike; arguments as `normal`."""
    drawn = random_uniform(math.prod(shape), _key(seed))
    whole: NDArray[Any] = minval + np.floor((maxval - minval) * drawn)
    return whole.reshape(shape).astype(dtype or "int32")
