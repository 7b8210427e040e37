"""Layer 6: counts of hits and errors, and the F scores made of them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dropfast.checks import as_number, check_number
from dropfast.metrics.base import Metric
from dropfast.metrics.matching import as_columns, row_weights


class _Count(Metric):
    true_side: ClassVar[bool]
    called_side: ClassVar[bool]

    def __init__(
        self, thresholds: float | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        self.thresholds, self.dtype = thresholds, dtype
        if thresholds is not None and not 0.0 <= as_number(thresholds) <= 1.0:
            raise ValueError(
                f"thresholds must be a number in [0, 1]. Received: thresholds={thresholds!r}"
            )
        super().__init__(name)

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch."""
        true, pred = as_columns(y_true, y_pred, self.name)
        limit = 0.5 if self.thresholds is None else self.thresholds
        found = ((true > 0) == self.true_side) & ((pred > limit) == self.called_side)
        self.total += float((found * row_weights(sample_weight, len(pred))[:, None]).sum())

    def result(self) -> float:
        """The count so far."""
        return self.total


class TruePositives(_Count):
    """How many positives are found.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.TruePositives()
    >>> metric.update_state([0, 1, 1, 1], [1, 0, 1, 1])
    >>> metric.result()
    2.0
    """

    true_side, called_side = True, True


class TrueNegatives(_Count):
    """How many negatives are left alone.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.TrueNegatives()
    >>> metric.update_state([0, 1, 0, 0], [1, 1, 0, 0])
    >>> metric.result()
    2.0
    """

    true_side, called_side = False, False


class FalsePositives(_Count):
    """How many negatives are called positive.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.FalsePositives()
    >>> metric.update_state([0, 1, 0, 0], [0, 0, 1, 1])
    >>> metric.result()
    2.0
    """

    true_side, called_side = False, True


class FalseNegatives(_Count):
    """How many positives are missed.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.FalseNegatives()
    >>> metric.update_state([0, 1, 1, 1], [0, 1, 0, 0])
    >>> metric.result()
    2.0
    """

    true_side, called_side = True, False


class FBetaScore(Metric):
    """Mean of precision and recall, in which recall counts `beta` times as much.

    Parameters
    ----------
    average
        None for one score a class, "micro" for all counts together, "macro" for the mean of the
        classes, "weighted" for that by their shares.
    beta
        Positive.
    threshold
        Above which an output counts; None takes the largest of a row.
    name
        Name in logs and history.
    dtype
        For compatibility, without effect.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.FBetaScore("macro", beta=2.0, threshold=0.5)
    >>> metric.update_state([[1, 0], [1, 1]], [[0.9, 0.1], [0.2, 0.8]])
    >>> round(metric.result(), 4)
    0.7778
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(
                "average must be None, 'micro', 'macro' or 'weighted'. "
                f"Received: average={average!r}"
            )
        self.average, self.dtype = average, dtype
        self.beta = check_number("beta", beta, positive=True)
        self.threshold = None if threshold is None else check_number("threshold", threshold)
        super().__init__("fbeta_score" if name is None else name)

    def reset_state(self) -> None:
        """Forget all rows."""
        super().reset_state()
        self._hits: Any = 0.0
        self._alarms: Any = 0.0
        self._misses: Any = 0.0

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch; labels count as one-hot rows."""
        true, pred = as_columns(y_true, y_pred, self.name)
        if self.threshold is None:
            called = (pred >= pred.max(axis=-1, keepdims=True)) & (np.abs(pred) > 1e-9)
        else:
            called = pred > self.threshold
        column = row_weights(sample_weight, len(pred))[:, None]
        axis = None if self.average == "micro" else 0
        self._hits = self._hits + (column * called * true).sum(axis=axis)
        self._alarms = self._alarms + (column * called * (1.0 - true)).sum(axis=axis)
        self._misses = self._misses + (column * ~called * true).sum(axis=axis)

    def result(self) -> Any:
        """The score, or with average=None an array of one a class."""
        tiny, square = 1e-7, self.beta**2
        precision = self._hits / (self._hits + self._alarms + tiny)
        recall = self._hits / (self._hits + self._misses + tiny)
        scores = (1.0 + square) * precision * recall / (square * precision + recall + tiny)
        if self.average == "weighted":
            share = np.asarray(self._hits + self._misses)
            return float((scores * share).sum() / (share.sum() + tiny))
        return np.asarray(scores) if self.average is None else float(np.mean(scores))


class F1Score(FBetaScore):
    """Harmonic mean of precision and recall; parameters as `FBetaScore`.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.F1Score("micro", threshold=0.5)
    >>> metric.update_state([[1], [0], [1]], [[0.9], [0.8], [0.1]])
    >>> round(metric.result(), 4)
    0.5
    """

    fixed = ("beta",)

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, "f1_score" if name is None else name, dtype)
