"""Layer 7: accuracy and R squared of rows that were checked before: each epoch asks for one.

The values are those of sklearn.metrics, whose checks cost more than an epoch of a small network.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import r2_score

from dropfast.arrays import Array


def accuracy(right: Array, weights: Array | None) -> float:
    """Weighted share of the rows that are right; of labels, rows where all are.

    Parameters
    ----------
    right
        Bool (n_samples,) or (n_samples, n_labels).
    weights
        One a row, or None.
    """
    rows: Array = right if right.ndim == 1 else np.asarray(right.all(axis=1))
    if weights is None:
        return float(np.count_nonzero(rows) / len(rows))
    return float(np.average(rows, weights=weights))


def r_squared(y: Array, predicted: Array, weights: Array | None) -> float:
    """R squared, meaned over outputs; of constant targets 1 if they are met, else 0.

    Parameters
    ----------
    y, predicted
        (n_samples,) or (n_samples, n_outputs).
    weights
        One a row, or None.
    """
    if len(y) < 2:
        return float(r2_score(y, predicted, sample_weight=weights))
    y = np.asarray(y, np.float64).reshape(len(y), -1)
    errors = (y - predicted.reshape(len(y), -1)) ** 2
    spreads = (y - np.average(y, axis=0, weights=weights)) ** 2
    if weights is not None:
        errors, spreads = errors * weights[:, None], spreads * weights[:, None]
    lost, spread = errors.sum(axis=0), spreads.sum(axis=0)
    ratio = np.where(lost == 0.0, 0.0, 1.0)
    np.divide(lost, spread, out=ratio, where=spread != 0.0)
    return float(np.mean(1.0 - ratio))
