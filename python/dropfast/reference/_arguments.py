"""Layer 6, reference: the checks that every function makes before it draws or writes anything.

Each message names the argument, what was expected and what came.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
# NumPy itself lacks bfloat16: it comes with the package ml_dtypes and is known here by its name.
FLOATS = ("float16", "bfloat16", "float32", "float64")


def check_integer(name: str, value: Any, low: int, high: int) -> int:
    """An integer in [low, high] (booleans and floats are none)."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer. Received: {name}={value!r}")
    if not low <= number <= high:
        raise ValueError(f"{name} must be in [{low}, {high}]. Received: {name}={value!r}")
    return number


def check_rate(rate: Any) -> float:
    """A probability to drop, in [0, 1]."""
    try:
        number = float(rate)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(rate, str) or not 0.0 <= number <= 1.0:
        raise ValueError(f"rate must be in [0, 1]. Received: rate={rate!r}")
    return number


def check_float_array(name: str, value: Any) -> Array:
    """An array of one of the float types; integers and booleans are refused, never converted."""
    array = np.asarray(value)
    if array.dtype.name not in FLOATS:
        raise TypeError(
            f"{name} must be an array of float16, bfloat16, float32 or float64. "
            f"Received: dtype={array.dtype}"
        )
    return array


def check_shape(shape: Any) -> tuple[int, ...]:
    """A tuple of sizes; a single integer is a shape of one dimension."""
    sizes = shape if isinstance(shape, Sequence) else (shape,)
    checked = tuple(check_integer("shape", size, 0, 2**63 - 1) for size in sizes)
    if math.prod(checked) >= 2**63:
        raise ValueError(f"shape must have less than 2**63 elements. Received: shape={shape!r}")
    return checked


def check_noise_shape(
    shape: tuple[int, ...], noise_shape: Any, rows_per_mask: int
) -> tuple[int, ...]:
    """The shape of the decisions: `noise_shape` with its gaps filled, or that of row groups."""
    rows = check_integer("rows_per_mask", rows_per_mask, 1, 2**63 - 1)
    if noise_shape is None:
        if rows == 1 or not shape:
            return shape
        return (-(-shape[0] // rows), *shape[1:])
    if rows != 1:
        raise ValueError(
            "rows_per_mask must be 1 when noise_shape is given. "
            f"Received: rows_per_mask={rows_per_mask}, noise_shape={tuple(noise_shape)}"
        )
    if not isinstance(noise_shape, Sequence) or isinstance(noise_shape, str):
        raise TypeError(
            "noise_shape must be a tuple of integers and None. "
            f"Received: noise_shape={noise_shape!r}"
        )
    entries = tuple(noise_shape)
    fits = len(entries) == len(shape)
    filled = []
    for entry, size in zip(entries, shape, strict=False):
        known = size if entry is None else check_integer("noise_shape", entry, 1, 2**63 - 1)
        fits = fits and known in (1, size)
        filled.append(known)
    if not fits:
        raise ValueError(
            "noise_shape must have one entry per dimension of x, each None, 1 or that dimension's "
            f"size. Received: noise_shape={entries} for shape {shape}"
        )
    return tuple(filled)


def check_offset(offset: Any, size: int) -> int:
    """The position of the first element; the stream has 2**63 of them."""
    return check_integer("offset", offset, 0, 2**63 - size)


def check_out(out: Any, x: Array) -> Array:
    """The array to write to: `out`, which is x itself or apart from it, or a new one."""
    if out is None:
        return np.empty(x.shape, dtype=x.dtype)
    if not isinstance(out, np.ndarray) or out.shape != x.shape or out.dtype != x.dtype:
        came = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(
            f"out must be an array of dtype {x.dtype} and shape {x.shape}. Received: out={came}"
        )
    if not out.flags.writeable:
        raise ValueError("out must be writable. Received: a read-only array")
    same = _address(out) == _address(x) and out.strides == x.strides
    if not same and np.shares_memory(out, x):
        raise ValueError(
            "out must be x itself or not overlap it. Received: a partly overlapping array"
        )
    return out


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])
