"""Losses on arrays: Keras' formulas by hand, dtypes, threads and errors."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df
from dropfast import _core, reference

SPECS = [
    {"name": "sparse_categorical_crossentropy"},
    {"name": "sparse_categorical_crossentropy", "from_logits": True},
    {"name": "sparse_categorical_crossentropy", "from_logits": True, "label_smoothing": 0.1},
    {"name": "categorical_crossentropy", "label_smoothing": 0.2},
    {"name": "categorical_crossentropy", "from_logits": True},
    {"name": "binary_crossentropy", "label_smoothing": 0.1},
    {"name": "binary_crossentropy", "from_logits": True},
    {"name": "mean_squared_error"},
    {"name": "mean_absolute_error"},
    {"name": "huber", "delta": 0.7},
    {"name": "hinge"},
    {"name": "squared_hinge"},
    {"name": "categorical_hinge"},
    {"name": "kl_divergence"},
    {"name": "poisson"},
    {"name": "log_cosh"},
    {"name": "cosine_similarity"},
    {"name": "mean_absolute_percentage_error"},
    {"name": "mean_squared_logarithmic_error"},
    {"name": "binary_focal_crossentropy", "label_smoothing": 0.1},
    {"name": "binary_focal_crossentropy", "from_logits": True, "apply_class_balancing": True},
    {"name": "binary_focal_crossentropy", "gamma": 1.3, "alpha": 0.4},
    {"name": "categorical_focal_crossentropy", "alpha": 0.6},
    {"name": "categorical_focal_crossentropy", "from_logits": True, "gamma": 1.5},
    {"name": "quantile", "quantiles": [0.1, 0.5, 0.9]},
    {"name": "gaussian_nll"},
]
# Outputs for each true value.
OUTPUTS = {"quantile": 3, "gaussian_nll": 2}
# Roundings of a sum of a dozen terms of the size of the largest.
TOLERANCE = {np.float32: 3e-6, np.float64: 1e-14}


def make(spec, n, units, dtype=np.float64):
    rng = np.random.default_rng(n + units)
    pred = rng.standard_normal((n, units * OUTPUTS.get(spec["name"], 1)))
    if spec["name"] in ("kl_divergence", "poisson", "mean_squared_logarithmic_error"):
        pred = rng.uniform(0.05, 1.0, (n, units))
    if "crossentropy" in spec["name"] and not spec.get("from_logits"):
        pred = np.exp(pred) / np.exp(pred).sum(axis=1, keepdims=True)
        pred = np.clip(pred, 0.01, 0.99)
    if spec["name"].startswith("sparse"):
        return rng.integers(0, units, n), pred.astype(dtype)
    true = rng.random((n, units))
    if spec["name"].startswith("categorical"):
        true /= true.sum(axis=1, keepdims=True)
    return true.astype(dtype), pred.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize(("n", "units"), [(1, 1), (7, 3), (16, 10), (45, 12), (0, 4)])
def test_values_and_gradients_are_the_references(spec, n, units, dtype):
    true, pred = make(spec, n, units, dtype)
    weights = np.linspace(0, 2, n).astype(dtype)
    losses = _core.loss(spec, true, pred)
    assert losses.dtype == np.float64
    assert losses.shape == (n,)
    bound = TOLERANCE[dtype]
    np.testing.assert_allclose(losses, reference.loss(spec, true, pred), bound, bound)
    gradient = _core.loss_gradient(spec, true, pred, weights)
    assert gradient.dtype == dtype
    expected = reference.loss_gradient(spec, true, pred, weights)
    np.testing.assert_allclose(gradient, expected, 10 * bound, 10 * bound)


def test_known_values():
    true, pred = np.array([[0.0, 1.0]]), np.array([[0.6, 0.4]])
    values = {
        "categorical_crossentropy": -np.log(0.4),
        "binary_crossentropy": -np.log(0.4),
        "mean_squared_error": 0.36,
        "mean_absolute_error": 0.6,
        "huber": 0.18,
    }
    for name, expected in values.items():
        np.testing.assert_allclose(_core.loss({"name": name}, true, pred), [expected], 1e-15)
    spec = {"name": "sparse_categorical_crossentropy"}
    np.testing.assert_allclose(_core.loss(spec, np.array([1]), pred), [-np.log(0.4)], 1e-15)
    np.testing.assert_allclose(
        _core.loss({**spec, "from_logits": True}, np.array([1]), pred),
        [np.log(np.exp(0.6) + np.exp(0.4)) - 0.4],
        1e-15,
    )


def test_probabilities_are_clipped():
    spec = {"name": "sparse_categorical_crossentropy"}
    pred = np.array([[1.0, 0.0]])
    losses = _core.loss(spec, np.array([1]), pred)
    np.testing.assert_allclose(losses, [-np.log(1e-7)], 1e-12)
    assert not _core.loss_gradient(spec, np.array([1]), pred, np.ones(1)).any()


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_layouts_and_threads_do_not_change_bits(spec):
    true, pred = make(spec, 5000, 13, np.float32)
    weights = np.linspace(0, 1, 5000, dtype=np.float32)
    threads = df.get_num_threads()
    results = []
    try:
        for count, p in ((1, pred), (2, pred), (2, np.asfortranarray(pred))):
            df.set_num_threads(count)
            results.append((_core.loss(spec, true, p), _core.loss_gradient(spec, true, p, weights)))
    finally:
        df.set_num_threads(threads)
    for losses, gradient in results[1:]:
        assert np.array_equal(losses, results[0][0])
        assert np.array_equal(gradient, results[0][1])


def test_half_precision_and_other_integers():
    spec = {"name": "sparse_categorical_crossentropy", "from_logits": True}
    true, pred = make(spec, 20, 5)
    half = pred.astype(np.float16)
    single = half.astype(np.float32)
    labels = true.astype(np.uint8).reshape(20, 1)
    assert np.array_equal(_core.loss(spec, labels, half), _core.loss(spec, true, single))
    gradient = _core.loss_gradient(spec, labels, half, np.ones(20, np.float16))
    assert gradient.dtype == np.float16
    expected = _core.loss_gradient(spec, true, single, np.ones(20, np.float32))
    assert np.array_equal(gradient, expected.astype(np.float16))


def test_nan_reaches_the_loss():
    for spec in SPECS:
        true, pred = make(spec, 20, 5)
        pred[7, 2] = np.nan
        assert np.flatnonzero(np.isnan(_core.loss(spec, true, pred))).tolist() == [7]


PRED = np.full((3, 2), 0.5, np.float32)
SPARSE = {"name": "sparse_categorical_crossentropy"}
MSE = {"name": "mean_squared_error"}


@pytest.mark.parametrize(
    ("error", "message", "spec", "true", "pred"),
    [
        (
            ValueError,
            r"loss must be one of sparse.*Received: loss='square'",
            {"name": "square"},
            0,
            PRED,
        ),
        (ValueError, r"loss must be a dict with a name", {}, 0, PRED),
        (ValueError, r"takes .*Received: beta", {**MSE, "beta": 1}, PRED, PRED),
        (
            ValueError,
            r"label_smoothing must be in \[0, 1\]\. Received: label_smoothing=2",
            {**SPARSE, "label_smoothing": 2.0},
            [0, 1, 0],
            PRED,
        ),
        (TypeError, r"delta of loss must be a number", {"name": "huber", "delta": "a"}, PRED, PRED),
        (ValueError, r"delta must be positive", {"name": "huber", "delta": 0.0}, PRED, PRED),
        (
            ValueError,
            r"y_true must hold labels in \[0, 1\]\. Received: 2 in row 1",
            SPARSE,
            [0, 2, 5],
            PRED,
        ),
        (ValueError, r"Received: -1 in row 2", SPARSE, [0, 1, -1], PRED),
        (ValueError, r"y_true must have 3 labels\. Received: shape \(2,\)", SPARSE, [0, 1], PRED),
        (TypeError, r"y_true must hold integer labels.*float64", SPARSE, [0.0, 1.0, 1.0], PRED),
        (ValueError, r"y_true must have y_pred's shape \(3, 2\)", MSE, PRED[:2], PRED),
        (ValueError, r"y_pred must have 2 dimensions. Received: shape \(2,\)", MSE, PRED, PRED[0]),
        (ValueError, r"y_pred must have at least one unit", MSE, PRED[:, :0], PRED[:, :0]),
        (TypeError, r"y_pred must be an array of float16", MSE, PRED, PRED.astype(int)),
    ],
)
def test_errors(error, message, spec, true, pred):
    with pytest.raises(error, match=message):
        _core.loss(spec, np.asarray(true), pred)
    with pytest.raises(error, match=message):
        _core.loss_gradient(spec, np.asarray(true), pred, np.ones(3, np.float32))


def test_weights_must_fit():
    with pytest.raises(ValueError, match=r"weights must have shape \(3,\)"):
        _core.loss_gradient(MSE, PRED, PRED, np.ones(2, np.float32))
