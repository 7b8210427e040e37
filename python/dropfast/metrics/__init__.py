"""Layer 6: metrics, most of them means over rows fed batch by batch; names are Keras 3's."""

from __future__ import annotations

from typing import Any

from dropfast import losses
from dropfast.configurable import resolve
from dropfast.metrics.accuracy import (
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from dropfast.metrics.base import Call, Mean, Metric
from dropfast.metrics.confusion import (
    F1Score,
    FalseNegatives,
    FalsePositives,
    FBetaScore,
    TrueNegatives,
    TruePositives,
)
from dropfast.metrics.counts import Precision, Recall
from dropfast.metrics.distance import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanAbsoluteError,
    MeanSquaredError,
    R2Score,
    RootMeanSquaredError,
    SparseCategoricalCrossentropy,
)
from dropfast.metrics.further import (
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Poisson,
    SquaredHinge,
    Sum,
)
from dropfast.metrics.simple import Accuracy, MeanMetricWrapper
from dropfast.metrics.thresholds import (
    AUC,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "Call",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "for_loss",
    "get",
]

_ALIASES = {
    "mse": "MeanSquaredError",
    "mae": "MeanAbsoluteError",
    "rmse": "RootMeanSquaredError",
    "bce": "BinaryCrossentropy",
    "f1": "F1Score",
    "mape": "MeanAbsolutePercentageError",
    "msle": "MeanSquaredLogarithmicError",
    "kld": "KLDivergence",
    "logcosh": "LogCoshError",
    "log_cosh": "LogCoshError",
}


def get(identifier: Any) -> Metric:
    """The metric that a name, class, config, function or object stands for.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> import dropfast as df
    >>> df.metrics.get("mae").name
    'mean_absolute_error'
    """
    if callable(identifier) and not isinstance(identifier, type | Metric):
        return Call(identifier)
    found: Metric = resolve("metric", identifier, _ALIASES)
    return found


def for_loss(identifier: Any, loss: losses.Loss, units: int) -> Metric:
    """As `get`, where "accuracy" and "crossentropy" take the form that fits the loss.

    Examples
    --------
    >>> import dropfast as df
    >>> type(df.metrics.for_loss("accuracy", df.losses.get("binary_crossentropy"), 1)).__name__
    'BinaryAccuracy'
    """
    short = {"accuracy": "accuracy", "acc": "accuracy", "crossentropy": "crossentropy"}
    if not isinstance(identifier, str):
        return get(identifier)
    if identifier.lower() not in short:
        metric = get(identifier)
        # Logs and history speak of a metric as the user does.
        metric.name = identifier
        return metric
    what = short[identifier.lower()].capitalize()
    # Keras 3 goes by shapes alone: one unit, a label a row, or as many values as units.
    if units == 1:
        prefix = "Binary"
    elif loss.target == "labels":
        prefix = "SparseCategorical"
    else:
        prefix = "Categorical"
    metric = get(f"{prefix}{what}")
    metric.name = identifier
    return metric


_LOSSES = (
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
)
_ROWS = {
    "binary_accuracy": BinaryAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
    "top_k_categorical_accuracy": TopKCategoricalAccuracy,
}


def __getattr__(name: str) -> Any:
    """Functions that give the value of each row: losses', and those of the accuracies."""
    if name in _LOSSES:
        return getattr(losses, name)
    if name not in _ROWS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def rows(y_true: Any, y_pred: Any, *settings: Any, **named: Any) -> Any:
        metric = _ROWS[name](*settings, **named)
        return metric.rows(*metric.matched(y_true, y_pred))

    rows.__name__ = rows.__qualname__ = name
    rows.__doc__ = f"Value of each row; see `{_ROWS[name].__name__}`."
    return rows


def __dir__() -> list[str]:
    return sorted({*globals(), *_LOSSES, *_ROWS})
