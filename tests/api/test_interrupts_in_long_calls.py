"""Interrupts at any moment: weights, optimizer state and counter belong to one step."""

from __future__ import annotations

import gc
import hashlib
import random
import signal
import threading
import time

import numpy as np
import pytest

import dropfast as df

L = df.layers
pytestmark = pytest.mark.skipif(
    not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread(),
    reason="needs POSIX timers on the main thread",
)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(640, 20)).astype(np.float32)
Y = X[:, :4].argmax(axis=1)
STEPS, EPOCHS = 20, 12


@pytest.fixture(autouse=True)
def _alone():
    """Most runs take one thread: on a busy machine steps of two wait for the second one."""
    before = df.get_num_threads()
    df.set_num_threads(1)
    # Python prints what is raised inside such a callback (Hypothesis has one) and goes on.
    callbacks, gc.callbacks[:] = gc.callbacks[:], []
    yield
    gc.callbacks[:] = callbacks
    df.set_num_threads(before)


class StopError(Exception):
    """Raised by a signal handler."""


def native():
    made = df.Sequential(
        [L.Dropout(0.2), L.Dense(40, "relu"), L.Dropout(0.5), L.Dense(4, "softmax")], seed=3
    )
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    made.build((None, 20))
    return made


def by_layers():
    made = df.Sequential(
        [
            L.Dense(24, "relu", kernel_constraint=df.constraints.MaxNorm(1.0)),
            L.BatchNormalization(),
            L.Dropout(0.5),
            L.Dense(4, "softmax"),
        ],
        seed=3,
    )
    made.compile(df.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
    made.build((None, 20))
    return made


MODELS = {"native": native, "layer by layer": by_layers}


def digest(model):
    """Of weights and optimizer state."""
    found = hashlib.blake2b()
    for array in [*model.weights, *(array for slot in model.optimizer.state for array in slot)]:
        found.update(array.tobytes())
    return found.hexdigest()


def fit(model, **more):
    model.fit(X, Y, batch_size=32, verbose=0, **more)


def digests_of(make):
    """The digest after each number of steps of a run that nothing interrupts, and its seconds."""
    model = make()
    model.optimizer.build(model.trainable_weights)
    found = [digest(model)]

    class Note(df.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            found.append(digest(model))

    fit(model, epochs=EPOCHS, callbacks=[Note()])
    timed = make()
    start = time.perf_counter()
    fit(timed, epochs=EPOCHS)
    assert digest(timed) == found[-1]
    return found, time.perf_counter() - start


class Timer:
    """A signal after some seconds, then again each `every`."""

    def __init__(self, handler, seconds, every=0.0):
        self.handler, self.times = handler, (max(seconds, 1e-4), every)

    def __enter__(self):
        self.before = signal.signal(signal.SIGALRM, self.handler)
        signal.setitimer(signal.ITIMER_REAL, *self.times)

    def __exit__(self, *_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.before)


def stop(*_):
    raise StopError


def go_on(model):
    """The rest of an interrupted run, batch after batch."""
    while model.optimizer.iterations < STEPS * EPOCHS:
        epoch, batch = divmod(model.optimizer.iterations, STEPS)
        order = df.random.permutation(len(X), df.Key(model.seed, df.random.SHUFFLE, epoch))
        rows = order[batch * 32 : (batch + 1) * 32]
        model.train_on_batch(X[rows], Y[rows])


@pytest.mark.parametrize("kind", MODELS)
def test_a_run_stopped_at_100_random_moments_goes_on_to_the_same_bits(kind):
    make = MODELS[kind]
    digests, seconds = digests_of(make)
    moments, stopped = random.Random(0), 0
    for number in range(100):
        df.set_num_threads(2 if number % 20 == 0 else 1)
        model = make()
        try:
            with Timer(stop, moments.uniform(0, seconds)):
                fit(model, epochs=EPOCHS)
        except StopError:
            stopped += 1
        model.optimizer.build(model.trainable_weights)
        assert digest(model) == digests[model.optimizer.iterations]
        if number % 10 == 0:
            go_on(model)
            assert digest(model) == digests[-1]
    assert stopped > 20


@pytest.mark.parametrize("kind", MODELS)
def test_a_signal_handler_sees_and_saves_whole_steps(kind, tmp_path):
    make = MODELS[kind]
    digests, _ = digests_of(make)
    model, seen, path = make(), [], tmp_path / "m.safetensors"
    model.optimizer.build(model.trainable_weights)
    state = [*model.weights, *(array for slot in model.optimizer.state for array in slot)]
    start, looks = [array.copy() for array in state], False

    def look(*_):
        if not looks:
            return
        seen.append((model.optimizer.iterations, digest(model)))
        if len(seen) % 10 == 1:
            model.save(path)
            saved = df.load_model(path)
            seen.append((saved.optimizer.iterations, digest(saved)))

    with Timer(look, 1e-3, 2e-3):
        while len(seen) < 200:
            looks = False
            for array, first in zip(state, start, strict=True):
                array[...] = first
            model.optimizer.iterations = model.epochs_done = 0
            looks = True
            fit(model, epochs=EPOCHS)
        looks = False
    assert all(found == digests[step] for step, found in seen)


def test_predictions_are_stopped_and_the_model_goes_on():
    model = native()
    x = np.tile(X, (40, 1))
    before = model.predict(X)
    for call in (
        lambda: model.predict_mc(x, samples=1_000_000),
        lambda: model.predict_mc(x, samples=1_000_000, information=True),
    ):
        start = time.perf_counter()
        with pytest.raises(StopError), Timer(stop, 0.1):
            call()
        assert time.perf_counter() - start < 20.0
    assert np.array_equal(model.predict(X), before)


def test_a_step_over_many_rows_is_stopped_without_a_trace():
    x = np.ones((16_384, 512), np.float32)
    wide = [L.Dense(1024, "relu"), L.Dense(1024, "relu"), L.Dense(512), L.Dense(1)]
    model = df.Sequential(wide, seed=0)
    model.compile("adam", "mse")
    model.build((None, 512))
    before = model.get_weights()
    moments = random.Random(1)
    for _ in range(4):
        with pytest.raises(StopError), Timer(stop, moments.uniform(0.05, 0.4)):
            model.fit(x, x[:, :1], batch_size=len(x), epochs=100, verbose=0)
        if model.optimizer.iterations == 0:
            same = zip(before, model.weights, strict=True)
            assert all(np.array_equal(a, b) for a, b in same)
    model.fit(x[:64], x[:64, :1], verbose=0)
