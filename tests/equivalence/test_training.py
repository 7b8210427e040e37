"""Whole training runs: the native network against the reference, same program, same seed.

The reference computes each step in float64. In a float64 network both round at 2^-53 and 40 steps
must agree to 1e-9 of the largest weight: any difference of meaning shows. In float32 each step adds
roundings of activations and gradients (sums of up to 60 terms): 40 steps are allowed
40 * 60 * 2^-24 = 1.4e-4 of the largest weight. Gaussian noise is made of float32 variates even in a
float64 network, so it has the latter bound.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dropfast import _core as fast
from dropfast import reference

Array = np.ndarray[Any, Any]
Layer = dict[str, Any]
DTYPES = ["float32", "float64"]
ROWS, FEATURES, CLASSES, BATCH, STEPS = 300, 21, 5, 32, 40


def full(layer: Layer) -> Layer:
    """Every entry of the program written out, as the Python layers do."""
    if layer["kind"] == "dropout":
        return {"scale_at": "train", "per_row": False, "rows_per_mask": 1, **layer}
    extra = {"activation": "linear", "negative_slope": 0.2, "alpha": 1.0, "approximate": False}
    if layer["kind"] == "activation":
        return {**extra, **layer}
    if layer["kind"] == "dense":
        penalties = dict.fromkeys(("kernel_l1", "kernel_l2", "bias_l1", "bias_l2"), 0.0)
        limits = dict.fromkeys(("kernel_max_norm", "bias_max_norm"))
        return {"use_bias": True, **extra, **penalties, **limits, **layer}
    return layer


def dense(units: int, activation: str = "linear", **more: Any) -> Layer:
    return {"kind": "dense", "units": units, "activation": activation, **more}


def drop(rate: float, **more: Any) -> Layer:
    return {"kind": "dropout", "rate": rate, **more}


def add(source: int) -> Layer:
    return {"kind": "add", "source": source}


HEAD = dense(CLASSES, "softmax")
SPARSE = {"name": "sparse_categorical_crossentropy", "from_logits": False}
ADAM = {"name": "adam", "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False}
SGD = {"name": "sgd", "momentum": 0.0, "nesterov": False}
MOMENTUM = {**SGD, "momentum": 0.9, "nesterov": True}
RMSPROP = {"name": "rmsprop", "rho": 0.9, "momentum": 0.0, "epsilon": 1e-7, "centered": False}

# name -> layers, loss, optimizer, learning rate
RUNS: dict[str, tuple[list[Layer], dict[str, Any], dict[str, Any], float]] = {
    "seed network in small": (
        [drop(0.2), dense(40, "relu"), drop(0.2), dense(24, "relu"), drop(0.2), HEAD],
        SPARSE,
        SGD,
        0.1,
    ),
    "no dropout": ([dense(33, "relu"), HEAD], SPARSE, MOMENTUM, 0.01),
    "row groups": (
        [drop(0.2, rows_per_mask=8), dense(40, "relu"), drop(0.5, rows_per_mask=16), HEAD],
        SPARSE,
        SGD,
        0.1,
    ),
    "odd row groups": (
        [dense(9, "relu"), drop(0.5, rows_per_mask=5), dense(7), drop(0.5, rows_per_mask=7), HEAD],
        SPARSE,
        SGD,
        0.1,
    ),
    "one mask a batch": (
        [drop(0.1, rows_per_mask=0), dense(40, "relu"), drop(0.5, rows_per_mask=0), HEAD],
        SPARSE,
        MOMENTUM,
        0.01,
    ),
    "rows dropped whole": ([dense(20, "tanh"), drop(0.3, per_row=True), HEAD], SPARSE, SGD, 0.1),
    "classic scaling": (
        [drop(0.2, scale_at="inference"), dense(30, "relu"), drop(0.5, scale_at="inference"), HEAD],
        SPARSE,
        SGD,
        0.1,
    ),
    "alpha": (
        [dense(30, "selu"), {"kind": "alpha_dropout", "rate": 0.1}, dense(20, "elu", alpha=0.8),
         HEAD],
        SPARSE, SGD, 0.05,
    ),
    "gaussian": (
        [dense(30, "relu"), {"kind": "gaussian_dropout", "rate": 0.3}, HEAD], SPARSE, SGD, 0.05,
    ),
    "curved activations": (
        [dense(20, "tanh"), dense(20, "silu"), dense(20, "gelu"),
         dense(20, "gelu", approximate=True), dense(20, "sigmoid"),
         dense(20, "leaky_relu", negative_slope=0.1), HEAD],
        SPARSE, ADAM, 0.01,
    ),
    "activations apart": (
        [dense(20, use_bias=False), drop(0.3), {"kind": "activation", "activation": "tanh"},
         dense(CLASSES), {"kind": "activation", "activation": "softmax"}],
        SPARSE, ADAM, 0.01,
    ),
    "softmax of kept values": (
        [dense(20, "relu"), dense(CLASSES, "tanh"),
         {"kind": "activation", "activation": "softmax"}],
        SPARSE, SGD, 0.1,
    ),
    "softmax below": ([dense(20, "softmax"), drop(0.2), HEAD], SPARSE, ADAM, 0.01),
    "dropout last": (
        [dense(20, "relu"), dense(3), drop(0.2)], {"name": "mean_squared_error"}, SGD, 0.05,
    ),
    "skip connections": (
        [drop(0.2), dense(24, "relu"), dense(24, "relu"), drop(0.2), add(2),
         dense(24, "tanh"), drop(0.3, rows_per_mask=8), add(5), add(2), HEAD],
        SPARSE, ADAM, 0.01,
    ),
    "skip over the input": (
        [dense(FEATURES, "relu"), add(0), dense(FEATURES), add(2), add(0), HEAD],
        SPARSE, SGD, 0.1,
    ),
    "penalties and norms": (
        [dense(30, "relu", kernel_l1=1e-3, kernel_l2=1e-2, bias_l1=1e-3, bias_l2=1e-2,
               kernel_max_norm=0.8, bias_max_norm=0.05), drop(0.3),
         dense(CLASSES, "softmax", kernel_max_norm=1.0)],
        SPARSE, SGD, 0.2,
    ),
    "clip each": ([dense(30, "relu"), HEAD], SPARSE, {**SGD, "clipnorm": 0.05}, 0.5),
    "clip all": ([dense(30, "relu"), HEAD], SPARSE, {**SGD, "global_clipnorm": 0.05}, 0.5),
    "clip values": (
        [dense(30, "relu"), HEAD], SPARSE, {**SGD, "clipvalue": 0.003, "weight_decay": 0.01}, 0.5,
    ),
    "smooth labels": (
        [dense(20, "relu"), HEAD],
        {"name": "categorical_crossentropy", "from_logits": False, "label_smoothing": 0.1},
        {**ADAM, "amsgrad": True}, 0.01,
    ),
    "logits": ([dense(20, "relu"), dense(CLASSES)], {**SPARSE, "from_logits": True}, ADAM, 0.01),
    "sigmoids": (
        [dense(20, "relu"), dense(4, "sigmoid")],
        {"name": "binary_crossentropy", "from_logits": False, "label_smoothing": 0.0}, ADAM, 0.01,
    ),
    "regression": (
        [dense(20, "tanh"), drop(0.1), dense(3)], {"name": "huber", "delta": 0.7},
        {**ADAM, "name": "adamw", "weight_decay": 0.01}, 0.01,
    ),
    "absolute errors": (
        [dense(20, "tanh"), dense(1)], {"name": "mean_absolute_error"}, RMSPROP, 0.003,
    ),
    "everything dropped": ([dense(20, "relu"), drop(1.0), HEAD], SPARSE, SGD, 0.1),
}  # fmt: skip


def initial(layers: list[Layer], dtype: str) -> list[Array]:
    """Glorot-like kernels; small biases, so that their gradients meet a slope."""
    generator = np.random.default_rng(5)
    params, inputs = [], FEATURES
    for layer in layers:
        if layer["kind"] == "dense":
            units = layer["units"]
            params.append(generator.normal(size=(inputs, units)) * np.sqrt(2 / (inputs + units)))
            if layer["use_bias"]:
                params.append(generator.normal(size=units) * 0.1)
            inputs = units
    return [np.ascontiguousarray(w.astype(dtype)) for w in params]


def data(loss: dict[str, Any], layers: list[Layer], dtype: str) -> tuple[Array, Array]:
    generator = np.random.default_rng(6)
    x = generator.normal(size=(ROWS, FEATURES))
    units = [layer["units"] for layer in layers if layer["kind"] == "dense"][-1]
    scores = x @ generator.normal(size=(FEATURES, units))
    if loss["name"].startswith("sparse"):
        return x.astype(dtype), scores.argmax(axis=1).astype(np.int64)
    if loss["name"].startswith("categorical"):
        return x.astype(dtype), np.eye(units)[scores.argmax(axis=1)].astype(dtype)
    if loss["name"].startswith("binary"):
        return x.astype(dtype), (scores > 0).astype(dtype)
    return x.astype(dtype), (np.sin(scores) + scores / 8).astype(dtype)


def keys_of(layers: list[Layer], step: int = 0) -> list[fast.Key]:
    stochastic = ("dropout", "alpha_dropout", "gaussian_dropout")
    return [fast.Key(11, i, step) for i, layer in enumerate(layers) if layer["kind"] in stochastic]


def train(network: Any, params: list[Array], run: str, dtype: str, **more: Any) -> dict[str, Any]:
    """STEPS steps over reshuffled epochs, in calls that may come back early."""
    layers, loss, optimizer, rate = RUNS[run]
    layers = [full(layer) for layer in layers]
    x, y = data(loss, layers, dtype)
    state = reference.initial_state(optimizer, params)
    units = [layer["units"] for layer in layers if layer["kind"] == "dense"][-1]
    per_epoch = -(-ROWS // BATCH)
    total, correct, step = 0.0, 0, 0
    outputs = np.zeros((ROWS, units), dtype)
    while step < STEPS:
        epoch, start = divmod(step, per_epoch)
        batches = min(per_epoch - start, STEPS - step)
        done, part, right = network.train(
            params, state, x, y,
            order=fast.permutation(ROWS, fast.Key(11, 2 << 48, epoch)),
            start=start, batches=batches, batch_size=BATCH, loss=loss, optimizer=optimizer,
            learning_rates=rate * 0.99 ** np.arange(step, step + batches),
            keys=keys_of(layers), first_step=step, predictions=outputs, **more,
        )  # fmt: skip
        assert 0 < done <= batches
        total, correct, step = total + part, correct + right, step + done
    return {"params": params, "state": state, "total": total, "correct": correct, "y": outputs}


def networks(run: str, dtype: str) -> tuple[Any, Any, list[Layer]]:
    layers = [full(layer) for layer in RUNS[run][0]]
    pair = (module.Network(layers, FEATURES, dtype) for module in (fast, reference))
    return *pair, layers


def is_exact(run: str, dtype: str) -> bool:
    return dtype == "float64" and run != "gaussian"


def close(got: list[Array], expected: list[Array], exact: bool) -> None:
    for a, b in zip(got, expected, strict=True):
        bound = (1e-9 if exact else STEPS * 60 * 2.0**-24) * max(np.abs(b).max(), 1.0)
        np.testing.assert_allclose(a, b, rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("run", RUNS)
def test_runs(run: str, dtype: str) -> None:
    native, plain, layers = networks(run, dtype)
    ours = train(native, initial(layers, dtype), run, dtype)
    theirs = train(plain, initial(layers, dtype), run, dtype)
    start = initial(layers, dtype)
    assert max(np.abs(a - b).max() for a, b in zip(ours["params"], start, strict=True)) > 1e-3
    exact = is_exact(run, dtype)
    close(ours["params"], theirs["params"], exact)
    for a, b in zip(ours["state"], theirs["state"], strict=True):
        close(a, b, exact)
    close([ours["y"]], [theirs["y"]], exact)
    tolerance = 1e-9 if exact else 1e-4
    assert abs(ours["total"] - theirs["total"]) <= tolerance * abs(theirs["total"])
    assert abs(ours["correct"] - theirs["correct"]) <= (0 if exact else 2)


@pytest.mark.parametrize("run", ["seed network in small", "row groups", "curved activations"])
def test_threads_give_the_same_bits(run: str, threads: int) -> None:
    native, _, layers = networks(run, "float32")
    ours = train(native, initial(layers, "float32"), run, "float32")
    from dropfast import _core

    _core.set_num_threads(1)
    alone = train(native, initial(layers, "float32"), run, "float32")
    for a, b in zip(ours["params"], alone["params"], strict=True):
        np.testing.assert_array_equal(a, b)
    assert (ours["total"], ours["correct"]) == (alone["total"], alone["correct"])


@pytest.mark.parametrize("run", ["seed network in small", "row groups"])
def test_short_calls_give_the_same_bits(run: str) -> None:
    """A run of many calls that come back at once equals one call."""
    native, _, layers = networks(run, "float32")
    at_once = train(native, initial(layers, "float32"), run, "float32", milliseconds=60_000)
    in_parts = train(native, initial(layers, "float32"), run, "float32", milliseconds=1)
    for a, b in zip(at_once["params"], in_parts["params"], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("run", RUNS)
def test_forward(run: str, dtype: str) -> None:
    native, plain, layers = networks(run, dtype)
    params = initial(layers, dtype)
    x, _ = data(RUNS[run][1], layers, dtype)
    units = params[-1].shape[-1]
    for n in (1, 15, 16, 33, ROWS):
        for keys in (None, keys_of(layers, step=2**32)):
            got, expected = np.zeros((n, units), dtype), np.zeros((n, units), dtype)
            native.forward(params, x[:n], got, keys=keys)
            plain.forward(params, x[:n], expected, keys=keys)
            close([got], [expected], is_exact(run, dtype))


def test_rates_and_weights_per_call() -> None:
    """Rates that move from batch to batch, rows that weigh differently, steps past 2^32."""
    run, dtype = "seed network in small", "float64"
    native, plain, layers = networks(run, dtype)
    x, y = data(SPARSE, layers, dtype)
    results = []
    for network in (native, plain):
        params = initial(layers, dtype)
        out = network.train(
            params, [], x, y, order=np.arange(ROWS), start=1, batches=9, batch_size=BATCH,
            loss=SPARSE, optimizer=SGD, learning_rates=np.full(9, 0.1), keys=keys_of(layers),
            rates=np.linspace(0, 1, 27).reshape(9, 3), first_step=2**32 - 4,
            sample_weight=np.linspace(0, 2, ROWS), milliseconds=60_000,
        )  # fmt: skip
        results.append((params, out))
    close(results[0][0], results[1][0], exact=True)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-9)


def test_bytes_are_taken_as_they_are() -> None:
    layers = [full(layer) for layer in [drop(0.2), dense(8, "relu"), HEAD]]
    x = np.random.default_rng(0).integers(0, 256, (50, FEATURES)).astype(np.uint8)
    params = initial(layers, "float32")
    native = fast.Network(layers, FEATURES, "float32")
    got, expected = np.zeros((2, 50, CLASSES), np.float32)
    native.forward(params, x, got, keys=keys_of(layers))
    native.forward(params, x.astype(np.float32), expected, keys=keys_of(layers))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_of_rows_just_as_the_network_takes_them(dtype: str) -> None:
    layers = [full(layer) for layer in [drop(0.2), dense(8, "relu"), HEAD]]
    x = np.random.default_rng(0).normal(size=(50, FEATURES)).astype(dtype)
    params = initial(layers, dtype)
    native = fast.Network(layers, FEATURES, dtype)
    expected = np.empty((50, CLASSES), dtype)
    native.forward(params, x, expected)
    for rows in (1, 3, 50):
        got = native.predict(params, x[:rows])
        assert got is not None
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, expected[:rows])
    other = x.astype("float64" if dtype == "float32" else "float32")
    odd = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(dtype).reshape(x.shape)
    for array in (other, x.tolist(), x[:0], x[0], x[:, 1:], x[:, ::-1], x.T.copy().T, odd):
        assert native.predict(params, array) is None
    with pytest.raises(ValueError, match="params must have 4 arrays"):
        native.predict(params[:3], x)
    with pytest.raises(TypeError, match="params must be a"):
        native.predict([p.astype(other.dtype) for p in params], x)
    with pytest.raises(ValueError, match="params must be C-contiguous with"):
        native.predict([params[0].T, *params[1:]], x)


@pytest.mark.parametrize("run", ["seed network in small", "row groups", "alpha"])
def test_monte_carlo(run: str) -> None:
    native, plain, layers = networks(run, "float64")
    params = initial(layers, "float64")
    x, _ = data(RUNS[run][1], layers, "float64")
    results = []
    for network in (native, plain):
        mean, m2 = np.zeros((2, 37, CLASSES))
        for first, samples in [(0, 3), (3, 8)]:
            network.predict_mc(
                params, x[:37], mean, m2, keys=keys_of(layers), samples=samples, first_sample=first
            )
        results.append((mean, m2))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("rows", [(5, False), (16, False), (11, True)])
@pytest.mark.parametrize("run", ["seed network in small", "row groups", "alpha"])
def test_monte_carlo_of_blocks(run: str, rows: tuple[int, bool]) -> None:
    native, plain, layers = networks(run, "float64")
    params = initial(layers, "float64")
    x, _ = data(RUNS[run][1], layers, "float64")
    first_row, consistent = rows
    more = {"keys": keys_of(layers), "first_row": first_row, "consistent": consistent}
    results = []
    for network in (native, plain):
        mean, m2 = np.zeros((2, 37, CLASSES))
        network.predict_mc(params, x[:37], mean, m2, samples=4, **more)
        out = np.zeros((37, CLASSES))
        network.forward(params, x[:37], out, **more)
        results.append((mean, m2, out))
    for native_one, plain_one in zip(*results, strict=True):
        np.testing.assert_allclose(native_one, plain_one, rtol=1e-8, atol=1e-12)
