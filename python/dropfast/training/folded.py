"""Layer 6: losses and metrics of outputs with more than two axes: each vector is a row to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dropfast.arrays import Array, check_finite, shape_text
from dropfast.losses import Loss
from dropfast.matching import checked_labels
from dropfast.metrics import Metric
from dropfast.training.exact import exact


class _Folded(Loss):
    """The mean of a loss over the vectors of a row.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> from dropfast.training.folded import _Folded
    >>> _Folded(df.losses.get("mse"), (2, 1)).call(np.zeros((1, 2, 1)), np.array([[[1.0], [2.0]]]))
    array([2.5])
    """

    def __init__(self, loss: Loss, shape: Sequence[int]) -> None:
        self.loss, self.shape = loss, tuple(shape)
        self.vectors = math.prod(self.shape[:-1])

    def targets(self, name: str, y: Array, dtype: Any) -> Array:
        """Checked targets: int64 labels, or values, of the outputs' axes.

        Raises
        ------
        ValueError
            If their shape is another, or one is none; the first bad row is named.
        """
        labels = self.loss.target == "labels"
        shape = self.shape[:-1] if labels else self.shape
        rows = y.shape[1:]
        if rows not in (shape, (*shape, 1)) and (rows, 1) != (shape[:-1], shape[-1]):
            raise ValueError(
                f"{name} must have shape {shape_text((None, *shape))}. "
                f"Received: shape {shape_text(y.shape)}"
            )
        check_finite(name, y)
        values = y.reshape(len(y), *shape)
        if labels:
            flat = checked_labels(name, values.reshape(-1), self.shape[-1])
            return flat.reshape(values.shape)
        self.loss.check_values(name, values)
        return np.require(values, dtype, ["C", "A"])

    def fold(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        """Targets and predictions with a row for each vector."""
        true, pred = np.asarray(y_true), np.asarray(y_pred)
        rows = len(pred) * self.vectors
        folded = np.ascontiguousarray(pred).reshape(rows, self.shape[-1])
        return true.reshape((rows,) if self.loss.target == "labels" else folded.shape), folded

    def call(self, y_true: Array, y_pred: Array) -> NDArray[np.float64]:
        """Loss of each row, shape (n,)."""
        values = np.asarray(self.loss.call(*self.fold(y_true, y_pred)), np.float64)
        means: NDArray[np.float64] = values.reshape(-1, self.vectors).mean(axis=1)
        return means

    def gradient(self, y_true: Array, y_pred: Array, weights: Array) -> Array:
        """Gradient of sum(weights * losses) with respect to y_pred."""
        shares = np.repeat(weights / weights.dtype.type(self.vectors), self.vectors)
        return self.loss.gradient(*self.fold(y_true, y_pred), shares).reshape(y_pred.shape)


class _FoldedMetric(Metric):
    """A metric over the vectors of rows; a row's weight is that of its vectors."""

    def __init__(self, loss: _Folded, metric: Metric) -> None:
        self.loss, self.metric = loss, metric
        super().__init__(metric.name)

    def reset_state(self) -> None:
        """Forget all rows."""
        self.metric.reset_state()

    def matched(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        """Targets and predictions as the metric takes them."""
        return self.metric.matched(*self.loss.fold(y_true, y_pred))

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch."""
        true, pred = self.loss.fold(y_true, y_pred)
        given = None if sample_weight is None else np.repeat(sample_weight, self.loss.vectors)
        self.metric.update_state(true, pred, given)

    def result(self) -> float:
        """The value over all rows so far."""
        return self.metric.result()


def folded(loss: Loss, shape: Sequence[int | None]) -> Loss:
    """A loss for outputs of a shape: itself where they are vectors, or where it is of one's own."""
    if len(shape) < 3 or not exact(loss):
        return loss
    return _Folded(loss, [size or 1 for size in shape[1:]])
