"""Layer 6: targets, predictions and weights of rows, matched by Keras 3's rules or refused.

Nothing is broadcast and nothing is reshaped across axes: a last axis of length 1 may be missing on
one side, and all else has to be equal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dropfast.arrays import Array, as_numeric, shape_text


def as_predictions(y_pred: ArrayLike) -> Array:
    """Predictions (n, units) as floats; (n,) is one unit.

    Raises
    ------
    ValueError
        If they have another number of axes.

    Examples
    --------
    >>> as_predictions([0.5, 1.0]).shape
    (2, 1)
    """
    pred = as_numeric("y_pred", y_pred)
    if pred.dtype.kind in "iub":
        pred = pred.astype(np.float32)
    if pred.ndim == 1:
        pred = pred[:, None]
    if pred.ndim != 2:
        raise ValueError(
            f"y_pred must have shape (n, units). Received: shape {shape_text(pred.shape)}"
        )
    return pred


def as_values(y_true: ArrayLike, rows: int, units: int) -> Array:
    """Targets (rows, units); (rows,) will do for one unit.

    Raises
    ------
    ValueError
        If their shape is another.

    Examples
    --------
    >>> as_values([1, 0], 2, 1).tolist()
    [[1], [0]]
    """
    true = as_numeric("y_true", y_true)
    if true.shape == (rows,) and units == 1:
        true = true[:, None]
    if true.shape != (rows, units):
        raise ValueError(
            f"y_true must have the shape of y_pred, ({rows}, {units}). "
            f"Received: shape {shape_text(true.shape)}"
        )
    return true


def as_labels(y_true: ArrayLike, rows: int, units: int) -> NDArray[np.int64]:
    """Labels (rows,) in [0, units); (rows, 1) will do.

    Raises
    ------
    ValueError
        If their shape is another, or one is no label; the first bad row is named.

    Examples
    --------
    >>> as_labels([[1], [0]], 2, 3).tolist()
    [1, 0]
    """
    true = as_numeric("y_true", y_true)
    if true.shape not in ((rows,), (rows, 1)):
        raise ValueError(
            f"y_true must hold a label for each row of y_pred, shape ({rows},). "
            f"Received: shape {shape_text(true.shape)}"
        )
    return checked_labels("y_true", true.reshape(-1), units)


def checked_labels(name: str, flat: Array, units: int) -> NDArray[np.int64]:
    """Whole numbers in [0, units) as int64."""
    with np.errstate(invalid="ignore"):
        bad = ~((flat >= 0) & (flat < units))
        if flat.dtype.kind == "f":
            bad |= flat != np.floor(flat)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"{name} must hold labels in [0, {units - 1}]. Received: {flat[row]} in row {row}"
        )
    return np.require(flat, np.int64, ["C", "A"])


def as_row_weights(sample_weight: ArrayLike | None, rows: int) -> NDArray[np.float64] | None:
    """Weights (rows,), not negative; (rows, 1) will do, and one number stands for all rows.

    Raises
    ------
    ValueError
        If their shape is another, or one is negative or not finite.

    Examples
    --------
    >>> as_row_weights([[1], [2]], 2).tolist()
    [1.0, 2.0]
    """
    if sample_weight is None:
        return None
    found = as_numeric("sample_weight", sample_weight)
    weights = np.asarray(found, np.float64)
    if weights.ndim == 0:
        weights = np.full(rows, float(weights))
    if weights.shape not in ((rows,), (rows, 1)):
        raise ValueError(
            f"sample_weight must have shape ({rows},). Received: shape {shape_text(weights.shape)}"
        )
    weights = weights.reshape(-1)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"sample_weight must be at least 0 and finite. Received: {weights[row]} in row {row}"
        )
    return weights
