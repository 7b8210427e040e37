"""Layer 6: metrics over many thresholds at once: AUC, precision at a recall and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dropfast.checks import as_number, check_choice, check_flag, check_integer
from dropfast.metrics.base import Metric
from dropfast.metrics.matching import as_columns, row_weights

_Counts = NDArray[np.float64]


def _ratio(part: _Counts, whole: _Counts) -> _Counts:
    """Part / whole, 0 where whole is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole == 0, 0.0, part / np.where(whole == 0, 1.0, whole))


class _Thresholds(Metric):
    """Counts of hits and false alarms above each of some thresholds, a column a label."""

    _limits: NDArray[np.float64]
    _by_label = False

    def reset_state(self) -> None:
        """Forget all rows."""
        super().reset_state()
        self._hits: Any = 0.0
        self._alarms: Any = 0.0
        self._positives: Any = 0.0
        self._negatives: Any = 0.0

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch."""
        true, pred = as_columns(y_true, y_pred, self.name)
        weights = np.broadcast_to(row_weights(sample_weight, len(pred))[:, None], pred.shape)
        if not self._by_label:
            true, pred, weights = (part.reshape(-1, 1) for part in (true, pred, weights))
        positive = weights * (true > 0)
        above, negative = np.searchsorted(self._limits, pred), weights - positive
        count = len(self._limits) + 1
        columns = np.arange(pred.shape[1])
        hits, alarms = np.zeros((2, count, pred.shape[1]))
        np.add.at(hits, (above, columns[None]), positive)
        np.add.at(alarms, (above, columns[None]), negative)
        # A prediction counts at each threshold below it.
        self._hits = self._hits + hits[::-1].cumsum(axis=0)[::-1][1:]
        self._alarms = self._alarms + alarms[::-1].cumsum(axis=0)[::-1][1:]
        self._positives = self._positives + positive.sum(axis=0)
        self._negatives = self._negatives + negative.sum(axis=0)

    def _rates(self) -> tuple[_Counts, _Counts, _Counts]:
        """Recall, precision and specificity at each threshold."""
        hits, alarms = np.atleast_2d(self._hits), np.atleast_2d(self._alarms)
        recall = _ratio(hits, hits * 0 + self._positives)
        specificity = _ratio(self._negatives - alarms, alarms * 0 + self._negatives)
        return recall, _ratio(hits, hits + alarms), specificity


class AUC(_Thresholds):
    """Area under the curve of hits over false alarms (ROC), or of precision over recall (PR).

    Parameters
    ----------
    num_thresholds
        How many points approximate the curve.
    curve
        "ROC" or "PR".
    summation_method
        "interpolation", "minoring" or "majoring".
    name
        Name in logs and history.
    dtype
        For compatibility, without effect.
    thresholds
        The points between 0 and 1 themselves.
    multi_label
        Whether each column of the outputs is a label with a curve of its own; their mean counts.
    num_labels
        For compatibility: their number is seen in the outputs.
    label_weights
        Weights of the labels in that mean.
    from_logits
        Whether predictions are logits.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.AUC(num_thresholds=3)
    >>> metric.update_state([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    >>> metric.result()
    0.75
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        self.num_thresholds = check_integer("num_thresholds", num_thresholds, 2)
        self.curve = check_choice("curve", curve, ("ROC", "PR"))
        self.summation_method = check_choice(
            "summation_method", summation_method, ("interpolation", "minoring", "majoring")
        )
        self.dtype, self.num_labels = dtype, num_labels
        self.thresholds = None if thresholds is None else sorted(map(float, thresholds))
        if self.thresholds is None:
            inner = np.arange(1, self.num_thresholds - 1) / (self.num_thresholds - 1)
        else:
            inner = np.array([t for t in self.thresholds if 0.0 < t < 1.0])
        self._limits = np.concatenate([[-1e-7], inner, [1.0 + 1e-7]])
        self.multi_label = self._by_label = check_flag("multi_label", multi_label)
        self.label_weights = None if label_weights is None else list(label_weights)
        self.from_logits = check_flag("from_logits", from_logits)
        super().__init__("auc" if name is None else name)

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch."""
        pred = np.asarray(y_pred, np.float64)
        pred = 1.0 / (1.0 + np.exp(-pred)) if self.from_logits else pred
        super().update_state(y_true, pred, sample_weight)

    def result(self) -> float:
        """The area; 0 before any row."""
        if np.ndim(self._hits) == 0:
            return 0.0
        areas = self._areas()
        return float(np.average(areas, weights=self.label_weights))

    def _areas(self) -> _Counts:
        recall, precision, specificity = self._rates()
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._interpolated()
        x, y = (1.0 - specificity, recall) if self.curve == "ROC" else (recall, precision)
        if self.curve == "ROC":
            x = np.where(self._negatives > 0, x, 0.0)
        pairs = {
            "interpolation": (y[:-1] + y[1:]) / 2.0,
            "minoring": np.minimum(y[:-1], y[1:]),
            "majoring": np.maximum(y[:-1], y[1:]),
        }
        areas: _Counts = ((x[:-1] - x[1:]) * pairs[self.summation_method]).sum(axis=0)
        return areas

    def _interpolated(self) -> _Counts:
        """Davis and Goadrich 2006: hits, not precision, are linear between two thresholds."""
        hits, called = self._hits, self._hits + self._alarms
        more, more_called = hits[:-1] - hits[1:], called[:-1] - called[1:]
        slope = _ratio(more, np.maximum(more_called, 0.0))
        start = hits[1:] - slope * called[1:]
        both = (called[:-1] > 0) & (called[1:] > 0)
        growth = np.where(both, _ratio(called[:-1], called[1:]), 1.0)
        growth = np.where(growth > 0, growth, 1.0)
        whole = np.broadcast_to(self._positives, more.shape)
        areas: _Counts = _ratio(slope * (more + start * np.log(growth)), whole).sum(axis=0)
        return areas


class _At(_Thresholds):
    """The best of one rate among thresholds where another is large enough."""

    # Which of (recall, precision, specificity) is bounded, and which is returned.
    bounded: ClassVar[int]
    returned: ClassVar[int]

    def __init__(
        self, bound: float, num_thresholds: int, class_id: int | None, name: str | None, dtype: Any
    ) -> None:
        self.num_thresholds = check_integer("num_thresholds", num_thresholds, 1)
        self.class_id = None if class_id is None else check_integer("class_id", class_id)
        count = self.num_thresholds
        self._limits = np.array([0.5]) if count == 1 else np.arange(count) / (count - 1)
        self._bound, self.dtype = bound, dtype
        super().__init__(name)

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch; with `class_id` of that column alone."""
        if self.class_id is not None:
            true, pred = as_columns(y_true, y_pred, self.name)
            y_true, y_pred = true[:, [self.class_id]], pred[:, [self.class_id]]
        super().update_state(y_true, y_pred, sample_weight)

    def result(self) -> float:
        """The best rate; 0 if no threshold is good enough."""
        if np.ndim(self._hits) == 0:
            return 0.0
        rates = self._rates()
        allowed = rates[self.bounded] >= self._bound
        return float(np.where(allowed, rates[self.returned], 0.0).max(initial=0.0))


def _bound(name: str, value: float) -> float:
    if not 0.0 <= as_number(value) <= 1.0:
        raise ValueError(f"{name} must be in [0, 1]. Received: {name}={value!r}")
    return float(value)


class PrecisionAtRecall(_At):
    """Best precision among thresholds whose recall is at least `recall`.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.PrecisionAtRecall(0.5)
    >>> metric.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    >>> metric.result()
    0.5
    """

    bounded, returned = 0, 1

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.recall = _bound("recall", recall)
        super().__init__(self.recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_At):
    """Best recall among thresholds whose precision is at least `precision`.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.RecallAtPrecision(0.8)
    >>> metric.update_state([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    >>> metric.result()
    0.5
    """

    bounded, returned = 1, 0

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.precision = _bound("precision", precision)
        super().__init__(self.precision, num_thresholds, class_id, name, dtype)


class SensitivityAtSpecificity(_At):
    """Best sensitivity (recall) among thresholds whose specificity is at least `specificity`.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.SensitivityAtSpecificity(0.5)
    >>> metric.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    >>> metric.result()
    0.5
    """

    bounded, returned = 2, 0

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.specificity = _bound("specificity", specificity)
        super().__init__(self.specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_At):
    """Best specificity among thresholds whose sensitivity (recall) is at least `sensitivity`.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.SpecificityAtSensitivity(0.5)
    >>> metric.update_state([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    >>> round(metric.result(), 4)
    0.6667
    """

    bounded, returned = 0, 2

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.sensitivity = _bound("sensitivity", sensitivity)
        super().__init__(self.sensitivity, num_thresholds, class_id, name, dtype)
