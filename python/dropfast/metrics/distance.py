"""Layer 6: means of losses, and how much of the targets is explained."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dropfast import losses
from dropfast.arrays import Array
from dropfast.matching import as_predictions
from dropfast.metrics.base import Metric


class _LossMean(Metric):
    loss: ClassVar[type[losses.Loss]]

    def matched(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        """Targets and predictions as the loss takes them."""
        pred = as_predictions(y_pred)
        return self.loss().as_target(y_true, pred), pred

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """The loss of each row."""
        loss = self.loss()
        return loss.call(loss.as_target(y_true, y_pred), y_pred)


class MeanSquaredError(_LossMean):
    """Mean of squared errors.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> metric = df.metrics.MeanSquaredError()
    >>> metric.update_state(np.array([[0.0], [0.0]]), np.array([[1.0], [3.0]]))
    >>> round(metric.result(), 4)
    5.0
    """

    loss = losses.MeanSquaredError


class MeanAbsoluteError(_LossMean):
    """Mean of absolute errors.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> metric = df.metrics.MeanAbsoluteError()
    >>> metric.update_state(np.array([[0.0], [0.0]]), np.array([[1.0], [3.0]]))
    >>> round(metric.result(), 4)
    2.0
    """

    loss = losses.MeanAbsoluteError


class SparseCategoricalCrossentropy(_LossMean):
    """Mean cross-entropy of probabilities and labels.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> metric = df.metrics.SparseCategoricalCrossentropy()
    >>> metric.update_state(np.array([0]), np.array([[0.5, 0.5]]))
    >>> round(metric.result(), 4)
    0.6931
    """

    loss = losses.SparseCategoricalCrossentropy


class CategoricalCrossentropy(_LossMean):
    """Mean cross-entropy of probabilities and target rows.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> metric = df.metrics.CategoricalCrossentropy()
    >>> metric.update_state(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    >>> round(metric.result(), 4)
    0.6931
    """

    loss = losses.CategoricalCrossentropy


class BinaryCrossentropy(_LossMean):
    """Mean cross-entropy of probabilities and binary targets.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> metric = df.metrics.BinaryCrossentropy()
    >>> metric.update_state(np.array([[1.0]]), np.array([[0.5]]))
    >>> round(metric.result(), 4)
    0.6931
    """

    loss = losses.BinaryCrossentropy


class RootMeanSquaredError(_LossMean):
    """Root of the mean of squared errors.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> metric = df.metrics.RootMeanSquaredError()
    >>> metric.update_state(np.array([[0.0], [0.0]]), np.array([[1.0], [7.0]]))
    >>> round(metric.result(), 4)
    5.0
    """

    loss = losses.MeanSquaredError

    def result(self) -> float:
        """The root of the mean."""
        return float(np.sqrt(super().result()))


class R2Score(Metric):
    """Share of the targets' variance that is explained: 1 is perfect, 0 what the mean gives.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> metric = df.metrics.R2Score()
    >>> metric.update_state(np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]]))
    >>> metric.result()
    1.0
    """

    target = "values"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name)

    def reset_state(self) -> None:
        """Forget all rows."""
        super().reset_state()
        self.sums: Array | None = None

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch."""
        true, pred = (array.astype(np.float64) for array in self.matched(y_true, y_pred))
        weights = self.weights_of(sample_weight, len(pred))
        column = weights[:, None]
        parts = [(column * values).sum(axis=0) for values in (true, true**2, (pred - true) ** 2)]
        batch = np.array(parts)
        self.sums = batch if self.sums is None else self.sums + batch
        self.count += float(weights.sum())

    def result(self) -> float:
        """Mean over units of 1 - residuals / variance."""
        if self.sums is None or not self.count:
            return 0.0
        first, second, residual = self.sums
        spread = second - first**2 / self.count
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.where(spread > 0, 1.0 - residual / spread, 0.0).mean())
