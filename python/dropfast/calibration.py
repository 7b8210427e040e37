"""Layer 6: calibration, or whether a classifier that is 80 % sure is right 80 % of the time.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
equations 2, 3 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predictions in bins of equal width by their confidence, the largest probability of a row.

    Attributes
    ----------
    edges
        Float64 of shape (bins + 1,), from 0 to 1. A bin holds its upper edge, not its lower one.
    confidence
        Mean confidence of each bin, float64 of shape (bins,); NaN where a bin is empty.
    accuracy
        Share of correct predictions of each bin, likewise.
    count
        Number of predictions in each bin, int64 of shape (bins,).

    Examples
    --------
    >>> from dropfast.calibration import reliability
    >>> found = reliability([0, 1], [[0.9, 0.1], [0.7, 0.3]], bins=2)
    >>> found.count.tolist(), round(found.expected_calibration_error, 6)
    ([0, 2], 0.3)
    """

    edges: NDArray[np.float64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of accuracy and confidence, weighted by the bins' counts."""
        filled = self.count > 0
        distance = np.abs(self.accuracy - self.confidence)[filled]
        return float(np.average(distance, weights=self.count[filled]))


def reliability(y_true: ArrayLike, y_pred: ArrayLike, bins: int = 10) -> Reliability:
    """Sort predictions into bins by confidence, with the accuracy of each bin.

    Parameters
    ----------
    y_true
        Labels, integers of shape (n,).
    y_pred
        Predicted probabilities of shape (n, classes).
    bins
        Number of bins.

    Returns
    -------
    Reliability
        Mean confidence, accuracy and count of each bin.

    Raises
    ------
    ValueError
        If a shape does not fit, there is no row, a probability is outside [0, 1] or NaN, or
        `bins` is below 1.

    Examples
    --------
    >>> table = reliability([0, 1, 1], [[0.9, 0.1], [0.9, 0.1], [0.3, 0.7]], bins=5)
    >>> table.count.tolist(), table.accuracy[3:].tolist()
    ([0, 0, 0, 1, 2], [1.0, 0.5])
    """
    labels, probabilities = np.asarray(y_true), np.asarray(y_pred, np.float64)
    if probabilities.ndim != 2 or probabilities.size == 0:
        raise ValueError(
            f"y_pred must have shape (n, classes), n > 0. Received: shape {probabilities.shape}"
        )
    if labels.shape != probabilities.shape[:1]:
        raise ValueError(
            f"y_true must have shape {probabilities.shape[:1]}. Received: shape {labels.shape}"
        )
    # A float32 softmax may pass 1 by a rounding.
    outside = ~((probabilities >= 0) & (probabilities <= 1 + 1e-5)).all(axis=1)
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(
            f"y_pred must be probabilities in [0, 1]. Received: row {row} = {probabilities[row]}"
        )
    if bins < 1:
        raise ValueError(f"bins must be at least 1. Received: bins={bins}")
    confidence = np.minimum(probabilities.max(axis=1), 1)
    correct = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    # Right-closed bins; confidence 0 (one class of probability 0) goes to the first.
    place = np.maximum(np.searchsorted(edges, confidence, side="left") - 1, 0)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            edges,
            np.bincount(place, confidence, bins) / count,
            np.bincount(place, correct, bins) / count,
            count,
        )


def expected_calibration_error(y_true: ArrayLike, y_pred: ArrayLike, bins: int = 10) -> float:
    """Mean distance of confidence and accuracy over bins of equal width.

    Parameters and errors are those of `reliability`.

    Returns
    -------
    float
        0 for a perfectly calibrated classifier, at most 1.

    Examples
    --------
    >>> round(expected_calibration_error([0, 1, 1], [[0.9, 0.1], [0.9, 0.1], [0.3, 0.7]]), 6)
    0.366667
    """
    return reliability(y_true, y_pred, bins).expected_calibration_error
