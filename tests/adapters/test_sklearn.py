"""The scikit-learn estimators: conventions, learning, early stopping, weights, errors."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from dropfast.sklearn import DropoutMLPClassifier, DropoutMLPRegressor

ESTIMATORS = [DropoutMLPClassifier, DropoutMLPRegressor]
# Masks and batches depend on a sample's place, so a sample of weight 2 is not one that comes twice.
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "batches and masks are random",
}


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(x), y


@pytest.fixture(scope="module")
def line():
    x = np.random.default_rng(0).normal(size=(200, 3))
    return x, x @ [1.0, -2.0, 0.5]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_scikit_learns_own_checks(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = estimator_checks.check_estimator(
            estimator(), expected_failed_checks=EXPECTED_FAILURES, on_fail="raise", on_skip=None
        )
    assert sum(result["status"] == "passed" for result in results) > 50


@pytest.mark.parametrize(
    ("estimator", "peer"),
    [(DropoutMLPClassifier, MLPClassifier), (DropoutMLPRegressor, MLPRegressor)],
)
def test_names_and_defaults_are_those_of_scikit_learn(estimator, peer):
    ours, theirs = estimator().get_params(), peer().get_params()
    assert set(ours) - set(theirs) == {"dropout", "input_dropout", "max_norm"}
    assert all(ours[name] == theirs[name] for name in set(ours) & set(theirs))


def test_classifier_learns(iris):
    x, y = iris
    names = np.array(["a", "b", "c"])[y]
    model = DropoutMLPClassifier(
        (32, 16),
        "tanh",
        dropout=(0.2, 0.1),
        input_dropout=0.05,
        max_norm=3.0,
        learning_rate_init=0.01,
        batch_size=32,
        random_state=0,
    ).fit(x, names)
    assert model.score(x, names) > 0.93
    assert model.classes_.tolist() == ["a", "b", "c"]
    assert np.allclose(model.predict_proba(x).sum(1), 1.0, atol=1e-6)
    assert len(model.loss_curve_) == model.n_iter_ < 200
    assert (model.n_layers_, model.n_outputs_, model.out_activation_) == (4, 3, "softmax")
    assert [type(layer).__name__ for layer in model.model_.layers] == ["Dropout", "Dense"] * 3
    norms = np.linalg.norm(model.model_.layers[1].kernel, axis=0)
    assert norms.max() <= 3.0 + 1e-5
    mean, std = model.predict_mc(x, samples=30)
    assert mean.shape == std.shape == (150, 3)
    assert (mean.argmax(1) == y).mean() > 0.9
    assert std.max() > 0.01


def test_same_random_state_gives_the_same_bits(iris):
    x, y = iris
    model = DropoutMLPClassifier(8, max_iter=1, random_state=4)
    first, second = (clone(model).fit(x, y).predict_proba(x) for _ in range(2))
    assert np.array_equal(first, second)
    other = clone(model).set_params(random_state=5).fit(x, y).predict_proba(x)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("outputs", [1, 2])
def test_regressor_learns_one_or_more_outputs(line, outputs):
    x, y = line
    if outputs == 2:
        y = np.stack([y, -y], axis=1)
    model = DropoutMLPRegressor(
        64, dropout=0.05, solver="sgd", learning_rate_init=0.02, batch_size=20, random_state=0
    ).fit(x, y)
    assert model.score(x, y) > 0.9
    assert model.predict(x).shape == y.shape
    mean, std = model.predict_mc(x, samples=20)
    assert mean.shape == std.shape == y.shape


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_early_stopping_keeps_the_best_epoch(estimator, iris):
    x, y = iris
    model = estimator(
        32,
        dropout=0.1,
        learning_rate_init=0.02,
        early_stopping=True,
        batch_size=16,
        validation_fraction=0.2,
        n_iter_no_change=5,
        random_state=0,
    ).fit(x, y)
    assert len(model.validation_scores_) == model.n_iter_ < 200
    assert model.best_validation_score_ == max(model.validation_scores_) > 0.8
    assert model.best_loss_ is None
    assert model.score(x, y) > 0.8


def test_partial_fit_is_one_epoch(iris):
    x, y = iris
    model = DropoutMLPClassifier(16, dropout=0.1, learning_rate_init=0.02, random_state=0)
    with pytest.raises(ValueError, match="classes must be given in the first call"):
        model.partial_fit(x, y)
    for _ in range(30):
        model.partial_fit(x, y, classes=[0, 1, 2])
    assert (model.n_iter_, len(model.loss_curve_)) == (30, 30)
    assert model.score(x, y) > 0.8
    with pytest.raises(ValueError, match=r"classes must be \[0, 1, 2\]"):
        model.partial_fit(x, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"y must hold classes of .* Received: \[3\]"):
        model.partial_fit(x, y + 1)
    whole = DropoutMLPClassifier(16, dropout=0.1, max_iter=3, learning_rate_init=0.02)
    parts = clone(whole).set_params(random_state=0)
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        whole.set_params(random_state=0).fit(x, y)
    for _ in range(3):
        parts.partial_fit(x, y, classes=[0, 1, 2])
    assert np.array_equal(whole.predict_proba(x), parts.predict_proba(x))


def test_weights_of_samples_matter(iris):
    x, y = iris
    weights = np.where(y == 2, 0.0, 1.0)
    model = DropoutMLPClassifier(16, dropout=0.1, learning_rate_init=0.02, random_state=0)
    predicted = model.fit(x, y, sample_weight=weights).predict(x)
    assert not (predicted == 2).any()
    with pytest.raises(ValueError, match=r"sample_weight must be at least 0\. Received: -1"):
        model.fit(x, y, sample_weight=-np.ones(len(y)))


def test_works_in_pipelines_and_searches(iris):
    x, y = iris
    model = DropoutMLPClassifier(16, learning_rate_init=0.02, tol=1e-2, random_state=0)
    search = GridSearchCV(model, {"dropout": [0.1, 0.3]}, cv=2).fit(x, y)
    assert search.best_score_ > 0.8
    assert cross_val_score(make_pipeline(StandardScaler(), model), x, y, cv=2).min() > 0.8
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert np.array_equal(again.predict_proba(x), search.predict_proba(x))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden_layer_sizes", (3, 0)),
        ("activation", "softer"),
        ("dropout", 1.0),
        ("dropout", (0.1, 0.2)),
        ("dropout", "half"),
        ("input_dropout", -0.1),
        ("max_norm", 0.0),
        ("solver", "lbfgs"),
        ("alpha", -1.0),
        ("batch_size", 0),
        ("learning_rate_init", 0.0),
        ("max_iter", 0),
        ("tol", -1.0),
        ("momentum", 1.0),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", 0),
    ],
)
def test_hyperparameters_are_checked_by_fit(iris, name, value):
    model = DropoutMLPClassifier(**{name: value})
    with pytest.raises(ValueError, match=f"{name}.*Received:"):
        model.fit(*iris)
    assert not hasattr(model, "model_")
