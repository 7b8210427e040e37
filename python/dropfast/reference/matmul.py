"""Layer 6, reference: the matrix product whose every bit is defined.

An element of a product is one chain of fused multiply-adds in ascending k, from zero: ``acc =
fma(a[i, k], b[k, j], acc)``, each rounded once. NumPy has no such operation, so it is built here
from exact sums and products of floats:

* Two float32 factors have an exact product in float64. The sum with the addend is rounded to *odd*
  (an inexact result whose last bit is even moves to the neighbour on the side of the error);
  rounding that to float32 is then a single rounding (Boldo and Melquiond, "Emulation of a FMA and
  correctly rounded sums", IEEE Trans. Computers 57, 2008).
* For float64 the product is first split into two floats without error (Dekker 1971), then the same
  idea is used.

Valid while no float64 product over- or underflows (magnitudes within about 1e-145 .. 1e145), which
is ample for an oracle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._arguments import Array, check_float_array

F64 = npt.NDArray[np.float64]


def _two_sum(a: F64, b: F64) -> tuple[F64, F64]:
    """a + b as a rounded sum and its exact error (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _two_product(a: F64, b: F64) -> tuple[F64, F64]:
    """a * b as a rounded product and its exact error (Dekker; Veltkamp's splitting by 2^27 + 1)."""
    product = a * b
    a_high = a * 134217729.0 - (a * 134217729.0 - a)
    b_high = b * 134217729.0 - (b * 134217729.0 - b)
    a_low, b_low = a - a_high, b - b_high
    error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low
    return product, error


def _add_to_odd(a: F64, b: F64) -> F64:
    """a + b rounded to odd."""
    total, error = _two_sum(a, b)
    even = (total.view(np.int64) & 1) == 0
    move = even & (error != 0) & np.isfinite(error)
    return np.where(move, np.nextafter(total, np.copysign(np.inf, error)), total)


def fused_multiply_add(a: Array, b: Array, c: Array) -> Array:
    """``a * b + c`` with one rounding, elementwise on float32 or float64 arrays that broadcast.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference.matmul import fused_multiply_add
    >>> a = np.float64([1 + 2**-30])
    >>> (fused_multiply_add(a, a, -a * a) == 2.0**-60).tolist()
    [True]
    """
    a, b, c = np.broadcast_arrays(a, b, c)
    wide = [np.asarray(value, np.float64) for value in (a, b, c)]
    with np.errstate(over="ignore", invalid="ignore"):
        if c.dtype == np.float32:
            return _add_to_odd(wide[0] * wide[1], wide[2]).astype(np.float32)
        product, product_error = _two_product(wide[0], wide[1])
        low, low_error = _two_sum(wide[2], product_error)
        high, high_error = _two_sum(product, low)
        result: Array = high + _add_to_odd(low_error, high_error)
        return result


def matmul(a: npt.ArrayLike, b: npt.ArrayLike, out: Array | None = None) -> Array:
    """Matrix product, each element one chain of fused multiply-adds in ascending k.

    Parameters
    ----------
    a : ndarray of float32 or float64, shape (m, k)
    b : ndarray of the same type, shape (k, n)
    out : ndarray, shape (m, n), optional
        Where to write.

    Returns
    -------
    ndarray, shape (m, n)

    Raises
    ------
    ValueError, TypeError
        If shapes or types do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.reference import matmul
    >>> matmul(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    a, b = check_matrix("a", a), check_matrix("b", b)
    if a.dtype != b.dtype:
        raise TypeError(f"b must have a's dtype {a.dtype}. Received: dtype={b.dtype}")
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"b must have {a.shape[1]} rows. Received: shape {b.shape}")
    total = np.zeros((a.shape[0], b.shape[1]), dtype=a.dtype)
    for k in range(a.shape[1]):
        total = fused_multiply_add(a[:, k, None], b[None, k, :], total)
    if out is None:
        return total
    if out.shape != total.shape or out.dtype != total.dtype or not out.flags.writeable:
        raise ValueError(
            f"out must be writable, {total.dtype} {total.shape}. Received: {out.dtype} {out.shape}"
        )
    out[...] = total
    return out


def check_matrix(name: str, value: Any) -> Array:
    """A float32 or float64 array of two dimensions."""
    array = check_float_array(name, value)
    if array.dtype.name not in ("float32", "float64"):
        raise TypeError(f"{name} must be float32 or float64. Received: dtype={array.dtype}")
    if array.ndim != 2:
        raise ValueError(f"{name} must have 2 dimensions. Received: shape {array.shape}")
    return array
