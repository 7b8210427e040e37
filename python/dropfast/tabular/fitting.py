"""Layer 7: one network for a table, made and trained by the native engine or of parts in NumPy.

Both keep the weights of the epoch with the least loss on held-out rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dropfast import layers, optimizers
from dropfast.arrays import Array
from dropfast.callbacks import EarlyStopping
from dropfast.models import Sequential
from dropfast.tabular.embeddings import Embedding, Periodic, PiecewiseLinear, quantile_edges
from dropfast.tabular.network import AdamW, Network
from dropfast.tabular.parts import Activation, Dense, Dropout, Masks, Part, Scale
from dropfast.tabular.shapes import SCHEDULES, DropRate, LearningRate

# Factors of the learning rate where members share kernels, and RealMLP's for one network.
FACTORS = {"scale": 6.0, "embedding": 0.1, "activation": 0.1, "bias": 0.1}


@dataclass(frozen=True, eq=False)
class Split:
    """Encoded rows with their targets, and which are trained on.

    Attributes
    ----------
    x, targets, weights
        All rows, as the networks take them; weights of mean 1, or None.
    train, aside
        Numbers of the rows to train on, and of those held out.
    numeric
        Numbers of the numeric columns of x.
    """

    x: Array
    targets: Array
    weights: Array | None
    train: NDArray[np.int64]
    aside: NDArray[np.int64]
    numeric: NDArray[np.int64]

    def rows(self, which: NDArray[np.int64]) -> tuple[Array, Array, Array | None]:
        """Features, targets and weights of some rows."""
        weights = None if self.weights is None else self.weights[which]
        return self.x[which], self.targets[which], weights


def hidden_units(estimator: Any) -> list[int]:
    """Units of the hidden layers."""
    given = estimator.hidden_layer_sizes
    return [int(size) for size in (given if hasattr(given, "__iter__") else [given])]


def native(
    estimator: Any, split: Split, size: int, seed: int, head: tuple[int, str, Any]
) -> tuple[Sequential, list[float]]:
    """A stack of layers, trained by the native engine; and its validation losses."""
    units, activation, loss = head
    epochs = estimator.max_iter
    steps = -(-len(split.train) // size) * epochs
    stack: list[Any] = []
    for width in hidden_units(estimator):
        stack.append(layers.Dense(width, estimator.activation, kernel_initializer="he_normal"))
        if estimator.dropout:
            rate = DropRate(estimator.dropout, estimator.dropout_schedule, epochs)
            stack.append(layers.Dropout(rate))
    model = Sequential([*stack, layers.Dense(units, activation)], seed=seed)
    rates = LearningRate(estimator.learning_rate_init, estimator.learning_rate_schedule, steps)
    model.compile(optimizers.AdamW(rates, float(estimator.weight_decay), beta_2=0.95), loss)
    x, y, weights = split.rows(split.train)
    held_out = tuple(part for part in split.rows(split.aside) if part is not None)
    best = EarlyStopping("val_loss", patience=_patience(estimator), restore_best_weights=True)
    curve: list[float] = model.fit(
        x,
        y,
        batch_size=size,
        epochs=epochs,
        verbose=2 if estimator.verbose else 0,
        validation_data=held_out,
        sample_weight=weights,
        callbacks=[best],
    ).history["val_loss"]
    if int(np.argmin(curve)) + 1 < len(curve) and best.best_weights is not None:
        model.set_weights(best.best_weights)
    return model, curve


def _patience(estimator: Any) -> int:
    given = estimator.n_iter_no_change
    return int(estimator.max_iter if given is None else given)


def of_parts(
    estimator: Any, split: Split, size: int, seed: int, head: tuple[int, str, Any]
) -> tuple[Network, list[float]]:
    """A network of parts; and its validation losses.

    Raises
    ------
    FloatingPointError
        If the loss is not finite.
    """
    random = np.random.default_rng(seed)
    network = _network(estimator, split, random, head)
    optimizer = AdamW(network, float(estimator.weight_decay))
    epochs, per_epoch = estimator.max_iter, -(-len(split.train) // size)
    best, best_values, curve = np.inf, network.values.copy(), []
    x_val, y_val, weights_val = split.rows(split.aside)
    for epoch in range(epochs):
        order = random.permutation(split.train)
        for i in range(per_epoch):
            t = (epoch * per_epoch + i) / (epochs * per_epoch)
            drop = float(estimator.dropout) * SCHEDULES[estimator.dropout_schedule](t)
            masks = Masks(seed, optimizer.steps, drop)
            x, y, weights = split.rows(order[i * size : (i + 1) * size])
            value, grad = network.loss(network.forward(x, masks), y, weights)
            if not np.isfinite(value):
                raise FloatingPointError(f"the loss is {value}")
            network.backward(grad)
            decay = SCHEDULES[estimator.weight_decay_schedule](t)
            optimizer.weight_decay = float(estimator.weight_decay) * decay
            rate = SCHEDULES[estimator.learning_rate_schedule](t)
            optimizer.step(float(estimator.learning_rate_init) * rate)
        curve.append(_loss(network.predict(x_val), y_val, weights_val, network.softmax))
        if not np.isfinite(curve[-1]):
            raise FloatingPointError(f"the loss is {curve[-1]}")
        if estimator.verbose:
            print(f"Epoch {epoch + 1}/{epochs}: val_loss {curve[-1]:.5f}")
        if curve[-1] < best:
            best, best_values = curve[-1], network.values.copy()
        elif epoch - int(np.argmin(curve)) >= _patience(estimator):
            break
    network.values[...] = best_values
    return network, curve


def _network(
    estimator: Any, split: Split, random: np.random.Generator, head: tuple[int, str, Any]
) -> Network:
    """Front, hidden layers and heads as the estimator's parameters say."""
    units, kind, _ = head
    members = int(getattr(estimator, "n_members", 1))
    factors = {**dict.fromkeys(FACTORS, 1.0), **(estimator.learning_rate_factors or {})}
    parts: list[Part] = []
    columns = split.x.shape[1]
    if estimator.scaling_layer:
        parts.append(Scale(columns, factors["scale"], np.float32))
    front = _embedding(estimator, split, random, factors["embedding"])
    if front is not None:
        parts.append(front)
        columns = front.features
    for i, width in enumerate(hidden_units(estimator)):
        more = {"signs": i == 0, "bias_rate": factors["bias"]}
        parts.append(Dense(columns, width, members, random, **more))
        parametric, rate = estimator.parametric_activation, factors["activation"]
        parts.append(Activation(estimator.activation, width, parametric, rate, np.float32))
        if estimator.dropout:
            parts.append(Dropout(i))
        columns = width
    last = Dense(columns, units, members, random, gain=1.0, shared=False, bias_rate=factors["bias"])
    return Network([*parts, last], kind == "softmax", estimator._smoothing())


def _embedding(
    estimator: Any, split: Split, random: np.random.Generator, rate: float
) -> Embedding | None:
    kind, columns = estimator.embedding, split.x.shape[1]
    if kind is None or not len(split.numeric):
        return None
    if kind == "periodic":
        return Periodic(split.numeric, columns, random, rate=rate)
    edges = quantile_edges(split.x[split.train][:, split.numeric], 32)
    return PiecewiseLinear(split.numeric, columns, edges, random, rate=rate)


def _loss(answers: Array, y: Array, weights: Array | None, softmax: bool) -> float:
    """Of the members' mean answer, without smoothing."""
    if softmax:
        rows = -np.log(np.maximum(answers[np.arange(len(y)), y], 1e-12))
    else:
        rows = ((answers - y) ** 2).mean(axis=1)
    return float(np.average(rows, weights=weights))
