"""Layer 6, reference: the counter-based generator ARS, by tables built from AES's arithmetic.

ARS (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) encrypts a 128-bit
counter with AES rounds whose round keys follow a Weyl sequence instead of AES's key schedule. A
block is four 32-bit words, word 0 the least significant; AES sees it as 16 bytes, byte ``4 * column
+ row``, so one word is one column.

What this file does not do: anything with rates or arrays. It maps counters to random blocks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Weyl increments of the round keys, one per 64-bit lane: the golden ratio and sqrt(3) - 1, times
# 2^64.
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
ROUNDS = 7
_LANE = (1 << 64) - 1


def _gf_multiply(a: int, b: int) -> int:
    """Product in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, section 4.2)."""
    product = 0
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11B
        b >>= 1
    return product


def _s_box() -> list[int]:
    """The S-box: inverse in the field, then an affine map over GF(2) (FIPS 197, section 5.1.1)."""
    box = []
    for value in range(256):
        inverse = 1
        for _ in range(254):  # a^254 is the inverse of a, and 0 for 0
            inverse = _gf_multiply(inverse, value)
        twice = inverse * 0x101  # the byte beside itself: shifts become rotations
        mixed = inverse
        for turn in (4, 5, 6, 7):
            mixed ^= (twice >> turn) & 0xFF
        box.append(mixed ^ 0x63)
    return box


def _round_tables(box: list[int]) -> npt.NDArray[np.uint32]:
    """SubBytes and MixColumns: ``tables[row][byte]`` is that byte's part of its new column."""
    tables = np.zeros((4, 256), dtype=np.uint32)
    for byte, s in enumerate(box):
        column = (
            _gf_multiply(s, 2),
            s,
            s,
            _gf_multiply(s, 3),
        )  # MixColumns of the column (s, 0, 0, 0)
        for row in range(4):
            parts = [column[(out - row) % 4] for out in range(4)]
            tables[row, byte] = sum(part << (8 * out) for out, part in enumerate(parts))
    return tables


_BOX = _s_box()
_FULL_ROUND = _round_tables(_BOX)
_LAST_ROUND = np.array([[s << (8 * row) for s in _BOX] for row in range(4)], dtype=np.uint32)


def _aes_round(
    state: npt.NDArray[np.uint32], round_key: npt.NDArray[np.uint32], tables: npt.NDArray[np.uint32]
) -> npt.NDArray[np.uint32]:
    """ShiftRows, the tables (the last round's lack MixColumns), the round key. [n, 4] -> [n, 4]."""
    out = np.empty_like(state)
    for column in range(4):
        mixed = np.full(len(state), round_key[column], dtype=np.uint32)
        for row in range(4):
            byte = (state[:, (column + row) % 4] >> np.uint32(8 * row)) & np.uint32(0xFF)
            mixed ^= tables[row][byte]
        out[:, column] = mixed
    return out


def ars(
    low: npt.NDArray[np.uint64], high: int, key: tuple[int, int], rounds: int = ROUNDS
) -> npt.NDArray[np.uint32]:
    """Random blocks for many counters that share their high lane.

    Parameters
    ----------
    low : ndarray of uint64, shape (n,)
        Low 64 bits of each counter (the block index).
    high : int
        High 64 bits of all counters (the step).
    key : tuple of int
        Low and high 64 bits of the key (seed, stream).
    rounds : int
        AES rounds; the stream of this package uses 7, Random123's published vectors 10.

    Returns
    -------
    ndarray of uint32, shape (n, 4)
        Word 0 is the least significant.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference.aes import ars
    >>> [f"{word:08x}" for word in ars(np.zeros(1, np.uint64), 0, (0, 0))[0]]
    ['dacf61ff', 'c45798f3', '113c7eeb', '101e27f3']
    """
    lanes = np.empty((len(low), 2), dtype="<u8")
    lanes[:, 0] = low ^ np.uint64(key[0])
    lanes[:, 1] = np.uint64(high ^ key[1])
    state = lanes.view("<u4").astype(np.uint32)
    for r in range(1, rounds + 1):
        words = [(lane + r * weyl) & _LANE for lane, weyl in zip(key, WEYL, strict=True)]
        round_key = np.array(words, dtype="<u8").view("<u4").astype(np.uint32)
        state = _aes_round(state, round_key, _FULL_ROUND if r < rounds else _LAST_ROUND)
    return state
