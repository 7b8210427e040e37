"""Layer 7: split-conformal intervals and sets: errors on rows not trained on say how wide.

Vovk, Gammerman and Shafer 2005; Lei et al. 2018; Sadinle, Lei and Wasserman 2019. If the rows to be
predicted come from where the calibration rows came from, the share of them that is covered is at
least `coverage`, whatever the network is; at most by 1 / (calibration rows + 1) more.
"""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dropfast.arrays import Array


class Uncertainty(NamedTuple):
    """Predictions and standard deviations of two kinds.

    Attributes
    ----------
    mean
        Predictions: the mean over passes with dropout on.
    epistemic
        Standard deviation over the passes: what more data would settle.
    aleatoric
        Standard deviation of the data themselves, as the network has learned it; 0 where its loss
        does not teach it one.
    """

    mean: Array
    epistemic: Array
    aleatoric: Array


def threshold(scores: NDArray[np.float64], coverage: Any) -> NDArray[np.float64]:
    """The score that a share `coverage` of new rows stays below.

    Parameters
    ----------
    scores
        Of calibration rows, sorted along the first axis.
    coverage
        In (0, 1).

    Returns
    -------
    ndarray
        A threshold for each column; infinite where there are too few rows for the coverage.

    Raises
    ------
    ValueError
        If the coverage is outside its range.
    """
    number = isinstance(coverage, Real) and not isinstance(coverage, bool)
    if not number or not 0.0 < coverage < 1.0:
        raise ValueError(f"coverage must be in (0, 1). Received: coverage={coverage!r}")
    # The small term keeps products that are whole numbers from being rounded up.
    rank = int(np.ceil((len(scores) + 1) * float(coverage) - 1e-9))
    if rank > len(scores):
        return np.full(scores.shape[1:], np.inf)
    return np.asarray(scores[rank - 1])


def scores_of(estimator: Any) -> NDArray[np.float64]:
    """The calibration scores of an estimator.

    Raises
    ------
    ValueError
        If it was not calibrated.
    """
    found: NDArray[np.float64] | None = getattr(estimator, "calibration_scores_", None)
    if found is None:
        raise ValueError(
            f"{type(estimator).__name__} must be calibrated: call calibrate(X, y) with rows it was "
            "not trained on, or fit with early_stopping=True or X_val. Received: an estimator "
            "without calibration"
        )
    return found
