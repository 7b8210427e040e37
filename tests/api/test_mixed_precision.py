"""The policy "mixed_bfloat16": settings, files, errors, and a step held against plain NumPy."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dropfast as df
from dropfast import reference

MIXED = "mixed_bfloat16"
round_ = reference.round_bfloat16
times = reference.matmul_bfloat16


@pytest.fixture(autouse=True)
def float32_again():
    yield
    df.mixed_precision.set_global_policy("float32")


def data(rows=24, features=7, seed=0):
    generator = np.random.default_rng(seed)
    return (
        generator.standard_normal((rows, features)).astype(np.float32),
        generator.integers(0, 3, rows),
    )


def network(dtype, activation="relu", rate=0.25, seed=3, units=12):
    layers = [
        df.layers.Input((7,)),
        df.layers.Dense(units, activation=activation),
        df.layers.Dropout(rate),
        df.layers.Dense(units, activation="relu"),
        df.layers.Dense(3, activation="softmax"),
    ]
    model = df.Sequential(layers, seed=seed, dtype=dtype)
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def test_policies_have_keras_names():
    policy = df.mixed_precision.Policy(MIXED)
    assert (policy.name, policy.compute_dtype, policy.variable_dtype) == (
        MIXED,
        "bfloat16",
        "float32",
    )
    assert policy == df.mixed_precision.DTypePolicy.from_config(policy.get_config())
    assert hash(policy) == hash(df.mixed_precision.Policy(MIXED))
    assert policy != df.mixed_precision.Policy("float32")
    assert df.mixed_precision.global_policy().name == "float32"
    df.config.set_dtype_policy(policy)
    assert df.mixed_precision.global_policy() == df.config.dtype_policy() == policy


def test_the_global_policy_is_that_of_new_layers_and_models():
    before = df.layers.Dense(2)
    df.mixed_precision.set_global_policy(MIXED)
    layer, model = df.layers.Dense(2), df.Sequential([df.layers.Dense(2)], seed=0)
    float32 = df.layers.Dense(2, dtype="float32")
    df.mixed_precision.set_global_policy("float32")
    assert (layer.dtype_policy.name, layer.dtype, layer.compute_dtype) == (
        MIXED,
        "float32",
        "bfloat16",
    )
    assert (model.dtype_policy.name, model.dtype) == (MIXED, "float32")
    assert not before.mixed
    assert not float32.mixed
    assert layer.get_config()["dtype"] == MIXED
    assert df.layers.Dense.from_config(layer.get_config()).mixed
    assert repr(layer) == "Dense(2, dtype='mixed_bfloat16')"
    model.build((None, 3))
    assert model.layers[0].kernel.dtype == np.float32


def test_a_layer_takes_its_models_policy_unless_it_has_its_own():
    own = df.layers.Dense(3, dtype="float32")
    model = df.Sequential([df.layers.Input(4), df.layers.Dense(5), own], seed=0, dtype=MIXED)
    assert [layer.mixed for layer in model.layers] == [True, False]
    model = df.Sequential([df.layers.Input(4), df.layers.Dense(5, dtype=MIXED), own], seed=0)
    assert [layer.mixed for layer in model.layers] == [True, False]
    layer = df.layers.Dense(3)
    layer.dtype = MIXED
    assert layer.mixed


@pytest.mark.parametrize(
    "layer",
    [
        df.layers.Softmax,
        df.layers.LayerNormalization,
        df.layers.BatchNormalization,
        df.layers.Normalization,
        lambda **kwargs: df.layers.Rescaling(0.5, **kwargs),
        lambda **kwargs: df.layers.Embedding(5, 2, **kwargs),
        lambda **kwargs: df.layers.Activation("softmax", **kwargs),
    ],
)
def test_layers_that_stay_in_float32(layer):
    layer = layer(dtype=MIXED)
    assert (layer.mixed, layer.compute_dtype) == (False, "float32")


def test_a_layer_alone_is_the_definition():
    x = data()[0]
    layer = df.layers.Dense(5, activation="tanh", dtype=MIXED)
    y = layer(x)
    before = times(x, layer.kernel) + layer.bias
    assert np.array_equal(y, df.activation("tanh", before))
    grad = data(24, 5, 1)[0]
    dx = layer.backward(grad)
    kept = round_(before), round_(y)
    dy = round_(df.activation_backward("tanh", *kept, round_(grad)))
    assert np.array_equal(dx, times(dy, layer.kernel.T))
    assert np.array_equal(layer.gradients["kernel"], times(x.T, dy))
    total = np.zeros(5, np.float32)
    for row in dy:
        total += row
    assert np.array_equal(layer.gradients["bias"], total)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_a_step_is_that_of_plain_numpy(activation):
    x, y = data()
    model = network(MIXED, activation)
    k1, b1, k2, b2, k3, b3 = (array.copy() for array in model.get_weights())
    model.fit(x, y, batch_size=len(x), epochs=1, shuffle=False, verbose=0)
    # Forward.
    x = round_(x)
    z1 = times(x, k1) + b1
    a1 = round_(df.activation(activation, z1))
    key = df.Key(3, 1, 0)
    d1 = round_(df.dropout(a1, 0.25, key))
    z2 = times(d1, k2) + b2
    a2 = round_(df.activation("relu", z2))
    logits = times(a2, k3) + b3
    # The loss in float32.
    found = df.losses.SparseCategoricalCrossentropy(from_logits=True)
    share = np.full(len(x), 1 / len(x)).astype(np.float32)
    grad = round_(found.gradient(y, logits, share))
    # Backward.
    dk3, db3 = times(a2.T, grad), grad.sum(axis=0)
    dz2 = round_(df.activation_backward("relu", round_(z2), a2, round_(times(grad, k3.T))))
    dk2, db2 = times(d1.T, dz2), dz2.sum(axis=0)
    dd1 = df.dropout_backward(round_(times(dz2, k2.T)), 0.25, key)
    dz1 = round_(df.activation_backward(activation, round_(z1), a1, round_(dd1)))
    dk1, db1 = times(x.T, dz1), dz1.sum(axis=0)
    moved = [k1, b1, k2, b2, k3, b3]
    steps = [dk1, db1, dk2, db2, dk3, db3]
    for array, value, step in zip(model.get_weights(), moved, steps, strict=True):
        np.testing.assert_array_max_ulp(array, value - np.float32(0.01) * step, 1)


def test_masks_are_those_of_float32():
    x = np.ones((16, 40), np.float32)
    key = df.Key(1, 2, 3)
    plain = df.layers.Dropout(0.5)(x, training=True, key=key)
    assert np.array_equal(df.layers.Dropout(0.5, dtype=MIXED)(x, training=True, key=key), plain)


def test_scores_are_near_those_of_float32():
    generator = np.random.default_rng(5)
    x = generator.standard_normal((600, 7)).astype(np.float32)
    y = np.argmax(x[:, :3] + 0.1 * generator.standard_normal((600, 3)), axis=1)
    scores = []
    for dtype in ("float32", MIXED):
        model = network(dtype, units=32)
        model.compile(
            df.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        model.fit(x, y, epochs=10, verbose=0)
        scores.append(model.evaluate(x, y)[1])
    assert scores[0] > 0.9
    assert abs(scores[0] - scores[1]) < 0.03


def test_files_keep_the_policy(tmp_path):
    x, y = data()
    model = network(MIXED)
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m.safetensors")
    twin = df.load_model(tmp_path / "m.safetensors")
    assert twin.dtype_policy.name == MIXED
    assert all(array.dtype == np.float32 for array in twin.weights)
    assert np.array_equal(twin.predict(x), model.predict(x))
    for one in (model, twin):
        one.fit(x, y, epochs=1, verbose=0)
    assert all(map(np.array_equal, model.get_weights(), twin.get_weights()))
    assert df.models.clone_model(model).dtype_policy.name == MIXED
    # Weights alone are float32 and fit a model of either policy.
    model.save_weights(tmp_path / "w.safetensors")
    other = network("float32", seed=9)
    other.load_weights(tmp_path / "w.safetensors")
    assert np.array_equal(other.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize("name", ["mixed_float16", "bfloat16", "int8", None])
def test_a_file_of_another_policy_is_refused(tmp_path, name):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    path = tmp_path / "m.safetensors"
    network(MIXED).save(path)
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    description = json.loads(metadata["model"])
    description["dtype"] = name
    save_file(arrays, path, {**metadata, "model": json.dumps(description)})
    with pytest.raises(ValueError, match=r"dtype must be .* Received: dtype="):
        df.load_model(path)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16", "", None, 3, ["float32"]])
def test_unknown_policies(policy):
    with pytest.raises(ValueError, match=r"policy must be one of .*mixed_bfloat16.* Received"):
        df.mixed_precision.set_global_policy(policy)
    with pytest.raises(ValueError, match="policy must be one of"):
        df.mixed_precision.Policy(policy)
    assert df.mixed_precision.global_policy().name == "float32"


@pytest.mark.parametrize("dtype", ["mixed_float16", "bfloat16", "float16", np.int32])
def test_unknown_dtypes(dtype):
    for make in (lambda: df.layers.Dense(2, dtype=dtype), lambda: df.Sequential([], dtype=dtype)):
        with pytest.raises(ValueError, match="dtype must be 'float32', 'float64' or 'mixed_bfl"):
            make()


def test_float64_does_not_mix():
    message = (
        "dtype of layer 'dense' must be the model's, float64. Received: dtype='mixed_bfloat16'"
    )
    with pytest.raises(ValueError, match=message):
        df.Sequential([df.layers.Input(3), df.layers.Dense(2, dtype=MIXED)], 0, dtype="float64")
    message = (
        "dtype of layer 'dense' must be the model's, mixed_bfloat16. Received: dtype='float64'"
    )
    with pytest.raises(ValueError, match=message):
        df.Sequential([df.layers.Input(3), df.layers.Dense(2, dtype="float64")], 0, dtype=MIXED)


def test_summary_says_it(capsys):
    network(MIXED).summary()
    text = capsys.readouterr().out
    assert "(seed 3, mixed_bfloat16)" in text
    assert "Runs layer by layer, because of layer 0 (dense), of policy mixed_bfloat16" in text
    slow = "This processor has no instructions for bfloat16" in text
    assert slow is not df._core.has_bfloat16()


def test_graphs_and_merging_layers_round_what_they_take():
    x = data()[0]
    inputs = df.Input((7,))
    one = df.layers.Dense(4)(inputs)
    outputs = df.layers.Add()([one, df.layers.Dense(4)(inputs)])
    model = df.Model(inputs, outputs, seed=1, dtype=MIXED)
    k1, b1, k2, b2 = model.get_weights()
    expected = round_(times(x, k1) + b1) + round_(times(x, k2) + b2)
    assert np.array_equal(model.predict(x), expected)
