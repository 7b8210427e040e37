"""Activations on arrays: NumPy's formulas, layouts, dtypes, `out`, threads and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import dropfast as df
from dropfast import _core, reference

NAMES = [
    "linear",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "tanh",
    "sigmoid",
    "softmax",
    "rectifier",
    "softplus",
    "softsign",
    "hard_sigmoid",
    "hard_silu",
    "mish",
    "exponential",
    "log_sigmoid",
    "hard_tanh",
    "celu",
]
CASES = [(name, {}) for name in NAMES] + [
    ("leaky_relu", {"negative_slope": 0.01}),
    ("elu", {"alpha": 0.5}),
    ("gelu", {"approximate": True}),
    ("celu", {"alpha": 0.3}),
    ("rectifier", {"max_value": 1.5}),
    ("rectifier", {"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.5}),
]
# In units of the dtype's spacing at 1: a few roundings in formulas whose parts are below 10.
TOLERANCE = {np.float32: 2e-6, np.float64: 5e-15}


def numbers(shape, dtype, seed=0):
    return (3.0 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.parametrize("shape", [(37, 11), (3, 5, 16), (1000,), (2, 0), (0, 4), ()])
def test_values_and_gradients_are_the_references(name, options, shape, dtype):
    if name == "softmax" and shape == ():
        return
    x, dy = numbers(shape, dtype), numbers(shape, dtype, 1)
    y = _core.activation(name, x, **options)
    assert y.dtype == dtype
    assert y.shape == shape
    bound = TOLERANCE[dtype]
    np.testing.assert_allclose(y, reference.activation(name, x, **options), bound, bound)
    dx = _core.activation_backward(name, x, y, dy, **options)
    expected = reference.activation_backward(name, x, y, dy, **options)
    np.testing.assert_allclose(dx, expected, 10 * bound, 10 * bound)


def test_known_values():
    x = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    e = np.exp(x)
    pairs = {
        "relu": np.maximum(x, 0),
        "leaky_relu": np.where(x > 0, x, 0.2 * x),
        "elu": np.where(x > 0, x, e - 1),
        "gelu": [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x],
        "silu": x / (1 + 1 / e),
        "tanh": (e - 1 / e) / (e + 1 / e),
        "sigmoid": 1 / (1 + 1 / e),
        "softmax": e / e.sum(),
    }
    for name, expected in pairs.items():
        np.testing.assert_allclose(_core.activation(name, x), expected, 1e-14, 1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_any_layout_gives_the_same_bits(name):
    x = numbers((24, 30), np.float32)
    y = _core.activation(name, x)
    wide = np.zeros((48, 60), np.float32)
    wide[::2, ::-2] = x
    for other in (np.asfortranarray(x), wide[::2, ::-2], x.astype(">f4")):
        assert np.array_equal(_core.activation(name, other), y)
    out = np.empty((30, 24), np.float32).T
    assert _core.activation(name, x, out=out) is out
    assert np.array_equal(out, y)
    dx = _core.activation_backward(name, x, y, x)
    assert np.array_equal(_core.activation_backward(name, x.T.copy().T, y, x, out=out), dx)


@pytest.mark.parametrize("name", NAMES)
def test_in_place(name):
    x, dy = numbers((33, 20), np.float32), numbers((33, 20), np.float32, 1)
    y = _core.activation(name, x)
    again = x.copy()
    assert _core.activation(name, again, out=again) is again
    assert np.array_equal(again, y)
    dx = _core.activation_backward(name, x, y, dy)
    for into in (0, 1, 2):
        arrays = [x.copy(), y.copy(), dy.copy()]
        if into == 2:
            assert np.array_equal(_core.activation_backward(name, *arrays, out=arrays[into]), dx)
        else:  # a result over what it is computed from
            assert np.array_equal(_core.activation_backward(name, *arrays, out=arrays[into]), dx)


@pytest.mark.parametrize("name", NAMES)
def test_threads_do_not_change_bits(name):
    x = numbers((700, 333), np.float32)
    threads = df.get_num_threads()
    try:
        df.set_num_threads(1)
        alone = _core.activation(name, x), _core.activation_backward(name, x, x, x)
        df.set_num_threads(2)
        both = _core.activation(name, x), _core.activation_backward(name, x, x, x)
    finally:
        df.set_num_threads(threads)
    assert np.array_equal(alone[0], both[0])
    assert np.array_equal(alone[1], both[1])


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_rounded_once(name):
    x = numbers((16, 9), np.float16)
    y = _core.activation(name, x)
    assert y.dtype == np.float16
    assert np.array_equal(y, _core.activation(name, x.astype(np.float32)).astype(np.float16))
    out = x.copy()
    assert np.array_equal(_core.activation(name, out, out=out), y)


def test_bfloat16():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x = numbers((16, 9), np.float32).astype(bfloat16)
    y = _core.activation("gelu", x)
    assert y.dtype == bfloat16
    expected = _core.activation("gelu", x.astype(np.float32)).astype(bfloat16)
    assert np.array_equal(y.astype(np.float32), expected.astype(np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_nan_and_infinity(name):
    x = np.ones((20, 17), np.float32)
    x[3, 4] = np.nan
    y = _core.activation(name, x)
    assert np.isnan(y[3, 4])
    assert not np.isnan(np.delete(y, 3, axis=0)).any()
    if name not in ("softmax", "gelu", "silu", "softsign", "hard_silu", "mish", "rectifier"):
        ends = _core.activation(name, np.array([-np.inf, np.inf]))
        assert not np.isnan(ends).any()
    big = _core.activation(name, np.array([[-1e30, 1e30]], np.float32))
    assert not np.isnan(big).any()


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (
            ValueError,
            r"activation must be one of linear, .*softmax, .*\. Received: activation='relux'",
            lambda x: _core.activation("relux", x),
        ),
        (
            ValueError,
            r"negative_slope must be at least 0 and finite\. Received: negative_slope=-1",
            lambda x: _core.activation("leaky_relu", x, negative_slope=-1.0),
        ),
        (
            ValueError,
            r"alpha must be at least 0 and finite\. Received: alpha=NaN",
            lambda x: _core.activation("elu", x, alpha=np.nan),
        ),
        (
            TypeError,
            r"x must be an array of float16.*Received: dtype=int64",
            lambda x: _core.activation("relu", np.arange(3)),
        ),
        (
            ValueError,
            r"out must be an array of dtype float32 and shape \(4, 3\)",
            lambda x: _core.activation("relu", x, out=np.empty((3, 4), np.float32)),
        ),
        (
            ValueError,
            r"y must have dy's shape \(4, 3\)\. Received: shape \(3,\)",
            lambda x: _core.activation_backward("relu", x, x[0], x),
        ),
    ],
)
def test_errors(error, message, call):
    with pytest.raises(error, match=message):
        call(np.ones((4, 3), np.float32))
