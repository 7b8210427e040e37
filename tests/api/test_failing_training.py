"""Training that fails half-way: what is kept, and that the model goes on afterwards."""

from __future__ import annotations

import io
import pickle
import tempfile
import tracemalloc

import numpy as np
import pytest

import dropfast as df
from dropfast.models import keeping

L = df.layers
X = np.ones((10, 3), np.float32)
Y = np.arange(10) % 2


def model():
    made = df.Sequential([L.Dropout(0.5), L.Dense(2, "softmax")], seed=0)
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    made.build((None, 3))
    return made


def no_file(*arguments, **settings):
    raise OSError("no room")


class FullDisk(io.BytesIO):
    """A file that takes no more than one array."""

    def write(self, data):
        if self.tell():
            raise OSError("no room")
        return super().write(data)


KEPT_IN = {
    "memory": None,
    "a file": tempfile.TemporaryFile,
    "memory, as no file can be made": no_file,
    "memory, as the disk is full": lambda **settings: FullDisk(),
}


@pytest.mark.parametrize("kept_in", KEPT_IN)
@pytest.mark.parametrize("engine", ["native", "stepwise"])
def test_a_loss_that_is_not_finite_keeps_the_last_good_epoch(
    engine, kept_in, stepwise, monkeypatch
):
    """The second epoch's learning rate is so large that the loss overflows."""
    if KEPT_IN[kept_in] is not None:
        monkeypatch.setattr(keeping, "_IN_MEMORY", 0)
        monkeypatch.setattr(tempfile, "TemporaryFile", KEPT_IN[kept_in])

    def make():
        made = df.Sequential([L.Dense(4), L.Dense(1)], seed=0)
        made.compile(df.optimizers.SGD(0.01, momentum=0.5), "mse")
        return stepwise(made, (None, 3)) if engine == "stepwise" else made

    rates = df.callbacks.LearningRateScheduler(lambda epoch: 1e30 if epoch == 1 else 0.01)
    x = np.random.default_rng(0).normal(size=(128, 3))
    y = x.sum(axis=1, keepdims=True)
    good, broken = make(), make()
    good.fit(x, y, epochs=1, verbose=0)
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            FloatingPointError, match=r"\Aepoch 2: .*batch \d.*before this epoch are kept"
        ),
    ):
        broken.fit(x, y, epochs=3, verbose=0, callbacks=[rates])
    assert all(np.array_equal(a, b) for a, b in zip(good.weights, broken.weights, strict=True))
    assert broken.optimizer.iterations == 4
    broken.optimizer.learning_rate = 0.01
    good.fit(x, y, epochs=2, initial_epoch=1, verbose=0)
    broken.fit(x, y, epochs=2, initial_epoch=1, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(good.weights, broken.weights, strict=True))


@pytest.mark.parametrize("engine", ["native", "stepwise"])
def test_weights_that_gave_no_finite_loss_are_not_good(engine, stepwise):
    """Full batches: the first step ruins the weights, the second epoch's first loss shows it."""
    made = df.Sequential([L.Dense(4), L.Dense(1)], seed=0)
    made.compile(df.optimizers.SGD(1e30, momentum=0.5), "mse")
    x = np.random.default_rng(0).normal(size=(64, 3))
    y = x.sum(axis=1, keepdims=True)
    made = stepwise(made, (None, 3)) if engine == "stepwise" else made
    made.build((None, 3))
    before = made.get_weights()
    with (
        np.errstate(all="ignore"),
        pytest.raises(FloatingPointError, match=r"epoch 2: .*before epoch 1 are kept, the last"),
    ):
        made.fit(x, y, batch_size=64, epochs=5, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, made.weights, strict=True))
    assert made.optimizer.iterations == made.epochs_done == 0
    assert all((array == 0).all() for slot in made.optimizer.state for array in slot)
    assert np.isfinite(made.evaluate(x, y))


def test_it_is_said_where_no_weights_are_good():
    made = df.Sequential([L.Dense(1)], seed=0, dtype="float64")
    made.compile("sgd", "mse")
    made.build((None, 3))
    made.set_weights([np.full((3, 1), 1e200), np.zeros(1)])
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=r"No weights of this"):
        made.fit(np.full((2, 3), 1e30), np.ones((2, 1)), epochs=2, verbose=0)
    assert (made.weights[0] == 1e200).all()


def test_training_copies_no_weights_in_memory():
    made = df.Sequential([L.Dense(500), L.Dense(1)], seed=0)
    made.compile(df.optimizers.Adam(), "mse")
    made.build((None, 500))
    x = np.ones((8, 500), np.float32)
    made.fit(x, x[:, :1], verbose=0)
    tracemalloc.start()
    made.fit(x, x[:, :1], epochs=3, verbose=0)
    made.train_on_batch(x, x[:, :1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < made.weights[0].nbytes / 4


def test_a_model_can_be_pickled_while_it_trains():
    made = df.Sequential([L.Dense(200), L.Dense(1)], seed=0)
    made.compile("sgd", "mse")
    x = np.ones((8, 200), np.float32)
    copies = []
    copy = df.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: copies.append(pickle.loads(pickle.dumps(made)))
    )
    made.fit(x, x[:, :1], verbose=0, callbacks=[copy])
    assert np.array_equal(copies[0].weights[0], made.weights[0])


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("origin", ["callback", "generator"])
def test_what_ends_training_otherwise_leaves_the_steps_that_were_done(origin, error):
    def batches():
        for _ in range(3):
            yield X[:5], Y[:5]
        raise error

    class Fails(df.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 2:
                raise error

    stopped, whole = model(), model()
    data = {"x": batches()}
    if origin == "callback":
        data = {"x": np.tile(X[:5], (6, 1)), "y": np.tile(Y[:5], 6), "callbacks": [Fails()]}
    with pytest.raises(error):
        stopped.fit(**data, batch_size=5, shuffle=False, verbose=0)
    whole.fit(np.tile(X[:5], (3, 1)), np.tile(Y[:5], 3), batch_size=5, shuffle=False, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(stopped.weights, whole.weights, strict=True))
    assert stopped.optimizer.iterations == 3


def test_terminate_on_nan_ends_quietly(capsys):
    made = df.Sequential([L.Dense(1)], seed=0)
    made.compile(df.optimizers.SGD(1e30), "mse")
    x = np.ones((128, 3))
    with np.errstate(all="ignore"):
        history = made.fit(
            x, x[:, :1], epochs=5, verbose=0, callbacks=[df.callbacks.TerminateOnNaN()]
        )
    assert history.epoch == []
    assert np.isfinite(made.weights[0]).all()
    assert "training ended: epoch 1" in capsys.readouterr().out


def test_train_on_batch_that_fails_keeps_the_weights():
    made = df.Sequential([L.Dense(1)], seed=0, dtype="float64")
    made.compile(df.optimizers.SGD(0.1), "mse")
    made.build((None, 3))
    made.set_weights([np.full((3, 1), 1e200), np.zeros(1)])
    before = made.get_weights()
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match="batch 0"):
        made.train_on_batch(np.full((2, 3), 1e30), np.ones((2, 1)))
    assert all(np.array_equal(a, b) for a, b in zip(before, made.weights, strict=True))
    assert made.optimizer.iterations == 0


HOOKS = [
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_epoch_end",
    "on_train_end",
]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_callback_that_raises_stops_training_and_leaves_the_model_usable(hook):
    def fail(*arguments):
        raise RuntimeError("mine")

    broken = type("Broken", (df.callbacks.Callback,), {hook: fail})()
    made = model()
    more = {"batch_size": 5, "verbose": 1, "callbacks": [broken]}
    run, more = (made.evaluate, more) if "test" in hook else (made.fit, {**more, "epochs": 3})
    with pytest.raises(RuntimeError, match="mine"):
        run(X, Y, **more)
    done = made.optimizer.iterations
    steps = {"on_train_batch_end": 1, "on_epoch_end": 2, "on_train_end": 6}
    assert done == steps.get(hook, 0)
    history = made.fit(X, Y, batch_size=5, epochs=2, verbose=0)
    assert history.epoch == [0, 1]
    assert made.optimizer.iterations == done + 4


def test_a_schedule_that_leaves_its_range_is_named():
    with pytest.raises(ValueError, match=r"end must be in \[0, 1\]. Received: end=1.5"):
        L.Dropout(df.schedules.Linear(0.0, 1.5, over=3))
    made = df.Sequential([L.Dropout(lambda epoch: 0.6 * epoch), L.Dense(1)], seed=0)
    made.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"at epoch 2 must be in \[0, 1\]. Received: rate=1.2"):
        made.fit(X, Y, epochs=4, verbose=0)
    assert made.optimizer.iterations == 2
