"""Files: everything comes back, and nothing half-loaded comes from a bad file."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import struct
from copy import deepcopy

import numpy as np
import pytest
from cases import cases
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save as to_bytes

import dropfast as df

L = df.layers


class Scale(L.Layer):
    """A layer of the user's own."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        self.factor = self.add_weight(
            "factor", (input_shape[-1],), df.initializers.Constant(self.start)
        )

    def forward(self, x, passage):
        passage.saved = x
        return x * self.factor

    def gradient(self, grad, passage):
        passage.gradients["factor"] = (grad * passage.saved).sum(axis=0)
        return grad * self.factor


def everything():
    """One of each layer, penalties, schedules, a layer at two places."""
    shared = L.Dense(8, "selu", kernel_constraint="max_norm")
    layers = [
        L.Input((4, 2)),
        L.Rescaling(0.5),
        L.Flatten(),
        L.Dropout(df.schedules.Linear(0.1, 0.4, over=3), seed=9),
        shared,
        L.AlphaDropout(0.1),
        shared,
        L.BatchNormalization(),
        L.LeakyReLU(0.2),
        L.GaussianNoise(0.1),
        L.LayerNormalization(),
        L.GaussianDropout(df.schedules.Early(0.2, until=2)),
        L.DropConnect(6, 0.3, activation="gelu", kernel_regularizer="l1_l2"),
        L.Dropout(0.2, noise_shape=(None, 1)),
        L.Dense(3, df.activations.Function("softmax"), bias_initializer=df.initializers.Ones()),
    ]
    model = df.Sequential(layers, seed=3, name="all")
    model.compile(
        df.optimizers.Adam(df.optimizers.schedules.CosineDecay(0.01, 50), amsgrad=True),
        df.losses.SparseCategoricalCrossentropy(label_smoothing=0.1),
        metrics=["accuracy", df.metrics.SparseTopKCategoricalAccuracy(2)],
        rows_per_mask=2,
    )
    return model


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.normal(size=(64, 4, 2)), rng.integers(0, 3, 64)


def test_everything_comes_back(images, same, tmp_path):
    path = tmp_path / "m.safetensors"
    model = everything()
    model.fit(*images, epochs=2, verbose=0)
    model(images[0], training=True)
    model.save(path)
    loaded = df.load_model(path)
    assert repr(loaded) == repr(model)
    assert loaded.layers[2] is not loaded.layers[0]
    assert loaded.layers[3] is loaded.layers[5]
    assert repr(loaded.optimizer) == repr(model.optimizer)
    assert np.array_equal(model(images[0], training=True), loaded(images[0], training=True))
    for one in (model, loaded):
        one.fit(*images, epochs=4, initial_epoch=2, verbose=0)
    assert same(model, loaded)
    assert model.evaluate(*images, verbose=0) == loaded.evaluate(*images, verbose=0)
    assert os.listdir(tmp_path) == ["m.safetensors"]


@pytest.mark.parametrize("copy", [lambda m: pickle.loads(pickle.dumps(m)), deepcopy])
def test_copies_train_on_to_the_same_bits(copy, images, same):
    model = everything()
    model.fit(*images, epochs=1, verbose=0)
    again = copy(model)
    for one in (model, again):
        one.fit(*images, epochs=3, initial_epoch=1, verbose=0)
    assert same(model, again)
    assert model.weights[0] is not again.weights[0]
    assert again.weights[0] is again.layers[3].kernel


def test_custom_objects(tmp_path, same):
    path = tmp_path / "m.safetensors"
    model = df.Sequential([Scale(2.0), L.Dense(1)], seed=0)
    model.compile("sgd", "mse", metrics=[largest])
    model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
    model.save(path)
    with pytest.raises(ValueError, match="custom_objects must hold 'Scale', which the config uses"):
        df.load_model(path)
    loaded = df.load_model(path, {"Scale": Scale, "largest": largest})
    assert same(model, loaded)
    assert loaded.layers[0].start == 2.0
    assert loaded.metrics_names == ["loss", "largest"]
    with pytest.raises(ValueError, match=r"custom_objects\['Scale'\] must be a class"):
        df.load_model(path, {"Scale": print, "largest": largest})


def largest(y_true, y_pred):
    return abs(y_pred - y_true).max(axis=-1)


def test_weights_alone(tmp_path, same):
    path = tmp_path / "w.safetensors"
    a = df.Sequential([L.Input(3), L.Dense(2)], seed=0)
    b = df.Sequential([L.Input(3), L.Dense(2)], seed=1)
    c = df.Sequential([L.Input(3), L.Dense(4)], seed=1)
    a.save_weights(path)
    b.load_weights(path)
    assert same(a, b)
    before = c.get_weights()
    with pytest.raises(
        ValueError, match=r"weights\[0\] .* shape \(3, 4\)\. Received: shape \(3, 2\)"
    ):
        c.load_weights(path)
    assert all(np.array_equal(x, y) for x, y in zip(before, c.weights, strict=True))
    with pytest.raises(ValueError, match=r"file must hold a model, not weights alone"):
        df.load_model(path)


def test_refusals(tmp_path):
    model = df.Sequential([L.Dense(2)], seed=0)
    with pytest.raises(ValueError, match="must be built"):
        model.save(tmp_path / "m.safetensors")
    model.build((None, 3))
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(FileExistsError, match="filepath must not exist"):
        model.save(tmp_path / "m.safetensors", overwrite=False)
    with pytest.raises(FileNotFoundError, match=r"filepath must exist\. Received: filepath='"):
        df.load_model(tmp_path / "none.safetensors")
    lambdas = df.Sequential([L.Input(2), L.Dropout(lambda epoch: 0.5)], seed=0)
    lambdas.save(tmp_path / "l.safetensors")
    with pytest.raises(ValueError, match="custom_objects must hold '<lambda>'"):
        df.load_model(tmp_path / "l.safetensors")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    model = df.Sequential([L.Input(3), L.Dense(2)], seed=0)
    model.save(path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    model.layers[0].kernel[...] = 0
    with pytest.raises(OSError, match="no space"):
        model.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.safetensors"]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "m.safetensors"
    model = df.Sequential([L.Input(3), L.Dropout(0.5), L.Dense(2)], seed=0)
    model.compile(df.optimizers.SGD(momentum=0.9), "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    model.save(path)
    return path.read_bytes()


def parts(data):
    """Header and arrays of a file."""
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    arrays = {
        name: np.frombuffer(data[8 + size :][slice(*entry["data_offsets"])], np.float32).reshape(
            entry["shape"]
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }
    return header["__metadata__"], arrays


def changed(data, edit, metadata=None, arrays=None):
    """The file with its description edited."""
    found, tensors = parts(data)
    description = json.loads(found["model"])
    edit(description)
    found = {**found, "model": json.dumps(description), **(metadata or {})}
    return to_bytes({**tensors, **(arrays or {})}, found)


def nothing(description):
    pass


def setting(*path, value):
    def edit(description):
        for name in path[:-1]:
            description = description[name]
        description[path[-1]] = value

    return edit


def layer(**config):
    return lambda description: description["layers"][1]["config"].update(config)


BAD = {
    "empty": (lambda d: b"", "must be a whole safetensors file"),
    "truncated": (lambda d: d[:-5], "must be a whole safetensors file"),
    "cut in the header": (lambda d: d[:40], "must be a whole safetensors file"),
    "pickle": (lambda d: b"\x80\x04K\x01.", "must be a whole safetensors file"),
    "of another program": (
        lambda d: to_bytes({"a": np.ones(1)}),
        "must be written by dropfast. Received: .*, of another program",
    ),
    "future version": (
        lambda d: changed(d, nothing, {"version": "3"}),
        "must be at most 2: a later dropfast wrote it. Received: version 3",
    ),
    "odd version": (lambda d: changed(d, nothing, {"version": "x"}), "must be a number"),
    "no JSON": (lambda d: changed(d, nothing, {"model": "{"}), "must describe a model"),
    "JSON of something else": (
        lambda d: changed(d, nothing, {"model": "[1]"}),
        "the description must be a mapping. Received: list",
    ),
    "deep JSON": (
        lambda d: changed(d, nothing, {"model": "[" * 100_000}),
        "must describe a model",
    ),
    "unknown key": (
        lambda d: changed(d, setting("colour", value=1)),
        "Received: unknown key 'colour'",
    ),
    "missing key": (lambda d: changed(d, lambda m: m.pop("seed")), "missing key 'seed'"),
    "unknown layer key": (
        lambda d: changed(d, layer(colour=1)),
        "config of Dense must have no keys but .* Received: 'colour'",
    ),
    "unknown class": (
        lambda d: changed(d, setting("layers", 0, "class", value="os.system")),
        "config must name a known class. Received: 'os.system'",
    ),
    "a loss as a layer": (
        lambda d: changed(
            d, setting("layers", 0, value={"class": "loss.MeanSquaredError", "config": {}})
        ),
        "layers of a model config must be layers",
    ),
    "a number as a layer": (
        lambda d: changed(d, setting("layers", 0, value=3)),
        "layers of a model config must be layers. Received: 3",
    ),
    "a place outside": (
        lambda d: changed(d, setting("places", value=[0, 7])),
        r"places of a model config must be in \[0, 1\]. Received: 7",
    ),
    "a rate outside": (
        lambda d: changed(d, setting("layers", 0, "config", "rate", value=2)),
        r"rate must be in \[0, 1\]. Received: rate=2",
    ),
    "units of words": (lambda d: changed(d, layer(units="many")), "units must be a positive int"),
    "too large": (lambda d: changed(d, layer(units=10**15)), "must have shape"),
    "a seed outside": (lambda d: changed(d, setting("seed", value=-1)), "seed"),
    "steps of words": (
        lambda d: changed(d, setting("iterations", value="x")),
        "iterations must be an integer >= 0. Received: 'x'",
    ),
    "a missing array": (
        lambda d: without(d, "weights.0.dense.kernel"),
        "one more array for 'bias'|must have shape",
    ),
    "a missing state": (
        lambda d: without(d, "optimizer.0.1"),
        "file must hold the array 'optimizer.0.1'",
    ),
    "a wrong shape": (
        lambda d: changed(d, nothing, arrays={"weights.0.dense.kernel": np.ones((2, 2))}),
        r"weights of layer 'dense' \(kernel\) must have shape \(3, 2\). Received: shape \(2, 2\)",
    ),
    "an array of words": (
        lambda d: changed(d, nothing, arrays={"note": np.ones(1, np.float32)}),
        "file must hold weights and optimizer state. Received: array 'note'",
    ),
    "integer weights": (
        lambda d: changed(d, nothing, arrays={"weights.0.dense.kernel": np.ones((3, 2), int)}),
        "weights.0.dense.kernel must have dtype float32. Received: dtype int64",
    ),
    "complex state": (
        lambda d: changed(d, nothing, arrays={"optimizer.0.0": np.ones((3, 2), np.complex64)}),
        "optimizer.0.0 must have dtype float32. Received: dtype complex64",
    ),
    "more steps than can be counted": (
        lambda d: changed(d, setting("iterations", value=10**30)),
        "iterations must be an integer >= 0. Received: 10000",
    ),
    "a truth as a number": (
        lambda d: changed(d, setting("epochs_done", value=True)),
        "epochs_done must be an integer >= 0. Received: True",
    ),
    "a million layers": (
        lambda d: changed(d, setting("places", value=[0] * 10**6)),
        "places of a model config must be at most 4096. Received: 1000000",
    ),
    "a name that is none": (
        lambda d: changed(d, setting("name", value={"a": 1})),
        "name must be a string. Received: name={'a': 1}",
    ),
    "an unknown key of compile": (
        lambda d: changed(d, setting("compile", "colour", value=1)),
        "compile must have the keys .* Received: unknown key 'colour'",
    ),
    "an unknown key of the optimizer": (
        lambda d: changed(d, setting("compile", "optimizer", "config", "colour", value=1)),
        "config of SGD must have no keys but .* Received: 'colour'",
    ),
    "a learning rate below 0": (
        lambda d: changed(d, setting("compile", "optimizer", "config", "learning_rate", value=-1)),
        "learning_rate must be at least 0 and finite. Received: learning_rate=-1",
    ),
    "a function of the system": (
        lambda d: changed(d, layer(activation={"function": "os.system"})),
        "must describe a model",
    ),
    "a header that claims to be large": (
        lambda d: struct.pack("<Q", 2**62) + d[8:],
        "must be a whole safetensors file",
    ),
    "something behind the end": (lambda d: d + b"more", "must be a whole safetensors file"),
    "a wrong shape of state": (
        lambda d: changed(d, nothing, arrays={"optimizer.0.0": np.ones((2, 2), np.float32)}),
        r"optimizer.0.0 must have shape \(3, 2\). Received: shape \(2, 2\)",
    ),
}


def without(data, name):
    metadata, arrays = parts(data)
    return to_bytes({key: value for key, value in arrays.items() if key != name}, metadata)


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD)
def test_bad_files_are_named(spoil, message, good, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(spoil(good))
    with pytest.raises(ValueError, match=message) as caught:
        df.load_model(path)
    assert "bad.safetensors" in str(caught.value)


def test_a_good_file_that_was_taken_apart_loads(good, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(changed(good, nothing))
    df.load_model(path).fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)


@cases(150)
@given(st.data())
def test_no_damage_to_a_file_gives_another_error(good, tmp_path_factory, data):
    """Any byte changed: the file loads or a ValueError says why not."""
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    place = data.draw(st.integers(0, len(good) - 1))
    byte = data.draw(st.integers(0, 255))
    path.write_bytes(good[:place] + bytes([byte]) + good[place + 1 :])
    with contextlib.suppress(ValueError):
        df.load_model(path)
