"""Fused multiply-adds, products, dense layers, activations: values and finite differences."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest

from dropfast.reference import (
    Key,
    activation,
    activation_backward,
    dense,
    dense_backward,
    dropout_mask,
    matmul,
)
from dropfast.reference.activations import ACTIVATIONS, NEED_INPUT
from dropfast.reference.matmul import fused_multiply_add

GENERATOR = np.random.default_rng(0)


def round_once(value: Fraction, dtype: type) -> float:
    """The float of the given precision that is nearest to an exact fraction, ties to even."""
    if value == 0:
        return 0.0
    bits = 24 if dtype is np.float32 else 53
    exponent = math.frexp(float(value))[1]
    for _ in range(2):
        unit = Fraction(2) ** (exponent - bits)
        count = round(value / unit)  # Python rounds halves to even
        if abs(count) < 2**bits:
            break
        exponent += 1
    return float(count * unit)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fused_multiply_add_rounds_once(dtype: type) -> None:
    generator = np.random.default_rng(3)
    bits = 24 if dtype is np.float32 else 53
    a = generator.normal(size=3000).astype(dtype)
    b = generator.normal(size=3000).astype(dtype)
    c = (generator.normal(size=3000) * 2.0 ** generator.integers(-70, 70, 3000)).astype(dtype)
    # Halfway cases, where a second rounding would show: a * b = 1 + 2^-bits exactly or nearly.
    a[:4] = 1 + 2.0 ** -(bits // 2)
    b[:4] = 1 - 2.0 ** -(bits // 2)
    c[:4] = [2.0 ** (1 - bits), 1.0, -1.0, 2.0 ** (-2 * bits)]
    got = fused_multiply_add(a, b, c)
    assert got.dtype == dtype
    for i in range(len(a)):
        exact = Fraction(float(a[i])) * Fraction(float(b[i])) + Fraction(float(c[i]))
        assert float(got[i]) == round_once(exact, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fused_multiply_add_beside_halfway_cases(dtype: type) -> None:
    """Products a little off 1 added to numbers whose last place is worth 2: the second rounding.

    A sum rounded to nearest before it is rounded to `dtype` can sit on the tie and go wrong.
    """
    bits = 24 if dtype is np.float32 else 53
    draw = random.Random(1)
    wrong = 0
    for _ in range(2000):
        a = draw.randrange(2 ** (bits - 1), 2**bits)
        b = round(Fraction(2 ** (2 * bits - 1), a))
        c = draw.randrange(2 ** (bits - 1), 2**bits - 2) * 2 * draw.choice([-1, 1])
        factors = [dtype(a * 2.0 ** (1 - bits)), dtype(b * 2.0**-bits), dtype(c)]
        exact = Fraction(float(factors[0])) * Fraction(float(factors[1])) + c
        got = fused_multiply_add(*(np.array([value]) for value in factors))
        assert float(got[0]) == round_once(exact, dtype)
        wrong += float(dtype(float(factors[0]) * float(factors[1]) + c)) != float(got[0])
    assert wrong > 5  # the cases are hard: plain arithmetic misses some


def test_product_is_a_chain_in_ascending_k() -> None:
    a = np.array([[1e8, 1.0, -1e8]], np.float32)
    assert matmul(a, np.ones((3, 1), np.float32))[0, 0] == 0.0  # 1 is lost beside 1e8
    assert matmul(a[:, [0, 2, 1]], np.ones((3, 1), np.float32))[0, 0] == 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 17, 5), (2, 0, 3), (0, 4, 2), (7, 100, 1)])
def test_product(dtype: type, shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    a, b = (GENERATOR.normal(size=s).astype(dtype) for s in ((m, k), (k, n)))
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    scale = np.abs(a).astype(np.longdouble) @ np.abs(b).astype(np.longdouble)
    error = np.abs(matmul(a, b) - exact)
    assert (error <= k * np.finfo(dtype).eps / 2 * scale).all()


def test_product_errors() -> None:
    a = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="b must have 3 rows"):
        matmul(a, a)
    with pytest.raises(TypeError, match="b must have a's dtype"):
        matmul(a, np.ones((3, 2)))
    with pytest.raises(ValueError, match="2 dimensions"):
        matmul(a[0], a.T)
    with pytest.raises(TypeError, match="a must be"):
        matmul(np.ones((2, 3), int), a.T)
    with pytest.raises(ValueError, match="out must be"):
        matmul(a, a.T, out=np.zeros((2, 3), np.float32))


def slope(f, x: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """Central differences of an elementwise or whole-array scalar function."""
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        gradient[i] = (f(x + step) - f(x - step)) / (2 * h)
    return gradient


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("extra", [{}, {"negative_slope": 0.05, "alpha": 0.7, "approximate": True}])
def test_activation_gradients(name: str, extra: dict) -> None:
    x = np.random.default_rng(5).normal(size=(6, 7)) * 2
    dy = np.random.default_rng(6).normal(size=(6, 7))
    got = activation_backward(name, x, activation(name, x, **extra), dy, **extra)
    numeric = slope(lambda v: (activation(name, v, **extra) * dy).sum(), x)
    np.testing.assert_allclose(got, numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "x", "y"),
    [
        ("linear", -2.0, -2.0),
        ("relu", -2.0, 0.0),
        ("leaky_relu", -2.0, -0.4),
        ("elu", -2.0, math.exp(-2) - 1),
        ("selu", -2.0, 1.0507009873554805 * 1.6732632423543772 * (math.exp(-2) - 1)),
        ("gelu", -2.0, -2.0 * 0.5 * math.erfc(math.sqrt(2.0))),
        ("silu", -2.0, -2.0 / (1 + math.exp(2))),
        ("tanh", -2.0, math.tanh(-2.0)),
        ("sigmoid", -2.0, 1 / (1 + math.exp(2))),
        ("softmax", -2.0, 1.0),
        ("sigmoid", -100.0, math.exp(-100.0)),
        ("sigmoid", -800.0, 0.0),
        ("sigmoid", 800.0, 1.0),
        ("elu", 800.0, 800.0),
        ("tanh", 800.0, 1.0),
    ],
)
def test_activation_values(name: str, x: float, y: float) -> None:
    np.testing.assert_allclose(activation(name, np.array([[x]])), [[y]], rtol=1e-15)


def test_activation_details() -> None:
    assert np.isnan(activation("relu", np.array([np.nan]))).all()
    big = activation("softmax", np.array([[1000.0, 1000.0, -np.inf]]))
    assert big.tolist() == [[0.5, 0.5, 0.0]]
    x = np.array([-1.0, 1.0], np.float32)
    assert activation("gelu", x, out=x) is x
    with pytest.raises(
        ValueError, match=r"activation must be one of .*Received: activation='step'"
    ):
        activation("step", x)
    with pytest.raises(TypeError, match="x must be"):
        activation("relu", np.array([1]))
    with pytest.raises(ValueError, match="y must have dy's shape"):
        activation_backward("relu", x, x[:1], x)


def test_gelu_forms_are_near_but_not_equal() -> None:
    x = np.linspace(-4, 4, 101)
    gap = np.abs(activation("gelu", x) - activation("gelu", x, approximate=True)).max()
    assert 1e-5 < gap < 1e-3


KEY = Key(2, 5)


# A dropped probability of a softmax cannot be restored from the output.
DENSE = [
    (name, rate)
    for name in ACTIVATIONS
    for rate in (0.0, 0.4)
    if name not in NEED_INPUT and (name, rate) != ("softmax", 0.4)
]


@pytest.mark.parametrize(("name", "rate"), DENSE)
def test_dense_gradients(name: str, rate: float) -> None:
    generator = np.random.default_rng(8)
    x, kernel, bias = (generator.normal(size=s) for s in ((6, 4), (4, 3), (3,)))
    dy = generator.normal(size=(6, 3))
    key = KEY if rate else None

    def total(x, kernel, bias) -> float:
        return float((dense(x, kernel, bias, name, rate, key, rows_per_mask=2) * dy).sum())

    y = dense(x, kernel, bias, name, rate, key, rows_per_mask=2)
    dx, dkernel, dbias = dense_backward(dy, x, kernel, y, name, rate, key, rows_per_mask=2)
    tolerance = {"rtol": 1e-6, "atol": 1e-7}
    np.testing.assert_allclose(dx, slope(lambda v: total(v, kernel, bias), x), **tolerance)
    np.testing.assert_allclose(dkernel, slope(lambda v: total(x, v, bias), kernel), **tolerance)
    np.testing.assert_allclose(dbias, slope(lambda v: total(x, kernel, v), bias), **tolerance)


def test_dense_forward_is_product_bias_activation_dropout() -> None:
    x, kernel = np.eye(3, dtype=np.float32), np.arange(9, dtype=np.float32).reshape(3, 3) - 4
    bias = np.array([0.5, 0.0, -0.5], np.float32)
    mask = dropout_mask((3, 3), 0.5, KEY)
    expected = np.where(mask, np.maximum(kernel + bias, 0) * 2, 0)
    np.testing.assert_array_equal(dense(x, kernel, bias, "relu", 0.5, KEY), expected)
    out = np.empty((3, 3), np.float32)
    assert dense(x, kernel, out=out) is out
    np.testing.assert_array_equal(out, kernel)


def test_dense_errors() -> None:
    x, kernel = np.ones((2, 3)), np.ones((3, 4))
    with pytest.raises(ValueError, match="key must be given"):
        dense(x, kernel, rate=0.5)
    with pytest.raises(ValueError, match="bias must have shape"):
        dense(x, kernel, np.ones(3))
    with pytest.raises(TypeError, match="bias must have x's dtype"):
        dense(x, kernel, np.ones(4, np.float32))
    with pytest.raises(ValueError, match="out must be"):
        dense(x, kernel, out=np.ones((4, 2)))
    for arguments in ({}, {"y": np.ones((2, 4)), "activation": "gelu"}):
        with pytest.raises(ValueError, match="y must be given and determine"):
            dense_backward(np.ones((2, 4)), x, kernel, **{"activation": "relu", **arguments})
