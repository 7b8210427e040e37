"""Layer 7: the networks that are trained, what a step of them costs, and what is right."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np

SEED_NETWORK = (784, 200, 100, 60, 10)
TINY_NETWORK = (16, 32, 2)
WIDE_NETWORK = (784, 1024, 1024, 1024, 10)
ROWS = 60_000
# An epoch of a wide network takes seconds, so only a part of it is run.
WIDE_ROWS = 12_800
WIDEST_ROWS = 10_240
USUAL = {"input_rate": 0.2, "hidden_rate": 0.5}


@dataclass(frozen=True)
class Case:
    """A training run: layers, rates before the first dense layer and before the others."""

    sizes: tuple[int, ...]
    input_rate: float = 0.0
    hidden_rate: float = 0.0
    rows_per_mask: int = 1
    optimizer: tuple[str, float] = ("sgd", 0.01)
    batch: int = 32
    rows: int = ROWS

    @property
    def rates(self) -> tuple[float, ...]:
        """One for each dense layer."""
        return (self.input_rate, *(self.hidden_rate for _ in self.sizes[2:]))

    @property
    def name(self) -> str:
        parts = ["-".join(map(str, self.sizes)), {"sgd": "SGD", "adam": "Adam"}[self.optimizer[0]]]
        parts.append(f"B={self.batch}")
        rates = [f"{rate:g}".lstrip("0") for rate in (self.input_rate, self.hidden_rate)]
        if not self.hidden_rate:
            parts.append("no dropout")
        elif rates[0] == rates[1]:
            parts.append(f"dropout {rates[0]}")
        else:
            parts.append(f"dropout {rates[0] or '0'}, {rates[1]}")
        if self.rows_per_mask > 1:
            parts.append(f"{self.rows_per_mask} rows a mask")
        return ", ".join(parts)

    @property
    def dense(self) -> Case:
        """The same without dropout."""
        return replace(self, input_rate=0.0, hidden_rate=0.0, rows_per_mask=1)

    @property
    def standard(self) -> Case:
        """What is trained where masks can't be shared: one mask a row, at the usual rates."""
        if self.rows_per_mask == 1:
            return self
        return replace(self, **USUAL, rows_per_mask=1)

    @property
    def flops(self) -> float:
        """Operations of the products, less those that masks of groups make needless.

        Forward, gradient of the weights, gradient of the input, which the first layer has not.
        """
        shared = self.rows_per_mask >= 16
        keep = [1 - rate if shared else 1.0 for rate in (*self.rates, 0.0)]
        shares = zip(pairwise(self.sizes), pairwise(keep), strict=True)
        products = [2 * i * o * ki * ko for (i, o), (ki, ko) in shares]
        return self.rows * (3 * sum(products) - products[0])


def _wide(sizes: tuple[int, ...], batch: int, rows: int) -> list[Case]:
    """No dropout, masks of rows, masks of groups."""
    dense = Case(sizes, batch=batch, rows=rows)
    half = replace(dense, **USUAL)
    return [
        dense,
        half,
        *(replace(half, rows_per_mask=group) for group in (16, 32, batch)),
        replace(dense, input_rate=0.1, hidden_rate=0.25, rows_per_mask=32),
        replace(dense, input_rate=0.1, hidden_rate=0.1, rows_per_mask=32),
    ]


EPOCHS = (
    Case(SEED_NETWORK, 0.2, 0.2),
    Case(SEED_NETWORK),
    Case(SEED_NETWORK, 0.2, 0.2, optimizer=("adam", 0.001)),
    Case(SEED_NETWORK, **USUAL),
    Case(SEED_NETWORK, **USUAL, rows_per_mask=32),
    *_wide(WIDE_NETWORK, 128, WIDE_ROWS),
    *_wide((784, 2048, 2048, 10), 256, WIDEST_ROWS),
    *_wide((784, 4096, 10), 256, WIDEST_ROWS),
)


@cache
def data(features: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes that can be told apart, so that a network that doesn't learn is found out."""
    rng = np.random.default_rng(0)
    centres = rng.random((classes, features), dtype=np.float32)
    y = rng.integers(0, classes, ROWS)
    x = 0.5 * centres[y] + 0.5 * rng.random((ROWS, features), dtype=np.float32)
    return x, y


def initial(sizes):
    """Glorot uniform kernels and zero biases, as one flat list."""
    rng = np.random.default_rng(1)
    weights = []
    for fan_in, fan_out in pairwise(sizes):
        limit = (6 / (fan_in + fan_out)) ** 0.5
        kernel = rng.uniform(-limit, limit, (fan_in, fan_out)).astype(np.float32)
        weights += [kernel, np.zeros(fan_out, np.float32)]
    return weights


def flops_forward(sizes) -> int:
    """Operations of a row's products."""
    return sum(2 * fan_in * fan_out for fan_in, fan_out in pairwise(sizes))


def forward(weights, x):
    """Activations of every layer in float64, probabilities last."""
    activations = [x.astype(np.float64)]
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        activations.append(np.maximum(activations[-1] @ kernel + bias, 0))
    logits = activations[-2] @ weights[-2] + weights[-1]
    activations[-1] = softmax(logits)
    return activations


def softmax(logits):
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    return chances / chances.sum(axis=1, keepdims=True)


def masked_mean(weights, x, rates, samples):
    """Mean probabilities of passes with dropout before the layers, in float64."""
    rng = np.random.default_rng(2)
    total = np.zeros((len(x), weights[-1].size))
    for _ in range(samples):
        values = x.astype(np.float64)
        for layer, rate in enumerate(rates):
            values = np.maximum(values, 0) if layer else values
            values = values * (rng.random(values.shape) >= rate) / (1 - rate)
            values = values @ weights[2 * layer] + weights[2 * layer + 1]
        total += softmax(values)
    return total / samples


def one_step(weights, x, y, learning_rate):
    """The weights after one step of gradient descent without dropout, in float64."""
    activations = forward(weights, x)
    slope = (activations[-1] - np.eye(activations[-1].shape[1])[y]) / len(x)
    moved = []
    for layer in reversed(range(len(weights) // 2)):
        kernel, bias = weights[2 * layer : 2 * layer + 2]
        moved = [
            kernel - learning_rate * activations[layer].T @ slope,
            bias - learning_rate * slope.sum(axis=0),
            *moved,
        ]
        slope = slope @ kernel.T * (activations[layer] > 0)
    return moved


def check_training(contender, case: Case) -> None:
    """One step from the same weights leads to the same weights."""
    x, y = (array[: case.batch] for array in data(case.sizes[0], case.sizes[-1]))
    weights = initial(case.sizes)
    network = contender.network(weights, case.dense.rates, ("sgd", 0.5), case.batch)
    network.epoch(x, y)
    for mine, exact in zip(network.weights(), one_step(weights, x, y, 0.5), strict=True):
        np.testing.assert_allclose(mine, exact, rtol=0, atol=2e-5)
