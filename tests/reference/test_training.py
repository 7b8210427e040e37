"""Losses, optimizers against loops by hand, penalties, constraints, whole networks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dropfast.reference import (
    Key,
    Network,
    alpha_dropout,
    clip_gradients,
    dropout,
    dropout_mask,
    fit,
    gaussian_dropout,
    initial_state,
    l1_l2,
    l1_l2_gradient,
    loss,
    loss_gradient,
    max_norm,
    optimizer_update,
)

LOSS_SPECS = [
    {"name": "sparse_categorical_crossentropy"},
    {"name": "sparse_categorical_crossentropy", "from_logits": True, "label_smoothing": 0.1},
    {"name": "categorical_crossentropy", "label_smoothing": 0.2},
    {"name": "categorical_crossentropy", "from_logits": True},
    {"name": "binary_crossentropy", "label_smoothing": 0.1},
    {"name": "binary_crossentropy", "from_logits": True},
    {"name": "mean_squared_error"},
    {"name": "mean_absolute_error"},
    {"name": "huber"},
    {"name": "huber", "delta": 0.3},
]


def example(spec: dict, n: int = 5, units: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(4)
    y_pred = generator.normal(size=(n, units))
    if "crossentropy" in spec["name"] and not spec.get("from_logits"):
        y_pred = np.exp(y_pred) / np.exp(y_pred).sum(axis=1, keepdims=True)
    if spec["name"].startswith("sparse"):
        return generator.integers(0, units, n), y_pred
    if "crossentropy" in spec["name"]:
        return np.eye(units)[generator.integers(0, units, n)], y_pred
    return generator.normal(size=(n, units)), y_pred


def numeric_gradient(f, x: np.ndarray, h: float = 1e-6) -> np.ndarray:
    gradient = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        before = x[i]
        x[i] = before + h
        up = f()
        x[i] = before - h
        down = f()
        x[i] = before
        gradient[i] = (up - down) / (2 * h)
    return gradient


@pytest.mark.parametrize("spec", LOSS_SPECS, ids=str)
def test_loss_gradients(spec: dict) -> None:
    y_true, y_pred = example(spec)
    weights = np.linspace(0.5, 2, 5) / 5
    got = loss_gradient(spec, y_true, y_pred, weights)
    numeric = numeric_gradient(lambda: float((weights * loss(spec, y_true, y_pred)).sum()), y_pred)
    np.testing.assert_allclose(got, numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("spec", "y_true", "y_pred", "value"),
    [
        ({"name": "sparse_categorical_crossentropy"}, [1], [[0.25, 0.75]], -math.log(0.75)),
        ({"name": "sparse_categorical_crossentropy"}, [1], [[1.0, 0.0]], -math.log(1e-7)),
        ({"name": "sparse_categorical_crossentropy"}, [0], [[1.0, 0.0]], -math.log(1 - 1e-7)),
        (
            {"name": "categorical_crossentropy", "label_smoothing": 0.2},
            [[1.0, 0.0]],
            [[0.25, 0.75]],
            -0.9 * math.log(0.25) - 0.1 * math.log(0.75),
        ),
        (
            {"name": "sparse_categorical_crossentropy", "from_logits": True},
            [0],
            [[1000.0, 0.0]],
            0.0,
        ),
        (
            {"name": "binary_crossentropy"},
            [[1.0, 0.0]],
            [[0.5, 0.25]],
            -(math.log(0.5) + math.log(0.75)) / 2,
        ),
        (
            {"name": "binary_crossentropy", "label_smoothing": 0.2},
            [[1.0]],
            [[0.25]],
            -0.9 * math.log(0.25) - 0.1 * math.log(0.75),
        ),
        ({"name": "binary_crossentropy", "from_logits": True}, [[0.0]], [[1000.0]], 1000.0),
        ({"name": "mean_squared_error"}, [[1.0, 2.0]], [[2.0, 0.0]], 2.5),
        ({"name": "mean_absolute_error"}, [[1.0, 2.0]], [[2.0, 0.0]], 1.5),
        ({"name": "huber"}, [[0.0, 0.0]], [[0.5, 3.0]], (0.125 + 2.5) / 2),
    ],
)
def test_loss_values(spec: dict, y_true: list, y_pred: list, value: float) -> None:
    np.testing.assert_allclose(loss(spec, y_true, y_pred), [value], rtol=1e-12)


def test_loss_errors() -> None:
    spec = {"name": "sparse_categorical_crossentropy"}
    with pytest.raises(ValueError, match=r"labels in \[0, 1\]\. Received: 2 in row 1"):
        loss(spec, [0, 2], np.ones((2, 2)))
    with pytest.raises(ValueError, match="must have 2 labels"):
        loss(spec, [0], np.ones((2, 2)))
    with pytest.raises(ValueError, match="y_true must have shape"):
        loss({"name": "huber"}, np.ones(2), np.ones((2, 2)))
    with pytest.raises(ValueError, match="loss must be one of"):
        loss({"name": "square"}, np.ones(2), np.ones((2, 2)))
    with pytest.raises(ValueError, match="weights must have shape"):
        loss_gradient(spec, [0, 1], np.ones((2, 2)), np.ones(3))


def by_hand(spec: dict, w: float, gradients: list[float], lr: float) -> float:
    """One scalar weight through an optimizer, written out from its definition."""
    m = v = v_hat = mean = velocity = 0.0
    for step, g in enumerate(gradients, start=1):
        w -= w * spec.get("weight_decay", 0.0) * lr
        if spec["name"] == "sgd":
            velocity = spec.get("momentum", 0.0) * velocity - lr * g
            if spec.get("nesterov"):
                w += spec["momentum"] * velocity - lr * g
            else:
                w += velocity
        elif spec["name"].startswith("adam"):
            b1, b2 = spec.get("beta_1", 0.9), spec.get("beta_2", 0.999)
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g * g
            v_hat = max(v_hat, v)
            alpha = lr * math.sqrt(1 - b2**step) / (1 - b1**step)
            w -= alpha * m / (math.sqrt(v_hat if spec.get("amsgrad") else v) + 1e-7)
        else:
            v = 0.9 * v + 0.1 * g * g
            mean = 0.9 * mean + 0.1 * g
            variance = v - mean**2 if spec.get("centered") else v
            velocity = spec.get("momentum", 0.0) * velocity + lr * g / math.sqrt(variance + 1e-7)
            w -= velocity
    return w


OPTIMIZERS = [
    {"name": "sgd"},
    {"name": "sgd", "momentum": 0.9},
    {"name": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    {"name": "adam"},
    {"name": "adam", "amsgrad": True, "beta_1": 0.8, "beta_2": 0.9},
    {"name": "adamw", "weight_decay": 0.1},
    {"name": "rmsprop"},
    {"name": "rmsprop", "centered": True},
    {"name": "rmsprop", "momentum": 0.9},
    {"name": "rmsprop", "centered": True, "momentum": 0.5, "weight_decay": 0.02},
]


@pytest.mark.parametrize("spec", OPTIMIZERS, ids=str)
def test_optimizers_for_100_steps(spec: dict) -> None:
    generator = np.random.default_rng(1)
    start = generator.normal(size=3)
    gradients = generator.normal(size=(100, 3))
    w = start.copy()
    state = [slot[0] for slot in initial_state(spec, [w])]
    for step, gradient in enumerate(gradients, start=1):
        optimizer_update(spec, w, gradient, state, 0.05, step)
    expected = [by_hand(spec, start[i], gradients[:, i].tolist(), 0.05) for i in range(3)]
    np.testing.assert_allclose(w, expected, rtol=1e-11)


def test_adamw_decays_by_default() -> None:
    w, v = np.ones(1), np.ones(1)
    optimizer_update({"name": "adamw"}, w, np.zeros(1), [np.zeros(1)] * 2, 0.5, 1)
    optimizer_update({"name": "adam"}, v, np.zeros(1), [np.zeros(1)] * 2, 0.5, 1)
    assert (w[0], v[0]) == (1 - 0.004 * 0.5, 1.0)


def test_optimizer_errors() -> None:
    with pytest.raises(ValueError, match="optimizer must be one of"):
        optimizer_update({"name": "ftrl"}, np.ones(1), np.ones(1), [], 0.1, 1)
    with pytest.raises(ValueError, match="state must have 2 arrays"):
        optimizer_update({"name": "adam"}, np.ones(1), np.ones(1), [], 0.1, 1)


def test_clipping() -> None:
    g = [np.array([3.0, 4.0]), np.array([12.0])]
    clip = {
        key: clip_gradients({key: 1.0}, g) for key in ("clipnorm", "global_clipnorm", "clipvalue")
    }
    np.testing.assert_allclose(np.concatenate(clip["clipnorm"]), [0.6, 0.8, 1.0])
    np.testing.assert_allclose(np.concatenate(clip["global_clipnorm"]), np.array([3, 4, 12]) / 13)
    np.testing.assert_allclose(np.concatenate(clip["clipvalue"]), [1, 1, 1])
    untouched = clip_gradients({"clipnorm": 20.0}, g)
    np.testing.assert_array_equal(np.concatenate(untouched), [3, 4, 12])
    with pytest.raises(ValueError, match="only one of clipnorm"):
        clip_gradients({"clipnorm": 20.0, "clipvalue": 1.0}, g)
    zero = clip_gradients({"clipnorm": 1.0}, [np.zeros(2)])
    np.testing.assert_array_equal(zero[0], [0, 0])


def test_penalties_and_max_norm() -> None:
    w = np.random.default_rng(0).normal(size=(4, 3))
    numeric = numeric_gradient(lambda: l1_l2(w, 0.3, 0.7), w)
    np.testing.assert_allclose(l1_l2_gradient(w, 0.3, 0.7), numeric, rtol=1e-7)
    assert l1_l2_gradient(np.zeros(1), 1.0, 1.0)[0] == 0
    norms = np.linalg.norm(w, axis=0)
    limited = np.linalg.norm(max_norm(w, 1.5), axis=0)
    np.testing.assert_allclose(limited, np.minimum(norms, 1.5) * norms / (norms + 1e-7), rtol=1e-12)


LAYERS = [
    {"kind": "dropout", "rate": 0.2},
    {"kind": "dense", "units": 6, "activation": "tanh", "kernel_l2": 0.01, "bias_l1": 0.02},
    {"kind": "dropout", "rate": 0.5, "rows_per_mask": 2},
    {"kind": "dense", "units": 5, "use_bias": False, "activation": "silu", "kernel_l1": 0.03},
    {"kind": "alpha_dropout", "rate": 0.3},
    {"kind": "dense", "units": 5},
    {"kind": "activation", "activation": "gelu"},
    {"kind": "gaussian_dropout", "rate": 0.1},
    {"kind": "dropout", "rate": 0.4, "scale_at": "inference", "per_row": True},
    {"kind": "dense", "units": 3, "activation": "softmax"},
]
KEYS = [Key(9, place, 4) for place in (0, 2, 4, 7, 8)]


def weights(dtype: type = np.float64) -> list[np.ndarray]:
    generator = np.random.default_rng(2)
    shapes = [(4, 6), (6,), (6, 5), (5, 5), (5,), (5, 3), (3,)]
    return [(generator.normal(size=s) * 0.5).astype(dtype) for s in shapes]


@pytest.mark.parametrize("fused", [True, False])
def test_network_gradients(fused: bool) -> None:
    """Every kind of layer and parameter; the softmax fused into the loss and apart."""
    layers = LAYERS if fused else [*LAYERS, {"kind": "activation", "activation": "linear"}]
    network = Network(layers, 4, "float64")
    params = weights()
    x = np.random.default_rng(1).normal(size=(7, 4))
    y = np.arange(7) % 3
    arguments = {
        "loss": {"name": "sparse_categorical_crossentropy"},
        "keys": KEYS,
        "sample_weight": np.linspace(0.5, 1.5, 7),
    }
    _, _, gradients = network.gradients(params, x, y, **arguments)
    for w, gradient in zip(params, gradients, strict=True):
        numeric = numeric_gradient(lambda: network.gradients(params, x, y, **arguments)[0], w)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-8)


def test_masks_are_those_of_the_functions() -> None:
    x = np.random.default_rng(0).normal(size=(5, 4))
    key = Key(3, 1, 2)

    def run(layer: dict, training: bool = True) -> np.ndarray:
        out = np.empty_like(x)
        Network([layer], 4, "float64").forward([], x, out, keys=[key] if training else None)
        return out

    dropped = {"kind": "dropout", "rate": 0.5}
    np.testing.assert_array_equal(run(dropped), dropout(x, 0.5, key))
    np.testing.assert_array_equal(
        run({**dropped, "rows_per_mask": 2}), dropout(x, 0.5, key, rows_per_mask=2)
    )
    np.testing.assert_array_equal(
        run({**dropped, "rows_per_mask": 0}), dropout(x, 0.5, key, noise_shape=(1, None))
    )
    np.testing.assert_array_equal(
        run({**dropped, "per_row": True}), dropout(x, 0.5, key, noise_shape=(None, 1))
    )
    alpha = run({"kind": "alpha_dropout", "rate": 0.5})
    np.testing.assert_allclose(alpha, alpha_dropout(x, 0.5, key), rtol=1e-15)
    gaussian = run({"kind": "gaussian_dropout", "rate": 0.5})
    np.testing.assert_array_equal(gaussian, gaussian_dropout(x, 0.5, key))
    classic = {**dropped, "rate": 0.25, "scale_at": "inference"}
    np.testing.assert_array_equal(run(classic), np.where(dropout_mask((5, 4), 0.25, key), x, 0))
    np.testing.assert_array_equal(run(classic, training=False), x * 0.75)
    np.testing.assert_array_equal(run(dropped, training=False), x)
    assert not run({**dropped, "rate": 1.0}).any()


def test_rates_can_be_given_per_call() -> None:
    network = Network([{"kind": "dropout", "rate": 0.5}], 3, "float64")
    x, out = np.ones((4, 3)), np.empty((4, 3))
    network.forward([], x, out, keys=[Key()], rates=[0.25])
    np.testing.assert_array_equal(out, dropout(x, 0.25, Key()))


def test_monte_carlo_is_mean_and_deviation_of_samples() -> None:
    network = Network(LAYERS, 4, "float64")
    x, params = np.random.default_rng(0).normal(size=(6, 4)), weights()
    mean, m2 = np.zeros((6, 3)), np.zeros((6, 3))
    network.predict_mc(params, x, mean, m2, keys=KEYS, samples=4)
    network.predict_mc(params, x, mean, m2, keys=KEYS, samples=6, first_sample=4)
    samples = np.empty((10, 6, 3))
    for i in range(10):
        network.forward(params, x, samples[i], keys=[key.at(i) for key in KEYS])
    np.testing.assert_allclose(mean, samples.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(m2 / 10, samples.var(axis=0), rtol=1e-10)


def run_arguments(x: np.ndarray) -> dict:
    return {
        "order": np.random.default_rng(3).permutation(len(x)),
        "batch_size": 4,
        "loss": {"name": "sparse_categorical_crossentropy"},
        "optimizer": {"name": "adam"},
        "keys": KEYS,
    }


def test_a_run_may_stop_and_go_on() -> None:
    network = Network(LAYERS, 4)
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(14, 4)).astype(np.float32), np.arange(14) % 3
    arguments = run_arguments(x)
    rates = np.full(4, 0.01)
    at_once, in_parts = weights(np.float32), weights(np.float32)
    outputs = np.zeros((14, 3), np.float32)
    state = initial_state({"name": "adam"}, at_once)
    done, total, correct = network.train(
        at_once, state, x, y, start=0, batches=4, learning_rates=rates, first_step=5,
        predictions=outputs, **arguments,
    )  # fmt: skip
    assert done == 4
    labels = y[arguments["order"]]
    assert correct == (outputs.argmax(axis=1) == labels).sum()
    state = initial_state({"name": "adam"}, in_parts)
    parts = [
        network.train(
            in_parts, state, x, y, start=start, batches=2, learning_rates=rates[:2],
            first_step=5 + start, **arguments,
        )
        for start in (0, 2)
    ]  # fmt: skip
    assert math.isclose(sum(part[1] for part in parts), total, rel_tol=1e-12)
    for a, b in zip(at_once, in_parts, strict=True):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, b)


def test_max_norm_holds_after_a_step() -> None:
    layers = [{"kind": "dense", "units": 3, "kernel_max_norm": 0.5, "bias_max_norm": 0.1}]
    network = Network(layers, 4, "float64")
    params = [np.ones((4, 3)), np.ones(3)]
    x = np.random.default_rng(0).normal(size=(8, 4))
    network.train(
        params, [], x, np.ones((8, 3)), order=np.arange(8), start=0, batches=1, batch_size=8,
        loss={"name": "mean_squared_error"}, optimizer={"name": "sgd"}, keys=[],
        learning_rates=[0.1],
    )  # fmt: skip
    np.testing.assert_allclose(np.linalg.norm(params[0], axis=0), 0.5, rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(params[1]), 0.1, rtol=2e-6)


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    network = Network([{"kind": "dense", "units": 1}], 1, "float64")
    x = np.array([[1.0], [np.nan]])
    with pytest.raises(FloatingPointError, match="in batch 1"):
        network.train(
            [np.ones((1, 1)), np.ones(1)], [], x, x, order=np.arange(2), start=0, batches=2,
            batch_size=1, loss={"name": "huber"}, optimizer={"name": "sgd"},
            learning_rates=[0.1] * 2, keys=[],
        )  # fmt: skip


def test_learning_works() -> None:
    """Two interleaved classes that no linear map separates, through dropout."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(300, 2))
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    layers = [
        {"kind": "dense", "units": 32, "activation": "relu"},
        {"kind": "dropout", "rate": 0.1},
        {"kind": "dense", "units": 2, "activation": "softmax"},
    ]
    network = Network(layers, 2, "float64")
    params = [
        generator.normal(size=(2, 32)),
        np.zeros(32),
        generator.normal(size=(32, 2)) * 0.2,
        np.zeros(2),
    ]
    losses = fit(
        network, params, x, y, seed=1, epochs=30, batch_size=16, learning_rate=0.01,
        loss={"name": "sparse_categorical_crossentropy"}, optimizer={"name": "adam"},
    )  # fmt: skip
    out = np.empty((300, 2))
    network.forward(params, x, out)
    assert losses[-1] < losses[0] / 2
    assert (out.argmax(axis=1) == y).mean() > 0.93
