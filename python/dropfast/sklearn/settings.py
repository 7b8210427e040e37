"""Layer 7: the hyperparameters of the estimators, checked when `fit` starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import dropfast.layers as layers_of
from dropfast import constraints, optimizers, regularizers

# Names of scikit-learn -> names of Keras. Other names are taken as Keras'.
_ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid"}
_SOLVERS = ("adam", "sgd")


def check(estimator: Any) -> None:
    """Refuse hyperparameters outside their range.

    Raises
    ------
    ValueError
        If there is one; it is named.
    """
    hidden_units(estimator)
    rates(estimator)
    _number(estimator, "alpha", 0.0)
    _number(estimator, "tol", 0.0)
    _number(estimator, "momentum", 0.0, 1.0)
    _number(estimator, "learning_rate_init", 0.0, above=True)
    _number(estimator, "validation_fraction", 0.0, 1.0, above=True)
    _count(estimator, "max_iter")
    _count(estimator, "n_iter_no_change")
    if estimator.max_norm is not None:
        _number(estimator, "max_norm", 0.0, above=True)
    if not (isinstance(estimator.batch_size, str) and estimator.batch_size == "auto"):
        _count(estimator, "batch_size", "'auto' or ")
    if estimator.solver not in _SOLVERS:
        raise ValueError(
            f"solver must be one of {', '.join(_SOLVERS)}. Received: solver={estimator.solver!r}"
        )


def hidden_units(estimator: Any) -> list[int]:
    """Units of the hidden layers."""
    given = estimator.hidden_layer_sizes
    sizes = [given] if hasattr(given, "__index__") else list(given)
    if not all(_is_count(size) for size in sizes):
        raise ValueError(
            "hidden_layer_sizes must hold positive integers. "
            f"Received: hidden_layer_sizes={given!r}"
        )
    return [int(size) for size in sizes]


def rates(estimator: Any) -> list[float]:
    """Drop rates: of the inputs, then behind each hidden layer."""
    count = len(hidden_units(estimator))
    given = estimator.dropout
    found = list(given) if isinstance(given, Sequence | tuple) else [given] * count
    if len(found) != count:
        raise ValueError(
            "dropout must be a number, or one for each hidden layer. "
            f"Received: dropout={given!r} for {count} hidden layers"
        )
    for name, rate in [
        ("input_dropout", estimator.input_dropout),
        *(("dropout", r) for r in found),
    ]:
        if isinstance(rate, bool) or not hasattr(rate, "__float__") or not 0.0 <= rate < 1.0:
            raise ValueError(f"{name} must be in [0, 1). Received: {name}={rate!r}")
    return [float(estimator.input_dropout), *map(float, found)]


def batch_rows(estimator: Any, rows: int) -> int:
    """Rows of a batch."""
    size = 200 if estimator.batch_size == "auto" else int(estimator.batch_size)
    return min(size, rows)


def layers(estimator: Any, outputs: int, activation: str, rows: int) -> list[layers_of.Layer]:
    """The layers of the network.

    Parameters
    ----------
    estimator
        Who holds the hyperparameters.
    outputs
        Units of the last layer.
    activation
        Of the last layer.
    rows
        Rows of a batch, which scikit-learn divides the penalty by.
    """
    name = _ACTIVATIONS.get(estimator.activation, estimator.activation)
    limit = None if estimator.max_norm is None else constraints.MaxNorm(float(estimator.max_norm))
    penalty = regularizers.L2(estimator.alpha / (2 * rows)) if estimator.alpha else None
    first, *others = rates(estimator)
    found: list[layers_of.Layer] = [layers_of.Dropout(first)] if first else []
    for units, rate in zip(hidden_units(estimator), others, strict=True):
        found.append(
            layers_of.Dense(units, name, kernel_regularizer=penalty, kernel_constraint=limit)
        )
        if rate:
            found.append(layers_of.Dropout(rate))
    return [*found, layers_of.Dense(outputs, activation, kernel_regularizer=penalty)]


def optimizer(estimator: Any) -> optimizers.Optimizer:
    """The optimizer that `solver` stands for."""
    rate = float(estimator.learning_rate_init)
    if estimator.solver == "adam":
        return optimizers.Adam(rate)
    nesterov = bool(estimator.nesterovs_momentum) and estimator.momentum > 0
    return optimizers.SGD(rate, float(estimator.momentum), nesterov)


def _is_count(value: Any) -> bool:
    return not isinstance(value, bool) and hasattr(value, "__index__") and value > 0


def _count(estimator: Any, name: str, also: str = "") -> None:
    value = getattr(estimator, name)
    if not _is_count(value):
        raise ValueError(f"{name} must be {also}a positive integer. Received: {name}={value!r}")


def _number(
    estimator: Any, name: str, least: float, below: float = math.inf, above: bool = False
) -> None:
    """Refuse what is not a number in [least, below), or (least, below) with `above`."""
    value = getattr(estimator, name)
    number = not isinstance(value, bool) and hasattr(value, "__float__")
    if not (number and least <= value < below) or (above and value == least):
        start = f"({least:g}" if above else f"[{least:g}"
        raise ValueError(f"{name} must be in {start}, {below:g}). Received: {name}={value!r}")
