"""Layer 7: the estimators' parameters: their constraints, and what they stand for in dropfast.

Checks of single values are scikit-learn's, by `CONSTRAINTS`; here is what depends on two of them.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

import dropfast.layers as layers_of
from dropfast import activations, constraints, optimizers, regularizers, schedules

# Names of scikit-learn -> names of Keras. Other names are taken as Keras'.
_ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid"}

_RATE = [Interval(Real, 0, 1, closed="left"), schedules.Schedule, callable]
_SHARE = [Interval(Real, 0, 1, closed="left")]
_NOT_NEGATIVE = [Interval(Real, 0, None, closed="left")]
_POSITIVE = [Interval(Real, 0, None, closed="neither")]
_COUNT = [Interval(Integral, 1, None, closed="left")]

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", *_COUNT],
    "activation": [
        StrOptions({*_ACTIVATIONS, *activations.NAMES} - {"softmax"}),
        activations.Function,
        "array-like",
    ],
    "dropout": [*_RATE, "array-like"],
    "input_dropout": _RATE,
    "rows_per_mask": [Interval(Integral, 0, None, closed="left")],
    "max_norm": [*_POSITIVE, None],
    "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
    "alpha": _NOT_NEGATIVE,
    "batch_size": [StrOptions({"auto"}), *_COUNT],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": _POSITIVE,
    "power_t": _NOT_NEGATIVE,
    "max_iter": _COUNT,
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": _NOT_NEGATIVE,
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": _SHARE,
    "scoring": [StrOptions({"loss"}), str, callable, None],
    "beta_1": _SHARE,
    "beta_2": _SHARE,
    "epsilon": _POSITIVE,
    "n_iter_no_change": [*_COUNT, Options(Real, {np.inf})],
    "max_fun": _COUNT,
    "callbacks": [HasMethods("on_epoch_end"), "array-like", None],
    "n_threads": [*_COUNT, None],
}


def hidden_units(estimator: Any) -> list[int]:
    """Units of the hidden layers.

    Raises
    ------
    ValueError
        If one is not a positive integer.
    """
    given = estimator.hidden_layer_sizes
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    if any(isinstance(size, bool) or not isinstance(size, Integral) for size in sizes):
        raise ValueError(
            "hidden_layer_sizes must hold integers. "
            f"Received: hidden_layer_sizes={estimator.hidden_layer_sizes!r}"
        )
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def rates(estimator: Any) -> list[Any]:
    """Drop rates, numbers or schedules: of the inputs, then behind each hidden layer.

    Raises
    ------
    ValueError
        If one is outside [0, 1), or there is not one for each hidden layer.
    """
    found = _one_each(estimator, "dropout", schedules.Schedule)
    for rate in found:
        number = isinstance(rate, Real) and not isinstance(rate, bool)
        if not callable(rate) and not (number and 0.0 <= rate < 1.0):
            raise ValueError(
                f"dropout must hold numbers in [0, 1) or schedules. Received: dropout={rate!r}"
            )
    every = [estimator.input_dropout, *found]
    return [rate if callable(rate) else float(rate) for rate in every]


def hidden_activations(estimator: Any) -> list[activations.Function]:
    """Activation of each hidden layer.

    Raises
    ------
    ValueError
        If one is unknown, or there is not one for each hidden layer.
    """
    found = _one_each(estimator, "activation", (str, activations.Function))
    return [activations.get(_ACTIVATIONS.get(name, name)) for name in found]


def _one_each(estimator: Any, name: str, single: Any) -> list[Any]:
    """The values of a parameter that is one for all hidden layers, or one for each."""
    given, count = getattr(estimator, name), len(hidden_units(estimator))
    if isinstance(given, single) or not hasattr(given, "__iter__"):
        return [given] * count
    found = list(given)
    if len(found) != count:
        raise ValueError(
            f"{name} must be one value, or one for each hidden layer. "
            f"Received: {name}={given!r} for {count} hidden layers"
        )
    return found


def layers(
    estimator: Any, outputs: int, activation: str, penalty: regularizers.Regularizer | None
) -> list[layers_of.Layer]:
    """The layers of the network.

    Parameters
    ----------
    estimator
        Who holds the parameters.
    outputs
        Units of the last layer.
    activation
        Of the last layer, in scikit-learn's or Keras' words.
    penalty
        One object for the weights of all layers.
    """
    limit = None if estimator.max_norm is None else constraints.MaxNorm(float(estimator.max_norm))
    first, *others = rates(estimator)
    found: list[layers_of.Layer] = [layers_of.Dropout(first)] if first != 0.0 else []
    names = hidden_activations(estimator)
    for units, name, rate in zip(hidden_units(estimator), names, others, strict=True):
        found.append(_dense(units, name, penalty, limit))
        if rate != 0.0:
            found.append(layers_of.Dropout(rate))
    last = activations.get(_ACTIVATIONS.get(activation, activation))
    return [*found, _dense(outputs, last, penalty, None)]


def _dense(units: int, activation: Any, penalty: Any, limit: Any) -> layers_of.Dense:
    """A layer whose weights are set once it is built, so nothing is drawn for them."""
    return layers_of.Dense(
        units,
        activation,
        kernel_initializer="zeros",
        kernel_regularizer=penalty,
        kernel_constraint=limit,
    )


def optimizer(estimator: Any) -> optimizers.Optimizer:
    """The optimizer that `solver` stands for."""
    rate = float(estimator.learning_rate_init)
    if estimator.solver == "adam":
        return optimizers.Adam(
            rate, float(estimator.beta_1), float(estimator.beta_2), float(estimator.epsilon)
        )
    # A momentum of 1 is allowed by scikit-learn; the nearest number below it is the same in effect.
    momentum = min(float(estimator.momentum), float(np.nextafter(1.0, 0.0)))
    return optimizers.SGD(rate, momentum, bool(estimator.nesterovs_momentum) and momentum > 0)


def settle_rate(estimator: Any, optimizer: optimizers.Optimizer, rows_seen: int) -> None:
    """The learning rate of the next epoch, after so many rows have been seen."""
    if estimator.solver == "sgd" and estimator.learning_rate == "invscaling":
        optimizer.learning_rate = (
            estimator.learning_rate_init / float(rows_seen + 1) ** estimator.power_t
        )
