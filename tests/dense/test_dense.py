"""The dense layer: gradients by differences, strides, masks, out, errors."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df
from dropfast import _core, reference

KEY = df.Key(3, 1, 4)
# Those whose derivative the output determines.
FROM_OUTPUT = ("linear", "relu", "leaky_relu", "elu", "selu", "tanh", "sigmoid", "softmax")


def numbers(*shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def slopes(function, x, step=1e-6):
    """Central differences of a scalar function, entry by entry."""
    result = np.empty_like(x)
    for i in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[i] += sign * step
            ends.append(function(moved))
        result[i] = (ends[0] - ends[1]) / (2 * step)
    return result


@pytest.mark.parametrize("rate", [0.0, 0.4])
@pytest.mark.parametrize("name", FROM_OUTPUT)
def test_gradients_are_slopes(name, rate):
    if name == "softmax" and rate:
        pytest.skip("the output does not determine the derivative")
    x, kernel, bias, dy = numbers(5, 6), numbers(6, 19, seed=1), numbers(19, seed=2), numbers(5, 19)
    noise = {"activation": name, "rate": rate, "key": KEY, "rows_per_mask": 2}

    def total(x=x, kernel=kernel, bias=bias):
        return (_core.dense(x, kernel, bias, **noise) * dy).sum()

    y = _core.dense(x, kernel, bias, **noise)
    dx, dkernel, dbias = _core.dense_backward(dy, x, kernel, y, **noise)
    np.testing.assert_allclose(dx, slopes(lambda v: total(x=v), x), atol=1e-7)
    np.testing.assert_allclose(dkernel, slopes(lambda v: total(kernel=v), kernel), atol=1e-7)
    np.testing.assert_allclose(dbias, slopes(lambda v: total(bias=v), bias), atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["relu", "gelu", "softmax"])
def test_dropout_is_that_of_the_output(name, dtype):
    """More than one block of the product in every direction, so that blocks meet inside rows."""
    x, kernel = numbers(150, 410, dtype=dtype), numbers(410, 530, dtype=dtype, seed=1) / dtype(20)
    whole = _core.dense(x, kernel, activation=name)
    dropped = _core.dense(x, kernel, activation=name, rate=0.3, key=KEY, rows_per_mask=4)
    np.testing.assert_array_equal(dropped, df.dropout(whole, 0.3, KEY, rows_per_mask=4))
    product = _core.matmul(x, kernel)
    np.testing.assert_array_equal(whole, _core.activation(name, product))


def test_arguments_of_any_layout():
    x, kernel, dy = numbers(31, 12), numbers(12, 40, seed=1), numbers(31, 40, seed=2)
    bias = numbers(40, seed=3)
    noise = {"activation": "tanh", "rate": 0.5, "key": KEY}
    y = _core.dense(x, kernel, bias, **noise)
    expected = _core.dense_backward(dy, x, kernel, y, **noise)
    spread = np.zeros(80)
    spread[::2] = bias
    for turn in (
        np.asfortranarray,
        lambda a: a[::-1].copy()[::-1],
        lambda a: a.repeat(2, 1)[:, ::2],
    ):
        np.testing.assert_array_equal(_core.dense(turn(x), turn(kernel), spread[::2], **noise), y)
        got = _core.dense_backward(turn(dy), turn(x), turn(kernel), turn(y), **noise)
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["relu", "softmax"])
def test_out(name):
    x, kernel, bias = numbers(20, 7), numbers(7, 33, seed=1), numbers(33, seed=2)
    noise = {"activation": name, "rate": 0.2, "key": KEY}
    expected = _core.dense(x, kernel, bias, **noise)
    room = np.full((22, 40), 7.0)
    for out in (
        np.empty((20, 33)),
        np.empty((33, 20)).T,
        room[1:21, 3:36],
        np.empty((40, 66))[::2, ::2],
    ):
        assert _core.dense(x, kernel, bias, out=out, **noise) is out
        np.testing.assert_array_equal(out, expected)
    around = np.ones((22, 40), bool)
    around[1:21, 3:36] = False
    assert (room[around] == 7).all()


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1)])
@pytest.mark.parametrize("name", ["relu", "softmax"])
def test_edges(shape, name):
    n, inputs, units = shape
    x, kernel, bias = numbers(n, inputs), numbers(inputs, units, seed=1), numbers(units, seed=2)
    y = _core.dense(x, kernel, bias, name)
    np.testing.assert_allclose(y, reference.dense(x, kernel, bias, name), rtol=1e-14)
    got = _core.dense_backward(np.ones((n, units)), x, kernel, y, name)
    expected = reference.dense_backward(np.ones((n, units)), x, kernel, y, name)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


@pytest.mark.parametrize("name", ["linear", "relu", "softmax"])
def test_rate_one_drops_everything(name):
    x, kernel = numbers(4, 5), numbers(5, 21, seed=1)
    x[2, 3] = np.nan
    y = _core.dense(x, kernel, activation=name, rate=1.0, key=KEY)
    np.testing.assert_array_equal(y, np.zeros((4, 21)))
    assert not np.signbit(y).any()
    if name != "softmax":
        dy = np.full((4, 21), np.inf)
        gradients = _core.dense_backward(dy, numbers(4, 5), kernel, y, name, 1.0, KEY)
        for gradient in gradients:
            assert (gradient == 0).all()


X, KERNEL = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)
DY = np.ones((2, 4), np.float32)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kernel": KERNEL.T}, ValueError, r"kernel must have 3 rows. Received: shape \(4, 3\)"),
        ({"kernel": KERNEL.astype(float)}, TypeError, "kernel must have x's dtype float32"),
        ({"x": X[0]}, ValueError, r"x must have 2 dimensions. Received: shape \(3,\)"),
        ({"x": X.astype(np.float16)}, TypeError, "x must be an array of float32 or float64"),
        ({"bias": X[0]}, ValueError, r"bias must have shape \(4,\). Received: shape \(3,\)"),
        ({"bias": np.ones(4)}, TypeError, "bias must have x's dtype float32. Received: .*float64"),
        ({"activation": "step"}, ValueError, "activation must be one of .*'step'"),
        ({"rate": 0.5}, ValueError, "key must be given where rate > 0. .*rate=0.5"),
        ({"rate": 1.5, "key": KEY}, ValueError, r"rate must be in \[0, 1\]. Received: rate=1.5"),
        ({"rate": 0.5, "key": 3}, TypeError, "key must be a dropfast.Key. Received: key=3"),
        ({"rows_per_mask": 0, "key": KEY}, ValueError, "rows_per_mask must be in .*=0"),
        ({"rows_per_mask": 1.5, "key": KEY}, TypeError, "rows_per_mask must be an integer"),
        ({"out": DY.T.copy()}, ValueError, r"out must be .* shape \(2, 4\). Received: .*\(4, 2\)"),
    ],
)
def test_forward_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        _core.dense(**{"x": X, "kernel": KERNEL, **arguments})


def test_out_must_be_apart():
    square = numbers(4, 4)
    before = square.copy()
    for arguments in ((square, np.eye(4)), (np.eye(4), square), (np.eye(4), np.eye(4), square[1])):
        with pytest.raises(ValueError, match=r"out must not overlap (x|kernel|bias)"):
            _core.dense(*arguments, out=square)
    np.testing.assert_array_equal(square, before)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dy": DY.T}, ValueError, r"dy must have shape \(2, 4\). Received: shape \(4, 2\)"),
        ({"dy": DY.astype(float)}, TypeError, "dy must have x's dtype float32"),
        ({"y": X, "activation": "relu"}, ValueError, r"y must have shape \(2, 4\)"),
        ({"activation": "relu"}, ValueError, "y must be given .*y=None, activation='relu'"),
        ({"y": DY, "activation": "gelu"}, ValueError, "determine the .*y=an array.*'gelu'"),
        (
            {"y": DY, "activation": "softmax", "rate": 0.5, "key": KEY},
            ValueError,
            "determine the .*'softmax', rate=0.5",
        ),
        ({"rate": 0.5}, ValueError, "key must be given"),
        ({"kernel": KERNEL.T}, ValueError, "kernel must have 3 rows"),
    ],
)
def test_backward_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        _core.dense_backward(**{"dy": DY, "x": X, "kernel": KERNEL, **arguments})
