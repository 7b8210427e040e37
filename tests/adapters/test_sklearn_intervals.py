"""Intervals and sets of the scikit-learn estimators hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from dropfast.sklearn import DropoutMLPClassifier, DropoutMLPRegressor
from dropfast.sklearn.conformal import threshold

FEW = {"max_iter": 40, "learning_rate_init": 0.01, "n_iter_no_change": np.inf, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(count, 2))
    noise = (0.1 + 0.9 * (x[:, 1] > 0)) * rng.normal(size=count)
    return x, np.sin(3 * x[:, 0]) + noise


@pytest.mark.parametrize("loss", ["squared_error", "gaussian_nll", "absolute_error"])
@pytest.mark.parametrize("coverage", [0.5, 0.9])
def test_intervals_cover_as_often_as_asked_for(loss, coverage):
    x, y = rows(6000)
    model = DropoutMLPRegressor(32, loss=loss, dropout=0.1, **FEW).fit(x[:1000], y[:1000])
    model.calibrate(x[1000:3000], y[1000:3000])
    lower, upper = model.predict_interval(x[3000:], coverage)
    assert (lower.shape, upper.shape) == ((3000,), (3000,))
    inside = ((lower <= y[3000:]) & (y[3000:] <= upper)).mean()
    assert abs(inside - coverage) < 0.03
    widths = upper - lower
    if loss == "gaussian_nll":
        wide = x[3000:, 1] > 0
        assert widths[wide].mean() > 2 * widths[~wide].mean()
    else:
        assert np.ptp(widths) < 1e-6


def test_several_outputs_have_intervals_of_their_own():
    x, y = rows(2000)
    both = np.stack([y, 10 * y], axis=1)
    model = DropoutMLPRegressor(32, dropout=0.0, **FEW).fit(x[:1000], both[:1000])
    lower, upper = model.calibrate(x[1000:], both[1000:]).predict_interval(x)
    assert lower.shape == both.shape
    assert (upper - lower)[0, 1] > 5 * (upper - lower)[0, 0]


@pytest.mark.parametrize("classes", [2, 3])
def test_sets_cover_as_often_as_asked_for(classes):
    x, y = rows(6000)
    labels = np.array(["low", "middle", "high"])[np.digitize(y, [0.0, 0.7][: classes - 1])]
    model = DropoutMLPClassifier(32, dropout=0.1, **FEW).fit(x[:1000], labels[:1000])
    found = model.calibrate(x[1000:3000], labels[1000:3000]).predict_set(x[3000:], 0.9)
    assert found.shape == (3000, classes)
    right = found[np.arange(3000), np.searchsorted(model.classes_, labels[3000:])].mean()
    # A set holds at least one class, so for two of them it may cover more.
    assert 0.88 < right < (0.93 if classes == 3 else 1.0)
    assert found.any(axis=1).all()


def test_rows_held_out_calibrate():
    x, y = rows(4000)
    model = DropoutMLPRegressor(32, dropout=0.1, early_stopping=True, **FEW)
    lower, upper = model.fit(x[:2000], y[:2000]).predict_interval(x[2000:])
    assert len(model.calibration_scores_) == 200
    assert 0.83 < ((lower <= y[2000:]) & (y[2000:] <= upper)).mean() < 0.97
    model.set_params(early_stopping=False).fit(x[:500], y[:500])
    with pytest.raises(ValueError, match=r"must be calibrated: call calibrate\(X, y\)"):
        model.predict_interval(x)


def test_two_kinds_of_uncertainty():
    x, y = rows(2000)
    model = DropoutMLPRegressor(64, loss="gaussian_nll", dropout=0.1, **FEW).fit(x, y)
    found = model.predict_uncertainty(x, samples=20)
    noisy = x[:, 1] > 0.1
    assert np.median(found.aleatoric[noisy]) == pytest.approx(1.0, abs=0.25)
    assert np.median(found.aleatoric[x[:, 1] < -0.1]) < 0.4
    assert (found.epistemic > 0).all()
    plain = DropoutMLPRegressor(32, dropout=0.1, **FEW).fit(x, y).predict_uncertainty(x, 5)
    assert not plain.aleatoric.any()


@pytest.mark.parametrize("coverage", [0.0, 1.0, np.nan, "most", None, True])
def test_coverage_is_checked(coverage):
    with pytest.raises(ValueError, match=r"coverage must be in \(0, 1\)\. Received: coverage="):
        threshold(np.arange(10.0), coverage)


def test_thresholds_are_ranks_of_one_row_more():
    scores = np.arange(1.0, 20.0)  # 19 rows
    assert threshold(scores, 0.9) == 18.0
    assert threshold(scores, 0.95) == 19.0
    assert threshold(scores, 0.96) == np.inf
