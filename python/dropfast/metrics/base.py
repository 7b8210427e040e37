"""Layer 6: what every metric is: a mean over rows that are fed batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from dropfast.arrays import Array, as_numeric
from dropfast.checks import check_name
from dropfast.configurable import Configurable, snake_case
from dropfast.matching import as_labels, as_predictions, as_row_weights, as_values


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
    planned = False
    # What y_true holds: "labels", "values" in the shape of the predictions, or "any".
    target: ClassVar[str] = "any"

    def __init__(self, name: str | None = None) -> None:
        self.name = snake_case(type(self).__name__) if name is None else check_name(name)
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
        true, pred = self.matched(y_true, y_pred)
        values = np.asarray(self.rows(true, pred), np.float64)
        if values.shape != (len(pred),):
            raise ValueError(
                f"metric {self.name!r} must return one value a row, shape ({len(pred)},). "
                f"Received: shape {values.shape}"
            )
        if sample_weight is None:
            self.total, self.count = self.total + float(values.sum()), self.count + len(values)
        else:
            weights = self.weights_of(sample_weight, len(values))
            self.total += float((values * weights).sum())
            self.count += float(weights.sum())

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike = (), sample_weight: ArrayLike | None = None
    ) -> Any:
        """Add a batch, and return the value over all rows so far; arguments as `update_state`."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def matched(self, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
        """Targets and predictions in the form that `rows` takes, or an error that names shapes."""
        pred = as_predictions(y_pred)
        if self.target == "labels":
            return as_labels(y_true, *pred.shape), pred
        if self.target == "values":
            return as_values(y_true, *pred.shape), pred
        return as_numeric("y_true", y_true), pred

    def weights_of(self, sample_weight: ArrayLike | None, rows: int) -> Array:
        """One weight a row; 1 where none are given."""
        weights = as_row_weights(sample_weight, rows)
        return np.ones(rows) if weights is None else weights

    def result(self) -> float:
        """The value over all rows so far; 0 if there was none."""
        return self.total / self.count if self.count else 0.0


class Call(Metric):
    """A function ``f(y_true, y_pred)`` of your own: one value a row, or one value a batch.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> metric = df.metrics.Call(lambda y_true, y_pred: abs(y_pred - y_true).max(axis=-1), "worst")
    >>> metric.update_state(np.zeros((1, 2)), np.array([[1.0, -3.0]]))
    >>> metric.name, metric.result()
    ('worst', 3.0)
    """

    def __init__(self, function: Callable[[Array, Array], Any], name: str | None = None) -> None:
        self.function = function
        super().__init__(name or getattr(function, "__name__", "metric"))

    def rows(self, y_true: Array, y_pred: Array) -> Array:
        """The function's values; one value stands for all rows of the batch."""
        values = np.asarray(self.function(y_true, y_pred), np.float64)
        return np.full(len(y_pred), float(values)) if values.ndim == 0 else values


class Mean(Metric):
    """Mean of values fed by `update_state(values)`.

    Examples
    --------
    >>> import dropfast as df
    >>> metric = df.metrics.Mean()
    >>> metric.update_state([1.0, 2.0, 6.0])
    >>> metric.result()
    3.0
    """

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike = (), sample_weight: ArrayLike | None = None
    ) -> None:
        """Add values; the second argument is ignored."""
        values = np.asarray(as_numeric("values", y_true), np.float64).ravel()
        weights = self.weights_of(sample_weight, len(values))
        self.total += float((values * weights).sum())
        self.count += float(weights.sum())
