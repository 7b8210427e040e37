"""Layer 6: metrics of hits, false alarms and misses."""

from __future__ import annotations

from numpy.typing import ArrayLike

from dropfast.checks import as_number
from dropfast.metrics.base import Metric


class _Counts(Metric):
    """Counts of true and false positives and false negatives at a threshold."""

    target = "values"

    def __init__(self, thresholds: float | None = None, *, name: str | None = None) -> None:
        self.thresholds = None
        if thresholds is not None:
            self.thresholds = as_number(thresholds)
            if not 0.0 <= self.thresholds <= 1.0:
                raise ValueError(f"thresholds must be in [0, 1]. Received: {thresholds=}")
        super().__init__(name)

    def reset_state(self) -> None:
        """Forget all rows."""
        super().reset_state()
        self.hits = self.false_alarms = self.misses = 0.0

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch."""
        found, pred = self.matched(y_true, y_pred)
        weights = self.weights_of(sample_weight, len(pred))
        positive = pred > (0.5 if self.thresholds is None else self.thresholds)
        true = found > 0.5
        column = weights[:, None]
        self.hits += float((column * (positive & true)).sum())
        self.false_alarms += float((column * (positive & ~true)).sum())
        self.misses += float((column * (~positive & true)).sum())


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


class Precision(_Counts):
    """Share of positive predictions that are right.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> metric = df.metrics.Precision()
    >>> metric.update_state(np.array([[1], [0], [0]]), np.array([[0.9], [0.8], [0.1]]))
    >>> round(metric.result(), 4)
    0.5
    """

    def result(self) -> float:
        """Hits over hits and false alarms."""
        return _share(self.hits, self.hits + self.false_alarms)


class Recall(_Counts):
    """Share of positives that are found.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.Recall()
    >>> metric.update_state([1, 1, 0], [[0.9], [0.2], [0.8]])
    >>> metric.result()
    0.5
    """

    def result(self) -> float:
        """Hits over hits and misses."""
        return _share(self.hits, self.hits + self.misses)
