"""An epoch of training, and prediction, on rows of Fashion-MNIST's shape."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from contenders import able_to

SEED_NETWORK = (784, 200, 100, 60, 10)
WIDE_NETWORK = (784, 1024, 1024, 1024, 10)
TINY_NETWORK = (16, 32, 2)
ROWS = 60_000
# A wide epoch takes seconds, so a part of it is run; a step costs the same throughout.
WIDE_ROWS = 12_800

# name: layers, dropout rate, (optimizer, learning rate), batch size, rows
EPOCHS = {
    "784-200-100-60-10, SGD, B=32, dropout .2": (SEED_NETWORK, 0.2, ("sgd", 0.01), 32, ROWS),
    "784-200-100-60-10, SGD, B=32, none": (SEED_NETWORK, 0.0, ("sgd", 0.01), 32, ROWS),
    "784-200-100-60-10, Adam, B=32, dropout .2": (SEED_NETWORK, 0.2, ("adam", 0.001), 32, ROWS),
    "784-1024-1024-1024-10, SGD, B=128, dropout .5": (
        WIDE_NETWORK,
        0.5,
        ("sgd", 0.01),
        128,
        WIDE_ROWS,
    ),
    "784-1024-1024-1024-10, SGD, B=128, none": (WIDE_NETWORK, 0.0, ("sgd", 0.01), 128, WIDE_ROWS),
}
# name: layers, rows
PREDICTIONS = {
    "one row, 16-32-2": (TINY_NETWORK, 1),
    "one row, 784-200-100-60-10": (SEED_NETWORK, 1),
    "10,000 rows, 784-200-100-60-10": (SEED_NETWORK, 10_000),
}
SAMPLES, SAMPLED_ROWS = 100, 1_000


@cache
def data(rows, features, classes):
    """Classes that can be told apart, so that a network that doesn't learn is found out."""
    rng = np.random.default_rng(0)
    centres = rng.random((classes, features), dtype=np.float32)
    y = rng.integers(0, classes, rows)
    x = 0.5 * centres[y] + 0.5 * rng.random((rows, features), dtype=np.float32)
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


def forward(weights, x):
    """Activations of every layer in float64, probabilities last."""
    activations = [x.astype(np.float64)]
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        activations.append(np.maximum(activations[-1] @ kernel + bias, 0))
    logits = activations[-2] @ weights[-2] + weights[-1]
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    activations[-1] = chances / chances.sum(axis=1, keepdims=True)
    return activations


def masked_mean(weights, x, rate):
    """Mean probabilities of 100 passes with dropout before every layer, in float64."""
    rng = np.random.default_rng(2)
    total = np.zeros((len(x), weights[-1].size))
    for _ in range(SAMPLES):
        values = x.astype(np.float64)
        for layer, (kernel, bias) in enumerate(zip(weights[::2], weights[1::2], strict=True)):
            values = np.maximum(values, 0) if layer else values
            values = values * (rng.random(values.shape) >= rate) / (1 - rate) @ kernel + bias
        chances = np.exp(values - values.max(axis=1, keepdims=True))
        total += chances / chances.sum(axis=1, keepdims=True)
    return total / SAMPLES


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


def check_training(contender, sizes, batch_size):
    """One step from the same weights leads to the same weights."""
    x, y = (array[:batch_size] for array in data(ROWS, sizes[0], sizes[-1]))
    weights = initial(sizes)
    network = contender.network(weights, 0.0, ("sgd", 0.5), batch_size)
    network.epoch(x, y)
    for mine, exact in zip(network.weights(), one_step(weights, x, y, 0.5), strict=True):
        np.testing.assert_allclose(mine, exact, rtol=0, atol=2e-5)


@pytest.mark.parametrize("contender", able_to("network"), ids=lambda each: each.name)
@pytest.mark.parametrize("name", EPOCHS)
def bench_epoch(measure, name, contender):
    sizes, rate, optimizer, batch_size, rows = EPOCHS[name]
    if rate and not getattr(contender, "has_dropout", True):
        pytest.skip("it has no dropout")
    check_training(contender, sizes, batch_size)
    x, y = (array[:rows] for array in data(ROWS, sizes[0], sizes[-1]))
    network = contender.network(initial(sizes), rate, optimizer, batch_size)
    if hasattr(network, "load"):
        x, y = network.load(x, y)
    measure(lambda: network.epoch(x, y), [name], contender.name, rows)


@pytest.mark.parametrize("contender", able_to("network"), ids=lambda each: each.name)
@pytest.mark.parametrize("name", PREDICTIONS)
def bench_predict(measure, name, contender):
    sizes, rows = PREDICTIONS[name]
    x, weights = data(ROWS, sizes[0], sizes[-1])[0][:rows], initial(sizes)
    network = contender.network(weights, 0.2, ("sgd", 0.01), 32)
    np.testing.assert_allclose(network.predict(x), forward(network.weights(), x)[-1], atol=1e-5)
    measure(lambda: network.predict(x), [name], contender.name, rows)


@pytest.mark.parametrize("contender", able_to("network"), ids=lambda each: each.name)
def bench_monte_carlo(measure, contender):
    x, weights = data(ROWS, 784, 10)[0][:SAMPLED_ROWS], initial(SEED_NETWORK)
    network = contender.network(weights, 0.2, ("sgd", 0.01), 32)
    if not hasattr(network, "predict_mc"):
        pytest.skip("it has no dropout")
    mean = network.predict_mc(x, samples=SAMPLES)
    assert np.abs(mean.sum(axis=1) - 1).max() < 1e-5
    # Class averages agree with those of masks that NumPy draws: they vary by a thousandth.
    expected = masked_mean(weights, x[:200], 0.2).mean(axis=0)
    assert np.abs(mean[:200].mean(axis=0) - expected).max() < 0.01
    name = f"{SAMPLES} samples of {SAMPLED_ROWS:,} rows, 784-200-100-60-10"
    measure(lambda: network.predict_mc(x, samples=SAMPLES), [name], contender.name, SAMPLED_ROWS)
