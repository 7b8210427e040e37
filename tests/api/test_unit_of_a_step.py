"""What belongs to a step beside weights and moments is done with it or not at all."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df

L, OP = df.layers, df.optimizers
X = np.random.default_rng(0).normal(size=(96, 6)).astype(np.float32)
Y = X[:, :2].argmax(axis=1)


def model(optimizer, normalised=False):
    layers = [L.Dense(8, "relu"), L.Dropout(0.3), L.Dense(2, "softmax")]
    if normalised:
        layers.insert(1, L.BatchNormalization())
    made = df.Sequential(layers, seed=2)
    made.compile(optimizer, "sparse_categorical_crossentropy")
    made.build((None, 6))
    return made


def bits(made):
    arrays = [*made.weights, *(array for slot in made.optimizer.state for array in slot)]
    return made.optimizer.iterations, [array.tobytes() for array in arrays]


class StopError(Exception):
    """What interrupts a step."""


def stopping(method, at):
    """The method, which raises before its call number `at`."""
    calls = 0

    def stopped(*arguments):
        nonlocal calls
        calls += 1
        if calls == at:
            raise StopError
        return method(*arguments)

    return stopped


@pytest.mark.parametrize("normalised", [False, True], ids=["native", "stepwise"])
@pytest.mark.parametrize("often", [None, 3])
def test_averages_are_of_the_step_of_the_weights(normalised, often, tmp_path, monkeypatch):
    """The fit ends after the step and before its average is taken."""
    settings = {"use_ema": True, "ema_momentum": 0.7, "ema_overwrite_frequency": often}
    whole, broken = (model(OP.Adam(0.05, **settings), normalised) for _ in range(2))
    for start in range(0, 96, 16):
        whole.train_on_batch(X[start : start + 16], Y[start : start + 16])
        if start == 32:
            third = bits(whole)
    optimizer = broken.optimizer
    for start in range(0, 32, 16):
        broken.train_on_batch(X[start : start + 16], Y[start : start + 16])
    # Before the step there is nothing to do, after it there is.
    monkeypatch.setattr(OP.Optimizer, "settle", stopping(OP.Optimizer.settle, 2))
    with pytest.raises(StopError):
        broken.train_on_batch(X[32:48], Y[32:48])
    monkeypatch.undo()
    assert optimizer.iterations == 3
    broken.save(tmp_path / "m.safetensors")
    saved = df.load_model(tmp_path / "m.safetensors")
    for found in (broken, saved):
        assert bits(found) == third
        for start in range(48, 96, 16):
            found.train_on_batch(X[start : start + 16], Y[start : start + 16])
        assert bits(found) == bits(whole)


def test_sums_of_gradients_are_of_the_step_of_the_weights():
    whole, broken = (model(OP.SGD(0.1, 0.9, gradient_accumulation_steps=2)) for _ in range(2))
    for start in range(0, 64, 16):
        whole.train_on_batch(X[start : start + 16], Y[start : start + 16])
    optimizer = broken.optimizer
    broken.train_on_batch(X[:16], Y[:16])
    before = bits(broken)
    optimizer.clip = stopping(optimizer.clip, 1)
    with pytest.raises(StopError):
        broken.train_on_batch(X[16:32], Y[16:32])
    assert bits(broken) == before
    for start in range(16, 64, 16):
        broken.train_on_batch(X[start : start + 16], Y[start : start + 16])
    assert bits(broken) == bits(whole)


class Odd(OP.schedules.LearningRateSchedule):
    """A schedule of one's own."""

    def __init__(self, later):
        self.later = later

    def __call__(self, step):
        return 0.1 if step < 2 else self.later


@pytest.mark.parametrize("normalised", [False, True], ids=["native", "stepwise"])
@pytest.mark.parametrize("later", [-0.1, float("nan"), float("inf"), None, "fast", 10**400])
def test_rates_of_a_schedule_are_checked(normalised, later):
    made = model(OP.SGD(Odd(later)), normalised)
    for _ in range(2):
        made.train_on_batch(X, Y)
    before = bits(made)
    with pytest.raises(ValueError, match=r"learning_rate must be .* Received: .* at step 2"):
        made.fit(X, Y, verbose=0)
    assert bits(made) == before
