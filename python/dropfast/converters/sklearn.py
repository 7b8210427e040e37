"""Layer 7: from_sklearn: a fitted network of scikit-learn, and a scaler before it, as a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from dropfast import activations, layers
from dropfast.models import Sequential
from dropfast.random import check_seed, draw_seed

_ACTIVATIONS = {
    "identity": "linear",
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "softmax": "softmax",
    # Of a Poisson loss.
    "exp": "exponential",
}


def from_sklearn(estimator: Any, *, seed: int | None = None) -> Sequential:
    """See `dropfast.converters.from_sklearn`."""
    *before, network = _steps(estimator)
    if not isinstance(network, MLPClassifier | MLPRegressor):
        raise TypeError(
            "estimator must be an MLPClassifier, an MLPRegressor or a Pipeline that ends in one. "
            f"Received: {type(network).__name__}"
        )
    if not hasattr(network, "coefs_"):
        raise ValueError(f"estimator must be fitted. Received: {network}, which is not")
    dtype = np.result_type(*network.coefs_)
    row: list[Any] = [_scaling(step, network.coefs_[0].shape[0]) for step in before]
    hidden = [_ACTIVATIONS[network.activation]] * (len(network.coefs_) - 1)
    last = _ACTIVATIONS.get(network.out_activation_, "")
    if last not in activations.NAMES:
        raise ValueError(
            "estimator must have an output that dropfast knows. "
            f"Received: out_activation_={network.out_activation_!r}"
        )
    weights: list[Any] = []
    for kernel, bias, name in zip(
        network.coefs_, network.intercepts_, [*hidden, last], strict=True
    ):
        row.append(layers.Dense(kernel.shape[1], name))
        weights += [kernel, bias]
    seed = draw_seed() if seed is None else check_seed(seed)
    found = Sequential(row, seed=seed, dtype=dtype)
    found.build((None, network.n_features_in_ if not before else before[0].n_features_in_))
    found.set_weights(weights)
    return found


def _steps(estimator: Any) -> list[Any]:
    if not isinstance(estimator, Pipeline):
        return [estimator]
    found = [step for _, step in estimator.steps if step not in (None, "passthrough")]
    if not found:
        raise TypeError("estimator must have steps. Received: a Pipeline without any")
    return found


def _scaling(step: Any, features: int) -> layers.Normalization:
    """A scaler as a layer."""
    if type(step) is not StandardScaler:
        raise TypeError(
            f"steps before the network must be StandardScalers. Received: {type(step).__name__}"
        )
    if not hasattr(step, "scale_"):
        raise ValueError(f"estimator must be fitted. Received: {step}, which is not")
    mean = np.zeros(features) if step.mean_ is None or not step.with_mean else step.mean_
    scale = np.ones(features) if step.scale_ is None else step.scale_
    return layers.Normalization(mean=mean, variance=np.square(scale))
