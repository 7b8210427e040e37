"""Layers that fewer networks use: values, gradients by differences, files, engines."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df

L = df.layers
RNG = np.random.default_rng(0)


def check_gradients(layer, x, smooth=True):
    """The layer's gradients against differences of a weighted sum of its outputs."""
    y = layer(x, training=True)
    grad = RNG.normal(size=y.shape)
    dx = layer.backward(grad)
    gradients = dict(layer.gradients)

    def total(x):
        return (layer(x, training=True) * grad).sum()

    if smooth:
        for index in np.ndindex(x.shape):
            step = np.zeros_like(x)
            step[index] = 1e-6
            slope = (total(x + step) - total(x - step)) / 2e-6
            assert dx[index] == pytest.approx(slope, abs=1e-6)
    for weight in layer._weights:
        if not weight.trainable:
            continue
        for index in np.ndindex(weight.value.shape):
            kept = weight.value[index]
            weight.value[index] = kept + 1e-6
            above = total(x)
            weight.value[index] = kept - 1e-6
            below = total(x)
            weight.value[index] = kept
            found = gradients[weight.name][index]
            assert found == pytest.approx((above - below) / 2e-6, abs=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: L.Identity(),
        lambda: L.Reshape((2, 2)),
        lambda: L.PReLU(df.initializers.RandomNormal(seed=0)),
        lambda: L.ReLU(max_value=0.8, negative_slope=0.1, threshold=0.2),
        lambda: L.Lambda(np.tanh),
        lambda: L.Normalization(mean=[0.0, 1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0, 0.5]),
        lambda: L.Normalization(mean=1.0, variance=4.0, axis=None, invert=True),
        lambda: L.Dense(3, activation="mish"),
        lambda: L.Dense(3, activation=lambda x: np.sin(x)),
        lambda: L.Activation(df.activations.Call(np.square, lambda x: 2 * x)),
    ],
)
def test_gradients(layer):
    check_gradients(layer(), RNG.normal(size=(3, 4)))


def test_shared_slopes_of_prelu():
    layer = L.PReLU(df.initializers.Constant(0.3), shared_axes=[1])
    check_gradients(layer, RNG.normal(size=(2, 3, 4)))
    assert layer.alpha.shape == (1, 4)


def test_embedding():
    layer = L.Embedding(5, 3)
    x = np.array([[0, 4], [4, 4]])
    assert np.array_equal(layer(x)[1, 0], layer.embeddings[4])
    check_gradients(L.Embedding(5, 3, dtype="float64"), x.astype(float), smooth=False)
    for bad in (5, -1, 0.5, np.nan):
        with pytest.raises(ValueError, match=r"must hold integers in \[0, 4\]\. Received"):
            layer(np.array([[0.0, bad]]))


def test_a_model_of_categories_learns():
    x = RNG.integers(0, 6, (200, 2))
    y = ((x[:, 0] + x[:, 1]) % 2)[:, None]
    model = df.Sequential(
        [L.Embedding(6, 8), L.Flatten(), L.Dense(16, "relu"), L.Dense(1, "sigmoid")], seed=0
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=60, verbose=0)
    assert model.evaluate(x, y)[1] > 0.95


def test_reshape():
    assert L.Reshape((-1, 2))(np.zeros((3, 8))).shape == (3, 4, 2)
    assert L.Reshape(6).compute_output_shape((None, 2, 3)) == (None, 6)
    with pytest.raises(ValueError, match="target_shape must have as many elements"):
        L.Reshape((3, 3))(np.zeros((2, 8)))
    for bad in ((-1, -1), (0,), "ab", (2.5,)):
        with pytest.raises(ValueError, match="target_shape must hold positive integers"):
            L.Reshape(bad)


def test_normalization_adapts():
    x = RNG.normal(3.0, 2.0, (1000, 5)).astype(np.float32)
    layer = L.Normalization()
    layer.adapt(x)
    y = layer(x)
    np.testing.assert_allclose(y.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=0), 1.0, atol=1e-5)
    back = L.Normalization(mean=x.mean(axis=0), variance=x.var(axis=0), invert=True)
    np.testing.assert_allclose(back(y), x, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="mean and variance must be given together"):
        L.Normalization(mean=1.0)


def test_normalization_in_front_trains_natively(tmp_path):
    x = RNG.normal(30.0, 20.0, (256, 5)).astype(np.float32)
    y = (x[:, :1] > 30).astype(np.float32)
    front = L.Normalization()
    front.adapt(x)
    model = df.Sequential([front, L.Dense(8, "relu"), L.Dense(1, "sigmoid")], seed=0)
    model.compile(df.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=20, verbose=0)
    assert type(model.trainer()).__name__ == "Native"
    assert model.evaluate(x, y)[1] > 0.95
    twin = df.Sequential(model.layers[1:], seed=0)
    np.testing.assert_array_equal(twin.predict(front(x)), model.predict(x))
    model.save(tmp_path / "m.safetensors")
    again = df.load_model(tmp_path / "m.safetensors")
    assert np.array_equal(again.predict(x), model.predict(x))


def test_identity_and_reshape_stay_native():
    model = df.Sequential(
        [L.Input(4), L.Dense(4), L.Identity(), L.Reshape((2, 2)), L.Flatten(), L.Dense(1)], seed=0
    )
    plain = df.Sequential([L.Input(4), L.Dense(4), L.Dense(1)], seed=0)
    x = RNG.normal(size=(7, 4)).astype(np.float32)
    assert np.array_equal(model.predict(x), plain.predict(x))
    assert model.plan.obstacle == ""


def test_lambda_in_front_may_do_anything_and_behind_may_not_mix():
    x = RNG.normal(size=(16, 4)).astype(np.float32)
    front = df.Sequential([L.Lambda(lambda x: x[:, :2] ** 2), L.Dense(1)], seed=0)
    front.compile("sgd", "mse")
    front.fit(x, x[:, :1], verbose=0)
    assert front.output_shape == (None, 1)
    mixing = df.Sequential([L.Dense(4), L.Lambda(lambda x: x - x.mean(axis=-1, keepdims=True))])
    mixing.compile("sgd", "mse")
    with pytest.raises(ValueError, match="must map each number by itself"):
        mixing.fit(x, x, verbose=0)


def test_callables_as_activations(tmp_path):
    x = RNG.normal(size=(64, 3)).astype(np.float32)

    def bent(x):
        return df.activations.relu(x, max_value=6)

    model = df.Sequential([L.Dense(8, activation=bent), L.Dense(1)], seed=0)
    plain = df.Sequential([L.Dense(8, activation="relu6"), L.Dense(1)], seed=0)
    for each in (model, plain):
        each.compile("sgd", "mse")
        each.fit(x, x[:, :1], epochs=3, verbose=0)
    np.testing.assert_allclose(model.predict(x), plain.predict(x), atol=1e-5)
    assert type(plain.trainer()).__name__ == "Native"
    model.save(tmp_path / "m.safetensors")
    again = df.load_model(tmp_path / "m.safetensors", custom_objects={"bent": bent})
    assert np.array_equal(again.predict(x), model.predict(x))


@pytest.mark.parametrize(
    ("name", "options"),
    [("tanh", {"alpha": 1.0}), ("relu", {"alpha": 0.1}), ("celu", {"negative_slope": 0.1})],
)
def test_activations_refuse_what_they_do_not_take(name, options):
    with pytest.raises(ValueError, match=f"activation '{name}' takes no"):
        df.activations.Function(name, **options)


NEW_LOSSES = [
    ("hinge", "bits"),
    ("squared_hinge", "bits"),
    ("kld", "shares"),
    ("poisson", "bits"),
    ("log_cosh", "values"),
    ("cosine_similarity", "values"),
    ("mape", "shares"),
    ("msle", "bits"),
    (df.losses.BinaryFocalCrossentropy(), "bits"),
    (df.losses.CategoricalFocalCrossentropy(), "shares"),
    (df.losses.Quantile([0.1, 0.9]), "half"),
    (df.losses.GaussianNLL(), "half"),
]


@pytest.mark.parametrize(("loss", "kind"), NEW_LOSSES, ids=lambda x: str(x))
def test_new_losses_train_alike_in_both_engines(loss, kind):
    x = RNG.normal(size=(48, 5)).astype(np.float32)
    shares = RNG.dirichlet(np.ones(4), 48)
    y = {
        "bits": (shares > 0.25).astype(float),
        "shares": shares,
        "values": RNG.normal(size=(48, 4)),
        "half": RNG.normal(size=(48, 2)),
    }[kind]
    last = "softmax" if kind == "shares" else "softplus" if loss in ("poisson", "msle") else None
    last = "sigmoid" if isinstance(loss, df.losses.BinaryFocalCrossentropy) else last
    found = []
    for stepwise in (False, True):
        model = df.Sequential([L.Dense(6, "mish"), L.Dropout(0.2), L.Dense(4, last)], seed=0)
        model.compile(df.optimizers.Nadam(0.01), loss)
        model._stepwise_only = stepwise
        model.fit(x, y, epochs=3, batch_size=16, verbose=0)
        assert (type(model.trainer()).__name__ == "Stepwise") == stepwise, model.training_obstacle
        found.append(model.predict(x))
    np.testing.assert_allclose(*found, atol=2e-5)


def test_targets_of_fewer_units():
    model = df.Sequential([L.Dense(3)], seed=0)
    model.compile("sgd", df.losses.GaussianNLL())
    with pytest.raises(ValueError, match="outputs must be a multiple of 2"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    model.compile("sgd", df.losses.Quantile([0.1, 0.5, 0.9]))
    with pytest.raises(ValueError, match=r"y must have shape \(None, 1\)"):
        model.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0)
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)


def test_quantiles_are_learned():
    y = RNG.exponential(size=(4000, 1)).astype(np.float32)
    model = df.Sequential([L.Dense(2)], seed=0)
    model.compile(df.optimizers.Adam(0.02), df.losses.Quantile([0.5, 0.9]))
    model.fit(np.zeros((4000, 1), np.float32), y, epochs=40, verbose=0)
    np.testing.assert_allclose(model.predict(np.zeros((1, 1)))[0], [0.693, 2.303], atol=0.12)


@pytest.mark.parametrize("name", ["Nadam", "Adamax", "Adagrad", "Adadelta", "Lion"])
def test_new_optimizers_train_alike_in_both_engines(name, tmp_path):
    x = RNG.normal(size=(48, 5)).astype(np.float32)
    found = []
    for stepwise in (False, True):
        model = df.Sequential([L.Dense(6, "relu"), L.Dense(1)], seed=0)
        model.compile(getattr(df.optimizers, name)(0.01, weight_decay=0.01), "mse")
        model._stepwise_only = stepwise
        model.fit(x, x[:, :1], epochs=3, batch_size=16, verbose=0)
        found.append(model.predict(x))
    np.testing.assert_allclose(*found, atol=2e-5)
    model.save(tmp_path / "m.safetensors")
    again = df.load_model(tmp_path / "m.safetensors")
    for each in (model, again):
        each.fit(x, x[:, :1], epochs=1, shuffle=False, verbose=0)
    assert np.array_equal(model.predict(x), again.predict(x))


def test_accumulated_gradients_are_those_of_a_larger_batch():
    x = RNG.normal(size=(64, 5)).astype(np.float32)
    found = []
    for size, count in ((32, None), (8, 4)):
        model = df.Sequential([L.Dense(6, "relu"), L.Dense(1)], seed=0)
        model.compile(df.optimizers.Adam(0.01, gradient_accumulation_steps=count), "mse")
        model.fit(x, x[:, :1], epochs=5, batch_size=size, shuffle=False, verbose=0)
        found.append(model.predict(x))
    np.testing.assert_allclose(*found, atol=1e-5)
    assert "gradient_accumulation_steps" in model.training_obstacle


def test_averages_of_weights():
    x = RNG.normal(size=(64, 5)).astype(np.float32)
    found = []
    for use_ema in (False, True):
        model = df.Sequential([L.Input(5), L.Dense(1)], seed=0)
        model.compile(df.optimizers.SGD(0.1, use_ema=use_ema, ema_momentum=0.9), "mse")
        if not use_ema:
            average = None
            for first in range(0, 64, 16):
                model.train_on_batch(x[first : first + 16], x[first : first + 16, :1])
                weights = model.get_weights()[0]
                average = weights if average is None else 0.9 * average + 0.1 * weights
            found.append(average)
        else:
            model.fit(x, x[:, :1], batch_size=16, shuffle=False, verbose=0)
            found.append(model.get_weights()[0])
    np.testing.assert_allclose(*found, atol=1e-6)
