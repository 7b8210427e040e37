"""Several threads and processes use one model: whole steps, or one clear error."""

from __future__ import annotations

import os
import pickle
import sys
import threading
import time

import numpy as np
import pytest

import dropfast as df
from dropfast import _core

L = df.layers
X = np.random.default_rng(0).normal(size=(512, 20)).astype(np.float32)
Y = X[:, :3].argmax(axis=1)


class Busy:
    """A model that another thread trains until the block ends."""

    def __init__(self, model, **more):
        self.model, self.more, self.errors = model, more, []
        self.begun = threading.Event()

    def _train(self):
        ends = df.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: self.begun.set())
        try:
            self.model.fit(X, Y, epochs=1_000_000, verbose=0, callbacks=[ends], **self.more)
        except BaseException as error:
            self.errors.append(error)
            self.begun.set()

    def __enter__(self):
        self.thread = threading.Thread(target=self._train)
        self.thread.start()
        self.begun.wait()
        return self

    def __exit__(self, *_):
        self.model.stop_training = True
        self.thread.join()
        assert not self.errors, self.errors


@pytest.fixture(params=["native", "stepwise"])
def model(request, make):
    layers = [L.Dropout(0.2), L.Dense(32, "relu"), L.Dense(3, "softmax")]
    if request.param == "stepwise":
        layers.insert(2, L.BatchNormalization())
    made = make("adam", layers=layers)
    made.build((None, 20))
    return made


def test_a_second_fit_and_compile_are_refused_with_one_error(model):
    with Busy(model):
        for call in (
            lambda: model.fit(X, Y, verbose=0),
            lambda: model.train_on_batch(X, Y),
            lambda: model.compile("sgd", "sparse_categorical_crossentropy"),
        ):
            with pytest.raises(RuntimeError, match=r"another thread trains it.*Received: a second"):
                call()
    model.fit(X, Y, verbose=0)
    model.compile("sgd", "sparse_categorical_crossentropy")


def test_readers_see_whole_steps(model, tmp_path):
    """A learning rate of 0 and weights that are all set at once: no reader sees two kinds."""
    model.compile(df.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    kinds = [[np.full_like(w, value) for w in model.weights] for value in (0.25, 0.75)]
    model.set_weights(kinds[0])
    path = tmp_path / "m.safetensors"

    def value_of(arrays):
        trained = [array for array, w in zip(arrays, model.weights, strict=True) if w.ndim == 2]
        values = {float(v) for array in trained for v in np.unique(array)}
        assert len(values) == 1
        return values.pop()

    with Busy(model) as busy:
        for number in range(30):
            model.set_weights(kinds[number % 2])
            assert value_of(model.get_weights()) == (0.25, 0.75)[number % 2]
            model.predict(X[:3])
            model.predict_mc(X[:3], samples=3)
            model.evaluate(X, Y)
            if number % 10 == 0:
                model.save(path)
                assert value_of(df.load_model(path).get_weights()) == 0.25
                model.save_weights(path)
                model.load_weights(path)
        assert busy.thread.is_alive()


def test_evaluate_in_a_callback_leaves_the_fits_metrics_alone(make):
    class Evaluates(df.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.evaluate(X[:5], Y[:5])

    class Looks(df.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            pass

    histories = [
        make().fit(X, Y, epochs=2, verbose=0, callbacks=[kind()]).history
        for kind in (Evaluates, Looks)
    ]
    assert histories[0] == histories[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_in_the_middle_of_a_fit_trains(model):
    with Busy(model):
        for _ in range(5):
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    model.fit(X, Y, epochs=2, verbose=0)
                    model.predict(X)
                    status = 0
                finally:
                    os._exit(status)
            deadline = time.monotonic() + 60
            while os.waitpid(child, os.WNOHANG) == (0, 0):
                assert time.monotonic() < deadline, "the child hangs"
                time.sleep(0.01)
            time.sleep(0.003)


def test_turns_exclude_each_other_and_nest():
    turn, log = _core.Turn(), []

    def other():
        with turn.writing:
            log.append("other")

    with turn.reading, turn.reading:
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.05)
        assert log == []
        log.append("mine")
    thread.join()
    assert log == ["mine", "other"]
    with turn.stepping, pytest.raises(RuntimeError, match="inside of another"):
        turn.stepping.__enter__()
    assert not turn.trained
    with turn.training, turn.training:
        assert turn.trained


def test_histories_repeat_bit_for_bit(make):
    """Sums are carried batch by batch, wherever the clock ends a run of batches."""

    def worst(y_true, y_pred):
        return float(np.abs(y_pred).max())

    found = []
    for milliseconds in (0, 1, 100):
        df.models.epoch.MILLISECONDS, before = milliseconds, df.models.epoch.MILLISECONDS
        try:
            made = make(metrics=["accuracy", worst])
            found.append(made.fit(X, Y, batch_size=8, epochs=3, verbose=0).history)
        finally:
            df.models.epoch.MILLISECONDS = before
    assert found[0] == found[1] == found[2]


def test_models_from_read_only_and_misaligned_pickles_train(model):
    model.fit(X, Y, verbose=0)
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(model, protocol=5, buffer_callback=buffers.append)
    frozen = [memoryview(bytes(buffer)) for buffer in buffers]
    shifted = [memoryview(bytearray(b"x" + bytes(buffer)))[1:] for buffer in buffers]
    for kind in (frozen, shifted):
        copy = pickle.loads(data, buffers=kind)
        other = pickle.loads(pickle.dumps(model))
        copy.fit(X, Y, epochs=2, verbose=0)
        other.fit(X, Y, epochs=2, verbose=0)
        pairs = zip(copy.weights, other.weights, strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
        assert copy.optimizer.iterations == other.optimizer.iterations == 48
        copy.set_weights(model.get_weights())


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2"])
def test_misaligned_and_read_only_data(model, dtype):
    whole = (X * 8).astype(dtype)
    shifted = np.frombuffer(bytearray(b"x" + whole.tobytes()), np.uint8)[1:].view(dtype)
    shifted = shifted.reshape(X.shape)
    shifted.flags.writeable = False
    labels = np.frombuffer(b"x" + Y.tobytes(), np.uint8)[1:].view(Y.dtype)
    assert not shifted.flags.aligned or sys.byteorder == "big"
    assert np.array_equal(model.predict(shifted), model.predict(whole))
    assert model.evaluate(shifted, labels) == model.evaluate(whole, Y)
    one, other = model.predict_mc(shifted, samples=2), model.predict_mc(whole, samples=2)
    assert np.array_equal(one.mean, other.mean)
    assert np.array_equal(model(shifted), model(whole))
    model.fit(shifted, labels, verbose=0)
