"""Estimators for tables: each part of the recipes trains, repeats, or is refused by name."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("pandas", reason="pandas is not installed")
import pandas as pd
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError

from dropfast.tabular import (
    TabMClassifier,
    TabMRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
)

QUICK = {"hidden_layer_sizes": 24, "max_iter": 40, "random_state": 0, "n_threads": 1}
REALMLP = {
    "embedding": "periodic",
    "scaling_layer": True,
    "parametric_activation": True,
    "learning_rate_factors": {"scale": 6.0, "embedding": 0.1, "activation": 0.1, "bias": 0.1},
    "learning_rate_init": 0.01,
    "learning_rate_schedule": "coslog4",
    "dropout_schedule": "flat_cosine",
    "weight_decay_schedule": "flat_cosine",
}
ALL = [TabularMLPClassifier, TabularMLPRegressor, TabMClassifier, TabMRegressor]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=500),
            "b": rng.normal(size=500),
            "kind": pd.Categorical(rng.choice(["x", "y", "z"], 500)),
        }
    )
    y = frame["a"] * np.where(frame["kind"] == "x", 1.0, -1.0) + 0.1 * rng.normal(size=500)
    return frame, y.to_numpy()


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        (TabularMLPRegressor, REALMLP),
        (TabularMLPRegressor, {"scaling_layer": True}),
        (TabularMLPRegressor, {"embedding": "piecewise_linear"}),
        (TabularMLPRegressor, {"learning_rate_schedule": "linear", "dropout_schedule": "linear"}),
        (TabMRegressor, {"n_members": 4}),
        (TabMRegressor, {"n_members": 1, "embedding": None}),
    ],
    ids=str,
)
def test_recipes_learn_and_repeat(rows, kind, more):
    x, y = rows
    model = kind(**{**QUICK, **more}).fit(x[:400], y[:400])
    assert model.score(x[400:], y[400:]) > 0.85
    again = clone(model).fit(x[:400], y[:400])
    assert np.array_equal(model.predict(x), again.predict(x))
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(x), model.predict(x))


@pytest.mark.parametrize("kind", [TabMClassifier, TabularMLPClassifier])
def test_classes_and_weights(rows, kind):
    x, y = rows
    labels = np.where(y > 0.5, "high", np.where(y < -0.5, "low", "middle"))
    more = {"n_members": 4} if kind is TabMClassifier else REALMLP
    model = kind(**{**QUICK, **more}).fit(x[:400], labels[:400])
    assert model.score(x[400:], labels[400:]) > 0.8
    assert np.allclose(model.predict_proba(x).sum(axis=1), 1.0)
    without = model.fit(x, labels, sample_weight=np.where(labels == "low", 0.0, 1.0))
    # The weights of a third of the rows are 0: what is left of "low" is where nothing was seen.
    assert (labels == "low").mean() > 0.25
    assert (without.predict(x) == "low").mean() < 0.05


def test_the_best_epoch_is_kept_and_patience_ends(rows):
    x, y = rows
    model = TabMRegressor(**{**QUICK, "max_iter": 200}, n_members=2, n_iter_no_change=3)
    model.set_params(learning_rate_init=0.05, learning_rate_schedule="constant").fit(x, y)
    (curve,), (best,) = model.validation_loss_curves_, model.best_iters_
    assert len(curve) == best + 3 < 200
    train, aside = model._splits(y, [_seed(model)])[0]
    encoded = model.encoder_.transform(x)[aside]
    targets = (y[aside] - model._center) / model._spread
    kept = np.mean((model.models_[0].predict(encoded)[:, 0] - targets) ** 2)
    assert kept == pytest.approx(min(curve), rel=1e-5)
    assert len(train) + len(aside) == len(y)


def _seed(model):
    return int(np.random.RandomState(model.random_state).randint(np.iinfo(np.int32).max))


@pytest.mark.parametrize("kind", [TabularMLPClassifier, TabularMLPRegressor])
def test_bagging_holds_out_each_row_once(rows, kind):
    x, y = rows
    y = (y > 0).astype(int) if kind is TabularMLPClassifier else y
    model = kind(**{**QUICK, "max_iter": 3}, bagging=True, n_models=4)
    parts = model._splits(y, [1, 2, 3, 4])
    assert sorted(np.concatenate([aside for _, aside in parts])) == list(range(500))
    assert len(model.fit(x, y).models_) == 4
    assert len(model.calibration_scores_) == 500


@pytest.mark.parametrize("kind", ALL)
def test_coverage_is_kept_on_new_rows(kind):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 3))
    noise = rng.normal(size=3000)
    more = {"n_members": 2} if kind in (TabMClassifier, TabMRegressor) else {}
    model = kind(**{**QUICK, "max_iter": 8}, **more)
    if hasattr(model, "predict_set"):
        y = np.digitize(x[:, 0] + 0.5 * noise, [-0.5, 0.5])
        model.fit(x[:1500], y[:1500])
        inside = model.predict_set(x[1500:])[np.arange(1500), y[1500:]]
    else:
        y = x[:, 0] + noise
        low, high = model.fit(x[:1500], y[:1500]).predict_interval(x[1500:])
        inside = (low <= y[1500:]) & (y[1500:] <= high)
    # 225 rows to calibrate with and 1,500 to count: a deviation of .02.
    assert abs(inside.mean() - 0.9) < 0.06
    model.calibrate(x[1500:], y[1500:])
    assert len(model.calibration_scores_) == 1500


@pytest.mark.parametrize("kind", [TabularMLPClassifier, TabularMLPRegressor])
def test_rows_of_their_own_keep_the_coverage_of_small_tables(kind):
    rng, inside = np.random.default_rng(0), []
    for seed in range(12):
        x = rng.normal(size=(560, 3))
        y = x[:, 0] + rng.normal(size=560)
        settings = {**QUICK, "max_iter": 12, "random_state": seed, "calibration_fraction": 0.4}
        if kind is TabularMLPClassifier:
            y = np.digitize(y, [-0.5, 0.5])
            found = kind(**settings).fit(x[:160], y[:160]).predict_set(x[160:])
            inside.append(found[np.arange(400), y[160:]].mean())
        else:
            low, high = kind(**settings).fit(x[:160], y[:160]).predict_interval(x[160:])
            inside.append(((low <= y[160:]) & (y[160:] <= high)).mean())
    # 64 rows calibrate each of the 12: a deviation of .011 in the mean.
    assert 0.87 < np.mean(inside) < 0.95


def test_a_class_of_one_row_is_trained_on():
    x, y = np.arange(20.0)[:, None], np.array([0] * 19 + [1])
    for seed in range(5):
        model = TabularMLPClassifier(4, max_iter=1, calibration_fraction=0.5, random_state=seed)
        assert model.fit(x, y).classes_.tolist() == [0, 1]
        assert 9 <= len(model.calibration_scores_) <= 10
    with pytest.raises(ValueError, match="calibration_fraction must leave a sample to train on"):
        model.fit(x[:1], y[:1])


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_rows(kind, count):
    x = np.arange(2.0 * count).reshape(count, 2)
    model = kind(**{**QUICK, "max_iter": 2})
    if hasattr(model, "predict_set"):
        assert model.fit(x, ["only"] * count).predict(x).tolist() == ["only"] * count
        assert model.predict_proba(x).tolist() == [[1.0]] * count
    assert model.fit(x, np.arange(count)).predict(x).shape == (count,)


@pytest.mark.parametrize("kind", [TabularMLPRegressor, TabMRegressor])
def test_ten_thousand_columns(kind):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 10_000)).astype(np.float32), rng.normal(size=40)
    model = kind(8, max_iter=1, random_state=0)
    if kind is TabMRegressor:
        model.set_params(n_members=2, embedding=None)
    assert np.isfinite(model.fit(x, y).predict(x)).all()


@pytest.mark.parametrize("kind", ALL)
def test_columns_that_say_nothing(kind):
    frame = pd.DataFrame({"constant": 3.0, "empty": np.nan, "none": None, "one": "x"}, range(8))
    model = kind(**{**QUICK, "max_iter": 2})
    if kind in (TabularMLPClassifier, TabularMLPRegressor):
        model.set_params(**REALMLP)
    model.fit(frame, [0, 1] * 4)
    assert np.isfinite(model.predict(frame[["one", "none", "empty", "constant"]])).all()


BAD = [
    ("hidden_layer_sizes", "many"),
    ("activation", "softmax"),
    ("n_members", 0),
    ("n_members", 1.5),
    ("embedding", "cubic"),
    ("scaling_layer", "yes"),
    ("parametric_activation", 2),
    ("dropout", 1.0),
    ("dropout_schedule", "rising"),
    ("label_smoothing", -0.1),
    ("learning_rate_init", 0.0),
    ("learning_rate_schedule", "step"),
    ("learning_rate_factors", 0.1),
    ("weight_decay", -1.0),
    ("weight_decay_schedule", None),
    ("batch_size", 0),
    ("max_iter", 0),
    ("n_iter_no_change", 0),
    ("validation_fraction", 0.0),
    ("calibration_fraction", 1.0),
    ("bagging", "yes"),
    ("n_models", 0),
    ("periodic", -1),
    ("categorical_features", "all"),
    ("max_categories", 0),
    ("random_state", "seed"),
    ("n_threads", 0),
    ("verbose", "loud"),
]
BAD_TOGETHER = [
    ({"learning_rate_factors": {"kernel": 2.0}}, r"learning_rate_factors must have keys of \["),
    ({"learning_rate_factors": {"bias": -2.0}}, r"learning_rate_factors must hold numbers of at"),
    ({"bagging": True}, "n_models must be from 2 to the number of samples for bagging=True"),
    ({"hidden_layer_sizes": (3, 0)}, "hidden_layer_sizes must hold positive integers"),
    ({"hidden_layer_sizes": [2.5]}, "hidden_layer_sizes must hold positive integers"),
    ({"hidden_layer_sizes": ["a"]}, "hidden_layer_sizes must hold positive integers"),
    ({"categorical_features": ["gone"]}, "categorical_features must hold names or numbers"),
    ({"categorical_features": [7]}, "categorical_features must hold names or numbers"),
]


@pytest.fixture(scope="module")
def fitted(rows):
    return TabMClassifier(**{**QUICK, "max_iter": 1}, n_members=2).fit(rows[0], rows[1] > 0)


@pytest.mark.parametrize(("name", "value"), BAD)
def test_parameters_are_checked_as_scikit_learn_does(rows, fitted, name, value):
    before, kept = vars(fitted).copy(), getattr(fitted, name)
    with pytest.raises(InvalidParameterError, match=f"The '{name}' parameter of TabMClass.*Got"):
        fitted.set_params(**{name: value}).fit(rows[0], rows[1] > 0)
    fitted.set_params(**{name: kept})
    assert vars(fitted) == before


@pytest.mark.parametrize(("settings", "message"), BAD_TOGETHER)
def test_parameters_that_do_not_go_together(rows, settings, message):
    model = TabMRegressor(**{**QUICK, **settings})
    with pytest.raises(ValueError, match=message):
        model.fit(*rows)
    assert set(vars(model)) == set(model.get_params())


@pytest.mark.parametrize("kind", [TabMRegressor, TabularMLPRegressor])
def test_bad_data_changes_nothing(rows, kind):
    x, y = rows
    model = kind(**{**QUICK, "max_iter": 2}).fit(x, y)
    before, answers = vars(model).copy(), model.predict(x)
    calls = [
        (lambda: model.fit(x.assign(a=np.inf), y), "column 'a' must be finite"),
        (lambda: model.fit(x, y[:-1]), "y must have as many rows as X, 500"),
        (lambda: model.fit(x, np.where(y > 0, np.nan, y)), "Input y contains NaN"),
        (lambda: model.fit(x, np.stack([y, y], 1)), "should be a 1d array"),
        (lambda: model.fit(x["a"], y), "X must be a table: Expected 2D array"),
        (lambda: model.predict(x[["a", "b"]]), r"none named \['kind'\]"),
        (lambda: model.predict(x.assign(a="text")), "column 'a' must hold numbers"),
        (lambda: model.predict_interval(x, coverage=1.0), r"coverage must be in \(0, 1\)"),
        (lambda: model.calibrate(x, y[:3]), "y must have as many rows as X, 500"),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=message):
            call()
        assert vars(model) == before
    assert np.array_equal(model.predict(x), answers)


def test_unknown_classes_do_not_calibrate(rows, fitted):
    with pytest.raises(ValueError, match=r"y must hold the classes of fit, \[False, True\]"):
        fitted.calibrate(rows[0], np.full(500, 2))


def test_divergence_is_an_error_and_leaves_no_trace(rows):
    model = TabMRegressor(**{**QUICK, "learning_rate_init": 1e30})
    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match="training diverged: lower learning_rate_init"),
    ):
        model.fit(*rows)
    assert not hasattr(model, "models_")
