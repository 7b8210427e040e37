"""Training and prediction on rows of Fashion-MNIST's shape."""

from __future__ import annotations

import numpy as np
import pytest

from dropfast.bench.networks import (
    EPOCHS,
    SEED_NETWORK,
    TINY_NETWORK,
    check_training,
    data,
    flops_forward,
    forward,
    initial,
    masked_mean,
)
from dropfast.bench.peers import able_to

# name: layers, rows
PREDICTIONS = {
    "one row, 16-32-2": (TINY_NETWORK, 1),
    "one row, 784-200-100-60-10": (SEED_NETWORK, 1),
    "10,000 rows, 784-200-100-60-10": (SEED_NETWORK, 10_000),
}
SAMPLES, SAMPLED_ROWS = 100, 1_000
# Dropout on hidden layers only: the first layer is the same in all samples.
SAMPLED = {"dropout .2 everywhere": (0.2,) * 4, "dropout .2 on hidden layers": (0, 0.2, 0.2, 0.2)}


@pytest.mark.parametrize("contender", able_to("network"), ids=lambda each: each.name)
@pytest.mark.parametrize("case", EPOCHS, ids=lambda case: case.name)
def bench_epoch(measure, case, contender):
    """An epoch, or a part of it where that takes seconds: a step costs the same throughout."""
    if any(case.rates) and not getattr(contender, "has_dropout", True):
        pytest.skip("it has no dropout")
    groups = {"rows_per_mask": case.rows_per_mask} if case.rows_per_mask > 1 else {}
    if groups and not hasattr(contender, "loop"):
        pytest.skip("it has no row groups")
    check_training(contender, case)
    x, y = (array[: case.rows] for array in data(case.sizes[0], case.sizes[-1]))
    network = contender.network(
        initial(case.sizes), case.rates, case.optimizer, case.batch, **groups
    )
    if hasattr(network, "load"):
        x, y = network.load(x, y)
    against = {"dense": case.dense.name, "standard": case.standard.name}
    flops = case.flops
    measure(lambda: network.epoch(x, y), [case.name], contender, case.rows, flops=flops, **against)


@pytest.mark.parametrize("contender", able_to("network"), ids=lambda each: each.name)
@pytest.mark.parametrize("name", PREDICTIONS)
def bench_predict(measure, name, contender):
    sizes, rows = PREDICTIONS[name]
    if sizes[-1] < getattr(contender, "least_classes", 2):
        pytest.skip("its networks have more classes")
    x, weights = data(sizes[0], sizes[-1])[0][:rows], initial(sizes)
    network = contender.network(weights, (0.2,) * (len(sizes) - 1), ("sgd", 0.01), 32)
    np.testing.assert_allclose(network.predict(x), forward(network.weights(), x)[-1], atol=1e-5)
    flops = rows * flops_forward(sizes)
    measure(lambda: network.predict(x), [name], contender, rows, flops=flops)


@pytest.mark.parametrize("contender", able_to("network"), ids=lambda each: each.name)
@pytest.mark.parametrize("name", SAMPLED)
def bench_monte_carlo(measure, name, contender):
    rates = SAMPLED[name]
    x, weights = data(784, 10)[0][:SAMPLED_ROWS], initial(SEED_NETWORK)
    network = contender.network(weights, rates, ("sgd", 0.01), 32)
    if not hasattr(network, "predict_mc"):
        pytest.skip("it has no dropout")
    mean = network.predict_mc(x, samples=SAMPLES)
    assert np.abs(mean.sum(axis=1) - 1).max() < 1e-5
    # Class averages agree with those of masks that NumPy draws: they vary by a thousandth.
    expected = masked_mean(weights, x[:200], rates, SAMPLES).mean(axis=0)
    assert np.abs(mean[:200].mean(axis=0) - expected).max() < 0.01
    once = 0 if rates[0] else flops_forward(SEED_NETWORK[:2])
    every = flops_forward(SEED_NETWORK) - once
    measure(
        lambda: network.predict_mc(x, samples=SAMPLES),
        [f"{SAMPLES} samples of {SAMPLED_ROWS:,} rows, 784-200-100-60-10, {name}"],
        contender,
        SAMPLED_ROWS,
        flops=SAMPLED_ROWS * (once + SAMPLES * every),
    )
