"""Layer 6: true values and predictions of a batch in one shape, for metrics that count."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dropfast.arrays import Array, shape_text


def as_columns(y_true: ArrayLike, y_pred: ArrayLike, name: str) -> tuple[Array, Array]:
    """Both as [n, columns]; labels of several columns become one-hot rows.

    Raises
    ------
    ValueError
        If their shapes don't fit.
    """
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    pred = pred.reshape(len(pred), -1) if pred.ndim else pred.reshape(1, 1)
    columns = pred.shape[1]
    labels = columns > 1 and true.size == len(pred)
    if labels and true.dtype.kind in "iub":
        return np.eye(columns)[true.reshape(-1).astype(np.intp)], pred
    if true.size != pred.size or (
        true.ndim > 1 and true.reshape(len(true), -1).shape != pred.shape
    ):
        raise ValueError(
            f"y_true of metric {name!r} must have the shape of the predictions, "
            f"{shape_text(pred.shape)}. Received: shape {shape_text(true.shape)}"
        )
    return true.reshape(pred.shape), pred


def row_weights(sample_weight: ArrayLike | None, rows: int) -> Array:
    """One weight a row.

    Raises
    ------
    ValueError
        If there are more or fewer.
    """
    if sample_weight is None:
        return np.ones(rows)
    weights = np.asarray(sample_weight, np.float64).reshape(-1)
    if len(weights) not in (1, rows):
        raise ValueError(
            f"sample_weight must have {rows} elements, one a row. Received: {len(weights)}"
        )
    return np.broadcast_to(weights, (rows,))
