"""Layer 6: losses and metrics of several outputs, whose targets lie side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dropfast.arrays import Array
from dropfast.losses import Loss
from dropfast.metrics import Metric


@dataclass(frozen=True)
class Part:
    """One output: its loss, and its columns among the predictions and the targets."""

    name: str
    loss: Loss | None
    weight: float
    shape: tuple[int, ...]
    columns: slice
    targets: slice

    def prediction(self, y_pred: Array) -> Array:
        """Its predictions, in their own shape."""
        return y_pred[:, self.columns].reshape(len(y_pred), *self.shape)

    def target(self, y_true: Array, dtype: Any) -> Array:
        """Its targets, as its loss takes them."""
        found = y_true[:, self.targets]
        if self.loss is not None and self.loss.target == "labels":
            return found[:, 0].astype(np.int64)
        return np.ascontiguousarray(found, dtype).reshape(len(found), *self.shape)


class _Several(Loss):
    """The weighted sum of the losses of several outputs.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> from dropfast.training.several import Part, _Several
    >>> parts = [
    ...     Part(name, df.losses.get("mse"), weight, (1,), slice(i, i + 1), slice(i, i + 1))
    ...     for i, (name, weight) in enumerate([("a", 1.0), ("b", 0.5)])
    ... ]
    >>> _Several(parts).call(np.zeros((1, 2)), np.array([[1.0, 2.0]])).tolist()
    [3.0]
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = list(parts)

    def with_logits(self, losses: Sequence[Loss | None]) -> _Several:
        """The same with other losses where one is given."""
        pairs = zip(self.parts, losses, strict=True)
        return _Several(
            [part if loss is None else replace(part, loss=loss) for part, loss in pairs]
        )

    def call(self, y_true: Array, y_pred: Array) -> NDArray[np.float64]:
        """Loss of each row, shape (n,)."""
        total = np.zeros(len(y_pred))
        for part in self.parts:
            if part.loss is not None:
                values = part.loss.call(*_ready(part, y_true, y_pred))
                total += part.weight * np.asarray(values, np.float64)
        return total

    def gradient(self, y_true: Array, y_pred: Array, weights: Array) -> Array:
        """Gradient of sum(weights * losses) with respect to y_pred."""
        found = np.zeros_like(y_pred)
        for part in self.parts:
            if part.loss is not None:
                share = weights * weights.dtype.type(part.weight)
                gradient = part.loss.gradient(*_ready(part, y_true, y_pred), share)
                found[:, part.columns] = gradient.reshape(len(y_pred), -1)
        return found


def _ready(part: Part, y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    prediction = np.ascontiguousarray(part.prediction(y_pred))
    return part.target(y_true, prediction.dtype), prediction


class _OfPart(Metric):
    """A metric of one output."""

    def __init__(self, part: Part, metric: Metric, name: str, weighted: bool = False) -> None:
        self.part, self.metric, self.weighted = part, metric, weighted
        super().__init__(name)

    def reset_state(self) -> None:
        """Forget all rows."""
        self.metric.reset_state()

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch of all outputs."""
        targets, predictions = _ready(self.part, np.asarray(y_true), np.asarray(y_pred))
        self.metric.update_state(targets, predictions, sample_weight)

    def result(self) -> float:
        """The value over all rows so far."""
        return self.metric.result()


class _LossOfPart(Metric):
    """The loss of one output by itself, mean over rows."""

    weighted = True

    def __init__(self, part: Part) -> None:
        self.part = part
        super().__init__(f"{part.name}_loss")

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Add a batch of all outputs; weights multiply, as in the loss."""
        if self.part.loss is not None:
            ready = _ready(self.part, np.asarray(y_true), np.asarray(y_pred))
            values = np.asarray(self.part.loss.call(*ready), np.float64)
            if sample_weight is not None:
                values = values * np.asarray(sample_weight, np.float64)
            self.total, self.count = self.total + float(values.sum()), self.count + len(values)
