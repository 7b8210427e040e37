"""from_keras: files of Keras 3 and 2 predict as Keras does; what has no counterpart is named."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from keras_inputs import inputs

import dropfast as df

h5py = pytest.importorskip("h5py")

DATA = Path(__file__).parent / "data"
EXPECTED = json.loads((DATA / "expected.json").read_text())
FILES = sorted(path.name for path in DATA.glob("*.*") if path.suffix in (".keras", ".h5"))


def outputs(model, x):
    found = model.predict(x)
    return found if isinstance(found, dict) else {"": found}


@pytest.mark.parametrize("name", FILES)
def test_predictions_are_keras(name):
    stem = name.partition(".")[0]
    model = df.from_keras(DATA / name, seed=1)
    assert model.seed == 1
    assert model.name == stem
    found = outputs(model, inputs(stem))
    assert found.keys() == EXPECTED[stem].keys()
    for output, values in EXPECTED[stem].items():
        np.testing.assert_allclose(found[output], values, 1e-6, 1e-6)


@pytest.mark.parametrize("name", FILES)
def test_comes_back_from_our_own_file(name, tmp_path):
    model = df.from_keras(DATA / name)
    model.save(tmp_path / "m.safetensors")
    again = df.load_model(tmp_path / "m.safetensors")
    x = inputs(name.partition(".")[0])
    for output, values in outputs(model, x).items():
        np.testing.assert_array_equal(outputs(again, x)[output], values)
    assert again.compiled == model.compiled


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_settings_are_taken_over(suffix):
    model = df.from_keras(DATA / f"row{suffix}")
    assert isinstance(model, df.Sequential)
    dense = [layer for layer in model.layers if isinstance(layer, df.layers.Dense)]
    assert dense[0].kernel_regularizer.l2 == 0.01
    assert dense[1].kernel_constraint.max_value == 3.0
    assert dense[1].activation.options == {"negative_slope": 0.1}
    assert [layer.rate for layer in model.layers if hasattr(layer, "rate")] == [0.3, 0.2, 0.1, 0.1]
    assert repr(model.loss) == "SparseCategoricalCrossentropy()"
    assert model.optimizer.beta_1 == 0.8
    assert repr(model.optimizer.learning_rate).startswith("ExponentialDecay(")
    assert model.metrics_names == ["loss", "accuracy", "ce"]
    history = model.fit(inputs("row"), [0, 1, 2, 3, 0, 1], epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert not df.from_keras(DATA / f"row{suffix}", compile=False).compiled


def test_graphs_are_compiled():
    model = df.from_keras(DATA / "graph.keras")
    assert model.metrics_names == ["loss", "o_loss", "p_loss", "p_mae"]
    assert model.optimizer.learning_rate == 0.1
    x = inputs("graph")
    losses = model.evaluate(x, {"o": np.eye(2)[[0, 1, 0, 1, 0, 1]], "p": np.zeros((6, 1))})
    np.testing.assert_allclose(losses[0], losses[1] + 0.5 * losses[2], 1e-6)


def test_frozen_layers_stay_frozen_and_names_differ():
    model = df.from_keras(DATA / "nested.keras")
    frozen = [layer.name for layer in model.layers if not layer.trainable]
    assert frozen == ["inner_same"]
    assert {"inner_same", "two_same", "same"} <= {layer.name for layer in model.layers}


def config_of(name):
    with zipfile.ZipFile(DATA / name) as archive:
        return json.loads(archive.read("config.json"))


def changed(tmp_path, name, change):
    """A copy of a file with another config."""
    config = config_of(name)
    config = change(config) or config
    path = tmp_path / name
    with zipfile.ZipFile(DATA / name) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            new.writestr(member, json.dumps(config) if member == "config.json" else data)
    return path


def _layer(config, number, **settings):
    config["config"]["layers"][number] |= settings


def _setting(config, number, **settings):
    config["config"]["layers"][number]["config"] |= settings


def _cycle(config):
    by_class = {entry["class_name"]: entry for entry in config["config"]["layers"]}
    tensor = by_class["Flatten"]["inbound_nodes"][0]["args"][0]
    tensor["config"]["keras_history"] = [by_class["Concatenate"]["name"], 0, 0]


REFUSED = [
    ("row", lambda c: _layer(c, 3, class_name="Conv2D"), "'dense' of class Conv2D has no"),
    ("row", lambda c: _layer(c, 3, class_name="Lambda"), "'dense' of class Lambda has no"),
    ("row", lambda c: _layer(c, 3, module="mine", registered_name="mine>Dense"), "mine>Dense"),
    ("row", lambda c: _layer(c, 3, module=None, registered_name="Dense"), "Keras' own"),
    ("row", lambda c: _setting(c, 3, activity_regularizer={"class_name": "L2"}), "have a config"),
    ("row", lambda c: _setting(c, 3, activation="hardest"), "'dense' of class Dense: activation"),
    ("row", lambda c: _setting(c, 3, dtype="mixed_float16"), "float32 or float64.*mixed_float16"),
    ("row", lambda c: _setting(c, 3, dtype="float64"), "one dtype"),
    ("row", lambda c: _setting(c, 3, units=9), "'dense'.*must have shape"),
    ("row", lambda c: _setting(c, 3, units=1 << 60), "'dense'.*must have shape"),
    ("row", lambda c: _setting(c, 3, use_bias=False), "'dense' must be 1 arrays"),
    ("row", lambda c: _setting(c, 9, use_bias=True), "one more array"),
    ("row", lambda c: _setting(c, 5, renorm=True), "renorm of layer 'batch_norm"),
    ("row", lambda c: _setting(c, 4, name="dense"), "'dense' twice"),
    ("row", lambda c: c.update(class_name="CustomModel"), "class 'CustomModel'"),
    ("row", lambda c: c["compile_config"].update(loss="ctc"), "ctc.*compile=False"),
    ("row", lambda c: c["config"].update(layers={}), "layers of a config must be a list"),
    ("row", lambda c: [1], "must be a JSON object"),
    ("graph", _cycle, "no cycle"),
    ("graph", lambda c: c["config"].update(output_layers=[["o", 5, 0]]), "made by a layer"),
]


@pytest.mark.parametrize(("name", "change", "message"), REFUSED)
def test_what_has_no_counterpart_is_named(tmp_path, name, change, message):
    path = changed(tmp_path, f"{name}.keras", change)
    with pytest.raises(ValueError, match=message) as error:
        df.from_keras(path)
    assert repr(str(path)) in str(error.value)


def test_what_is_no_file_of_a_model(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be a file that exists"):
        df.from_keras(tmp_path / "absent.keras")
    with pytest.raises(TypeError, match="Received: int"):
        df.from_keras(3)
    (tmp_path / "x.keras").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="another format"):
        df.from_keras(tmp_path / "x.keras")
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        file.create_group("layers")
    with pytest.raises(ValueError, match="weights alone"):
        df.from_keras(tmp_path / "x.weights.h5")
    with zipfile.ZipFile(tmp_path / "y.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
    with pytest.raises(ValueError, match=r"must hold config\.json"):
        df.from_keras(tmp_path / "y.keras")
    with zipfile.ZipFile(tmp_path / "z.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", " " * (1 << 27))
    with pytest.raises(ValueError, match="honest size"):
        df.from_keras(tmp_path / "z.keras")


def test_arrays_that_are_claimed_but_not_there(tmp_path):
    shutil.copy(DATA / "wide.h5", tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        group = file["model_weights"]
        name = next(n for n in group if n.startswith("dense"))
        kernel = f"{name}/wide/{name}/kernel"
        del group[kernel]
        group.create_dataset(kernel, (1 << 20, 1 << 20), "f8", chunks=(1 << 10, 1 << 10))
    with pytest.raises(ValueError, match="must lie in the file"):
        df.from_keras(tmp_path / "m.h5")


@pytest.mark.parametrize("name", ["row.keras", "nested.h5"])
def test_damaged_files_are_refused_by_name(tmp_path, name):
    whole = (DATA / name).read_bytes()
    rng, path = np.random.default_rng(0), tmp_path / name
    refused = 0
    for trial in range(100):
        data = bytearray(whole)
        # HDF5 has no checksums where these bytes lie: there only lengths are told.
        if trial % 3 == 0 or name.endswith(".h5"):
            data = data[: rng.integers(0, len(data))]
        else:
            for at in rng.integers(0, len(data), 1 + trial % 7 * 20):
                data[at] = rng.integers(0, 256)
        path.write_bytes(data)
        refused += refused_by_name(path)
    assert refused > 80


def refused_by_name(path):
    try:
        df.from_keras(path)
    except ValueError as error:
        message = str(error)
    else:
        return False
    assert repr(str(path)) in message
    return True


WRONG = [None, -1, 0, 2**63, "x", [], {}, 1.5, True, [None, 4], {"class_name": "Dense"}, "relu"]


@pytest.mark.parametrize("name", ["row.keras", "graph.keras", "nested.keras"])
def test_damaged_configs_are_refused_by_name(tmp_path, name):
    rng, refused = np.random.default_rng(1), 0

    def damage(node):
        keys = list(node) if isinstance(node, dict) else range(len(node))
        key = keys[rng.integers(len(keys))]
        if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.93:
            damage(node[key])
        else:
            node[key] = WRONG[rng.integers(len(WRONG))]

    for _ in range(60):
        refused += refused_by_name(changed(tmp_path, name, damage))
    assert refused > 8


def keras_2_file(path):
    """A graph and a row as Keras 2.x lays them out: names end in ":0", calls are lists."""
    rng = np.random.default_rng(3)
    policy = {"trainable": True, "dtype": "float32"}

    def entry(kind, name, calls, **config):
        config = {"name": name, **policy, **config}
        return {"class_name": kind, "config": config, "name": name, "inbound_nodes": calls}

    x = {"class_name": "InputLayer", "name": "x", "inbound_nodes": []}
    x["config"] = {"batch_input_shape": [None, 4], "dtype": "float32", "sparse": False, "name": "x"}
    zeros = {"class_name": "Zeros", "config": {}}
    dense = {"units": 4, "use_bias": True, "bias_initializer": zeros, "activity_regularizer": None}
    first = {"batch_input_shape": [None, 4], "activation": "relu"}
    inner = {
        "name": "inner",
        "layers": [
            {"class_name": "Dense", "config": {"name": "d", **policy, **dense, **first}},
            {"class_name": "LeakyReLU", "config": {"name": "leaky", **policy, "alpha": 0.5}},
        ],
    }
    config = {
        "name": "old",
        "layers": [
            x,
            entry("Dense", "dense", [[["x", 0, 0, {}]]], activation="tanh", **dense),
            entry("Dropout", "mc", [[["dense", 0, 0, {"training": True}]]], rate=0.5),
            {"class_name": "Sequential", "config": inner, "name": "inner"}
            | {"inbound_nodes": [[["dense", 0, 0, {}]]]},
            entry("Add", "add", [[["inner", 0, 0, {}], ["x", 0, 0, {}]]]),
            {"class_name": "TFOpLambda", "name": "tf.math.multiply"}
            | {"config": {"name": "tf.math.multiply", "function": "math.multiply"}}
            | {"inbound_nodes": [["add", 0, 0, {"y": 3.0, "name": None}]]},
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["tf.math.multiply", 0, 0], ["mc", 0, 0]],
    }
    weights = {n: (rng.normal(size=(4, 4)), rng.normal(size=4)) for n in ("dense", "d")}
    training = {
        "loss": [{"class_name": "MeanSquaredError", "config": {"reduction": "auto"}}, None],
        "metrics": None,
        "optimizer_config": {"class_name": "SGD", "config": {"learning_rate": 0.5, "decay": 0.0}},
    }
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"2.11.0"
        whole = {"class_name": "Functional", "config": config}
        file.attrs["model_config"] = json.dumps(whole).encode()
        file.attrs["training_config"] = json.dumps(training).encode()
        root = file.create_group("model_weights")
        for layer, inside in (("dense", "dense"), ("inner", "d")):
            group = root.create_group(layer)
            names = [f"{inside}/kernel:0", f"{inside}/bias:0"]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, weights[inside], strict=True):
                group[name] = array.astype(np.float32)
    return weights


def test_files_of_keras_2(tmp_path):
    weights = keras_2_file(tmp_path / "old.h5")
    model = df.from_keras(tmp_path / "old.h5", seed=0)
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    h = np.tanh(x @ weights["dense"][0] + weights["dense"][1])
    z = np.maximum(h @ weights["d"][0] + weights["d"][1], 0)
    out, dropped = model.predict(x)
    np.testing.assert_allclose(out, 3 * (z + x), 1e-5, 1e-5)
    # There a layer that is called with training=True acts at inference, too.
    assert 0 < (dropped == 0).sum() < dropped.size
    assert model.optimizer.learning_rate == 0.5
