"""What the package promises about all runs: bits, threads, the interpreter's lock."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from cases import cases
from hypothesis import given
from hypothesis import strategies as st

import dropfast as df

L = df.layers


@st.composite
def runs(draw):
    """A stack with dropout, a batch size, a number of rows."""
    sizes = draw(st.lists(st.integers(1, 20), min_size=1, max_size=3))
    layers = []
    for size in sizes:
        rows = draw(st.sampled_from([1, 1, 2, 5, 0]))
        layers.append(("dropout", draw(st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0])), rows))
        layers.append(("dense", size, draw(st.sampled_from(["relu", "tanh", "gelu", "selu"]))))
    layers.append(("dense", 3, "softmax"))
    return layers, draw(st.integers(1, 50)), draw(st.integers(1, 70)), draw(st.integers(1, 9))


def model(layers, dtype):
    made = [
        L.Dropout(one, rows_per_mask=two) if kind == "dropout" else L.Dense(one, two)
        for kind, one, two in layers
    ]
    built = df.Sequential([*made], seed=7, dtype=dtype)
    built.compile(df.optimizers.SGD(0.1, momentum=0.5), "sparse_categorical_crossentropy")
    return built


@pytest.mark.filterwarnings("ignore:dropout cannot act")
@cases(40)
@given(runs())
def test_engines_agree_on_any_stack(run):
    layers, batch_size, rows, features = run
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, features)), rng.integers(0, 3, rows)
    a, b = model(layers, "float64"), model(layers, "float64")
    b.build((None, features))
    b._stepwise_only = True
    logs = [m.fit(x, y, batch_size=batch_size, epochs=2, verbose=0).history for m in (a, b)]
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], rtol=1e-8)
    for one, other in zip(a.weights, b.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-10)


@pytest.fixture
def threads():
    before = df.get_num_threads()
    yield df.set_num_threads
    df.set_num_threads(before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_the_number_of_threads(threads, dtype):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(500, 40)), rng.integers(0, 3, 500)
    found = []
    for count in (1, 2, 3):
        threads(count)
        layers = [("dropout", 0.2, 1), ("dense", 33, "relu"), ("dropout", 0.5, 8)]
        made = model([*layers, ("dense", 3, "softmax")], dtype)
        made.fit(x, y, epochs=2, batch_size=100, verbose=0)
        found.append([*made.get_weights(), made.predict(x), made.predict_mc(x, samples=3).mean])
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_other_threads_run_while_a_model_trains():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4000, 100)).astype(np.float32), rng.integers(0, 3, 4000)
    made = model([("dense", 500, "relu"), ("dropout", 0.5, 1), ("dense", 3, "softmax")], "float32")
    made.fit(x, y, epochs=1, verbose=0)
    count, over = 0, threading.Event()

    def work():
        nonlocal count
        while not over.is_set():
            count += 1
            time.sleep(0.001)

    other = threading.Thread(target=work)
    other.start()
    start = time.perf_counter()
    made.fit(x, y, epochs=3, verbose=0)
    seconds = time.perf_counter() - start
    over.set()
    other.join()
    # Holding the lock through a native call of 100 ms would leave ten turns a second.
    assert count > 100 * seconds


def test_two_models_train_at_once_to_the_bits_of_one_after_the_other():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(600, 20)), rng.integers(0, 3, 600)
    stack = [("dropout", 0.5, 1), ("dense", 30, "relu"), ("dense", 3, "softmax")]
    made = [model(stack, "float32") for _ in range(4)]
    workers = [
        threading.Thread(target=lambda m=m: m.fit(x, y, epochs=3, verbose=0)) for m in made[:3]
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    made[3].fit(x, y, epochs=3, verbose=0)
    for other in made[:3]:
        for a, b in zip(made[3].weights, other.weights, strict=True):
            assert np.array_equal(a, b)
