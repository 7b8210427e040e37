"""Layer 6, reference: keys, and the random stream version 1: words, variates, permutations.

Everything is a pure function of (seed, stream, step, position). A key's ``seed`` and ``stream`` are
the two lanes of the generator's key; the counter is (block index, step). One block of 128 bits is
read as

=================  =============================================
32-bit words       word i of the stream = word i % 4 of block i // 4
64-bit words       word i of the stream = lane i % 2 of block i // 2
=================  =============================================

The upper 16 bits of the stream are its *domain*: 0 masks, 1 Gaussian variates, 2 shuffling, 3
initial weights, 4 Monte Carlo masks, 5 masks of a model called by hand. The top bit of a block
index is set for the words that break ties (see :mod:`dropfast.reference.dropout`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ._arguments import check_integer
from .aes import ars

GAUSSIAN_DOMAIN = 1 << 48
SHUFFLE_DOMAIN = 2 << 48


class KeyLike(Protocol):
    """Anything with the three numbers of a key: this module's :class:`Key` or the native one."""

    @property
    def seed(self) -> int:
        """Low lane of the generator's key."""

    @property
    def stream(self) -> int:
        """High lane of the generator's key."""

    @property
    def step(self) -> int:
        """High lane of the counter."""


@dataclass(frozen=True)
class Key:
    """Where in the random stream to draw: three integers in [0, 2**64).

    Parameters
    ----------
    seed : int
        The one number that all randomness of a model comes from.
    stream : int
        Which of the seed's independent streams: a layer's place. Streams from 2**48 up are
        reserved.
    step : int
        Which draw of that stream: the optimizer's step.

    Examples
    --------
    >>> from dropfast.reference import Key
    >>> Key(7).fold_in(2).at(10)
    Key(seed=7, stream=2, step=10)
    """

    seed: int = 0
    stream: int = 0
    step: int = 0

    def __post_init__(self) -> None:
        for name in ("seed", "stream", "step"):
            value = check_integer(name, getattr(self, name), 0, 2**64 - 1)
            object.__setattr__(self, name, value)

    def at(self, step: int) -> Key:
        """The same seed and stream at another step."""
        return Key(self.seed, self.stream, step)

    def fold_in(self, stream: int) -> Key:
        """The same seed and step in another stream."""
        return Key(self.seed, stream, self.step)


def blocks(key: KeyLike, index: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    """The random blocks with the given indices, as 32-bit words: [n] -> [n, 4]."""
    if not all(hasattr(key, name) for name in ("seed", "stream", "step")):
        raise TypeError(f"key must be a Key. Received: key={key!r}")
    return ars(index, int(key.step), (int(key.seed), int(key.stream)))


def block_range(key: KeyLike, offset: int, size: int, per_block: int) -> npt.NDArray[np.uint32]:
    """All blocks with elements offset .. offset + size - 1, `per_block` of them in each."""
    first, last = offset // per_block, -(-(offset + size) // per_block)
    return blocks(key, np.uint64(first) + np.arange(last - first, dtype=np.uint64))


def random_words(n: int, key: KeyLike, offset: int = 0) -> npt.NDArray[np.uint32]:
    """Raw 32-bit words of the stream.

    Parameters
    ----------
    n : int
        How many.
    key : Key
        Where to draw.
    offset : int
        Position of the first word.

    Returns
    -------
    ndarray of uint32, shape (n,)

    Examples
    --------
    >>> from dropfast.reference import Key, random_words
    >>> [hex(word) for word in random_words(2, Key(0))]
    ['0xdacf61ff', '0xc45798f3']
    """
    n, offset = _check_range(n, offset)
    start = offset % 4
    return block_range(key, offset, n, 4).reshape(-1)[start : start + n]


def _words64(n: int, key: KeyLike, offset: int) -> npt.NDArray[np.uint64]:
    """64-bit words of the stream: two 32-bit words each, the lower half first."""
    words = block_range(key, offset, n, 2).astype(np.uint64)
    wide: npt.NDArray[np.uint64] = words[:, 0::2] | (words[:, 1::2] << np.uint64(32))
    start = offset % 2
    return wide.reshape(-1)[start : start + n]


def random_uniform(n: int, key: KeyLike, offset: int = 0) -> npt.NDArray[np.float64]:
    """Uniform variates in [0, 1): the upper 53 bits of 64-bit words.

    Parameters
    ----------
    n : int
        How many.
    key : Key
        Where to draw.
    offset : int
        Position of the first variate.

    Returns
    -------
    ndarray of float64, shape (n,)

    Examples
    --------
    >>> from dropfast.reference import Key, random_uniform
    >>> bool((random_uniform(1000, Key(1)) < 1).all())
    True
    """
    n, offset = _check_range(n, offset)
    upper = (_words64(n, key, offset) >> np.uint64(11)).astype(np.float64)
    uniform: npt.NDArray[np.float64] = upper * 2.0**-53
    return uniform


def random_normal(n: int, key: KeyLike, offset: int = 0) -> npt.NDArray[np.float64]:
    """Standard normal variates by Box and Muller's transform (1958), two words a pair.

    ``u1 = (even word >> 8) + 1`` and ``u2 = odd word >> 8``, both times 2**-24, so ``u1`` is never
    zero; ``r = sqrt(-2 ln u1)``; the pair is ``r cos(2 pi u2), r sin(2 pi u2)``. Computed in
    float64 and rounded to float32, the precision in which the stream defines it; the fast path
    computes in float32 and may differ in the last bits.

    Parameters
    ----------
    n : int
        How many.
    key : Key
        Where to draw.
    offset : int
        Position of the first variate.

    Returns
    -------
    ndarray of float64, shape (n,)
        Every value is a float32 number.

    Examples
    --------
    >>> from dropfast.reference import Key, random_normal
    >>> bool(abs(random_normal(10_000, Key(1)).mean()) < 0.03)
    True
    """
    n, offset = _check_range(n, offset)
    high = block_range(key, offset, n, 4) >> np.uint32(8)
    radius = np.sqrt(-2.0 * np.log((high[:, 0::2] + 1.0) * 2.0**-24))
    angle = 2.0 * np.pi * (high[:, 1::2] * 2.0**-24)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    start = offset % 4
    return pairs.reshape(-1)[start : start + n].astype(np.float32).astype(np.float64)


def permutation(n: int, key: KeyLike) -> npt.NDArray[np.int64]:
    """A random order of 0 .. n-1 by Fisher and Yates's shuffle.

    Parameters
    ----------
    n : int
        How many.
    key : Key
        Where to draw.

    Returns
    -------
    ndarray of int64, shape (n,)

    Notes
    -----
    From the last place down, place i is swapped with place ``j = (w * (i + 1)) >> 64``, where w is
    the stream's 64-bit word i. So j is uniform to within n / 2**64.

    Examples
    --------
    >>> from dropfast.reference import Key, permutation
    >>> sorted(permutation(5, Key(3)).tolist())
    [0, 1, 2, 3, 4]
    """
    n, _ = _check_range(n, 0)
    words = _words64(n, key, 0).tolist()
    order = list(range(n))
    for i in range(n - 1, -1, -1):
        j = (words[i] * (i + 1)) >> 64
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.int64)


def _check_range(n: int, offset: int) -> tuple[int, int]:
    """The stream has 2**63 positions: the top bit of a block index belongs to the ties."""
    n = check_integer("n", n, 0, 2**63)
    return n, check_integer("offset", offset, 0, 2**63 - n)
