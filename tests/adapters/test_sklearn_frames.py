"""Frames with categories, odd columns and odd sizes: taken, or refused by name."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip("pandas", reason="pandas is not installed")
import pandas as pd
from sklearn.preprocessing import OneHotEncoder

from dropfast.sklearn import DropoutMLPClassifier, MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    colour = rng.choice(["red", "green", "blue"], 200)
    frame = pd.DataFrame({"x": rng.normal(size=200), "colour": pd.Categorical(colour)})
    return frame, np.where((colour == "red") == (frame["x"] > 0), "yes", "no")


@pytest.mark.parametrize("dtype", ["category", "object", "str", "string"])
def test_categories_by_dtype_are_one_hot_columns(rows, dtype):
    frame, y = rows
    frame = frame.assign(colour=frame["colour"].astype(dtype))
    model = MLPClassifier(16, max_iter=40, random_state=0).fit(frame, y)
    hot = OneHotEncoder(sparse_output=False).fit_transform(frame[["colour"]].astype(object))
    plain = np.hstack([frame[["x"]], hot])
    peer = MLPClassifier(16, max_iter=40, random_state=0).fit(plain, y)
    assert np.array_equal(model.predict_proba(frame), peer.predict_proba(plain))
    assert model.n_features_in_ == 2
    assert model.feature_names_in_.tolist() == ["x", "colour"]
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(frame), model.predict(frame))


def test_objects_that_are_numbers_stay_numbers(rows):
    frame, y = rows
    model = MLPClassifier(4, max_iter=2).fit(frame[["x"]].astype(object), y)
    assert model.coefs_[0].shape == (1, 4)


@pytest.mark.parametrize("given", [{"early_stopping": True}, {"scoring": "accuracy"}])
def test_scores_while_it_trains(rows, given):
    frame, y = rows
    model = DropoutMLPClassifier(8, max_iter=3, random_state=0, **given)
    if "scoring" in given:
        model.set_params(early_stopping=True).fit(frame, y)
    model.fit(frame, y, X_val=frame, y_val=y)
    assert len(model.validation_scores_) == 3
    low = MLPRegressor(hidden_layer_sizes=4, max_iter=3).fit(frame, frame["x"])
    assert low.calibrate(frame, frame["x"]).predict_interval(frame)[0].shape == (200,)


def test_unseen_and_missing_categories_are_zeros(rows):
    frame, y = rows
    model = MLPClassifier(8, max_iter=5, random_state=0).fit(frame, y)
    odd = pd.DataFrame({"x": [0.5] * 3, "colour": ["violet", None, np.nan]})
    found = model.predict_proba(odd.astype({"colour": "category"}))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    plain = np.array([[0.5, 0.0, 0.0, 0.0]])
    answers = model.model_.predict(plain)
    assert found[0, 1] == answers[0, 0]


def test_what_is_refused_by_name_changes_nothing(rows):
    frame, y = rows
    model = MLPClassifier(8, max_iter=2, random_state=0).fit(frame, y)
    before, answers = vars(model).copy(), model.predict_proba(frame)
    calls = [
        (lambda: model.predict(frame[["colour", "x"]]), "Feature names must be in the same order"),
        (lambda: model.predict(frame[["x"]]), "Feature names seen at fit time, yet now missing"),
        (lambda: model.predict(frame.to_numpy()), "X must be a DataFrame, as in fit"),
        (lambda: model.predict(frame.assign(x="a")), "column 'x' must hold numbers, as in fit"),
        (lambda: model.fit(frame.assign(x=np.nan), y), "Input X contains NaN"),
        (lambda: model.fit(frame.assign(x=np.inf), y), "Input X contains infinity"),
        (lambda: model.fit(frame.iloc[:0], y[:0]), "0 sample"),
        (lambda: model.fit(frame, y[:7]), "inconsistent numbers of samples"),
        (lambda: model.partial_fit(frame, np.full(200, "maybe")), "`y` has classes not in"),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=message):
            call()
        assert vars(model) == before
    assert np.array_equal(model.predict_proba(frame), answers)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_sizes_at_the_edges(kind):
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(30, 10_000)).astype(np.float32)
    model = kind(hidden_layer_sizes=4, max_iter=1).fit(wide, np.arange(30) % 2)
    assert np.isfinite(model.predict(wide)).all()
    constant = np.ones((20, 3))
    assert np.isfinite(kind(max_iter=2).fit(constant, np.arange(20) % 2).predict(constant)).all()
    two = kind(max_iter=2).fit([[0.0], [1.0]], [0, 1])
    assert two.predict([[0.5]]).shape == (1,)
