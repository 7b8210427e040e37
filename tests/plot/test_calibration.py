"""Calibration against a count by hand, and on a classifier that is calibrated by construction."""

from __future__ import annotations

import numpy as np
import pytest

from dropfast.calibration import expected_calibration_error, reliability


def test_bins_against_a_loop():
    rng = np.random.default_rng(0)
    y_pred = rng.dirichlet([0.5] * 4, size=500)
    y_true = rng.integers(0, 4, 500)
    table = reliability(y_true, y_pred, bins=7)
    error = 0.0
    for number in range(7):
        low, high = number / 7, (number + 1) / 7
        rows = [row for row in range(500) if low < y_pred[row].max() <= high]
        assert table.count[number] == len(rows)
        if rows:
            confidence = np.mean([y_pred[row].max() for row in rows])
            accuracy = np.mean([y_pred[row].argmax() == y_true[row] for row in rows])
            assert table.confidence[number] == pytest.approx(confidence)
            assert table.accuracy[number] == pytest.approx(accuracy)
            error += len(rows) / 500 * abs(confidence - accuracy)
    assert table.expected_calibration_error == pytest.approx(error)


def test_calibrated_and_overconfident_classifiers():
    rng = np.random.default_rng(1)
    sure = rng.uniform(0.5, 1, 100_000)
    y_true = (rng.random(100_000) > sure).astype(int)
    honest = np.column_stack([sure, 1 - sure])
    boasting = np.tile([1.0, 0.0], (100_000, 1))
    assert expected_calibration_error(y_true, honest) < 0.01
    assert expected_calibration_error(y_true, boasting) == pytest.approx(0.25, abs=0.01)


def test_edges_of_the_range():
    table = reliability([0, 0], [[1.0], [0.0]], bins=2)
    assert table.count.tolist() == [1, 1]
    assert np.isnan(reliability([0], [[1.0]], bins=2).accuracy[0])


@pytest.mark.parametrize(
    ("y_true", "y_pred", "bins", "message"),
    [
        ([0], [0.5], 10, r"y_pred must have shape .*Received: shape \(1,\)"),
        ([], np.zeros((0, 2)), 10, "n > 0"),
        ([0, 1], [[0.5, 0.5]], 10, r"y_true must have shape \(1,\)"),
        ([0, 0], [[0.5, 0.5], [1.5, -0.5]], 10, "row 1"),
        ([0], [[np.nan, 0.5]], 10, "row 0"),
        ([0], [[0.5, 0.5]], 0, "bins=0"),
    ],
)
def test_errors(y_true, y_pred, bins, message):
    with pytest.raises(ValueError, match=message):
        reliability(y_true, y_pred, bins)
