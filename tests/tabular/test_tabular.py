"""dropfast.tabular: tables as they come, what is learned from them, what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("pandas", reason="pandas is not installed")
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from dropfast.tabular import TableEncoder, TabularMLPClassifier, TabularMLPRegressor

QUICK = {"hidden_layer_sizes": 32, "max_iter": 30, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.lognormal(sigma=2.0, size=600),
            "colour": pd.Categorical(rng.choice(["red", "green", "blue"], 600)),
            "city": rng.choice(["Rome", "Oslo"], 600),
            "open": rng.random(600) < 0.5,
            "count": pd.array(rng.integers(0, 9, 600), dtype="Int64"),
            "constant": 3.0,
            "empty": np.nan,
        }
    )
    frame.loc[::7, "size"] = np.nan
    frame.loc[::11, "colour"] = None
    frame.loc[::13, "count"] = pd.NA
    signal = (frame["colour"] == "red") * 2.0 + (frame["city"] == "Oslo") * frame["open"]
    return frame, signal.to_numpy(float)


def test_frames_are_taken_as_they_come(table):
    frame, y = table
    model = TabularMLPRegressor(**QUICK).fit(frame, y)
    assert model.score(frame, y) > 0.9
    assert model.feature_names_in_.tolist() == list(frame.columns)
    assert model.predict(frame).min() >= y.min()
    assert model.predict(frame).max() <= y.max()
    shuffled = frame[frame.columns[::-1]]
    assert np.array_equal(model.predict(frame), model.predict(shuffled))
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(model.predict(frame), again.predict(frame))


def test_unseen_categories_and_missing_values_are_predicted(table):
    frame, y = table
    labels = np.where(y > 1, "much", "little")
    model = TabularMLPClassifier(**QUICK).fit(frame, labels)
    assert model.score(frame, labels) > 0.95
    odd = frame.iloc[:3].copy()
    odd["city"] = ["Paris", None, "Rome"]
    odd["colour"] = ["violet", None, "red"]
    odd["size"] = np.nan
    probabilities = model.predict_proba(odd)
    assert np.isfinite(probabilities).all()
    assert np.allclose(probabilities.sum(axis=1), 1.0)


def test_scaling_is_robust_and_bounded():
    x = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [1e12], [np.nan]])
    found = TableEncoder().fit(x).transform(x)
    assert found.dtype == np.float32
    assert np.abs(found[:, 0]).max() < 3.0 + 1e-6
    assert found[:, 1].tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert np.all(np.diff(found[:6, 0]) > 0)


def test_rare_categories_and_periodic_columns():
    rng = np.random.default_rng(0)
    names = np.array([f"c{i}" for i in range(50)] + ["often"] * 50, dtype=object)
    frame = pd.DataFrame({"name": names, "x": rng.normal(size=100)})
    encoder = TableEncoder(max_categories=10, periodic=3).fit(frame)
    assert encoder.columns == 10 + 1 + 3
    assert encoder.transform(frame)[-1, :10].sum() == 1.0
    assert encoder.transform(frame.iloc[:50])[:, :10].sum() == 9.0


def test_several_networks_are_averaged(table):
    frame, y = table
    model = TabularMLPRegressor(**QUICK, n_models=3).fit(frame, y)
    assert len(model.models_) == len(model.best_iters_) == 3
    one = clone(model).set_params(n_models=1).fit(frame, y)
    assert np.array_equal(one.models_[0].get_weights()[0], model.models_[0].get_weights()[0])
    assert all(1 <= best <= 30 for best in model.best_iters_)


def test_weights_and_searches(table):
    frame, y = table
    labels = (y > 1).astype(int)
    weights = np.where(labels == 1, 0.0, 1.0)
    model = TabularMLPClassifier(**QUICK)
    assert model.fit(frame, labels, sample_weight=weights).predict(frame).max() == 0
    assert cross_val_score(model, frame, labels, cv=2).min() > 0.9


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_rows_and_one_class(rows):
    x = np.arange(2.0 * rows).reshape(rows, 2)
    model = TabularMLPClassifier(**QUICK).fit(x, ["a"] * rows)
    assert model.predict(x).tolist() == ["a"] * rows
    assert TabularMLPRegressor(**QUICK).fit(x, np.arange(rows)).predict(x).shape == (rows,)


def test_bad_tables_are_refused_and_change_nothing(table):
    frame, y = table
    model = TabularMLPRegressor(**{**QUICK, "max_iter": 2}).fit(frame, y)
    before = vars(model).copy()
    infinite = frame.assign(size=np.inf)
    cases = [
        (lambda: model.predict(frame.drop(columns="city")), "none named \\['city'\\]"),
        (lambda: model.fit(infinite, y), "column 'size' must be finite"),
        (lambda: model.fit(frame.iloc[:0], y[:0]), "X must have rows and columns"),
        (lambda: model.fit(frame, y[:5]), "y must have as many rows as X, 600"),
        (lambda: model.fit(frame, np.full(600, np.nan)), "NaN or infinity"),
        (lambda: model.fit(frame, y, sample_weight=-np.ones(600)), "sample_weight must be"),
        (lambda: model.predict(np.ones((2, 3))), "X has 3 features, but the encoder is expecting"),
        (lambda: model.set_params(dropout=1.0).fit(frame, y), "The 'dropout' parameter of Tab"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
        model.set_params(dropout=0.15)
        assert vars(model) == before
    other = clone(model).set_params(categorical_features=["no such column"])
    with pytest.raises(ValueError, match="categorical_features must hold names or numbers"):
        other.fit(frame, y)
