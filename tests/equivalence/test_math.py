"""Activations, losses and optimizers: native polynomials and float32 formulas against float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import cases
from hypothesis import given
from hypothesis import strategies as st

from dropfast import _core as fast
from dropfast import reference
from dropfast.reference.activations import ACTIVATIONS

EXAMPLES = cases(40)
DTYPES = [np.dtype(np.float32), np.dtype(np.float64)]
EXTRAS: list[dict[str, Any]] = [{}, {"negative_slope": 0.05, "alpha": 0.7, "approximate": True}]
Array = np.ndarray[Any, Any]


def spread(dtype: np.dtype[Any], shape: tuple[int, ...], seed: int = 0) -> Array:
    """Both signs, from tiny to past the point where the functions saturate."""
    generator = np.random.default_rng(seed)
    size = 10.0 ** generator.uniform(-8, 2, shape)
    return (size * generator.choice([-1, 1], shape)).astype(dtype)


def _near(got: np.ndarray, expected: np.ndarray, bound: Any) -> bool:
    """Whether values are within a bound, or the same infinity."""
    with np.errstate(invalid="ignore"):
        distance = np.abs(got.astype(np.float64) - expected)
        return bool(((got == expected) | (distance <= bound)).all())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("extra", EXTRAS, ids=["default", "other"])
def test_activations(dtype: np.dtype[Any], name: str, extra: dict[str, Any]) -> None:
    """Within 8 ulp; where the result is a difference (gelu's and elu's tails), of its terms."""
    eps = float(np.finfo(dtype).eps)
    for shape in [(3, 333), (1, 1), (2, 17), (5, 0), (700,), (2, 3, 5)]:
        if name == "softmax" and 0 in shape:
            continue
        x = spread(dtype, shape)
        got = fast.activation(name, x, **extra)
        expected = reference.activation(name, x, **extra)
        assert got.dtype == dtype
        # 1 + erf(x) cancels for x << 0, x - tanh(x) near 0.
        slack = 4 * eps * np.abs(x) if name in ("gelu", "tanh_shrink") else 0.0
        if name == "softmax":  # the power of a rounded difference
            slack = eps * np.abs(expected) * np.abs(x - x.max(axis=-1, keepdims=True))
        bound = 8 * eps * np.abs(expected) + slack + np.finfo(dtype).tiny
        assert _near(got, expected, bound)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("extra", EXTRAS, ids=["default", "other"])
def test_activation_gradients(dtype: np.dtype[Any], name: str, extra: dict[str, Any]) -> None:
    """Derivatives are of order 1; 16 ulp of the upstream gradient covers their cancellations."""
    eps = float(np.finfo(dtype).eps)
    for shape in [(3, 333), (1, 1), (2, 17), (700,)]:
        x, dy = spread(dtype, shape), spread(dtype, shape, seed=1)
        y = fast.activation(name, x, **extra)
        got = fast.activation_backward(name, x, y, dy, **extra)
        expected = reference.activation_backward(name, x, y, dy, **extra)
        size = np.abs(dy)
        if name == "exponential":  # its slopes are its values
            size = size * np.maximum(y, 1.0)
        if name == "softmax":
            size = size + np.abs(y * dy).sum(axis=-1, keepdims=True)
        # gelu's tanh form has x u' (1 - s), where 1 - s is off by half an ulp of 1 and x u' <= 100
        # while it matters.
        ulps = 64 if name == "gelu" else 16
        assert _near(got, expected, ulps * eps * size)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_at_special_values(name: str) -> None:
    for dtype in DTYPES:
        x = np.array([0.0, -0.0, np.nan, 1e-40, -1e-40, 500.0, -500.0, np.inf], dtype)[:, None]
        got, expected = fast.activation(name, x), reference.activation(name, x)
        np.testing.assert_allclose(got, expected, rtol=8 * np.finfo(dtype).eps, atol=1e-44)
        out = x.copy()
        assert fast.activation(name, out, out=out) is out
        np.testing.assert_array_equal(out, got)


LOSSES = [
    {"name": "sparse_categorical_crossentropy"},
    {"name": "sparse_categorical_crossentropy", "from_logits": True},
    {"name": "categorical_crossentropy", "label_smoothing": 0.2},
    {"name": "categorical_crossentropy", "from_logits": True},
    {"name": "binary_crossentropy", "label_smoothing": 0.1},
    {"name": "binary_crossentropy", "from_logits": True},
    {"name": "mean_squared_error"},
    {"name": "mean_absolute_error"},
    {"name": "huber"},
    {"name": "huber", "delta": 0.3},
    {"name": "hinge"},
    {"name": "categorical_hinge"},
    {"name": "log_cosh"},
    {"name": "cosine_similarity"},
    {"name": "quantile", "quantiles": [0.3]},
]


def loss_example(
    spec: dict[str, Any], n: int, units: int, dtype: np.dtype[Any]
) -> tuple[Array, Array]:
    generator = np.random.default_rng(n * 100 + units)
    y_pred = generator.normal(size=(n, units)) * 3
    crossentropy = "crossentropy" in spec["name"]
    if crossentropy and not spec.get("from_logits"):
        # Away from 1, where 1 - p has few digits in float32; one below the clip.
        y_pred = np.exp(y_pred) / (1 + np.exp(y_pred).sum(axis=1, keepdims=True))
        y_pred[:1, :1] = 0.0
    if spec["name"].startswith("sparse"):
        return generator.integers(0, units, n), y_pred.astype(dtype)
    y_true = generator.normal(size=(n, units))
    if crossentropy:
        y_true = np.eye(units)[generator.integers(0, units, n)]
    return y_true.astype(dtype), y_pred.astype(dtype)


@EXAMPLES
@given(
    st.sampled_from(LOSSES), st.integers(1, 40), st.sampled_from([1, 2, 7, 10, 16, 33]),
    st.sampled_from(DTYPES),
)  # fmt: skip
def test_losses(spec: dict[str, Any], n: int, units: int, dtype: np.dtype[Any]) -> None:
    """A row's loss sums `units` terms; its gradient has a few roundings of values up to 1 / p."""
    eps = float(np.finfo(dtype).eps)
    y_true, y_pred = loss_example(spec, n, units, dtype)
    weights = np.linspace(0.5, 2, n).astype(dtype)
    np.testing.assert_allclose(
        fast.loss(spec, y_true, y_pred), reference.loss(spec, y_true, y_pred),
        rtol=(16 + units) * eps, atol=16 * eps,
    )  # fmt: skip
    np.testing.assert_allclose(
        fast.loss_gradient(spec, y_true, y_pred, weights),
        reference.loss_gradient(spec, y_true, y_pred, weights),
        rtol=(16 + units) * eps, atol=16 * eps,
    )  # fmt: skip


OPTIMIZERS = [
    {"name": "sgd", "momentum": 0.0, "nesterov": False},
    {"name": "sgd", "momentum": 0.9, "nesterov": False, "clipvalue": 0.7},
    {"name": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    {"name": "adam", "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False},
    {"name": "adam", "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-7, "amsgrad": True},
    {
        "name": "adamw", "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False,
        "weight_decay": 0.1,
    },
    {"name": "rmsprop", "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False},
    {"name": "rmsprop", "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": True},
    {"name": "rmsprop", "rho": 0.9, "momentum": 0.9, "epsilon": 1e-7, "centered": False},
    {
        "name": "rmsprop", "rho": 0.9, "momentum": 0.5, "epsilon": 1e-7, "centered": True,
        "weight_decay": 0.02,
    },
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("spec", OPTIMIZERS, ids=lambda s: s["name"])
def test_optimizers_for_100_steps(spec: dict[str, Any], dtype: np.dtype[Any]) -> None:
    """Every step rounds weight and state a few times: 100 times a few ulp of the largest weight."""
    generator = np.random.default_rng(1)
    w = generator.normal(size=(7, 11)).astype(dtype)
    gradients = generator.normal(size=(100, 7, 11)).astype(dtype)
    ours, theirs = w.copy(), w.copy()
    state = [slot[0] for slot in reference.initial_state(spec, [w])]
    state_reference = [slot.copy() for slot in state]
    for step, gradient in enumerate(gradients, start=1):
        fast.optimizer_update(spec, ours, gradient, state, 0.01, step)
        reference.optimizer_update(spec, theirs, gradient, state_reference, 0.01, step)
    assert np.abs(ours - w).max() > 0.05  # something happened
    bound = 100 * 4 * np.finfo(dtype).eps * max(np.abs(theirs).max(), 1.0)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound)
    for a, b in zip(state, state_reference, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=bound * max(np.abs(b).max(), 1.0))


@EXAMPLES
@given(
    st.sampled_from(DTYPES), st.lists(st.integers(0, 40), min_size=1, max_size=3), st.data(),
)  # fmt: skip
def test_first_nonfinite_row(dtype: np.dtype[Any], shape: list[int], data: st.DataObject) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    for _ in range(data.draw(st.integers(0, 2)) if x.size else 0):
        bad = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        x.reshape(-1)[data.draw(st.integers(0, x.size - 1))] = bad
    for view in (x, np.asfortranarray(x)):
        assert fast.first_nonfinite_row(view) == reference.first_nonfinite_row(x)
