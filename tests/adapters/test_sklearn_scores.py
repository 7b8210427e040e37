"""Scores of epochs are scikit-learn's; an estimator that joblib has written trains on."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
import joblib
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score

from dropfast.sklearn import MLPClassifier, MLPRegressor
from dropfast.sklearn.scores import accuracy, r_squared

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("shape", [(50,), (50, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_scikit_learns(shape, weighted):
    rng = np.random.default_rng(0)
    weights = rng.random(50) if weighted else None
    y, found = rng.integers(0, 2, (2, *shape))
    theirs = accuracy_score(y, found, sample_weight=weights)
    assert accuracy(y == found, weights) == pytest.approx(theirs, abs=1e-15)
    y, found = rng.normal(size=(2, *shape))
    theirs = r2_score(y, found, sample_weight=weights)
    assert r_squared(y, found, weights) == pytest.approx(theirs, rel=1e-13)


@pytest.mark.parametrize(
    ("y", "found"),
    [
        ([2.0, 2.0], [2.0, 2.0]),
        ([2.0, 2.0], [2.0, 3.0]),
        ([[1.0, 2.0], [1.0, 3.0]], [[1.0, 2.5], [1.0, 2.5]]),
        ([[1.0, 2.0], [1.0, 3.0]], [[1.0, 2.5], [2.0, 2.5]]),
    ],
)
def test_r_squared_of_constant_targets(y, found):
    assert r_squared(np.array(y), np.array(found), None) == r2_score(y, found)


@pytest.mark.parametrize("kind", ["one class", "binary", "multiclass", "multilabel", "outputs"])
def test_the_last_validation_score_is_that_of_the_estimator(kind):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 4))
    y = {
        "one class": np.full(120, "only"),
        "binary": np.where(x[:, 0] > 0, "up", "down"),
        "multiclass": np.array(["a", "b", "c"])[np.digitize(x[:, 0], [-0.5, 0.5])],
        "multilabel": (x[:, :3] > 0).astype(int),
        "outputs": x[:, :2] ** 2,
    }[kind]
    model = (MLPRegressor if kind == "outputs" else MLPClassifier)(max_iter=12, random_state=0)
    weights = rng.random(40)
    model.fit(x[:80], y[:80], X_val=x[80:], y_val=y[80:], sample_weight_val=weights)
    assert model.validation_scores_[-1] == pytest.approx(model.score(x[80:], y[80:], weights))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_what_joblib_has_written_trains_on_as_before(tmp_path, solver):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    model = MLPRegressor(hidden_layer_sizes=8, solver=solver, max_iter=5, random_state=0).fit(x, y)
    joblib.dump(model, tmp_path / "model")
    again = joblib.load(tmp_path / "model")
    for _ in range(3):
        model.partial_fit(x, y)
        again.partial_fit(x, y)
    assert np.array_equal(model.predict(x), again.predict(x))
    assert all(map(np.array_equal, model.coefs_, again.coefs_))


def test_curves_of_an_earlier_fit_stay_with_it():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=40)
    model = MLPRegressor(hidden_layer_sizes=4, max_iter=2, warm_start=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        first = model.fit(x, y).loss_curve_
        model.fit(x, y)
    assert len(first) == 2
    assert len(model.loss_curve_) == 4
