"""export: ONNX files predict as the model does, in onnxruntime; with dropout on they vary as it."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df
from dropfast import layers as L

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


def opened(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(path, x, outputs=None):
    """What a file gives; of a session that is open, the next random numbers."""
    session = path if isinstance(path, ort.InferenceSession) else opened(path)
    names = [given.name for given in session.get_inputs()]
    feed = x if isinstance(x, dict) else dict(zip(names, [x], strict=True))
    return session.run(outputs, feed)


def settled(model):
    """Weights of no special value; variances positive."""
    rng = np.random.default_rng(1)
    model.set_weights(
        [
            rng.uniform(0.3, 1.0, w.shape) * rng.choice([1, 1, -1])
            for w in (np.abs(v) for v in model.get_weights())
        ]
    )
    for layer in model.layers:
        if isinstance(layer, L.BatchNormalization):
            layer.moving_variance = np.abs(layer.moving_variance)
        if isinstance(layer, L.Normalization) and layer.mean is None:
            layer.adapted_variance[...] = np.abs(layer.adapted_variance)
    return model


LAYERS = [
    *((L.Dense(3, name), (4,)) for name in df.activations.NAMES),
    (L.Dense(3, df.activations.Function("leaky_relu", negative_slope=0.5)), (4,)),
    (L.Dense(3, df.activations.Function("elu", alpha=0.5), use_bias=False), (2, 4)),
    (L.Dense(3, df.activations.Function("gelu", approximate=True)), (4,)),
    (L.BatchNormalization(), (4,)),
    (L.BatchNormalization(scale=False, center=False), (3, 4)),
    (L.LayerNormalization(), (3, 4)),
    (L.Normalization(), (4,)),
    (L.Normalization(axis=None, mean=1.0, variance=4.0, invert=True), (4,)),
    (L.Rescaling(0.5, 1.0), (4,)),
    (L.Activation("silu"), (4,)),
    (L.ReLU(), (4,)),
    (L.ReLU(1.0, 0.1, 0.5), (4,)),
    (L.ReLU(6.0), (4,)),
    (L.ActivityRegularization(0.1), (4,)),
    (L.Dense(3, df.activations.Function("celu", alpha=0.5)), (4,)),
    (L.LeakyReLU(0.1), (4,)),
    (L.ELU(0.3), (4,)),
    (L.Softmax(1), (3, 4)),
    (L.PReLU("he_normal"), (3, 4)),
    (L.Flatten(), (2, 3)),
    (L.Reshape((3, -1)), (6,)),
    (L.Identity(), (4,)),
    (L.Dropout(0.5), (4,)),
    (L.Dropout(0.25, scale_at="inference"), (4,)),
    (L.Dropout(0.5, noise_shape=(None, 1)), (4,)),
    (L.SpatialDropout1D(0.5), (3, 4)),
    (L.AlphaDropout(0.5), (4,)),
    (L.GaussianDropout(0.5), (4,)),
    (L.GaussianNoise(0.5), (4,)),
    (L.DropConnect(3, 0.5), (4,)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=lambda value: type(value).__name__)
def test_layers(tmp_path, layer, shape, dtype):
    layer = type(layer).from_config(layer.get_config())
    model = settled(df.Sequential([L.Input(shape), layer], seed=0, dtype=dtype))
    model.export(tmp_path / "m.onnx")
    for rows in (1, 7):
        x = np.random.default_rng(rows).normal(size=(rows, *shape)).astype(dtype)
        (found,) = run(tmp_path / "m.onnx", x)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, model.predict(x), 1e-5, 1e-5)


def test_categories(tmp_path):
    layers = [L.Input(2), L.Embedding(5, 3), L.Flatten(), L.Dense(2)]
    model = df.Sequential(layers, seed=0)
    model.export(tmp_path / "m.onnx")
    x = np.array([[0, 4], [2, 3]], np.float32)
    np.testing.assert_allclose(run(tmp_path / "m.onnx", x)[0], model.predict(x), 1e-5, 1e-5)


def graph():
    a, b = df.Input(4, name="a"), df.Input(4, name="b")
    h = L.Dense(4, "relu")(a)
    merged = [cls()([h, b, a]) for cls in (L.Add, L.Multiply, L.Average, L.Maximum, L.Minimum)]
    both = L.Concatenate()([*merged, L.Subtract()([h, b]), 2 * h - 1])
    dot = L.Dot(1, normalize=True)([h, b])
    outputs = {"o": L.Dense(2, "softmax", name="o")(both), "p": dot, "q": h}
    return df.Model({"a": a, "b": b}, outputs, seed=0)


def test_graphs(tmp_path):
    model = graph()
    model.export(tmp_path / "m.onnx")
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(6, 4)).astype(np.float32) for name in "ab"}
    for name, expected in model.predict(x).items():
        np.testing.assert_allclose(run(tmp_path / "m.onnx", x, [name])[0], expected, 1e-5, 1e-5)


STOCHASTIC = [
    L.Dropout(0.3),
    L.Dropout(0.3, scale_at="inference"),
    L.Dropout(0.3, noise_shape=(None, 1)),
    L.Dropout(0.3, noise_shape=(1, None)),
    L.AlphaDropout(0.3),
    L.GaussianDropout(0.3),
    L.GaussianNoise(0.5),
    L.DropConnect(4, 0.3),
    L.Dropout(1.0),
    L.Dropout(0.0),
]


@pytest.mark.parametrize("layer", STOCHASTIC, ids=repr)
def test_monte_carlo(tmp_path, layer):
    """Mean and spread over many rows are those of our own passes; runs differ."""
    layer = type(layer).from_config(layer.get_config())
    # In the middle, where onnxruntime could take it out.
    model = df.Sequential([L.Input(4), L.Dense(4), layer, L.Dense(2)], seed=0)
    model.export(tmp_path / "m.onnx", monte_carlo=True)
    model.export(tmp_path / "i.onnx")
    x = np.full((1, 4), 1.5, np.float32)
    np.testing.assert_allclose(run(tmp_path / "i.onnx", x)[0], model.predict(x), 1e-5, 1e-5)
    shared = isinstance(layer, L.DropConnect) or getattr(layer, "noise_shape", None) == (1, None)
    session = opened(tmp_path / "m.onnx")
    if shared:
        found = np.concatenate([run(session, x)[0] for _ in range(2000)])
        rows = run(session, np.repeat(x, 5, 0))[0]
        np.testing.assert_allclose(rows, np.repeat(rows[:1], 5, 0), 1e-5)
    else:
        found = run(session, np.repeat(x, 20_000, 0))[0]
    found = found.astype(np.float64)
    mean, std = model.predict_mc(x, samples=2000)
    tolerance = 0.12 if shared else 0.06
    np.testing.assert_allclose(found.std(axis=0), std[0], tolerance, 1e-3)
    scale = np.maximum(std[0], 1e-3)
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - mean[0]), 5 * tolerance * scale)
    a, b = (run(session, np.repeat(x, 3, 0))[0] for _ in range(2))
    assert bool((a == b).all()) == (getattr(layer, "rate", 0.5) in (0.0, 1.0))


def test_a_layer_without_counterpart_is_named_and_nothing_is_written(tmp_path):
    class Mine(L.Dense):
        pass

    for layer, what in [
        (L.Lambda(np.tanh, name="odd"), "'odd' of class Lambda"),
        (Mine(2, name="own"), "'own' of class Mine"),
        (L.Dense(2, np.tanh, name="called"), "'called' of class Dense"),
    ]:
        model = df.Sequential([L.Input(4), layer], seed=0)
        with pytest.raises(ValueError, match=f"{what} has no counterpart in ONNX"):
            model.export(tmp_path / "m.onnx")
    with pytest.raises(ValueError, match="must be built"):
        df.Sequential([L.Dense(2)], seed=0).export(tmp_path / "m.onnx")
    good = df.Sequential([L.Input(4), L.Dense(2)], seed=0)
    with pytest.raises(ValueError, match=r"must end in \.onnx"):
        good.export(tmp_path / "m.safetensors")
    with pytest.raises(ValueError, match="format must be"):
        good.export(tmp_path / "m.onnx", "tf_saved_model")
    assert not list(tmp_path.iterdir())
    good.export(tmp_path / "m.onnx")
    with pytest.raises(FileExistsError):
        good.export(tmp_path / "m.onnx", overwrite=False)


def estimators():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from dropfast.sklearn import DropoutMLPClassifier, DropoutMLPRegressor

    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, (120, 4))
    kinds = np.digitize(x[:, 0], [1.0, 3.0])
    settings = {"max_iter": 3, "random_state": 0, "hidden_layer_sizes": (8,)}
    classifier, regressor = DropoutMLPClassifier(**settings), DropoutMLPRegressor(**settings)
    return x, [
        (classifier, np.array(["a", "b", "c"])[kinds]),
        (classifier, np.array(["no", "yes"], object)[kinds.astype(bool) * 1]),
        (classifier, kinds * 10),
        (classifier, kinds > 0),
        (classifier, np.stack([kinds > 0, kinds > 1], axis=1).astype(int)),
        (make_pipeline(StandardScaler(), classifier), kinds.astype(float)),
        (regressor, x[:, 0]),
        (regressor, x[:, :2]),
        (make_pipeline(StandardScaler(with_std=False), regressor), x[:, 0]),
        (DropoutMLPRegressor(loss="gaussian_nll", **settings), x[:, 0]),
    ]


@pytest.mark.filterwarnings("ignore:.*converge")
@pytest.mark.parametrize("number", range(10))
def test_estimators(tmp_path, number):
    pytest.importorskip("sklearn")
    from dropfast.converters import export

    x, cases = estimators()
    estimator, y = cases[number]
    estimator.fit(x, y)
    export(estimator, tmp_path / "e.onnx")
    if hasattr(estimator, "predict_proba"):
        label, probabilities = run(tmp_path / "e.onnx", x, ["label", "probabilities"])
        np.testing.assert_array_equal(label, estimator.predict(x))
        np.testing.assert_allclose(probabilities, estimator.predict_proba(x), 1e-5, 1e-6)
    else:
        (found,) = run(tmp_path / "e.onnx", x)
        np.testing.assert_allclose(found.reshape(np.shape(y)), estimator.predict(x), 1e-5, 1e-5)
    export(estimator, tmp_path / "e.onnx", monte_carlo=True)
    session = opened(tmp_path / "e.onnx")
    a, b = (run(session, x)[-1] for _ in range(2))
    assert (a != b).any()


def test_other_things_are_no_models(tmp_path):
    sklearn = pytest.importorskip("sklearn")
    from dropfast.converters import export
    from dropfast.sklearn import DropoutMLPClassifier

    for thing, error in [
        (3, TypeError),
        (
            sklearn.linear_model.LinearRegression() if hasattr(sklearn, "linear_model") else 4,
            TypeError,
        ),
        (DropoutMLPClassifier(), ValueError),
    ]:
        with pytest.raises(error, match="model must be"):
            export(thing, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
