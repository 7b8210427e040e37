"""Optimizers on arrays: Keras' formulas by hand over 100 steps, threads and errors."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df
from dropfast import _core, reference

SPECS = [
    {"name": "sgd"},
    {"name": "sgd", "momentum": 0.9},
    {"name": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    {"name": "sgd", "clipvalue": 0.3},
    {"name": "adam"},
    {"name": "adam", "amsgrad": True, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
    {"name": "adam", "weight_decay": 0.02},
    {"name": "adamw"},
    {"name": "adamw", "weight_decay": 0.1, "clipvalue": 0.5},
    {"name": "rmsprop"},
    {"name": "rmsprop", "rho": 0.8, "momentum": 0.5},
    {"name": "rmsprop", "centered": True, "epsilon": 1e-3},
    {"name": "rmsprop", "centered": True, "momentum": 0.3, "epsilon": 1e-3},
    {"name": "nadam"},
    {"name": "nadam", "beta_1": 0.8, "weight_decay": 0.02},
    {"name": "adamax", "clipvalue": 0.5},
    {"name": "adagrad", "epsilon": 1e-3},
    {"name": "adadelta", "rho": 0.9, "epsilon": 1e-3},
    {"name": "lion"},
    {"name": "lion", "beta_1": 0.8, "weight_decay": 0.1},
]


def slots(spec):
    if spec["name"] == "sgd":
        return 1 if spec.get("momentum") else 0
    if spec["name"] in ("adagrad", "lion"):
        return 1
    if spec["name"] == "rmsprop":
        return 1 + bool(spec.get("centered")) + bool(spec.get("momentum"))
    return 3 if spec.get("amsgrad") else 2


def by_hand(spec, w, gradients, lr):
    """Keras 3's update steps, written as its source documents them, in float64."""
    a, b, c = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    decay = spec.get("weight_decay", 0.004 if spec["name"] == "adamw" else 0.0)
    for t, g in enumerate(gradients, start=1):
        if "clipvalue" in spec:
            g = np.clip(g, -spec["clipvalue"], spec["clipvalue"])
        w = w - w * decay * lr
        if spec["name"] == "sgd":
            mu = spec.get("momentum", 0.0)
            a = mu * a - lr * g
            w = w + (mu * a - lr * g if spec.get("nesterov") else a)
        elif spec["name"] == "rmsprop":
            rho, mu = spec.get("rho", 0.9), spec.get("momentum", 0.0)
            a = rho * a + (1 - rho) * g**2
            b = rho * b + (1 - rho) * g
            variance = a - b**2 if spec.get("centered") else a
            c = mu * c + lr * g / np.sqrt(variance + spec.get("epsilon", 1e-7))
            w = w - c
        elif spec["name"] == "nadam":
            b1, b2 = spec.get("beta_1", 0.9), 0.999
            u = [b1 * (1 - 0.5 * 0.96**k) for k in range(1, t + 2)]
            a, b = a + (g - a) * (1 - b1), b + (g**2 - b) * (1 - b2)
            m = u[t] * a / (1 - np.prod(u)) + (1 - u[t - 1]) * g / (1 - np.prod(u[:-1]))
            w = w - lr * m / (np.sqrt(b / (1 - b2**t)) + 1e-7)
        elif spec["name"] == "adamax":
            a, b = a + (g - a) * 0.1, np.maximum(0.999 * b, np.abs(g))
            w = w - lr * a / ((1 - 0.9**t) * (b + 1e-7))
        elif spec["name"] == "adagrad":
            a = a + g**2
            w = w - lr * g / np.sqrt(a + spec["epsilon"])
        elif spec["name"] == "adadelta":
            rho, tiny = spec["rho"], spec["epsilon"]
            a = rho * a + (1 - rho) * g**2
            change = np.sqrt(b + tiny) / np.sqrt(a + tiny) * g
            b = rho * b + (1 - rho) * change**2
            w = w - lr * change
        elif spec["name"] == "lion":
            b1 = spec.get("beta_1", 0.9)
            w = w - lr * np.sign(b1 * a + (1 - b1) * g)
            a = 0.99 * a + 0.01 * g
        else:
            b1, b2 = spec.get("beta_1", 0.9), spec.get("beta_2", 0.999)
            alpha = lr * np.sqrt(1 - b2**t) / (1 - b1**t)
            a = a + (g - a) * (1 - b1)
            b = b + (g**2 - b) * (1 - b2)
            c = np.maximum(c, b)
            root = np.sqrt(c if spec.get("amsgrad") else b)
            w = w - alpha * a / (root + spec.get("epsilon", 1e-7))
    return w


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-12), (np.float32, 5e-5)])
def test_a_hundred_steps(spec, dtype, bound):
    rng = np.random.default_rng(0)
    start = rng.standard_normal((7, 9))
    gradients = rng.standard_normal((100, 7, 9)) + 0.3
    w = start.astype(dtype)
    state = [np.zeros_like(w) for _ in range(slots(spec))]
    other, other_state = w.copy(), [slot.copy() for slot in state]
    for t, g in enumerate(gradients, start=1):
        _core.optimizer_update(spec, w, g.astype(dtype), state, 0.01, t)
        clipped = reference.clip_gradients(spec, [g])[0]
        reference.optimizer_update(spec, other, clipped, other_state, 0.01, t)
    np.testing.assert_allclose(w, by_hand(spec, start, gradients, 0.01), bound, bound)
    np.testing.assert_allclose(w, other, bound, bound)
    for slot, expected in zip(state, other_state, strict=True):
        np.testing.assert_allclose(slot, expected, bound, bound)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_threads_do_not_change_bits(spec):
    rng = np.random.default_rng(1)
    w, g = rng.standard_normal((2, 300, 401)).astype(np.float32)
    threads, results = df.get_num_threads(), []
    try:
        for count in (1, 2):
            df.set_num_threads(count)
            mine, state = w.copy(), [np.zeros_like(w) for _ in range(slots(spec))]
            for t in (1, 2, 3):
                _core.optimizer_update(spec, mine, g, state, 0.1, t)
            results.append([mine, *state])
    finally:
        df.set_num_threads(threads)
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_gradients_of_other_types_and_layouts():
    w, g = np.ones((4, 6)), np.arange(24.0).reshape(4, 6)
    for gradient in (g, np.asfortranarray(g), g.astype(np.float32), g.astype(np.float16)):
        mine = w.copy()
        _core.optimizer_update({"name": "sgd"}, mine, gradient, [], 0.5, 1)
        assert np.array_equal(mine, w - 0.5 * g)


def test_constant_gradient_does_not_break_the_centred_variance():
    w, state = np.zeros(3, np.float32), [np.zeros(3, np.float32) for _ in range(2)]
    for t in range(1, 300):
        gradient = np.full(3, 1000.0, np.float32)
        _core.optimizer_update({"name": "rmsprop", "centered": True}, w, gradient, state, 1e-9, t)
    assert np.isfinite(w).all()


W = np.ones(3, np.float32)
READ_ONLY = np.ones(3, np.float32)
READ_ONLY.flags.writeable = False
MOMENTUM = {"name": "sgd", "momentum": 0.9}


@pytest.mark.parametrize(
    ("error", "message", "spec", "parameter", "gradient", "state", "rate", "step"),
    [
        (
            ValueError,
            r"optimizer must be one of .*'ftrl'",
            {"name": "ftrl"},
            W,
            W,
            [],
            0.1,
            1,
        ),
        (ValueError, r"optimizer must be a dict with a name", {}, W, W, [], 0.1, 1),
        (ValueError, r"sgd takes .*Received: rho", {"name": "sgd", "rho": 1}, W, W, [], 0.1, 1),
        (
            ValueError,
            r"momentum must be in \[0, 1\]",
            {"name": "sgd", "momentum": 2},
            W,
            W,
            [],
            0.1,
            1,
        ),
        (
            ValueError,
            r"beta_1 must be in \[0, 1\)",
            {"name": "adam", "beta_1": 1},
            W,
            W,
            [],
            0.1,
            1,
        ),
        (
            TypeError,
            r"momentum of optimizer must be a number.*momentum=x",
            {"name": "sgd", "momentum": "x"},
            W,
            W,
            [],
            0.1,
            1,
        ),
        (
            ValueError,
            r"clipvalue must be positive",
            {"name": "sgd", "clipvalue": -1},
            W,
            W,
            [],
            0.1,
            1,
        ),
        (
            ValueError,
            r"only one of clipnorm, clipvalue and global_clipnorm",
            {"name": "sgd", "clipvalue": 1, "clipnorm": 1},
            W,
            W,
            [],
            0.1,
            1,
        ),
        (ValueError, r"learning_rate must be at least 0", {"name": "sgd"}, W, W, [], -0.1, 1),
        (
            ValueError,
            r"step must be at least 1\. Received: step=0",
            {"name": "sgd"},
            W,
            W,
            [],
            0.1,
            0,
        ),
        (ValueError, r"state must have 1 arrays\. Received: 0", MOMENTUM, W, W, [], 0.1, 1),
        (
            ValueError,
            r"state must have parameter's shape",
            MOMENTUM,
            W,
            W,
            [np.ones(2, np.float32)],
            0.1,
            1,
        ),
        (TypeError, r"state must be an array", MOMENTUM, W, W, [np.ones(3)], 0.1, 1),
        (ValueError, r"state must be writable and overlap nothing", MOMENTUM, W, W, [W], 0.1, 1),
        (ValueError, r"parameter must be writable", {"name": "sgd"}, READ_ONLY, W, [], 0.1, 1),
        (
            TypeError,
            r"parameter must be an array .*int64",
            {"name": "sgd"},
            np.ones(3, int),
            W,
            [],
            0.1,
            1,
        ),
        (
            ValueError,
            r"parameter must be C-contiguous",
            {"name": "sgd"},
            np.ones(6)[::2],
            W,
            [],
            0.1,
            1,
        ),
        (
            ValueError,
            r"gradient must have parameter's shape",
            {"name": "sgd"},
            W,
            W[:2],
            [],
            0.1,
            1,
        ),
        (ValueError, r"gradient must not overlap", {"name": "sgd"}, W, W, [], 0.1, 1),
        (
            TypeError,
            r"gradient must be an array of float16",
            {"name": "sgd"},
            W,
            np.ones(3, int),
            [],
            0.1,
            1,
        ),
    ],
)
def test_errors_change_nothing(error, message, spec, parameter, gradient, state, rate, step):
    if gradient is W and "overlap" not in message:
        gradient = W.copy()
    with pytest.raises(error, match=message):
        _core.optimizer_update(spec, parameter, gradient, state, rate, step)
    assert (W == 1).all()
    assert (np.asarray(parameter) == 1).all()
