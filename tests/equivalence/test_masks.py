"""Random words, masks and dropout: the native functions give the reference's bits."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from cases import cases
from hypothesis import given
from hypothesis import strategies as st

from dropfast import _core as fast
from dropfast import reference
from dropfast.reference.random import blocks

EXAMPLES = cases(100)

DTYPES = [np.dtype(t) for t in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)]
EDGES = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**48, 2**63, 2**64 - 1]
keys = st.builds(fast.Key, *[st.sampled_from(EDGES) | st.integers(0, 2**64 - 1) for _ in range(3)])
RATES = [0.0, 2.0**-48, 1e-10, 1e-5, 0.1, 1 / 3, 0.5, 0.9, 1 - 1e-5, 1 - 2.0**-48, 1.0]
rates = st.sampled_from(RATES) | st.floats(0, 1)
shapes = st.lists(st.integers(0, 9), max_size=4).map(tuple) | st.integers(0, 3000).map(
    lambda n: (n,)
)
# Starts within a block, and blocks around every carry of the block index up to the stream's end.
OFFSETS = [0, 1, 3, 7, 8, 13, 2**16 + 5, 2**32 - 3, 2**32 + 1, 2**35 - 4, 2**62 + 3, 2**63 - 9000]
offsets = st.sampled_from(OFFSETS) | st.integers(0, 2**63 - 9000)


def same(got: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    """Equal type, shape and bits; any NaN equals any other."""
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    unsigned = f"u{expected.dtype.itemsize}"
    not_nan = ~np.isnan(expected.astype(np.float64))
    np.testing.assert_array_equal(np.isnan(got.astype(np.float64)), ~not_nan)
    bits = [np.ascontiguousarray(a).reshape(-1).view(unsigned) for a in (got, expected)]
    flat = not_nan.reshape(-1)
    np.testing.assert_array_equal(bits[0][flat], bits[1][flat])


@EXAMPLES
@given(keys, st.integers(0, 200), offsets)
def test_words(key: fast.Key, n: int, offset: int) -> None:
    same(fast.random_words(n, key, offset), reference.random_words(n, key, offset))
    same(fast.random_uniform(n, key, offset), reference.random_uniform(n, key, offset))


@EXAMPLES
@given(keys, st.integers(0, 500))
def test_permutations(key: fast.Key, n: int) -> None:
    np.testing.assert_array_equal(fast.permutation(n, key), reference.permutation(n, key))


@EXAMPLES
@given(keys, st.integers(0, 500), offsets)
def test_normal_variates(key: fast.Key, n: int, offset: int) -> None:
    """Float32 polynomials against float64: some units of the largest intermediate, the radius."""
    got = fast.random_normal(n, key, offset)
    expected = reference.random_normal(n, key, offset)
    # The radius is at most sqrt(48 ln 2) = 5.8; four roundings of half an ulp each, doubled.
    np.testing.assert_allclose(got, expected, rtol=4 * 2.0**-24, atol=8 * 2.0**-24)


@EXAMPLES
@given(shapes, rates, keys, offsets, st.booleans())
def test_masks(
    shape: tuple[int, ...], rate: float, key: fast.Key, offset: int, packed: bool
) -> None:
    got = fast.dropout_mask(shape, rate, key, offset=offset, packed=packed)
    expected = reference.dropout_mask(shape, rate, key, offset=offset, packed=packed)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


@EXAMPLES
@given(shapes, keys, offsets, st.data())
def test_masks_on_ties(
    shape: tuple[int, ...], key: fast.Key, offset: int, data: st.DataObject
) -> None:
    """A rate whose upper bits equal those of one element, so that the second draw decides."""
    size = int(np.prod(shape))
    element = offset + (data.draw(st.integers(0, size - 1)) if size else 0)
    word = int(reference.random_words(1, key, element // 2)[0])
    high = word >> (16 * (element % 2)) & 0xFFFF
    # The 32 bits that decide: equal to the limit's, the element is kept, one less than it, dropped.
    block = blocks(key, np.array([element // 4 | 1 << 63], np.uint64))
    low = int(block[0, element % 4])
    for limit in (high << 32 | low, (high << 32) + low + 1):
        rate = limit / 2**48
        np.testing.assert_array_equal(
            fast.dropout_mask(shape, rate, key, offset=offset),
            reference.dropout_mask(shape, rate, key, offset=offset),
        )


@EXAMPLES
@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), rates, keys, offsets, st.data())
def test_noise_shapes(
    shape: list[int], rate: float, key: fast.Key, offset: int, data: st.DataObject
) -> None:
    noise = tuple(data.draw(st.sampled_from([1, None, size])) for size in shape)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    arguments = {"noise_shape": noise, "offset": offset}
    same(fast.dropout(x, rate, key, **arguments), reference.dropout(x, rate, key, **arguments))
    for packed in (False, True):
        np.testing.assert_array_equal(
            fast.dropout_mask(tuple(shape), rate, key, packed=packed, **arguments),
            reference.dropout_mask(tuple(shape), rate, key, packed=packed, **arguments),
        )


@EXAMPLES
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=3),
    rates,
    keys,
    st.integers(1, 50),
    offsets,
)
def test_row_groups(shape: list[int], rate: float, key: fast.Key, rows: int, offset: int) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    arguments = {"rows_per_mask": rows, "offset": offset}
    same(fast.dropout(x, rate, key, **arguments), reference.dropout(x, rate, key, **arguments))
    np.testing.assert_array_equal(
        fast.dropout_mask(tuple(shape), rate, key, **arguments),
        reference.dropout_mask(tuple(shape), rate, key, **arguments),
    )


SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 6.1e-5, 5.9e-8, 65504.0, -65504.0, 1e-45, 3e38]


@EXAMPLES
@given(st.sampled_from(DTYPES), st.integers(0, 600), rates, keys, offsets)
def test_values(dtype: np.dtype[Any], n: int, rate: float, key: fast.Key, offset: int) -> None:
    """All float types: the same mask, the same single rounding, subnormal and special values."""
    x = np.random.default_rng(n).normal(size=n) * 10.0 ** np.random.default_rng(1).integers(
        -6, 4, n
    )
    x[: len(SPECIAL)] = SPECIAL[:n]
    with np.errstate(over="ignore"):
        x = x.astype(dtype)
    same(fast.dropout(x, rate, key, offset=offset), reference.dropout(x, rate, key, offset=offset))
    same(
        fast.dropout_backward(x, rate, key, offset=offset),
        reference.dropout_backward(x, rate, key, offset=offset),
    )
    same(fast.dropout(x, rate, key, training=False), x)


def views(x: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """One array of shape (6, 10, 14), laid out in many ways."""
    wide = np.zeros((12, 10, 28), x.dtype)
    wide[::2, :, 3:17] = x
    shifted = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    shifted[...] = x  # not aligned to its own size
    read_only = x.copy()
    read_only.flags.writeable = False
    return [
        np.asfortranarray(x),
        wide[::2, :, 3:17],
        np.ascontiguousarray(x[::-1, :, ::-1])[::-1, :, ::-1],
        np.ascontiguousarray(x.transpose(2, 0, 1)).transpose(1, 2, 0),
        shifted,
        read_only,
    ]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("noise_shape", [None, (None, 1, None), (1, None, 1)])
def test_layouts(dtype: np.dtype[Any], noise_shape: Any, generator: np.random.Generator) -> None:
    x = generator.normal(size=(6, 10, 14)).astype(dtype)
    key = fast.Key(1, 2, 3)
    expected = reference.dropout(x, 0.4, key, noise_shape=noise_shape, offset=5)
    for view in views(x):
        same(fast.dropout(view, 0.4, key, noise_shape=noise_shape, offset=5), expected)
        out = np.ones_like(view)
        assert fast.dropout(x, 0.4, key, noise_shape=noise_shape, offset=5, out=out) is out
        same(out, expected)
        if view.flags.writeable:
            fast.dropout(view, 0.4, key, noise_shape=noise_shape, offset=5, out=view)
            same(view, expected)
    once = np.broadcast_to(x[:, :1], x.shape)  # a stride of 0
    same(fast.dropout(once, 0.4, key), reference.dropout(once, 0.4, key))


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_large_arrays_on_threads(threads: int, rate: float) -> None:
    """Sizes past every threshold of going parallel or streaming, with tails, off the block grid."""
    key = fast.Key(5, 6, 2**40)
    for n, offset in [(2**17 + 13, 3), (2**20 + 1, 2**32 - 70000)]:
        x = np.arange(n, dtype=np.float32)
        same(
            fast.dropout(x, rate, key, offset=offset),
            reference.dropout(x, rate, key, offset=offset),
        )
        for packed in (False, True):
            np.testing.assert_array_equal(
                fast.dropout_mask(n, rate, key, offset=offset, packed=packed),
                reference.dropout_mask(n, rate, key, offset=offset, packed=packed),
            )
    x = np.arange(2**18, dtype=np.float64).reshape(512, 512)
    same(
        fast.dropout(x.T, rate, key, rows_per_mask=7),
        reference.dropout(x.T, rate, key, rows_per_mask=7),
    )


def test_slices_are_drawn_by_offset_alone() -> None:
    key = fast.Key(3)
    whole = fast.dropout_mask(5000, 0.3, key)
    for start, size in [(0, 1), (1, 700), (4095, 905), (4999, 1)]:
        part = fast.dropout_mask(size, 0.3, key, offset=start)
        np.testing.assert_array_equal(part, whole[start : start + size])


@EXAMPLES
@given(st.sampled_from(DTYPES[2:]), st.integers(1, 400), rates, keys, offsets)
def test_alpha_dropout(
    dtype: np.dtype[Any], n: int, rate: float, key: fast.Key, offset: int
) -> None:
    """a * x + b: a few roundings of the two terms, which may cancel."""
    x = np.random.default_rng(n).normal(size=n).astype(dtype)
    expected = reference.alpha_dropout(x, rate, key, offset=offset)
    a, b = (1.0, 0.0) if rate in (0.0, 1.0) else reference_affine(rate)
    size = np.maximum(np.abs(x), 1.76)  # what is dropped becomes -1.758
    bound = 3 * np.finfo(dtype).eps * (abs(a) * size + 2 * abs(b))
    assert (np.abs(fast.alpha_dropout(x, rate, key, offset=offset) - expected) <= bound).all()
    got = fast.alpha_dropout_backward(x, rate, key, offset=offset)
    wanted = reference.alpha_dropout_backward(x, rate, key, offset=offset)
    np.testing.assert_allclose(got, wanted, rtol=2 * np.finfo(dtype).eps)


def reference_affine(rate: float) -> tuple[float, float]:
    from dropfast.reference.alpha_dropout import _affine

    return _affine(rate)


@EXAMPLES
@given(st.sampled_from(DTYPES[2:]), st.integers(1, 400), st.floats(0, 0.99), keys, offsets)
def test_gaussian_dropout(
    dtype: np.dtype[Any], n: int, rate: float, key: fast.Key, offset: int
) -> None:
    """The variates' float32 error, grown by the deviation, and some roundings of the product."""
    x = np.random.default_rng(n).normal(size=n).astype(dtype)
    deviation = np.sqrt(rate / (1 - rate))
    bound = np.abs(x) * (16 * 2.0**-24 * (1 + 6 * deviation))
    for name in ("gaussian_dropout", "gaussian_dropout_backward"):
        got = getattr(fast, name)(x, rate, key, offset=offset)
        expected = getattr(reference, name)(x, rate, key, offset=offset)
        assert (np.abs(got - expected) <= bound).all()


def test_both_raise_alike() -> None:
    x = np.ones((3, 4), np.float32)
    read_only = np.ones((3, 4), np.float32)
    read_only.flags.writeable = False
    key = fast.Key()
    cases: list[tuple[Any, dict[str, Any]]] = [
        (x, {"rate": 1.5}),
        (x, {"rate": float("nan")}),
        (x, {"rate": "0.5"}),
        (x.astype(int), {}),
        (x > 0, {}),
        (x, {"noise_shape": (2, None)}),
        (x, {"noise_shape": (None,)}),
        (x, {"noise_shape": (0, None)}),
        (x, {"noise_shape": (1, None), "rows_per_mask": 2}),
        (x, {"rows_per_mask": 0}),
        (x, {"rows_per_mask": 1.0}),
        (x, {"noise_shape": 3}),
        (x, {"key": None}),
        (x, {"offset": 1.0}),
        (x, {"offset": -1}),
        (x, {"offset": 2**63 - 11}),
        (x, {"out": np.ones((4, 3), np.float32)}),
        (x, {"out": np.ones((3, 4))}),
        (x, {"out": read_only}),
        (x[:2], {"out": x[1:]}),
    ]
    for array, arguments in cases:
        arguments = {"rate": 0.5, "key": key, **arguments}
        with pytest.raises((ValueError, TypeError)) as wanted:
            reference.dropout(array, **arguments)
        with pytest.raises(wanted.type) as got:
            fast.dropout(array, **arguments)
        name = str(wanted.value).split()[0]
        assert str(got.value).split()[0] == name, (arguments, str(got.value))
        assert "Received: " in str(got.value)
    np.testing.assert_array_equal(x, 1)


def test_sizes_without_memory_are_errors() -> None:
    """Neither a panic nor a mask of another size."""
    key = fast.Key()
    for shape in [(2**31, 2**31), (2**62,)]:
        for packed in (False, True):
            with pytest.raises((MemoryError, ValueError)):
                fast.dropout_mask(shape, 0.5, key, packed=packed)
        with pytest.raises((MemoryError, ValueError)):
            fast.dropout_mask((*shape, 1), 0.5, key, noise_shape=(*shape, None))
    for draw in (fast.random_words, fast.random_uniform, fast.random_normal, fast.permutation):
        with pytest.raises((MemoryError, ValueError)):
            draw(2**62, key)
    for shape in [(2**40, 2**40), (2**21, 2**21, 2**22)]:
        for module in (fast, reference):
            with pytest.raises(ValueError, match="shape must have less than"):
                module.dropout_mask(shape, 0.5, key)
    many = {"rate": 0.5, "key": key, "rows_per_mask": 2**62}
    x = np.ones((3, 4), np.float32)
    same(fast.dropout(x, **many), reference.dropout(x, **many))
