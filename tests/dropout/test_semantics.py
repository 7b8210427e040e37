"""What a compatible dropout must get right, case by case, through the public functions."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import dropfast as df
from dropfast import _core

KEY = df.Key(seed=3, stream=2, step=2**32 + 7)
DTYPES = ["float16", "bfloat16", "float32", "float64"]
FUNCTIONS = {
    "dropout": df.dropout,
    "dropout_backward": df.dropout_backward,
    "alpha_dropout": df.alpha_dropout,
    "alpha_dropout_backward": df.alpha_dropout_backward,
    "gaussian_dropout": df.gaussian_dropout,
    "gaussian_dropout_backward": df.gaussian_dropout_backward,
}


def dtype_of(name):
    if name == "bfloat16":
        return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    return np.dtype(name)


def numbers(shape, dtype="float32"):
    return np.random.default_rng(0).normal(size=shape).astype(dtype_of(dtype))


def bits(array):
    return np.ascontiguousarray(array).view(np.uint8).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_rate_zero_copies(name, dtype):
    x = numbers((7, 13), dtype)
    y = FUNCTIONS[name](x, 0.0, KEY)
    assert y is not x
    assert y.dtype == x.dtype
    assert bits(y) == bits(x)


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "gaussian_dropout"])
def test_no_training_copies(name):
    x = numbers((7, 13))
    out = np.full_like(x, 9)
    assert FUNCTIONS[name](x, 0.5, KEY, training=False, out=out) is out
    assert bits(out) == bits(x)
    assert bits(FUNCTIONS[name](x, 0.5, KEY, False)) == bits(x)
    assert FUNCTIONS[name](x, 0.5, KEY, False, out=x) is x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name", ["dropout", "dropout_backward", "alpha_dropout", "alpha_dropout_backward"]
)
def test_rate_one_gives_plus_zero(name, dtype):
    x = -numbers((7, 13), dtype)
    x[0, 0], x[1, 1] = np.nan, -np.inf
    for array in (x, x.T):
        y = FUNCTIONS[name](array, 1, KEY)
        assert bits(y) == bytes(x.nbytes)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, -0.0])
def test_whatever_is_dropped_becomes_plus_zero(dtype, special):
    x = np.full(1000, special, dtype_of(dtype))
    y = df.dropout(x, 0.5, KEY)
    kept = df.dropout_mask(1000, 0.5, KEY)
    assert bits(y[~kept]) == bytes(y[~kept].nbytes)
    assert np.array_equal(y[kept].astype(float), x[kept].astype(float), equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rate", [1e-5, 0.1, 1 / 3, 0.5, 0.9])
def test_kept_elements_are_scaled_and_rounded_once(dtype, rate):
    x = numbers(3001, dtype)
    kept = df.dropout_mask(3001, rate, KEY, offset=5)
    wide = np.float64 if dtype == "float64" else np.float32
    expected = np.where(
        kept, (x.astype(wide) * wide(1 / (1 - rate))).astype(x.dtype), x.dtype.type(0)
    )
    assert bits(df.dropout(x, rate, KEY, offset=5)) == bits(expected)
    assert bits(df.dropout_backward(x, rate, KEY, offset=5)) == bits(expected)


def test_backward_never_guesses_from_zeros():
    kept = df.dropout_mask(500, 0.4, KEY)
    assert not df.dropout(np.zeros(500), 0.4, KEY).any()
    assert np.array_equal(df.dropout_backward(np.ones(500), 0.4, KEY) != 0, kept)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_layouts_share_their_mask(name, dtype):
    x = numbers((5, 6, 70), dtype)
    expected = FUNCTIONS[name](x, 0.3, KEY)
    wide = numbers((10, 6, 140), dtype)
    wide[::2, :, ::2] = x
    unaligned = np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)
    backwards = x[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1]
    for other in [
        np.asfortranarray(x),
        wide[::2, :, ::2],
        backwards,
        x.transpose(2, 0, 1).copy().transpose(1, 2, 0),
        unaligned,
    ]:
        assert bits(FUNCTIONS[name](other, 0.3, KEY)) == bits(expected)
    out = np.zeros((5, 70, 6), x.dtype).transpose(0, 2, 1)
    assert FUNCTIONS[name](x, 0.3, KEY, out=out) is out
    assert bits(out) == bits(expected)


def test_swapped_bytes():
    x = numbers((4, 50)).astype(">f4")
    assert np.array_equal(df.dropout(x, 0.3, KEY), df.dropout(x.astype("f4"), 0.3, KEY))
    out = np.zeros((4, 50), ">f4")
    df.dropout(x, 0.3, KEY, out=out)
    assert np.array_equal(out, df.dropout(x.astype("f4"), 0.3, KEY))


def test_read_only_input_and_array_likes():
    x = numbers((4, 5), "float64")
    expected = df.dropout(x, 0.3, KEY)
    x.flags.writeable = False
    assert bits(df.dropout(x, 0.3, KEY)) == bits(expected)
    assert bits(df.dropout(x.tolist(), 0.3, KEY)) == bits(expected)
    assert df.dropout(np.float64(2.0), 0.3, KEY).shape == ()


@pytest.mark.parametrize("shape", [(0,), (3, 0, 5), (0, 4)])
def test_empty_arrays(shape):
    x = np.zeros(shape, np.float32)
    for function in FUNCTIONS.values():
        assert function(x, 0.5, KEY).shape == shape
        with pytest.raises(ValueError, match="rate"):
            function(x, 1.5, KEY)
    assert df.dropout_mask(shape, 0.5, KEY).shape == shape
    assert df.dropout_mask(shape, 0.5, KEY, packed=True).shape == (0,)
    assert df.dropout(x, 0.5, KEY, rows_per_mask=4).shape == shape


@pytest.mark.parametrize("name", FUNCTIONS)
def test_in_place(name):
    x = numbers((6, 35))
    expected = FUNCTIONS[name](x, 0.3, KEY)
    assert FUNCTIONS[name](x, 0.3, KEY, out=x) is x
    assert bits(x) == bits(expected)
    turned = np.asfortranarray(numbers((6, 35)))
    FUNCTIONS[name](turned, 0.3, KEY, out=turned)
    assert bits(turned) == bits(expected)


def test_neighbouring_columns_do_not_overlap():
    both = numbers((20, 8))
    expected = df.dropout(both[:, :4].copy(), 0.3, KEY)
    df.dropout(both[:, :4], 0.3, KEY, out=both[:, 4:])
    assert bits(both[:, 4:]) == bits(expected)


@pytest.mark.parametrize("name", ["dropout", "dropout_backward", "gaussian_dropout"])
@pytest.mark.parametrize(
    "offset", [0, 1, 7, 8, 31, 32, 333, 2**31 - 3, 2**32 - 3, 2**35 - 9, 2**63 - 500]
)
def test_slices_drawn_with_their_offset(name, offset):
    x = numbers(500)
    whole = FUNCTIONS[name](x, 0.3, KEY, offset=offset)
    for start, stop in [(0, 1), (3, 77), (100, 500), (499, 500)]:
        part = FUNCTIONS[name](x[start:stop], 0.3, KEY, offset=offset + start)
        assert bits(part) == bits(whole[start:stop])


@pytest.mark.parametrize(
    ("shape", "noise_shape"),
    [
        ((6, 9, 11), (None, 1, None)),
        ((6, 9, 11), (6, 1, 11)),
        ((6, 9, 11), (1, None, 1)),
        ((40, 130), (1, None)),
        ((40, 130), (None, 1)),
        ((3, 8, 5, 6), (None, 1, 1, None)),  # spatial, channels last
        ((3, 5, 8, 6), (None, None, 1, 1)),  # spatial, channels first
        ((2, 3, 4, 5, 6), (None, None, 1, 1, 1)),
        ((2, 3, 4, 5, 6), (None, 1, 1, 1, None)),
        ((2, 3), (1, 1)),
    ],
)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_noise_shapes(shape, noise_shape, dtype):
    x = numbers(shape, dtype)
    filled = [size if n is None else n for size, n in zip(shape, noise_shape, strict=True)]
    kept = np.broadcast_to(df.dropout_mask(filled, 0.4, KEY, offset=3), shape)
    mask = df.dropout_mask(shape, 0.4, KEY, noise_shape=noise_shape, offset=3)
    assert np.array_equal(mask, kept)
    packed = df.dropout_mask(shape, 0.4, KEY, noise_shape=noise_shape, offset=3, packed=True)
    assert np.array_equal(packed, np.packbits(kept.reshape(-1), bitorder="little"))
    wide = np.float64 if dtype == "float64" else np.float32
    expected = np.where(kept, (x.astype(wide) * wide(1 / 0.6)).astype(dtype), x.dtype.type(0))
    for array in (x, np.asfortranarray(x)):
        assert bits(df.dropout(array, 0.4, KEY, noise_shape=noise_shape, offset=3)) == bits(
            expected
        )
    for name in ("alpha_dropout", "alpha_dropout_backward"):
        y = FUNCTIONS[name](x, 0.4, KEY, noise_shape=noise_shape, offset=3)
        full = FUNCTIONS[name](np.ones(shape), 0.4, KEY, noise_shape=noise_shape, offset=3)
        assert y.shape == shape
        assert np.array_equal(full == full.max(), kept)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 10, 2**40])
@pytest.mark.parametrize("shape", [(10, 37), (10,), (10, 3, 5)])
def test_row_groups(shape, rows):
    x = numbers(shape)
    groups = df.dropout_mask((-(-10 // rows), *shape[1:]), 0.5, KEY, offset=5)
    kept = np.stack([groups[row // rows] for row in range(10)])
    assert np.array_equal(df.dropout_mask(shape, 0.5, KEY, rows_per_mask=rows, offset=5), kept)
    expected = np.where(kept, x * np.float32(2), np.float32(0))
    assert bits(df.dropout(x, 0.5, KEY, rows_per_mask=rows, offset=5)) == bits(expected)
    assert bits(df.dropout_backward(x, 0.5, KEY, rows_per_mask=rows, offset=5)) == bits(expected)


def test_alpha_dropout_formula():
    alpha = -1.7580993408473766
    for rate in (0.05, 0.5, 0.95):
        a = ((1 - rate) * (1 + rate * alpha**2)) ** -0.5
        b = -a * alpha * rate
        x = numbers(2000, "float64")
        kept = df.dropout_mask(2000, rate, KEY)
        expected = np.where(kept, a * x + b, a * alpha + b)
        np.testing.assert_allclose(df.alpha_dropout(x, rate, KEY), expected, rtol=1e-14, atol=1e-15)
        gradient = np.where(kept, a * x, 0.0)
        np.testing.assert_allclose(df.alpha_dropout_backward(x, rate, KEY), gradient, rtol=1e-15)


def test_gaussian_dropout_formula():
    own = df.Key(KEY.seed, KEY.stream ^ (1 << 48), KEY.step)
    z = _core.random_normal(2000, own, 11)
    x = numbers(2000, "float64")
    expected = x * (1 + np.sqrt(0.3 / 0.7) * z)
    np.testing.assert_allclose(
        df.gaussian_dropout(x, 0.3, KEY, offset=11), expected, rtol=1e-14, atol=1e-15
    )
    assert bits(df.gaussian_dropout_backward(x, 0.3, KEY)) == bits(df.gaussian_dropout(x, 0.3, KEY))


@pytest.mark.parametrize("n", [2**22 + 5, 2**17 + 1])
@pytest.mark.parametrize("offset", [0, 3])
def test_large_arrays_are_the_same_on_all_threads(n, offset):
    x = np.ones(n + 8, np.float32)
    before = df.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            df.set_num_threads(threads)
            results += [df.dropout(x[skip : skip + n], 0.1, KEY, offset=offset) for skip in (0, 3)]
    finally:
        df.set_num_threads(before)
    kept = df.dropout_mask(n, 0.1, KEY, offset=offset)
    expected = np.where(kept, np.float32(1 / 0.9), np.float32(0))
    assert all(bits(result) == bits(expected) for result in results)


def test_keys():
    key = df.Key(1, 2, 3)
    assert (key.seed, key.stream, key.step) == (1, 2, 3)
    assert key.at(9) == df.Key(1, 2, 9)
    assert key.fold_in(9) == df.Key(1, 9, 3)
    assert hash(key) == hash(df.Key(1, 2, 3))
    assert key != df.Key(1, 2, 4)
    assert df.Key() == df.Key(0, 0, 0)
    assert df.Key(2**64 - 1, np.int64(5)).seed == 2**64 - 1
    assert repr(key) == "Key(seed=1, stream=2, step=3)"
    assert pickle.loads(pickle.dumps(key)) == key
    assert copy.deepcopy(key) == key
    with pytest.raises(AttributeError):
        key.seed = 5
