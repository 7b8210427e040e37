"""Whatever interrupts training, weights, optimizer state and counter are those of one step."""

from __future__ import annotations

import gc
import signal
import time

import numpy as np
import pytest

import dropfast as df

L = df.layers
ROWS, BATCH = 256, 16
# Where the moving mean and variance stand among the arrays.
RUNNING = (4, 5)


def model(native):
    """A network with dropout and Adam, natively or layer by layer."""
    layers = [L.Input(12), L.Dense(24, "relu"), L.Dropout(0.3)]
    if not native:
        layers.append(L.BatchNormalization())
    made = df.Sequential([*layers, L.Dense(3, "softmax")], seed=4)
    made.compile(df.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return made


def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, 12)).astype(np.float32), rng.integers(0, 3, ROWS)


def snapshot(found):
    arrays = [*found.get_weights(), *(a.copy() for slot in found.optimizer.state for a in slot)]
    return found.optimizer.iterations, arrays


@pytest.fixture(scope="module", params=[True, False], ids=["native", "stepwise"])
def trail(request):
    """Weights and state after every step of a run that nothing interrupts."""
    x, y = data()
    found, states = model(request.param), {}
    found.optimizer.build(found.trainable_weights)
    for epoch in range(6):
        for step in range(ROWS // BATCH):
            done = epoch * (ROWS // BATCH) + step
            states[done] = snapshot(found)[1]
            rows = df.random.permutation(ROWS, df.Key(4, df.random.SHUFFLE, epoch))
            rows = rows[step * BATCH : (step + 1) * BATCH]
            found.train_on_batch(x[rows], y[rows])
    states[6 * (ROWS // BATCH)] = snapshot(found)[1]
    return request.param, states


class RingError(Exception):
    """What the handler raises."""


def interrupted(native, seconds, handler):
    """A fit of six epochs in which a signal comes after some seconds."""
    x, y = data()
    found = model(native)
    before = signal.signal(signal.SIGALRM, lambda *_: handler(found))
    # Python prints what is raised inside such a callback (Hypothesis has one) and goes on.
    callbacks, gc.callbacks[:] = gc.callbacks[:], []
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        found.fit(x, y, batch_size=BATCH, epochs=6, verbose=0)
    except RingError:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.callbacks[:] = callbacks
    return found


def duration(native):
    start = time.perf_counter()
    interrupted(native, 100.0, lambda found: None)
    return time.perf_counter() - start


def test_an_exception_at_any_moment_leaves_a_whole_step(trail):
    native, states = trail
    longest = duration(native)

    def ring(found):
        raise RingError

    seen = set()
    for moment in np.random.default_rng(1).uniform(1e-4, longest, 100):
        steps, arrays = snapshot(interrupted(native, moment, ring))
        if not arrays or not steps:
            continue
        seen.add(steps)
        for mine, right in zip(arrays, states[steps], strict=True):
            np.testing.assert_array_equal(mine, right)
    assert len(seen) >= 2


def test_what_a_handler_sees_is_a_whole_step(trail):
    native, states = trail
    longest, seen = duration(native), []

    def look(found):
        if found.built and found.optimizer.state:
            seen.append(snapshot(found))

    for moment in np.random.default_rng(2).uniform(1e-4, longest, 100):
        interrupted(native, moment, look)
    assert len(seen) >= 10
    for steps, arrays in seen:
        for i, (mine, right) in enumerate(zip(arrays, states[steps], strict=True)):
            # Running statistics move while a batch goes forward, and are whole when it is over.
            if native or i not in RUNNING:
                np.testing.assert_array_equal(mine, right)
