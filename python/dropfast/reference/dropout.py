"""Layer 6, reference: dropout masks, inverted dropout and its gradient.

Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15
(2014). There p is the probability to *keep* a unit; `rate` here is the probability to drop it, 1 -
p.

How a decision is made. The rate becomes a 48-bit threshold T = rint(rate * 2^48). Element i,
counted in C order over the noise shape from `offset` on, owns 16 random bits: lane i % 8 of block i
// 8. They are compared with T's upper 16 bits; below, the element is dropped. Only if they are
equal (once in 65,536) do 32 more bits decide against T's lower 32: word i % 4 of block i // 4 among
the blocks whose index has its top bit set. So the rate is exact to 2^-48 at the cost of 16 bits.

What happens then. Kept elements are multiplied by 1 / (1 - rate), rounded once to the array's type
(float32 for float16 and bfloat16, whose product is rounded once). Dropped elements become +0.0 by
selection, whatever they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arguments import (
    Array,
    check_float_array,
    check_noise_shape,
    check_offset,
    check_out,
    check_rate,
    check_shape,
)
from .random import KeyLike, block_range, blocks

NoiseShape = Sequence[int | None] | None
_TIE = np.uint64(1 << 63)


def threshold(rate: float) -> int:
    """The rate in units of 2^-48, 0 to 2^48; halves go to the even number, as float64 rounds."""
    return int(np.rint(float(rate) * 2.0**48))


def kept(size: int, rate: float, key: KeyLike, offset: int = 0) -> npt.NDArray[np.bool_]:
    """The decisions for elements offset .. offset + size - 1: True where an element is kept."""
    limit = threshold(rate)
    if limit == 1 << 48:
        return np.zeros(size, dtype=np.bool_)
    high, low = limit >> 32, limit & 0xFFFFFFFF
    words = block_range(key, offset, size, 8)
    start = offset % 8
    lanes = words.astype("<u4").view("<u2").reshape(-1)[start : start + size]
    dropped = lanes < high
    ties = np.flatnonzero(lanes == high)
    element = np.uint64(offset) + ties.astype(np.uint64)
    tie_blocks = blocks(key, element // np.uint64(4) | _TIE)
    more = tie_blocks[np.arange(len(ties)), element % np.uint64(4)]
    dropped[ties] = more < low
    return ~dropped


def scale_of(rate: float, dtype: np.dtype[Any]) -> Any:
    """1 / (1 - rate) in float64, rounded once to the type that the product is computed in."""
    wide = np.float64 if dtype == np.float64 else np.float32
    return wide(1.0 / (1.0 - rate))


def expand(noise: npt.NDArray[Any], shape: tuple[int, ...], rows_per_mask: int) -> npt.NDArray[Any]:
    """Spread what was drawn in the noise shape over the array: by row groups or broadcasting."""
    if rows_per_mask != 1 and shape:
        spread: npt.NDArray[Any] = noise[np.arange(shape[0]) // rows_per_mask]
        return spread
    return np.broadcast_to(noise, shape)


def _mask(
    shape: tuple[int, ...],
    rate: float,
    key: KeyLike,
    noise_shape: NoiseShape,
    rows_per_mask: int,
    offset: int,
) -> npt.NDArray[np.bool_]:
    noise = check_noise_shape(shape, noise_shape, rows_per_mask)
    size = int(np.prod(noise, dtype=object))
    offset = check_offset(offset, size)
    return expand(kept(size, rate, key, offset).reshape(noise), shape, rows_per_mask)


def dropout_mask(
    shape: int | Sequence[int],
    rate: float,
    key: KeyLike,
    noise_shape: NoiseShape = None,
    rows_per_mask: int = 1,
    offset: int = 0,
    packed: bool = False,
) -> npt.NDArray[Any]:
    """Draw the mask that dropout applies.

    Parameters
    ----------
    shape : int or tuple of int
        Shape of the array to be masked.
    rate : float
        Probability to drop an element, in [0, 1].
    key : Key
        Where to draw.
    noise_shape : tuple of int and None, optional
        One entry per dimension: 1 where all positions share a decision, None or the size elsewhere.
    rows_per_mask : int
        How many consecutive rows (positions of the first axis) share their decisions.
    offset : int
        Position in the stream of the first element.
    packed : bool
        Return bits instead: 8 decisions a byte, the first in the lowest bit.

    Returns
    -------
    ndarray of bool, `shape`
        True where an element is kept. Packed: ndarray of uint8, one dimension, in C order.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or of the wrong type.

    Examples
    --------
    >>> from dropfast.reference import Key, dropout_mask
    >>> dropout_mask((4, 3), 0.5, Key(0), noise_shape=(None, 1)).shape
    (4, 3)
    """
    sizes = check_shape(shape)
    mask = _mask(sizes, check_rate(rate), key, noise_shape, rows_per_mask, offset)
    if packed:
        return np.packbits(mask.reshape(-1), bitorder="little")
    return np.array(mask)


def dropout(
    x: npt.ArrayLike,
    rate: float,
    key: KeyLike,
    training: bool = True,
    noise_shape: NoiseShape = None,
    rows_per_mask: int = 1,
    offset: int = 0,
    out: Array | None = None,
) -> Array:
    """Inverted dropout: zero each element with probability `rate`, scale the others.

    Parameters
    ----------
    x : ndarray of float16, bfloat16, float32 or float64
        Any shape and layout; the mask follows the logical C order.
    rate : float
        Probability to drop an element, in [0, 1].
    key : Key
        Where to draw.
    training : bool
        False returns the values unchanged.
    noise_shape : tuple of int and None, optional
        One entry per dimension: 1 where all positions share a decision, None or the size elsewhere.
    rows_per_mask : int
        How many consecutive rows (positions of the first axis) share their decisions.
    offset : int
        Position in the stream of the first element.
    out : ndarray, optional
        Where to write; may be x itself.

    Returns
    -------
    ndarray
        Of x's shape and type: `out`, or a new array.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its range or of the wrong type; nothing is written then.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import Key, dropout
    >>> sorted(set(dropout(np.ones(100), 0.75, Key(0)).tolist()))
    [0.0, 4.0]
    """
    x = check_float_array("x", x)
    rate = check_rate(rate)
    mask = _mask(x.shape, rate, key, noise_shape, rows_per_mask, offset)
    out = check_out(out, x)
    if not training or rate == 0.0:
        out[...] = x
    else:
        out[...] = _select_and_scale(x, mask, rate)
    return out


def dropout_backward(
    dy: npt.ArrayLike,
    rate: float,
    key: KeyLike,
    noise_shape: NoiseShape = None,
    rows_per_mask: int = 1,
    offset: int = 0,
    out: Array | None = None,
) -> Array:
    """Gradient of :func:`dropout` with respect to x: the same mask, drawn again, and scale.

    Parameters
    ----------
    dy : ndarray of float16, bfloat16, float32 or float64
        Gradient with respect to dropout's result.
    rate, key, noise_shape, rows_per_mask, offset
        As given to :func:`dropout`.
    out : ndarray, optional
        Where to write; may be dy itself.

    Returns
    -------
    ndarray
        Of dy's shape and type.

    Raises
    ------
    ValueError, TypeError
        As :func:`dropout`.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import Key, dropout, dropout_backward
    >>> x = np.ones(50, np.float32)
    >>> bool((dropout_backward(x, 0.3, Key(1)) == dropout(x, 0.3, Key(1))).all())
    True
    """
    return dropout(dy, rate, key, True, noise_shape, rows_per_mask, offset, out)


def _select_and_scale(x: Array, mask: npt.NDArray[np.bool_], rate: float) -> Array:
    """Kept: x times the scale, rounded once. Dropped: +0.0."""
    if threshold(rate) == 1 << 48:  # nothing is kept: the scale is never formed
        return np.zeros_like(x)
    scale = scale_of(rate, x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (x.astype(scale.dtype) * scale).astype(x.dtype)
    return np.where(mask, scaled, np.zeros((), x.dtype))
