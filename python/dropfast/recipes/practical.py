"""Layer 6: the practical guide to dropout as code (Srivastava et al. 2014, appendix A).

They write p for the probability to *keep* a unit; `rate` here is the probability to drop it,
rate = 1 - p.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dropfast import optimizers
from dropfast.constraints import MaxNorm
from dropfast.graph import SymbolicTensor
from dropfast.layers import Dense, Dropout, Input, Layer
from dropfast.models import Sequential
from dropfast.recipes.base import Recipe


def practical_guide(
    model: Sequential,
    *,
    input_rate: float = 0.2,
    hidden_rate: float = 0.5,
    widen: bool = True,
    learning_rate_factor: float = 10.0,
    momentum: float | None = 0.95,
    max_norm: float | None = 3.0,
    epochs: int = 100,
    batch_size: int = 128,
    metrics: Sequence[Any] = ("accuracy",),
    seed: int | None = None,
) -> Recipe:
    """Turn a plain network into the dropout setting of Srivastava et al. 2014, appendix A.

    Each part can be switched off, to see what it does.

    Parameters
    ----------
    model
        A compiled `Sequential` without dropout, trained by SGD. It stays as it is.
    input_rate
        Rate before the first dense layer: 0.2 for real-valued input (A.4: keep 0.8).
    hidden_rate
        Rate before each later dense layer: 0.2 to 0.5 (A.4: keep 0.5 to 0.8).
    widen
        Give a hidden layer of n units ceil(n / (1 - hidden_rate)) of them (A.1), so that as many as
        before are there in a step.
    learning_rate_factor
        Times the plain network's effective rate, learning_rate / (1 - momentum): 10 to 100 (A.2).
    momentum
        0.95 to 0.99 (A.2); None keeps the plain network's.
    max_norm
        Bound of the norm of each hidden unit's incoming weights, 3 to 4 (A.3); None for none.
    epochs, batch_size
        As in `Sequential.fit`. Dropout needs more epochs than the plain network does.
    metrics
        As in `Sequential.compile`.
    seed
        Seed of the new model; None draws one.

    Returns
    -------
    Recipe
        The new model, compiled with the old one's loss.

    Notes
    -----
    The paper's updates are v = momentum * v - (1 - momentum) * rate * g (Hinton et al. 2012,
    appendix A.1), ours, as Keras', v = momentum * v - learning_rate * g. So learning_rate here is
    (1 - momentum) times the paper's: without that, a rate raised tenfold and a momentum of 0.95
    together make steps 200 times as long, and units die.

    Raises
    ------
    ValueError
        If the model has dropout already, is not built or not compiled with SGD, or has no dense
        layer; or a rate is not in [0, 1).

    Examples
    --------
    >>> import dropfast as df
    >>> plain = df.Sequential(
    ...     [df.layers.Input((784,)), df.layers.Dense(100, "relu"), df.layers.Dense(10, "softmax")]
    ... )
    >>> plain.compile(df.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    >>> recipe = practical_guide(plain, seed=0)
    >>> [layer.units for layer in recipe.model.layers if isinstance(layer, df.layers.Dense)]
    [200, 10]
    >>> recipe.model.optimizer.learning_rate, recipe.model.optimizer.momentum
    (0.005, 0.95)
    """
    for name, rate in (("input_rate", input_rate), ("hidden_rate", hidden_rate)):
        if not 0 <= rate < 1:
            raise ValueError(f"{name} must be in [0, 1). Received: {name}={rate!r}")
    optimizer, dense = _plain(model)
    layers: list[Layer | SymbolicTensor] = [Input(model.input_shape[1:])]
    for layer in model.layers:
        if isinstance(layer, Dense):
            rate = input_rate if layer is dense[0] else hidden_rate
            layers += [Dropout(rate)] if rate else []
        hidden = isinstance(layer, Dense) and layer is not dense[-1]
        keep = 1 - hidden_rate if widen else 1.0
        layers.append(_guided(layer, keep, max_norm) if hidden else _copy(layer))
    config = optimizer.get_config()
    config["momentum"] = optimizer.momentum if momentum is None else momentum
    effective = learning_rate_factor * optimizer.learning_rate_at(0) / (1 - optimizer.momentum)
    config["learning_rate"] = round(effective * (1 - config["momentum"]), 12)
    guided = Sequential(layers, seed=seed, dtype=model.dtype)
    guided.compile(optimizers.SGD.from_config(config), model.loss, metrics=metrics)
    return Recipe(guided, {"epochs": epochs, "batch_size": batch_size})


def _plain(model: Sequential) -> tuple[optimizers.SGD, list[Dense]]:
    """Optimizer and dense layers of a model that the guide can be applied to."""
    dense = [layer for layer in model.layers if isinstance(layer, Dense)]
    if not model.built or not dense:
        shown = "no Dense layer" if model.built else "a model without input shape"
        raise ValueError(f"model must be built and have a Dense layer. Received: {shown}")
    stochastic = next((layer for layer in model.layers if layer.stochastic), None)
    if stochastic is not None:
        raise ValueError(f"model must have no dropout yet. Received: {stochastic!r}")
    if not isinstance(model.optimizer, optimizers.SGD):
        raise ValueError(f"model must be compiled with SGD. Received: {model.optimizer!r}")
    return model.optimizer, dense


def _copy(layer: Layer, **changes: Any) -> Layer:
    """A layer of the same kind and arguments but for the changes, with weights of its own."""
    return type(layer).from_config({**layer.get_config(), **changes})


def _guided(layer: Layer, keep: float, max_norm: float | None) -> Layer:
    units = math.ceil(layer.get_config()["units"] / keep)
    if max_norm is None:
        return _copy(layer, units=units)
    return _copy(layer, units=units, kernel_constraint=MaxNorm(max_norm))
