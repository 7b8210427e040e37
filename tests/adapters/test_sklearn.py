"""The scikit-learn estimators: conventions, learning, early stopping, weights, errors."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import dropfast as df
from dropfast.sklearn import DropoutMLPClassifier, DropoutMLPRegressor

ESTIMATORS = [DropoutMLPClassifier, DropoutMLPRegressor]


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(x), y


@pytest.fixture(scope="module")
def line():
    x = np.random.default_rng(0).normal(size=(200, 3))
    return x, x @ [1.0, -2.0, 0.5]


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
    model = DropoutMLPClassifier(8, random_state=4, tol=1.0, n_iter_no_change=1)
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
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(x, y)
    for _ in range(30):
        model.partial_fit(x, y, classes=[0, 1, 2])
    assert (model.n_iter_, model.t_, len(model.loss_curve_)) == (1, 30 * len(x), 30)
    assert model.score(x, y) > 0.8
    with pytest.raises(ValueError, match="is not the same as on last call"):
        model.partial_fit(x, y, classes=[0, 1])
    with pytest.raises(ValueError, match="`y` has classes not in"):
        model.partial_fit(x, y + 1)
    whole = DropoutMLPClassifier(16, dropout=0.1, max_iter=3, learning_rate_init=0.02)
    parts = clone(whole).set_params(random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached"):
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


def test_warm_start_goes_on(iris):
    x, y = iris
    model = DropoutMLPClassifier(
        16, dropout=0.1, max_iter=30, tol=0.0, n_iter_no_change=99, warm_start=True, random_state=0
    )
    with pytest.warns(ConvergenceWarning):
        first = model.fit(x, y).loss_
    with pytest.warns(ConvergenceWarning):
        model.fit(x, y)
    assert model.loss_ < first
    assert (model.n_iter_, len(model.loss_curve_)) == (30, 60)
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same"):
        model.fit(x, np.minimum(y, 1))
    assert model.classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile", "poisson", "gaussian_nll"])
def test_losses_of_the_regressor(loss):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, size=(1000, 2))
    spread = 0.1 + 0.4 * (x[:, 1] > 0)
    y = 2.0 + x[:, 0] + spread * rng.normal(size=1000)
    y = np.maximum(y, 0.0)
    model = DropoutMLPRegressor(
        32,
        loss=loss,
        quantile=0.9,
        delta=0.5,
        dropout=0.0,
        learning_rate_init=0.01,
        batch_size=100,
        random_state=0,
    )
    model.fit(x, y)
    if loss == "quantile":
        assert 0.86 < (y <= model.predict(x)).mean() < 0.94
    else:
        assert model.score(x, y) > 0.6
    assert model.out_activation_ == ("exp" if loss == "poisson" else "identity")
    if loss == "gaussian_nll":
        variance = model.predict_variance(x)
        assert np.sqrt(np.median(variance[x[:, 1] > 0.1])) == pytest.approx(0.5, abs=0.1)
        assert np.sqrt(np.median(variance[x[:, 1] < -0.1])) == pytest.approx(0.1, abs=0.05)
    else:
        with pytest.raises(ValueError, match="loss must be 'gaussian_nll'"):
            model.predict_variance(x)
    mean, std = model.set_params(dropout=0.1).fit(x, y).predict_mc(x[:5], samples=20)
    assert mean.shape == std.shape == (5,)
    assert (std > 0).all()


def test_an_activation_a_rate_and_a_schedule_for_each_layer(iris):
    x, y = iris
    rates = np.array([0.3, df.schedules.Linear(0.0, 0.4, over=10)], dtype=object)
    model = DropoutMLPClassifier(
        np.array([8, 6]), ["gelu", df.activations.tanh], dropout=rates, max_iter=20, random_state=0
    )
    with pytest.warns(ConvergenceWarning):
        model.fit(x, y)
    names = [layer.activation.name for layer in model.model_.layers if hasattr(layer, "units")]
    assert names == ["gelu", "tanh", "softmax"]


def test_class_weights_and_callbacks_and_scoring(iris):
    x, y = iris
    seen = []
    hook = df.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs))
    model = DropoutMLPClassifier(
        16,
        dropout=0.0,
        early_stopping=True,
        scoring="neg_log_loss",
        class_weight={2: 0.001},
        callbacks=hook,
        n_threads=1,
        random_state=0,
        learning_rate_init=0.01,
    )
    assert not (model.fit(x, y).predict(x) == 2).any()
    assert len(seen) == model.n_iter_
    assert seen[-1]["val_score"] == model.validation_scores_[-1] < 0
    assert seen[-1]["val_loss"] == pytest.approx(-seen[-1]["val_score"], rel=0.05)
    balanced = DropoutMLPClassifier(8, class_weight="balanced", dropout=0.0, random_state=0)
    rare = np.r_[0:50, 50:55, 100:102]
    balanced.set_params(learning_rate_init=0.05, tol=0.01).fit(x[rare], y[rare])
    assert balanced.predict(x).max() == 2
