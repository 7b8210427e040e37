"""ModelCheckpoint's arguments, BackupAndRestore, SwapEMAWeights."""

import itertools
import pathlib

import numpy as np
import pytest

import dropfast as df

C, L = df.callbacks, df.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 5)).astype(np.float32)
Y = RNG.normal(size=(70, 1)).astype(np.float32)


def build(optimizer="adam", seed=0, **settings):
    layers = [L.Dense(6, "relu"), L.BatchNormalization(), L.Dropout(0.3), L.Dense(1)]
    model = df.Sequential(layers, seed=seed)
    model.compile(optimizer, "mse", **settings)
    return model


def same(a, b):
    return all(np.array_equal(v, w) for v, w in zip(a.weights, b.weights, strict=True))


class PowerCutError(Exception):
    """What ends a fit in these tests."""


def cut(hook, at):
    """A callback that ends a fit at the call number `at` of a hook."""
    calls = itertools.count(1)

    def end(*arguments):
        if next(calls) == at:
            raise PowerCutError

    return C.LambdaCallback(**{hook: end})


def test_positions_of_arguments(tmp_path):
    made = C.ModelCheckpoint(tmp_path / "m", "loss", 0, True, True, "max", 5, 0.5)
    assert made.save_weights_only
    assert made.save_freq == 5
    assert made.best == 0.5
    assert made.monitor.mode == "max"


def test_checkpoints_of_weights_alone(tmp_path):
    save = C.ModelCheckpoint(tmp_path / "w.safetensors", save_weights_only=True)
    model = build()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[save])
    with pytest.raises(ValueError, match="not weights alone"):
        df.load_model(tmp_path / "w.safetensors")
    other = build(seed=1)
    other.build((None, 5))
    other.load_weights(tmp_path / "w.safetensors")
    assert same(other, model)


def test_checkpoints_by_batches(tmp_path):
    # 5 batches an epoch, counted over the epochs: after 4, 8 and 12.
    path = tmp_path / "new" / "{epoch}-{batch}.safetensors"
    save = C.ModelCheckpoint(path, save_freq=4)
    model = build()
    model.fit(X, Y, batch_size=14, epochs=3, verbose=0, callbacks=[save])
    found = sorted(file.name for file in path.parent.iterdir())
    assert found == ["1-4.safetensors", "2-3.safetensors", "3-2.safetensors"]
    steps = [df.load_model(path.parent / name).optimizer.iterations for name in found]
    assert steps == [4, 8, 12]


def test_checkpoints_by_epochs_leave_batches_to_the_engine(tmp_path):
    model = build()
    idle = [C.ModelCheckpoint(tmp_path / "m"), C.BackupAndRestore(tmp_path), C.SwapEMAWeights()]
    assert not C.CallbackList(idle, model, {}).wants_batches
    assert C.CallbackList(C.ModelCheckpoint(tmp_path / "m", save_freq=1), model, {}).wants_batches


def test_a_folder_that_cannot_be_made_is_told_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    for callback in (
        C.ModelCheckpoint(tmp_path / "file" / "m.safetensors"),
        C.BackupAndRestore(tmp_path / "file" / "folder"),
    ):
        model = build()
        with pytest.raises(OSError, match="file"):
            model.fit(X, Y, verbose=0, callbacks=[callback])
        assert model.optimizer.iterations == 0


@pytest.mark.parametrize("save_freq", ["batch", 0, 1.5, None, True])
def test_bad_paces(tmp_path, save_freq):
    for kind in (C.ModelCheckpoint, C.BackupAndRestore):
        with pytest.raises(ValueError, match="save_freq must be"):
            kind(tmp_path / "m", save_freq=save_freq)


def test_the_best_of_batches_needs_a_value_that_batches_have(tmp_path):
    with pytest.raises(ValueError, match=r"monitor must be known after a batch"):
        C.ModelCheckpoint(tmp_path / "m", save_best_only=True, save_freq=3)


RUNS = [
    ("epoch", "on_epoch_end", 2),
    ("epoch", "on_train_batch_end", 8),
    (3, "on_train_batch_end", 7),
    (3, "on_train_batch_end", 13),
    (1, "on_epoch_end", 1),
    (5, "on_epoch_end", 2),
]


@pytest.mark.parametrize(("save_freq", "hook", "at"), RUNS)
@pytest.mark.parametrize("data", ["arrays", "batches", "part"])
def test_an_interrupted_fit_ends_with_the_bits_of_a_whole_one(tmp_path, save_freq, hook, at, data):
    def fit(model, *callbacks):
        settings = {"epochs": 4, "verbose": 0, "callbacks": list(callbacks)}
        if data == "batches":
            parts = [(X[i : i + 14], Y[i : i + 14]) for i in range(0, 70, 14)]
            return model.fit(Batches(parts), **settings)
        if data == "part":
            settings["steps_per_epoch"] = 4
        return model.fit(X, Y, batch_size=14, **settings)

    def keep():
        return C.BackupAndRestore(tmp_path / "b", save_freq)

    whole = build()
    fit(whole)
    with pytest.raises(PowerCutError):
        fit(build(), keep(), cut(hook, at))
    # The same script again; even the seed is that of the interrupted fit.
    again = build(seed=7)
    history = fit(again, keep())
    assert history.epoch[-1] == 3
    assert len(history.epoch) < 4 or save_freq == 1
    assert same(again, whole)
    assert again.optimizer.iterations == whole.optimizer.iterations
    assert again.epochs_done == whole.epochs_done == 4
    assert not (tmp_path / "b").exists()


class Batches:
    """Batches that start anew each epoch."""

    def __init__(self, parts):
        self.parts = parts

    def __iter__(self):
        return iter(self.parts)


def test_epochs_before_the_fit_count_on(tmp_path):
    whole, again = build(), build()
    for model in (whole, again):
        model.fit(X, Y, epochs=2, verbose=0)
    whole.fit(X, Y, epochs=3, verbose=0)
    keep = C.BackupAndRestore(tmp_path / "b")
    with pytest.raises(PowerCutError):
        again.fit(X, Y, epochs=3, verbose=0, callbacks=[keep, cut("on_epoch_end", 2)])
    assert again.fit(X, Y, epochs=3, verbose=0, callbacks=[keep]).epoch == [2]
    assert same(again, whole)
    assert again.epochs_done == whole.epochs_done


def test_learning_rates_that_callbacks_lowered_come_back(tmp_path):
    halve = C.LearningRateScheduler(lambda epoch, rate: rate / 2)
    keep = C.BackupAndRestore(tmp_path / "b")
    with pytest.raises(PowerCutError):
        build().fit(X, Y, epochs=4, verbose=0, callbacks=[halve, keep, cut("on_epoch_end", 2)])
    model = build()
    model.fit(X, Y, epochs=4, verbose=0, callbacks=[halve, keep])
    assert model.optimizer.learning_rate == 0.001 / 16


def test_what_lies_in_the_folder(tmp_path):
    folder = tmp_path / "b"
    keep = C.BackupAndRestore(folder, double_checkpoint=True, delete_checkpoint=False)
    folder.mkdir()
    (folder / "mine.txt").write_text("stays")
    build().fit(X, Y, epochs=3, verbose=0, callbacks=[keep])
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["latest.safetensors", "mine.txt", "previous.safetensors"]
    # All epochs are done, so nothing is trained any more.
    assert build().fit(X, Y, epochs=3, verbose=0, callbacks=[keep]).epoch == []
    (folder / "latest.safetensors").write_bytes(b"damaged")
    assert build().fit(X, Y, epochs=3, verbose=0, callbacks=[keep]).epoch == [2]
    gone = C.BackupAndRestore(folder)
    build().fit(X, Y, epochs=3, verbose=0, callbacks=[gone])
    assert [file.name for file in folder.iterdir()] == ["mine.txt"]


def test_files_of_others_are_refused_before_the_first_step(tmp_path):
    folder = tmp_path / "b"
    build().fit(X, Y, verbose=0, callbacks=[C.BackupAndRestore(folder, delete_checkpoint=False)])
    other = df.Sequential([L.Dense(1)], seed=0)
    other.compile("adam", "mse")
    path = pathlib.Path(folder) / "latest.safetensors"
    model = build()
    model.build((None, 5))
    for make in (lambda: None, lambda: model.save(path), lambda: path.write_bytes(b"")):
        make()
        tried = other if path.stat().st_size and "state" in str(path.read_bytes()) else build()
        tried.build((None, 5))
        before = tried.get_weights()
        with pytest.raises(ValueError, match=r"(?i)backup must|filepath must"):
            tried.fit(X, Y, verbose=0, callbacks=[C.BackupAndRestore(folder)])
        assert tried.optimizer.iterations == 0
        assert all(np.array_equal(a, b) for a, b in zip(before, tried.weights, strict=True))


def averaged():
    return df.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.8)


def test_averages_are_evaluated_and_trained_weights_go_on():
    swap = C.SwapEMAWeights()
    seen = []
    look = C.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(
            (model.get_weights(), [a.copy() for a in model.optimizer.state[-1]])
        )
    )
    model, plain = build(averaged()), build(averaged())
    history = model.fit(
        X, Y, epochs=3, verbose=0, validation_data=(X, Y), callbacks=[swap, look]
    ).history
    plain.fit(X, Y, epochs=3, verbose=0)
    assert same(model, plain)
    trained, averages = seen[0]
    names = [i for i, w in enumerate(model._weights) if w.trainable]
    other = build()
    other.build((None, 5))
    other.set_weights(trained)
    assert other.evaluate(X, Y) != history["val_loss"][0]
    for i, average in zip(names, averages, strict=True):
        other.weights[i][...] = average
    assert other.evaluate(X, Y) == history["val_loss"][0]


@pytest.mark.parametrize("stop", [False, True])
def test_checkpoints_behind_it_hold_the_averages(tmp_path, stop):
    model = build(averaged())
    callbacks = [C.SwapEMAWeights(True), C.ModelCheckpoint(tmp_path / "{epoch}.safetensors")]
    if stop:
        callbacks.append(C.EarlyStopping("loss", mode="max", patience=0, min_delta=1e9))
    model.fit(X, Y, epochs=4, verbose=0, callbacks=callbacks)
    last = max(tmp_path.iterdir())
    assert (last.name == "4.safetensors") != stop
    # `fit` leaves the averages in the model, as without the callback.
    assert same(df.load_model(last), model)
    again = build(averaged())
    again.fit(X, Y, epochs=int(last.name[0]), verbose=0)
    assert same(again, model)


def test_an_error_between_epochs_leaves_what_was_trained():
    model, plain = build(averaged()), build(averaged())
    callbacks = [C.SwapEMAWeights(True), cut("on_epoch_end", 2)]
    with pytest.raises(PowerCutError):
        model.fit(X, Y, epochs=4, verbose=0, callbacks=callbacks)
    with pytest.raises(PowerCutError):
        plain.fit(X, Y, epochs=4, verbose=0, callbacks=[cut("on_epoch_end", 2)])
    assert same(model, plain)


def test_predictions_by_averages():
    model = build(averaged())
    model.fit(X, Y, epochs=2, verbose=0)
    model.train_on_batch(X, Y)
    trained = model.predict(X)
    averages = model.predict(X, callbacks=[C.SwapEMAWeights()])
    assert not np.array_equal(trained, averages)
    assert np.array_equal(model.predict(X), trained)


def test_it_needs_averages():
    model = build()
    with pytest.raises(ValueError, match=r"use_ema of the optimizer must be True"):
        model.fit(X, Y, verbose=0, callbacks=[C.SwapEMAWeights()])
    assert model.optimizer.iterations == 0
