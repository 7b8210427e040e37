"""Products and dense layers: the native chains give the reference's bits, curves a few ulp."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import cases
from hypothesis import given
from hypothesis import strategies as st

from dropfast import _core as fast
from dropfast import reference
from dropfast.reference.activations import ACTIVATIONS, NEED_INPUT

EXAMPLES = cases(40)
DTYPES = [np.dtype(np.float32), np.dtype(np.float64)]
# Below, at and above every vector and tile width, and long enough for several blocks of k.
SIZES = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 47, 48, 49, 65]
sizes = st.sampled_from(SIZES)
Array = np.ndarray[Any, Any]


def normal(seed: int, *shape: int, dtype: np.dtype[Any]) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def equal(got: Array, expected: Array) -> None:
    """Equal bits, but for the sign of zero."""
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@EXAMPLES
@given(sizes, sizes, sizes, st.sampled_from(DTYPES), st.integers(0, 99))
def test_products(m: int, k: int, n: int, dtype: np.dtype[Any], seed: int) -> None:
    a, b = normal(seed, m, k, dtype=dtype), normal(seed + 1, k, n, dtype=dtype)
    equal(fast.matmul(a, b), reference.matmul(a, b))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(32, 784, 61), (130, 300, 70), (1, 2100, 33), (257, 5, 259)])
def test_products_over_several_blocks(
    dtype: np.dtype[Any], shape: tuple[int, int, int], threads: int
) -> None:
    """Blocks of k are stored and reloaded: the chain must go on as if they were not."""
    m, k, n = shape
    a, b = normal(1, m, k, dtype=dtype), normal(2, k, n, dtype=dtype)
    rows = np.unique(np.r_[0, m // 2, m - 1])  # the reference is slow: some rows tell
    equal(fast.matmul(a, b)[rows], reference.matmul(a[rows], b))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_products_of_views(dtype: np.dtype[Any]) -> None:
    a, b = normal(1, 21, 34, dtype=dtype), normal(2, 34, 19, dtype=dtype)
    expected = reference.matmul(a, b)
    for left in (a, np.asfortranarray(a), np.repeat(a, 2, axis=1)[:, ::2], a[::-1][::-1]):
        for right in (b, np.asfortranarray(b), np.repeat(b, 3, axis=0)[::3]):
            equal(fast.matmul(left, right), expected)
    out = np.empty_like(expected)
    assert fast.matmul(a, b, out=out) is out
    equal(out, expected)


@EXAMPLES
@given(
    sizes, sizes, sizes, st.sampled_from(DTYPES), st.sampled_from([None, "linear", "relu"]),
    st.booleans(), st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([1, 4, 100]),
)  # fmt: skip
def test_dense_to_the_bit(
    n: int, inputs: int, units: int, dtype: np.dtype[Any], name: str | None, has_bias: bool,
    rate: float, rows: int,
) -> None:  # fmt: skip
    """Where the activation rounds nothing, forward and backward are defined to the last bit."""
    x, kernel = normal(1, n, inputs, dtype=dtype), normal(2, inputs, units, dtype=dtype)
    bias = normal(3, units, dtype=dtype) if has_bias else None
    dy = normal(4, n, units, dtype=dtype)
    noise = {"rate": rate, "key": fast.Key(7, 1, 2) if rate else None, "rows_per_mask": rows}
    y = fast.dense(x, kernel, bias, name, **noise)
    equal(y, reference.dense(x, kernel, bias, name, **noise))
    got = fast.dense_backward(dy, x, kernel, y, name, **noise)
    expected = reference.dense_backward(dy, x, kernel, y, name, **noise)
    for a, b in zip(got, expected, strict=True):
        equal(a, b)


@EXAMPLES
@given(
    st.sampled_from(ACTIVATIONS), sizes, sizes, sizes, st.sampled_from(DTYPES),
    st.sampled_from([0.0, 0.4]),
)  # fmt: skip
def test_dense_with_curved_activations(
    name: str, n: int, inputs: int, units: int, dtype: np.dtype[Any], rate: float
) -> None:
    """Both start from the same bits of z; activations add a few ulp, sums of k terms k of them."""
    eps = float(np.finfo(dtype).eps)
    x = normal(1, n, inputs, dtype=dtype)
    kernel = normal(2, inputs, units, dtype=dtype) / np.sqrt(dtype.type(max(inputs, 1)))
    bias, dy = normal(3, units, dtype=dtype), normal(4, n, units, dtype=dtype)
    noise = {"rate": rate, "key": fast.Key(7, 1, 2) if rate else None}
    y = fast.dense(x, kernel, bias, name, **noise)
    np.testing.assert_allclose(
        y, reference.dense(x, kernel, bias, name, **noise), rtol=16 * eps, atol=8 * eps
    )
    if name in NEED_INPUT or (name == "softmax" and rate):
        return
    dz = reference.dense_backward(dy, x, np.eye(units, dtype=dtype), y, name, **noise)[0]
    got = fast.dense_backward(dy, x, kernel, y, name, **noise)
    expected = reference.dense_backward(dy, x, kernel, y, name, **noise)
    # |dz| may be wrong by 16 ulp of |dy|; a sum of k products adds k roundings of its terms.
    size = np.abs(dz) + 4 * np.abs(dy)
    bounds = (
        (16 + units) * eps * (size @ np.abs(kernel.T)),
        (16 + n) * eps * (np.abs(x.T) @ size),
        (16 + n) * eps * size.sum(axis=0),
    )
    for a, b, bound in zip(got, expected, bounds, strict=True):
        assert (np.abs(a - b) <= bound + np.finfo(dtype).tiny).all()


def test_dense_on_threads(threads: int) -> None:
    x, kernel = (normal(i, *s, dtype=DTYPES[0]) for i, s in enumerate([(300, 90), (90, 110)]))
    dy = normal(9, 300, 110, dtype=DTYPES[0])
    noise = {"rate": 0.5, "key": fast.Key(1), "rows_per_mask": 32}
    y = fast.dense(x, kernel, None, "relu", **noise)
    equal(y, reference.dense(x, kernel, None, "relu", **noise))
    got = fast.dense_backward(dy, x, kernel, y, "relu", **noise)
    for a, b in zip(got, reference.dense_backward(dy, x, kernel, y, "relu", **noise), strict=True):
        equal(a, b)


def test_dense_raises_alike() -> None:
    x, kernel = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)
    cases: list[tuple[Any, ...]] = [
        (x, kernel.T),
        (x, kernel.astype(np.float64)),
        (x, kernel, np.ones(3, np.float32)),
        (x, kernel, None, "step"),
        (x, kernel, None, None, 0.5),
        (x, kernel, None, None, 1.5, fast.Key()),
        (x.astype(int), kernel),
    ]
    for arguments in cases:
        with pytest.raises((ValueError, TypeError)) as wanted:
            reference.dense(*arguments)
        with pytest.raises(wanted.type) as got:
            fast.dense(*arguments)
        assert "Received: " in str(got.value)
