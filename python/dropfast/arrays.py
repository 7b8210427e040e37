"""Layer 6: checks and conversions of arrays that come from users."""

from __future__ import annotations

import math
import operator
import weakref
from collections import deque
from collections.abc import Iterable
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from dropfast import _core
from dropfast.pieces import Pieces, in_pieces

Array = NDArray[Any]
Shape = tuple[int | None, ...]

# Vectors that lie within one line of the cache are read and written at once.
_LINE = 64
# Enough rows at a time to keep the processor busy, few enough to stay small beside the data.
BLOCK_BYTES = 1 << 24


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """The dtype that a model computes in: float32 or float64."""
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError):
        found = None
    if found not in (np.float32, np.float64) or dtype is None:
        raise ValueError(f"dtype must be 'float32' or 'float64'. Received: dtype={dtype!r}")
    return np.dtype(found)


def zeros(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """Zeros that start on a line of the cache, for arrays that steps go over again and again."""
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    room = np.zeros(size + _LINE, np.uint8)
    start = -room.ctypes.data % _LINE
    return room[start : start + size].view(kind).reshape(shape)


# What `writable` made, by the identity of what it was made of, as long as both live.
_copies: dict[int, tuple[weakref.ref[Array], weakref.ref[Array]]] = {}


def writable(value: Any) -> Any:
    """An array that can be trained: itself, or a copy where it is read-only or misaligned.

    Unpickled arrays may lie in another's memory: a memory map, or a buffer of a message. Objects
    that hold the same array get the same copy. Of lists, tuples and dicts all that they hold.
    """
    if isinstance(value, list):
        return [writable(part) for part in value]
    if type(value) is tuple:
        return tuple(writable(part) for part in value)
    if type(value) is dict:
        return {name: writable(part) for name, part in value.items()}
    if not isinstance(value, np.ndarray) or value.dtype.hasobject:
        return value
    if value.flags.writeable and value.flags.aligned:
        return value
    source, copy = _copies.get(id(value), (None, None))
    found = copy() if copy is not None and source is not None and source() is value else None
    if found is None:
        found = zeros(value.shape, value.dtype)
        found[...] = value
        number = id(value)
        gone = weakref.ref(value, lambda _: _copies.pop(number, None))
        _copies[number] = gone, weakref.ref(found)
    return found


def assign(changes: Iterable[tuple[Array, Array]]) -> None:
    """Copy second arrays into first ones, all or none.

    The loop is C's own: Python runs signal handlers between its own instructions only, so that none
    of them sees, or leaves, changes that are made by half.
    """
    pairs = list(changes)
    into: list[Any] = [array for array, _ in pairs]
    values = [np.asarray(value) for _, value in pairs]
    deque(map(operator.setitem, into, repeat(...), values), maxlen=0)


def as_numeric(name: str, x: ArrayLike) -> Array:
    """`x` as an array of numbers or booleans; memory maps stay what they are."""
    if isinstance(x, np.ma.MaskedArray):
        if np.ma.is_masked(x):
            raise ValueError(f"{name} must have no masked entries: fill them. Received: some")
        x = x.data
    try:
        array = x if isinstance(x, np.ndarray) else _as_array(name, x)
    except (ValueError, TypeError) as error:
        kind = type(x).__name__
        if str(error).startswith(name):
            raise
        raise ValueError(f"{name} must be an array. Received: a {kind} ({error})") from error
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        hint = ""
        if array.dtype.kind in "OUS" and _strings(array):
            hint = ", not strings: labels become numbers by np.unique(y, return_inverse=True)[1]"
        raise TypeError(f"{name} must hold numbers{hint}. Received: dtype={array.dtype}")
    return array


def _as_array(name: str, x: Any) -> Array:
    """What other libraries' arrays and tables hold, missing numbers as NaN."""
    if hasattr(x, "toarray") and hasattr(x, "nnz"):
        raise TypeError(
            f"{name} must be a dense array: {name}.toarray() makes one. "
            f"Received: a sparse {type(x).__name__} of shape {x.shape}"
        )
    if hasattr(x, "detach") and hasattr(x, "numpy"):
        x = x.detach().cpu()
        return np.asarray(x.float().numpy() if "bfloat16" in str(x.dtype) else x.numpy())
    if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
        return np.from_dlpack(x)
    array = np.asarray(in_pieces(x))
    if array.dtype.kind == "O" and hasattr(x, "to_numpy") and not _strings(array):
        # Nullable and mixed columns of pandas, which NumPy takes for objects.
        array = x.to_numpy(np.float64, na_value=np.nan)
    return array


def _strings(array: Array) -> bool:
    return array.dtype.kind in "US" or any(isinstance(entry, str) for entry in array.flat)


def block_rows(x: Array | Pieces, dtype: np.dtype[Any], least: int = 1) -> int:
    """How many rows make up a block."""
    size = max(int(np.prod(x.shape[1:])), 1) * dtype.itemsize
    return max(BLOCK_BYTES // size, least)


def check_finite(name: str, x: Array | Pieces) -> None:
    """Refuse NaN and infinity, naming the first row that has one."""
    if x.dtype.kind in "iub":
        return
    row: int | None = None
    if not isinstance(x, Pieces) and x.dtype in (np.float32, np.float64) and x.flags.c_contiguous:
        row = _core.first_nonfinite_row(x)
    else:
        row = _first_nonfinite(x)
    if row is not None:
        raise ValueError(f"{name} must be finite. Received: NaN or infinity in row {row}")


def _first_nonfinite(x: Array | Pieces) -> int | None:
    step = block_rows(x, np.dtype(np.float32))
    for start in range(0, len(x), step):
        block = np.ascontiguousarray(x[start : start + step], np.float64)
        row = _core.first_nonfinite_row(block)
        if row is not None:
            return start + row
    return None


def shape_text(shape: tuple[Any, ...]) -> str:
    """Write a shape as messages show it, such as (None, 784)."""
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
