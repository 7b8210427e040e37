"""Every message of the dropout family; and after an error nothing was written."""

from __future__ import annotations

import re

import numpy as np
import pytest

import dropfast as df
from dropfast import _core

KEY = df.Key(0)
X = np.ones((4, 6), np.float32)
ALL = [
    df.dropout,
    df.dropout_backward,
    df.alpha_dropout,
    df.alpha_dropout_backward,
    df.gaussian_dropout,
    df.gaussian_dropout_backward,
]


def raises(error, message):
    return pytest.raises(error, match="^" + re.escape(message) + "$")


@pytest.mark.parametrize("rate", [1.5, -0.1, float("nan"), float("inf"), "a", None, [0.1, 0.2], 2])
def test_rates(rate):
    for function in ALL:
        out = np.full_like(X, 7)
        with raises(ValueError, f"rate must be in [0, 1]. Received: rate={rate!r}"):
            function(X, rate, KEY, out=out)
        assert (out == 7).all()
    with raises(ValueError, f"rate must be in [0, 1]. Received: rate={rate!r}"):
        df.dropout_mask(5, rate, KEY)


def test_gaussian_rate_one():
    for function in (df.gaussian_dropout, df.gaussian_dropout_backward):
        with raises(ValueError, "rate must be in [0, 1) for Gaussian dropout. Received: rate=1"):
            function(X, 1, KEY)


@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        (np.ones(3, int), "int64"),
        (np.ones(3, bool), "bool"),
        ([1, 2], "int64"),
        (np.ones(3, complex), "complex128"),
        (np.array(["a"]), "<U1"),
        (np.ones(3, np.longdouble), str(np.dtype(np.longdouble))),
        (None, "object"),
    ],
)
def test_types_of_arrays(x, dtype):
    for function in ALL:
        name = "dy" if "backward" in function.__name__ else "x"
        message = (
            f"{name} must be an array of float16, bfloat16, float32 or float64. "
            f"Received: dtype={dtype}"
        )
        with raises(TypeError, message):
            function(x, 0.5, KEY)


@pytest.mark.parametrize("key", [None, 5, "seed", (1, 2, 3)])
def test_keys(key):
    for function in ALL:
        with raises(TypeError, f"key must be a dropfast.Key. Received: key={key!r}"):
            function(X, 0.5, key)


@pytest.mark.parametrize("name", ["seed", "stream", "step"])
def test_numbers_of_keys(name):
    for value in (-1, 2**64):
        with raises(
            ValueError, f"{name} must be in [0, 18446744073709551615]. Received: {name}={value}"
        ):
            df.Key(**{name: value})
    for value in (1.0, "1", True, None) if name == "seed" else (1.0,):
        if value is not None:
            with raises(TypeError, f"{name} must be an integer. Received: {name}={value!r}"):
                df.Key(**{name: value})
    with raises(ValueError, "step must be in [0, 18446744073709551615]. Received: step=-1"):
        KEY.at(-1)
    with raises(ValueError, "stream must be in [0, 18446744073709551615]. Received: stream=-1"):
        KEY.fold_in(-1)


def test_offsets():
    limit = 2**63 - 24
    assert df.dropout(X, 0.5, KEY, offset=limit).shape == X.shape
    for function in ALL:
        for offset in (-1, limit + 1, 2**64):
            with raises(ValueError, f"offset must be in [0, {limit}]. Received: offset={offset}"):
                function(X, 0.5, KEY, offset=offset)
        with raises(TypeError, "offset must be an integer. Received: offset=1.5"):
            function(X, 0.5, KEY, offset=1.5)
    # Positions are those of the noise.
    assert df.dropout(X, 0.5, KEY, noise_shape=(1, None), offset=2**63 - 6).shape == X.shape
    with raises(ValueError, f"offset must be in [0, {2**63 - 5}]. Received: offset={2**63}"):
        df.dropout_mask(5, 0.5, KEY, offset=2**63)


@pytest.mark.parametrize("noise_shape", [(1,), (4, 5), (None, 1, 1), (2, None), ()])
def test_noise_shapes(noise_shape):
    message = (
        "noise_shape must have one entry per dimension of x, each None, 1 or that dimension's "
        f"size. Received: noise_shape={noise_shape} for shape (4, 6)"
    )
    for function in ALL[:4]:
        out = np.full_like(X, 7)
        with raises(ValueError, message):
            function(X, 0.5, KEY, noise_shape=noise_shape, out=out)
        assert (out == 7).all()
    with raises(ValueError, message):
        df.dropout_mask((4, 6), 0.5, KEY, noise_shape=noise_shape)


def test_entries_of_noise_shapes():
    with raises(ValueError, f"noise_shape must be in [1, {2**63 - 1}]. Received: noise_shape=0"):
        df.dropout(X, 0.5, KEY, noise_shape=(0, None))
    with raises(TypeError, "noise_shape must be an integer. Received: noise_shape=1.0"):
        df.dropout(X, 0.5, KEY, noise_shape=(1.0, None))
    with raises(
        TypeError, "noise_shape must be a tuple of integers and None. Received: noise_shape=4"
    ):
        df.dropout(X, 0.5, KEY, noise_shape=4)


def test_row_groups():
    with raises(
        ValueError, f"rows_per_mask must be in [1, {2**63 - 1}]. Received: rows_per_mask=0"
    ):
        df.dropout(X, 0.5, KEY, rows_per_mask=0)
    with raises(TypeError, "rows_per_mask must be an integer. Received: rows_per_mask=2.0"):
        df.dropout_mask((4, 6), 0.5, KEY, rows_per_mask=2.0)
    message = (
        "rows_per_mask must be 1 when noise_shape is given. "
        "Received: rows_per_mask=2, noise_shape=(None, 1)"
    )
    with raises(ValueError, message):
        df.dropout_backward(X, 0.5, KEY, noise_shape=(None, 1), rows_per_mask=2)


@pytest.mark.parametrize(
    ("out", "came"),
    [
        (np.ones((4, 6)), "float64 (4, 6)"),
        (np.ones((6, 4), np.float32), "float32 (6, 4)"),
        (np.ones((4, 6, 1), np.float32), "float32 (4, 6, 1)"),
        ([1.0], "list"),
    ],
)
def test_out_of_another_kind(out, came):
    for function in ALL:
        with raises(
            ValueError,
            f"out must be an array of dtype float32 and shape (4, 6). Received: out={came}",
        ):
            function(X, 0.5, KEY, out=out)


def test_out_that_cannot_be_written():
    out = np.full_like(X, 7)
    out.flags.writeable = False
    for function in ALL:
        with raises(ValueError, "out must be writable. Received: a read-only array"):
            function(X, 0.5, KEY, out=out)
    assert (out == 7).all()


@pytest.mark.parametrize("function", ALL, ids=lambda function: function.__name__)
def test_out_that_overlaps(function):
    memory = np.arange(40, dtype=np.float32)
    before = memory.copy()
    message = "out must be x itself or not overlap it. Received: a partly overlapping array"
    for x, out in [
        (memory[:30], memory[1:31]),
        (memory[1:31], memory[:30]),
        (memory, memory[::-1]),
        (memory[:36].reshape(6, 6), memory[:36].reshape(6, 6).T),
    ]:
        with raises(ValueError, message):
            function(x, 0.5, KEY, out=out)
    assert np.array_equal(memory, before)
    function(memory[0::2], 0.5, KEY, out=memory[1::2])
    assert np.array_equal(memory[0::2], before[0::2])


def test_shapes():
    with raises(ValueError, f"shape must be in [0, {2**63 - 1}]. Received: shape=-1"):
        df.dropout_mask((3, -1), 0.5, KEY)
    with raises(TypeError, "shape must be an integer. Received: shape=1.5"):
        df.dropout_mask(1.5, 0.5, KEY)


def test_random_numbers():
    for function in (_core.random_words, _core.random_uniform, _core.random_normal):
        with raises(ValueError, f"n must be in [0, {2**63 - 1}]. Received: n=-1"):
            function(-1, KEY)
        with raises(TypeError, "n must be an integer. Received: n=1.0"):
            function(1.0, KEY)
        with raises(ValueError, f"offset must be in [0, {2**63 - 5}]. Received: offset={2**63}"):
            function(5, KEY, 2**63)
        with raises(TypeError, "key must be a dropfast.Key. Received: key=1"):
            function(5, 1)
    with raises(ValueError, f"n must be in [0, {2**63 - 1}]. Received: n=-1"):
        _core.permutation(-1, KEY)


def test_threads():
    for n in (0, 257, -1):
        with raises(ValueError, f"n must be in [1, 256]. Received: n={n}"):
            df.set_num_threads(n)
    with raises(TypeError, "n must be an integer. Received: n=1.5"):
        df.set_num_threads(1.5)


@pytest.mark.parametrize("function", [_core.random_words, _core.permutation])
def test_too_much_memory_is_an_error(function):
    with pytest.raises((MemoryError, ValueError)):
        function(2**60, KEY)
