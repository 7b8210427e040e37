"""Products and the search for bad rows: shapes, strides, out, errors."""

from __future__ import annotations

import numpy as np
import pytest

from dropfast import _core, reference

FLOATS = (np.float32, np.float64)


def numbers(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def layouts(a):
    """The same values in other places of memory."""
    padded = np.zeros((a.shape[0] + 2, a.shape[1] + 3), a.dtype)
    padded[1:-1, 2:-1] = a
    spaced = np.zeros((2 * a.shape[0], 3 * a.shape[1]), a.dtype)
    spaced[::2, ::3] = a
    raw = np.zeros(a.nbytes + 1, np.uint8)
    unaligned = raw[1:].view(a.dtype).reshape(a.shape)
    unaligned[...] = a
    return {
        "C": a.copy(),
        "Fortran": np.asfortranarray(a),
        "padded": padded[1:-1, 2:-1],
        "spaced": spaced[::2, ::3],
        "backward": a[::-1, ::-1].copy()[::-1, ::-1],
        "unaligned": unaligned,
        "swapped": a.astype(a.dtype.newbyteorder()),
    }


@pytest.mark.parametrize("dtype", FLOATS)
def test_layouts_do_not_change_bits(dtype):
    a, b = numbers((23, 41), dtype), numbers((41, 37), dtype, 1)
    expected = reference.matmul(a, b)
    for name, left in layouts(a).items():
        for other, right in layouts(b).items():
            np.testing.assert_array_equal(_core.matmul(left, right), expected, f"{name}, {other}")


@pytest.mark.parametrize("name", ["C", "Fortran", "padded", "spaced", "backward", "unaligned"])
def test_out_of_any_layout(name):
    a, b = numbers((9, 20)), numbers((20, 33), seed=1)
    out = layouts(np.full((9, 33), np.nan, np.float32))[name]
    assert _core.matmul(a, b, out=out) is out
    np.testing.assert_array_equal(out, reference.matmul(a, b))


@pytest.mark.parametrize("shape", [(1, 30), (30, 1), (1, 1)])
def test_single_rows_and_columns_of_larger_arrays(shape):
    a, b = numbers((shape[0], 5)), numbers((5, shape[1]), seed=1)
    around = np.zeros((30, 30), np.float32)
    for out in (around, around.T):
        out = out[: shape[0], : shape[1]]
        np.testing.assert_array_equal(_core.matmul(a, b, out=out), reference.matmul(a, b))


def test_out_leaves_its_neighbours_alone():
    around = np.full((5, 30), 7.0, np.float32)
    _core.matmul(numbers((3, 4)), numbers((4, 19)), out=around[1:4, 3:22])
    assert (around[[0, 4]] == 7).all()
    assert (around[:, :3] == 7).all()
    assert (around[:, 22:] == 7).all()


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1), (1, 900, 70)])
def test_edges(shape):
    m, k, n = shape
    a, b = numbers((m, k)), numbers((k, n), seed=1)
    np.testing.assert_array_equal(_core.matmul(a, b), reference.matmul(a, b))


def test_a_large_product():
    a, b = numbers((200, 700)), numbers((700, 250), seed=1)
    np.testing.assert_allclose(_core.matmul(a, b), a.astype(float) @ b, rtol=0, atol=4e-4)


def test_shared_elements_are_read():
    column = np.broadcast_to(numbers((7, 1)), (7, 12))
    np.testing.assert_array_equal(
        _core.matmul(column, column.T), reference.matmul(column, column.T)
    )


MATRIX = np.ones((2, 3), np.float32)
FROZEN = np.ones((2, 2), np.float32)
FROZEN.flags.writeable = False


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((MATRIX, MATRIX), ValueError, r"b must have 3 rows. Received: shape \(2, 3\)"),
        ((MATRIX[0], MATRIX), ValueError, r"a must have 2 dimensions. Received: shape \(3,\)"),
        ((MATRIX, np.ones((3, 2))), TypeError, "b must have a's dtype float32. .*float64"),
        ((MATRIX.astype(int), MATRIX), TypeError, "a must be an array of float32 or float64"),
        ((MATRIX, MATRIX.T, MATRIX), ValueError, r"out must be .* shape \(2, 2\). .* \(2, 3\)"),
        ((MATRIX, MATRIX.T, [[1.0]]), ValueError, "out must be .*list"),
        ((MATRIX, MATRIX.T, FROZEN), ValueError, "out must be writable"),
        ((MATRIX, MATRIX.T, FROZEN.astype(float)), ValueError, "out must be .*float64"),
    ],
)
def test_product_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        _core.matmul(*arguments)


def test_out_must_be_apart_from_the_operands():
    a = numbers((4, 4))
    before = a.copy()
    with pytest.raises(ValueError, match="out must not overlap a"):
        _core.matmul(a, before, out=a)
    with pytest.raises(ValueError, match="out must not overlap b"):
        _core.matmul(before, a, out=a.T)
    np.testing.assert_array_equal(a, before)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_first_nonfinite_row(dtype, bad):
    for shape in [(1, 1), (700, 13), (5, 3, 129), (3,), (900_000,)]:
        x = numbers(shape, dtype)
        assert _core.first_nonfinite_row(x) is None
        for row in {0, len(x) // 2, len(x) - 1}:
            x[row:] = bad
            assert _core.first_nonfinite_row(x) == row
            x[...] = numbers(shape, dtype)


def test_first_nonfinite_row_of_odd_arrays():
    assert _core.first_nonfinite_row(np.zeros((0, 3))) is None
    assert _core.first_nonfinite_row(np.zeros((3, 0))) is None
    x = np.full((6, 4), np.finfo(np.float32).max, np.float32)
    assert _core.first_nonfinite_row(x) is None
    x[4, 1] = np.nan
    assert _core.first_nonfinite_row(np.asfortranarray(x)) == 4
    assert _core.first_nonfinite_row(x[::-1]) == 1
    with pytest.raises(TypeError, match="x must be"):
        _core.first_nonfinite_row(np.zeros(3, int))


@pytest.mark.parametrize(
    ("threads", "error"), [(0, ValueError), (257, ValueError), ("1", TypeError)]
)
def test_peak_errors(threads, error):
    with pytest.raises(error, match="threads must be"):
        _core.fma_peak_gflops(threads)
