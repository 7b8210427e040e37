"""Layer 6: metrics of hits, false alarms and misses."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dropfast.metrics.base import Metric


class _Counts(Metric):
    """Counts of true and false positives and false negatives at a threshold."""

    def __init__(self, name: str | None = None, threshold: float = 0.5) -> None:
        self.threshold = threshold
        super().__init__(name)

    def reset_state(self) -> None:
        """Forget all rows."""
        super().reset_state()
        self.hits = self.false_alarms = self.misses = 0.0

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch."""
        pred = np.asarray(y_pred)
        weights = np.ones(len(pred)) if sample_weight is None else np.asarray(sample_weight)
        positive = pred.reshape(len(pred), -1) > self.threshold
        true = np.asarray(y_true).reshape(positive.shape) > 0.5
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
