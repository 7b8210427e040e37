"""Layer 6, reference: products of bfloat16 operands with sums in float32, every bit defined.

The definition is that of the dot product of pairs which processors have (VDPBF16PS): for each pair
of k, first the odd one and then the even one, ``sum = fma(a, b, sum)``, rounded once to nearest
even; a sum that is below the smallest normal number after rounding is zero of its sign. After the
last of an odd number of k comes 0 * 0.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ._arguments import Array
from .matmul import _add_to_odd, check_matrix

# Half a step of float32 below the smallest normal number, if steps went on as above it: what is
# nearer rounds to that number.
_TINY = 2.0**-126 - 2.0**-151


def round_bfloat16(x: npt.ArrayLike) -> Array:
    """Round float32 to bfloat16, to nearest even; subnormal numbers become zero of their sign.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import round_bfloat16
    >>> round_bfloat16(np.float32([1.0, 1.001953125, 3.15, 1e-39])).tolist()
    [1.0, 1.0, 3.15625, 0.0]
    """
    x = np.ascontiguousarray(x, np.float32)
    bits = x.view(np.uint32)
    up = bits + (0x7FFF + (bits >> 16 & 1)).astype(np.uint32)
    found = np.where(np.isnan(x), bits | np.uint32(0x0040_0000), up)
    found = np.where(np.abs(x) < np.float32(2.0**-126), bits & np.uint32(0x8000_0000), found)
    rounded: Array = (found & np.uint32(0xFFFF_0000)).view(np.float32)
    return rounded


def matmul_bfloat16(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Matrix product of float32 matrices, rounded to bfloat16, with sums in float32.

    Parameters
    ----------
    a : ndarray of float32, shape (m, k)
    b : ndarray of float32, shape (k, n)

    Returns
    -------
    ndarray of float32, shape (m, n)

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import matmul_bfloat16
    >>> a = np.float32([[1.0, 1.001953125]])
    >>> matmul_bfloat16(a, a.T).tolist()
    [[2.0]]
    """
    a, b = check_matrix("a", a), check_matrix("b", b)
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"b must have {a.shape[1]} rows. Received: shape {b.shape}")
    odd = a.shape[1] % 2
    a = np.pad(round_bfloat16(a), ((0, 0), (0, odd))).astype(np.float64)
    b = np.pad(round_bfloat16(b), ((0, odd), (0, 0))).astype(np.float64)
    total = np.zeros((a.shape[0], b.shape[1]), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for even in range(0, a.shape[1], 2):
            for k in (even + 1, even):
                exact = _add_to_odd(a[:, k, None] * b[None, k, :], total.astype(np.float64))
                tiny = np.abs(exact) < _TINY
                total = np.where(tiny, np.copysign(0.0, exact), exact).astype(np.float32)
    return total
