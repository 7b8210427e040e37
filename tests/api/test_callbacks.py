"""Callbacks and schedules."""

from __future__ import annotations

import csv
import math
import struct

import numpy as np
import pytest

import dropfast as df
from dropfast.callbacks.tensorboard import crc32c

C = df.callbacks
S = df.schedules


class Scripted(C.Callback):
    """Puts values into the logs before the callbacks behind it see them."""

    def __init__(self, values, name="val_loss"):
        super().__init__()
        self.values, self.name = values, name

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]


@pytest.fixture
def run(make, data):
    def ran(*callbacks, epochs=6, **more):
        model = make(**more)
        return model, model.fit(*data, epochs=epochs, verbose=0, callbacks=callbacks)

    return ran


def test_early_stopping_waits_and_restores(run, data, make, same):
    values = [1.0, 0.8, 0.9, 0.7, 0.75, 0.71, 0.72, 0.1]
    stop = C.EarlyStopping(patience=2, restore_best_weights=True)
    model, history = run(Scripted(values), stop, epochs=8)
    assert history.epoch == [0, 1, 2, 3, 4, 5]
    assert (stop.best, stop.best_epoch, stop.stopped_epoch) == (0.7, 3, 5)
    best = make()
    best.fit(*data, epochs=4, verbose=0)
    assert same(model, best)


@pytest.mark.parametrize(
    ("settings", "values", "epochs"),
    [
        ({"patience": 1}, [1, 1, 1], 2),
        ({"patience": 1, "min_delta": 0.2}, [1, 0.9, 0.5], 2),
        ({"patience": 1, "mode": "max"}, [1, 2, 3], 3),
        ({"monitor": "val_accuracy", "patience": 1}, [0.5, 0.4, 0.9], 2),
        ({"patience": 1, "start_from_epoch": 2}, [1, 2, 3, 4, 5], 4),
        # As Keras: what improves is never the end, even short of the baseline.
        ({"patience": 2, "baseline": 0.5}, [0.9, 0.8, 0.7], 3),
        ({"patience": 2, "baseline": 0.5}, [0.9, 0.8, 0.9, 0.9], 3),
        ({"patience": 0}, [1.0, 0.9, 0.8, 0.8, 0.7], 4),
        ({"patience": 0, "baseline": 2.0}, [1.0, 0.9, 0.9, 0.8], 3),
    ],
)
def test_early_stopping_settings(run, settings, values, epochs):
    name = settings.get("monitor", "val_loss")
    _, history = run(Scripted(values, name), C.EarlyStopping(**settings), epochs=len(values))
    assert len(history.epoch) == epochs


def test_epochs_without_validation_are_not_looked_at(make, data):
    stop = C.EarlyStopping(patience=100)
    history = make().fit(
        *data, epochs=4, verbose=0, validation_split=0.2, validation_freq=2, callbacks=[stop]
    )
    assert len(history.history["val_loss"]) == 2
    assert stop.best == min(history.history["val_loss"])


def test_checkpoints_are_named_and_resume(run, tmp_path, same):
    path = tmp_path / "m-{epoch:02d}-{val_loss:.1f}.safetensors"
    model, _ = run(Scripted([3, 1, 2, 0.5]), C.ModelCheckpoint(path), epochs=4)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == [f"m-{i:02d}-{v}.safetensors" for i, v in enumerate((3.0, 1.0, 2.0, 0.5), 1)]
    assert same(df.load_model(tmp_path / "m-04-0.5.safetensors"), model)


def test_only_the_best_checkpoint(run, tmp_path, capsys):
    save = C.ModelCheckpoint(tmp_path / "{epoch}.st", save_best_only=True, verbose=1)
    run(Scripted([3, 1, 2, 0.5]), save, epochs=4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1.st", "2.st", "4.st"]
    assert "Epoch 4: saved" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"filepath must use only epoch, loss, accuracy. Received"):
        run(C.ModelCheckpoint(tmp_path / "{val}.st"))


def test_learning_rate_scheduler(run):
    model, history = run(C.LearningRateScheduler(lambda epoch, rate: rate / 2), epochs=3)
    assert history.history["learning_rate"] == [0.005, 0.0025, 0.00125]
    assert model.optimizer.learning_rate == 0.00125
    _, history = run(C.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)), epochs=2)
    assert history.history["learning_rate"] == [0.1, 0.05]


def test_schedules_and_callbacks_do_not_both_set_the_rate(run):
    decay = df.optimizers.SGD(df.optimizers.schedules.CosineDecay(0.1, 10))
    with pytest.raises(ValueError, match="learning_rate must be a number where LearningRateSched"):
        run(C.LearningRateScheduler(lambda epoch, rate: rate), optimizer=decay)


def test_reduce_on_plateau(run):
    values = [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]
    reduce = C.ReduceLROnPlateau(factor=0.5, patience=1, cooldown=1, min_lr=0.004)
    model, _ = run(Scripted(values), reduce, epochs=6)
    assert model.optimizer.learning_rate == 0.004
    with pytest.raises(ValueError, match=r"factor must be in \[0, 1\). Received: factor=1"):
        C.ReduceLROnPlateau(factor=1.0)


def test_csv_logger(run, tmp_path):
    path = tmp_path / "log.csv"
    _, history = run(C.CSVLogger(path), epochs=3)
    _, more = run(C.CSVLogger(path, append=True), epochs=2)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "0", "1"]
    values = [*history.history["loss"], *more.history["loss"]]
    assert [float(row["loss"]) for row in rows] == values


def test_tensorboard_files_can_be_read_back(make, data, tmp_path):
    history = make().fit(
        *data, epochs=2, verbose=0, validation_split=0.2, callbacks=[C.TensorBoard(tmp_path)]
    )
    values = {}
    for part in ("train", "validation"):
        (path,) = (tmp_path / part).iterdir()
        raw, at = path.read_bytes(), 0
        while at < len(raw):
            (size,) = struct.unpack("<Q", raw[at : at + 8])
            body = raw[at + 12 : at + 12 + size]
            (stored,) = struct.unpack("<I", raw[at + 12 + size : at + 16 + size])
            crc = crc32c(body)
            assert stored == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
            if b"epoch_" in body:
                tag = body[body.index(b"epoch_") : -5].decode()
                values.setdefault(f"{part} {tag}", []).append(struct.unpack("<f", body[-4:])[0])
            at += 16 + size
    np.testing.assert_allclose(values["train epoch_loss"], history.history["loss"], rtol=1e-6)
    np.testing.assert_allclose(
        values["validation epoch_accuracy"], history.history["val_accuracy"], rtol=1e-6
    )


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_itself_reads_the_files(make, data, tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    history = make().fit(
        *data, epochs=3, verbose=0, validation_split=0.2, callbacks=[C.TensorBoard(tmp_path)]
    )
    for part, prefix in (("train", ""), ("validation", "val_")):
        found = reader.EventAccumulator(str(tmp_path / part))
        found.Reload()
        for name in ("loss", "accuracy"):
            scalars = found.Scalars(f"epoch_{name}")
            assert [scalar.step for scalar in scalars] == [0, 1, 2]
            values = [scalar.value for scalar in scalars]
            np.testing.assert_allclose(values, history.history[prefix + name], rtol=1e-6)


def test_hooks_are_called_in_order(make, data):
    calls = []

    class Watch(C.Callback):
        def __getattribute__(self, name):
            if name.startswith("on_"):
                calls.append(name)
            return super().__getattribute__(name)

        def on_train_batch_end(self, batch, logs=None):
            pass

    model = make()
    model.fit(*data, epochs=1, batch_size=100, verbose=0, callbacks=[Watch()])
    assert calls == [
        "on_train_begin",
        "on_epoch_begin",
        "on_train_batch_begin",
        "on_batch_begin",
        "on_train_batch_end",
        "on_train_batch_begin",
        "on_batch_begin",
        "on_train_batch_end",
        "on_epoch_end",
        "on_train_end",
    ]
    calls.clear()
    model.evaluate(*data, verbose=0, callbacks=[Watch()])
    model.predict(data[0], callbacks=[Watch()])
    assert calls == ["on_test_begin", "on_test_end", "on_predict_begin", "on_predict_end"]


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (S.Constant(0.3), [0.3] * 5),
        (S.Linear(0.0, 0.4, over=4), [0.0, 0.1, 0.2, 0.3, 0.4, 0.4]),
        (S.Cosine(0.4, 0.0, over=2), [0.4, 0.2, 0.0, 0.0]),
        (S.Early(0.2, until=2), [0.2, 0.2, 0.0]),
        (S.Late(0.2, start=2), [0.0, 0.0, 0.2]),
        (S.Call(lambda t: t / 10), [0.0, 0.1, 0.2]),
    ],
)
def test_rate_schedules(schedule, values):
    np.testing.assert_allclose([schedule(t) for t in range(len(values))], values, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: S.Linear(0, 1, over=0), "over must be positive. Received: over=0"),
        (lambda: S.Early(0.5, 3, unit="batch"), "unit must be 'epoch' or 'step'. Received: unit="),
        (
            lambda: C.EarlyStopping(mode="up"),
            "mode must be 'auto', 'min' or 'max'. Received: mode=",
        ),
    ],
)
def test_bad_settings_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_schedules_by_step_move_the_masks_of_training(data):
    """Every step's loss is that of a model with the scheduled rate as a constant."""
    x, y = data[0], data[1].astype(np.float32)[:, None]
    schedule = S.Linear(0.0, 0.9, over=3, unit="step")

    def model(rate):
        made = df.Sequential([df.layers.Dropout(rate), df.layers.Dense(1)], seed=8)
        made.compile(df.optimizers.SGD(0.0), "mse")
        return made

    moving = model(schedule)
    losses = [moving.train_on_batch(x, y) for _ in range(5)]
    for step, loss in enumerate(losses):
        fixed = model(schedule(step))
        fixed.build((None, 6))
        fixed.optimizer.iterations = step
        assert fixed.train_on_batch(x, y) == loss


def test_learning_rate_schedules_follow_keras_formulas():
    schedules = df.optimizers.schedules
    assert schedules.ExponentialDecay(1.0, 10, 0.5)(5) == pytest.approx(0.5**0.5)
    assert schedules.ExponentialDecay(1.0, 10, 0.5, staircase=True)(19) == 0.5
    assert schedules.InverseTimeDecay(1.0, 10, 1.0)(10) == 0.5
    assert schedules.PolynomialDecay(1.0, 10, 0.0, power=2.0)(5) == 0.25
    assert schedules.PolynomialDecay(1.0, 10, 0.0, cycle=True)(15) == 0.25
    assert schedules.PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.1])(2) == 1.0
    assert schedules.PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.1])(3) == 0.5
    assert schedules.PiecewiseConstantDecay([2, 4], [1.0, 0.5, 0.1])(5) == 0.1
    warm = schedules.CosineDecay(0.0, 10, alpha=0.1, warmup_target=1.0, warmup_steps=5)
    values = [warm(step) for step in (0, 1, 5, 10, 15, 99)]
    middle = 0.9 * 0.5 * (1 + math.cos(math.pi / 2)) + 0.1
    np.testing.assert_allclose(values, [0.0, 0.2, 1.0, middle, 0.1, 0.1])
