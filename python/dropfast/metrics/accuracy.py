"""Layer 6: shares of rows that are right."""

from __future__ import annotations

import numpy as np

from dropfast.arrays import Array
from dropfast.checks import check_integer, check_number
from dropfast.metrics.base import Metric


class SparseCategoricalAccuracy(Metric):
    """Share of rows whose largest prediction is the label.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.SparseCategoricalAccuracy()
    >>> metric.update_state([0, 1], [[0.9, 0.1], [0.8, 0.2]])
    >>> metric.result()
    0.5
    """

    target = "labels"

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """1 where right."""
        right: Array = y_pred.argmax(axis=-1) == y_true
        return right


class CategoricalAccuracy(Metric):
    """Share of rows whose largest prediction is where the largest target is.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> metric = df.metrics.CategoricalAccuracy()
    >>> metric.update_state(np.array([[0, 1], [1, 0]]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    >>> round(metric.result(), 4)
    0.5
    """

    target = "values"

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """1 where right."""
        right: Array = y_pred.argmax(axis=-1) == y_true.argmax(axis=-1)
        return right


class BinaryAccuracy(Metric):
    """Share of values on the right side of `threshold`.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> metric = df.metrics.BinaryAccuracy()
    >>> metric.update_state(np.array([[1], [0]]), np.array([[0.9], [0.8]]))
    >>> round(metric.result(), 4)
    0.5
    """

    target = "values"

    def __init__(self, name: str | None = None, *, threshold: float = 0.5) -> None:
        self.threshold = check_number("threshold", threshold)
        super().__init__(name)

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """Mean over units of 1 where right."""
        right = (y_pred > self.threshold) == (y_true > 0.5)
        share: Array = right.mean(axis=-1)
        return share


class SparseTopKCategoricalAccuracy(Metric):
    """Share of rows whose label is among the k largest predictions.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> metric = df.metrics.SparseTopKCategoricalAccuracy(k=2)
    >>> metric.update_state(np.array([0, 1]), np.array([[0.5, 0.3, 0.2], [0.5, 0.1, 0.4]]))
    >>> round(metric.result(), 4)
    0.5
    """

    target = "labels"

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        self.k = check_integer("k", k, least=1)
        super().__init__(name)

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """1 where fewer than k predictions are larger than the label's."""
        own = np.take_along_axis(y_pred, y_true[:, None], axis=1)
        right: Array = (y_pred > own).sum(axis=1) < self.k
        return right


class TopKCategoricalAccuracy(SparseTopKCategoricalAccuracy):
    """The same for targets that are rows of probabilities.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> metric = df.metrics.TopKCategoricalAccuracy(k=2)
    >>> probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.1, 0.4]])
    >>> metric.update_state(np.array([[1, 0, 0], [0, 1, 0]]), probabilities)
    >>> round(metric.result(), 4)
    0.5
    """

    target = "values"

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """1 where fewer than k predictions are larger than the label's."""
        return super().rows(y_true.argmax(axis=-1), y_pred)
