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
