"""Layer 6: metrics, most of them means over rows fed batch by batch; names are Keras 3's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dropfast import losses
from dropfast.arrays import Array
from dropfast.configurable import Configurable, resolve, snake_case

_ALIASES = {
    "mse": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
    "rmse": "RootMeanSquaredError",
}
Rows = NDArray[np.float64]


class Metric(Configurable):
    """Base: the mean over rows of what `rows` returns.

    A metric of your own overrides `rows`, or `update_state`, `result` and `reset_state`.

    Parameters
    ----------
    name
        Name in logs and history; None takes the class's.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> class LargestError(df.metrics.Metric):
    ...     def rows(self, y_true, y_pred):
    ...         return abs(y_pred - y_true).max(axis=-1)
    >>> metric = LargestError()
    >>> metric.update_state(np.zeros((2, 2)), np.array([[1.0, 3.0], [0.0, 1.0]]))
    >>> metric.name, metric.result()
    ('largest_error', 2.0)
    """

    kind = "metric"

    def __init__(self, name: str | None = None) -> None:
        self.name = snake_case(type(self).__name__) if name is None else str(name)
        self.reset_state()

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """Value of each row, shape (n,)."""
        raise NotImplementedError(f"{type(self).__name__} must define rows(y_true, y_pred)")

    def reset_state(self) -> None:
        """Forget all rows."""
        self.total, self.count = 0.0, 0.0

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch.

        Parameters
        ----------
        y_true
            Labels (n,) or values (n, units).
        y_pred
            Predictions (n, units).
        sample_weight
            One weight a row, or None.
        """
        pred = np.asarray(y_pred)
        values = np.asarray(self.rows(np.asarray(y_true), pred), np.float64)
        if values.shape != (len(pred),):
            raise ValueError(
                f"metric {self.name!r} must return one value a row, shape ({len(pred)},). "
                f"Received: shape {values.shape}"
            )
        if sample_weight is None:
            self.total, self.count = self.total + float(values.sum()), self.count + len(values)
        else:
            weights = np.asarray(sample_weight, np.float64)
            self.total += float((values * weights).sum())
            self.count += float(weights.sum())

    def result(self) -> float:
        """The value over all rows so far; 0 if there was none."""
        return self.total / self.count if self.count else 0.0


class Call(Metric):
    """A function ``f(y_true, y_pred)`` of your own: one value a row, or one value a batch."""

    def __init__(self, function: Callable[[Array, Array], Any], name: str | None = None) -> None:
        self.function = function
        super().__init__(name or getattr(function, "__name__", "metric"))

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """The function's values; one value stands for all rows of the batch."""
        values = np.asarray(self.function(y_true, y_pred), np.float64)
        return np.full(len(y_pred), float(values)) if values.ndim == 0 else values


class Mean(Metric):
    """Mean of values fed by `update_state(values)`."""

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike = (), sample_weight: ArrayLike | None = None
    ) -> None:
        """Add values; the second argument is ignored."""
        values = np.asarray(y_true, np.float64).ravel()
        weights = np.ones_like(values) if sample_weight is None else np.asarray(sample_weight)
        self.total += float((values * weights).sum())
        self.count += float(weights.sum())


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

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """1 where right."""
        right: Array = y_pred.argmax(axis=-1) == y_true.reshape(len(y_pred))
        return right


class CategoricalAccuracy(Metric):
    """Share of rows whose largest prediction is where the largest target is."""

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """1 where right."""
        right: Array = y_pred.argmax(axis=-1) == y_true.argmax(axis=-1)
        return right


class BinaryAccuracy(Metric):
    """Share of values on the right side of `threshold`."""

    def __init__(self, name: str | None = None, threshold: float = 0.5) -> None:
        self.threshold = threshold
        super().__init__(name)

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """Mean over units of 1 where right."""
        right = (y_pred > self.threshold) == (y_true.reshape(y_pred.shape) > 0.5)
        share: Array = right.reshape(len(y_pred), -1).mean(axis=-1)
        return share


class SparseTopKCategoricalAccuracy(Metric):
    """Share of rows whose label is among the k largest predictions."""

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        self.k = k
        super().__init__(name)

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """1 where fewer than k predictions are larger than the label's."""
        own = np.take_along_axis(y_pred, y_true.reshape(len(y_pred), 1).astype(np.intp), axis=1)
        right: Array = (y_pred > own).sum(axis=1) < self.k
        return right


class TopKCategoricalAccuracy(SparseTopKCategoricalAccuracy):
    """The same for targets that are rows of probabilities."""

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """1 where fewer than k predictions are larger than the label's."""
        return super().rows(y_true.argmax(axis=-1), y_pred)


class _LossMean(Metric):
    loss: ClassVar[type[losses.Loss]]

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """The loss of each row."""
        loss = self.loss()
        return loss.call(loss.as_target(y_true, y_pred), y_pred)


class MeanSquaredError(_LossMean):
    """Mean of squared errors."""

    loss = losses.MeanSquaredError


class MeanAbsoluteError(_LossMean):
    """Mean of absolute errors."""

    loss = losses.MeanAbsoluteError


class SparseCategoricalCrossentropy(_LossMean):
    """Mean cross-entropy of probabilities and labels."""

    loss = losses.SparseCategoricalCrossentropy


class CategoricalCrossentropy(_LossMean):
    """Mean cross-entropy of probabilities and target rows."""

    loss = losses.CategoricalCrossentropy


class BinaryCrossentropy(_LossMean):
    """Mean cross-entropy of probabilities and binary targets."""

    loss = losses.BinaryCrossentropy


class RootMeanSquaredError(_LossMean):
    """Root of the mean of squared errors."""

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

    def reset_state(self) -> None:
        """Forget all rows."""
        super().reset_state()
        self.sums: Array | None = None

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch."""
        pred = np.asarray(y_pred, np.float64)
        true = np.asarray(y_true, np.float64).reshape(pred.shape)
        weights = np.ones(len(pred)) if sample_weight is None else np.asarray(sample_weight)
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
    """Share of positive predictions that are right."""

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


def get(identifier: Any) -> Metric:
    """The metric that a name, class, config, function or object stands for.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if callable(identifier) and not isinstance(identifier, type):
        return Call(identifier)
    found: Metric = resolve("metric", identifier, _ALIASES)
    return found


def for_loss(identifier: Any, loss: losses.Loss, units: int) -> Metric:
    """As `get`, where "accuracy" and "crossentropy" take the form that fits the loss."""
    short = {"accuracy": "accuracy", "acc": "accuracy", "crossentropy": "crossentropy"}
    if not isinstance(identifier, str) or identifier.lower() not in short:
        return get(identifier)
    what = short[identifier.lower()].capitalize()
    if loss.target == "labels":
        prefix = "SparseCategorical"
    elif isinstance(loss, losses.BinaryCrossentropy) or units == 1:
        prefix = "Binary"
    else:
        prefix = "Categorical"
    metric = get(f"{prefix}{what}")
    metric.name = identifier
    return metric
