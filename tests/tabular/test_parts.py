"""Parts of networks for tables: gradients beside finite differences, and what they compute."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
import joblib

from dropfast.tabular.embeddings import Periodic, PiecewiseLinear, quantile_edges
from dropfast.tabular.network import AdamW, Network
from dropfast.tabular.parts import Activation, Dense, Dropout, Masks, Scale
from dropfast.tabular.shapes import SCHEDULES

ROWS, COLUMNS, NUMERIC, MEMBERS = 7, 5, np.array([0, 2, 3]), 3
DTYPE = np.float64


@pytest.fixture
def random():
    return np.random.default_rng(0)


def dense(random, inputs, units, **more):
    made = Dense(inputs, units, MEMBERS, random, dtype=DTYPE, **more)
    if made.adapted:
        made.s.value[...] = random.normal(size=made.s.value.shape)
        made.r.value[...] = random.normal(size=made.r.value.shape)
    return made


def piecewise(random):
    made = PiecewiseLinear(
        NUMERIC, COLUMNS, quantile_edges(random.normal(size=(50, 3)), 4), random, dtype=DTYPE
    )
    made.kernel.value[...] = random.normal(size=made.kernel.value.shape)
    return made


def parametric(random):
    made = Activation("silu", 4, True, 0.1, DTYPE)
    made.strength.value[...] = random.normal(size=4)
    return made


STACKS = {
    "scale": lambda random: [Scale(COLUMNS, 6.0, DTYPE), dense(random, COLUMNS, 2)],
    "shared inputs": lambda random: [dense(random, COLUMNS, 2)],
    "two layers": lambda random: [
        dense(random, COLUMNS, 4),
        Activation("tanh", 4, False, 1.0, DTYPE),
        dense(random, 4, 2),
    ],
    "heads": lambda random: [
        Scale(COLUMNS, 1.0, DTYPE),
        dense(random, COLUMNS, 4),
        dense(random, 4, 2, shared=False),
    ],
    "parametric": lambda random: [dense(random, COLUMNS, 4), parametric(random)],
    "dropout": lambda random: [dense(random, COLUMNS, 8), Dropout(3), dense(random, 8, 2)],
    "periodic": lambda random: [
        Scale(COLUMNS, 1.0, DTYPE),
        Periodic(NUMERIC, COLUMNS, random, sigma=0.5, dtype=DTYPE),
        dense(random, 3 * 4 + 2, 2),
    ],
    "piecewise linear": lambda random: [
        Scale(COLUMNS, 1.0, DTYPE),
        piecewise(random),
        dense(random, 3 * 8 + 2, 2),
    ],
}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("kind", ["classes", "numbers"])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_are_those_of_finite_differences(random, stack, kind, weighted):
    network = Network(STACKS[stack](random), kind == "classes", 0.1)
    x = random.normal(size=(ROWS, COLUMNS))
    masks = Masks(5, 9, 0.4)
    units = network.forward(x).shape[0]
    classes = kind == "classes"
    y = random.integers(0, units, ROWS) if classes else random.normal(size=(ROWS, units))
    weights = random.random(ROWS) if weighted else None

    def loss():
        return network.loss(network.forward(x, masks), y, weights)[0]

    network.backward(network.loss(network.forward(x, masks), y, weights)[1])
    found = network.grads.copy()
    assert np.abs(found).max() > 1e-3
    for i in random.choice(len(found), min(40, len(found)), replace=False):
        start, step = network.values[i], 1e-6
        network.values[i] = start + step
        above = loss()
        network.values[i] = start - step
        below = loss()
        network.values[i] = start
        assert found[i] == pytest.approx((above - below) / (2.0 * step), rel=1e-5, abs=1e-8)


def test_members_are_the_formula(random):
    layer = dense(random, COLUMNS, 4)
    x = random.normal(size=(COLUMNS, 1, ROWS))
    found = layer.forward(x)
    for k in range(MEMBERS):
        r, s, bias = (p.value[:, k] for p in (layer.r, layer.s, layer.bias))
        assert np.allclose(found[:, k], s * (layer.kernel.value.T @ (r * x[:, 0])) + bias)


def test_one_member_is_a_plain_layer(random):
    layer = Dense(COLUMNS, 4, 1, random, dtype=DTYPE)
    assert [p.value.shape for p in layer.parameters()] == [(COLUMNS, 4), (4, 1, 1)]


def test_piecewise_linear_is_a_line_at_first_and_bends_at_edges():
    edges = [np.array([-1.0, 0.0, 1.0])]
    part = PiecewiseLinear(np.array([0]), 1, edges, np.random.default_rng(0), width=1, dtype=DTYPE)
    x = np.linspace(-2.0, 2.0, 9)[None, None]
    assert np.allclose(np.diff(part.forward(x)[0, 0], 2), 0.0)
    part.slope.value[...] = part.bias.value[...] = 0.0
    part.kernel.value[0, 0] = 1.0, 3.0
    # Beyond the outer edges the lines of the outer bins go on.
    expected = np.where(x < 0.0, x + 1.0, 1.0 + 3.0 * x)
    assert np.allclose(part.forward(x), expected)


def test_edges_of_constant_and_repeated_columns():
    close = np.append(np.linspace(0.0, 1e-9, 19), 1.0)
    x = np.stack([np.zeros(20), np.repeat([1.0, 2.0], 10), close], axis=1)
    constant, two, narrow = quantile_edges(x, 8)
    assert np.diff(narrow).min() >= 1e-3
    assert constant.tolist() == [-0.5, 0.5]
    assert two[0] == 1.0
    assert two[-1] == 2.0
    assert np.all(np.diff(two) > 0)


def test_label_smoothing_is_that_of_the_losses():
    from dropfast.losses import SparseCategoricalCrossentropy

    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(6, 3)), rng.integers(0, 3, 6)
    network = Network([Scale(3, 1.0, DTYPE)], True, 0.2)
    peer = SparseCategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    assert network.loss(logits.T[:, None], y, None)[0] == pytest.approx(peer(y, logits))


def test_adamw_takes_rates_and_decays_of_parameters(random):
    network = Network([Scale(2, 6.0, DTYPE), dense(random, 2, 1)], False)
    scale, layer = network.parts
    network.grads[...] = 1.0
    before = network.values.copy()
    AdamW(network, weight_decay=0.5).step(0.01)
    moved = network.values - before
    assert np.allclose(moved[:2], -0.06)
    assert np.allclose(moved[2:4], -0.01 - 0.01 * 0.5 * before[2:4])
    assert scale.scale.value[0] == network.values[0]
    assert np.shares_memory(layer.kernel.value, network.values)


@pytest.mark.parametrize("dump", ["pickle", "joblib"])
def test_a_network_that_was_written_trains_on(random, dump, tmp_path):
    network = Network(STACKS["two layers"](random), False)
    x, y = random.normal(size=(ROWS, COLUMNS)), random.normal(size=(ROWS, 2))
    network.backward(network.loss(network.forward(x), y, None)[1])
    if dump == "pickle":
        again = pickle.loads(pickle.dumps(network))
    else:
        joblib.dump(network, tmp_path / "network")
        again = joblib.load(tmp_path / "network")
    for one in (network, again):
        one.backward(one.loss(one.forward(x), y, None)[1])
        AdamW(one, 0.1).step(0.01)
    assert np.array_equal(network.predict(x), again.predict(x))
    assert np.shares_memory(again.parts[0].kernel.value, again.values)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_stay_between_0_and_1(name):
    values = [SCHEDULES[name](t) for t in np.linspace(0.0, 1.0, 33)]
    assert min(values) >= 0.0
    assert max(values) <= 1.0
    if name == "coslog4":
        assert values[0] == pytest.approx(0.0)
        assert values[-1] == pytest.approx(0.0, abs=1e-12)
    else:
        assert values[0] == 1.0
    assert values[-1] == pytest.approx(1.0 if name == "constant" else 0.0, abs=1e-12)
