"""Layer 6: means of the losses that fewer models use, and sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dropfast import further_losses as losses
from dropfast.metrics.base import Metric
from dropfast.metrics.distance import _LossMean as LossMean
from dropfast.metrics.matching import row_weights


class MeanAbsolutePercentageError(LossMean):
    """Mean of 100 |y - t| / |t|.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.MeanAbsolutePercentageError()
    >>> metric.update_state([[2.0]], [[1.0]])
    >>> round(metric.result(), 4)
    50.0
    """

    loss = losses.MeanAbsolutePercentageError


class MeanSquaredLogarithmicError(LossMean):
    """Mean of squared differences of log(1 + y).

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.MeanSquaredLogarithmicError()
    >>> metric.update_state([[0.0]], [[1.0]])
    >>> round(metric.result(), 4)
    0.4805
    """

    loss = losses.MeanSquaredLogarithmicError


class LogCoshError(LossMean):
    """Mean of log(cosh(y - t)).

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.LogCoshError()
    >>> metric.update_state([[0.0]], [[1.0]])
    >>> round(metric.result(), 4)
    0.4338
    """

    loss = losses.LogCosh


class KLDivergence(LossMean):
    """Mean of sum t log(t / y).

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.KLDivergence()
    >>> metric.update_state([[0.25, 0.75]], [[0.5, 0.5]])
    >>> round(metric.result(), 4)
    0.1308
    """

    loss = losses.KLDivergence


class Poisson(LossMean):
    """Mean of y - t log(y).

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.Poisson()
    >>> metric.update_state([[2.0]], [[1.0]])
    >>> round(metric.result(), 4)
    1.0
    """

    loss = losses.Poisson


class Hinge(LossMean):
    """Mean of max(1 - t y, 0), for true values -1 and 1, or 0 and 1.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.Hinge()
    >>> metric.update_state([[1.0]], [[0.5]])
    >>> round(metric.result(), 4)
    0.5
    """

    loss = losses.Hinge


class SquaredHinge(LossMean):
    """Mean of max(1 - t y, 0)^2, for true values -1 and 1, or 0 and 1.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.SquaredHinge()
    >>> metric.update_state([[1.0]], [[0.5]])
    >>> round(metric.result(), 4)
    0.25
    """

    loss = losses.SquaredHinge


class CategoricalHinge(LossMean):
    """Mean of the categorical hinge loss.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.CategoricalHinge()
    >>> metric.update_state([[0.0, 1.0]], [[0.6, 0.4]])
    >>> round(metric.result(), 4)
    1.2
    """

    loss = losses.CategoricalHinge


class CosineSimilarity(LossMean):
    """Mean cosine of the angle between predictions and true values; 1 is the same direction.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.CosineSimilarity()
    >>> metric.update_state([[0.0, 2.0]], [[0.0, 3.0]])
    >>> metric.result()
    1.0
    """

    loss = losses.CosineSimilarity

    def result(self) -> float:
        """The mean cosine."""
        return -super().result()


class Sum(Metric):
    """Sum of values fed by `update_state(values)`.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.Sum()
    >>> metric.update_state([1.0, 2.0, 6.0])
    >>> metric.result()
    9.0
    """

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike = (), sample_weight: ArrayLike | None = None
    ) -> None:
        """Add values; the second argument is ignored."""
        values = np.asarray(y_true, np.float64).ravel()
        self.total += float((values * row_weights(sample_weight, len(values))).sum())

    def result(self) -> float:
        """The sum."""
        return self.total
