"""Layer 6: where a model's one seed comes from."""

from __future__ import annotations

import secrets
from itertools import count

from dropfast._core import Key, permutation, random_normal, random_uniform, random_words

__all__ = [
    "Key",
    "draw_seed",
    "permutation",
    "random_normal",
    "random_uniform",
    "random_words",
    "set_random_seed",
]

# Domains of the stream: its upper 16 bits (docs/random-stream.md).
SHUFFLE = 2 << 48
WEIGHTS = 3 << 48
MONTE_CARLO = 4 << 48
CALLS = 5 << 48
SEEDS = 6 << 48
AUGMENT = 7 << 48

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


def check_seed(seed: int | None) -> int | None:
    """A seed in [0, 2**64), or None."""
    if seed is not None:
        Key(seed)
    return seed
