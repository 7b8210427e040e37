"""Names that scripts for Keras use: ops, backend, config, random, saving, small layers, metrics."""

import json
import warnings

import numpy as np
import pytest

import dropfast as df
from dropfast import ops

L = df.layers
RNG = np.random.default_rng(0)
A = RNG.normal(size=(4, 3)).astype(np.float32)
B = RNG.normal(size=(4, 3)).astype(np.float32)
P = RNG.dirichlet(np.ones(3), 4).astype(np.float32)
BITS = RNG.integers(0, 2, (4, 3)).astype(np.float32)
LABELS = np.array([0, 2, 1, 1])

# Operation, arguments, settings. Values are compared with Keras' own where that is installed.
CALLS = [
    ("mean", (A,), {}),
    ("mean", (A, -1), {}),
    ("mean", (A, 0, True), {}),
    ("sum", (A,), {"axis": -1, "keepdims": True}),
    ("max", (A, 0), {}),
    ("min", (A, (0, 1)), {}),
    ("std", (A, 1), {}),
    ("var", (A,), {}),
    ("prod", (A, 1), {}),
    ("median", (A, 1), {}),
    ("argmax", (A, -1), {}),
    ("any", (A > 1, 0), {}),
    ("all", (A > -9,), {}),
    ("abs", (A,), {}),
    ("square", (A,), {}),
    ("sqrt", (P,), {}),
    ("rsqrt", (P,), {}),
    ("exp", (A,), {}),
    ("log", (P,), {}),
    ("log1p", (P,), {}),
    ("sign", (A,), {}),
    ("round", (A,), {}),
    ("relu", (A,), {}),
    ("sigmoid", (A,), {}),
    ("tanh", (A,), {}),
    ("elu", (A,), {}),
    ("selu", (A,), {}),
    ("gelu", (A,), {}),
    ("gelu", (A, False), {}),
    ("silu", (A,), {}),
    ("softmax", (A,), {}),
    ("softmax", (A, 0), {}),
    ("log_softmax", (A,), {}),
    ("logsumexp", (A, 1), {}),
    ("add", (A, B), {}),
    ("subtract", (A, B), {}),
    ("multiply", (A, B), {}),
    ("divide", (A, B), {}),
    ("power", (P, 2), {}),
    ("maximum", (A, 0.0), {}),
    ("minimum", (A, B), {}),
    ("clip", (A, -0.5, 0.5), {}),
    ("where", (A > 0, A, B), {}),
    ("equal", (LABELS, 1), {}),
    ("greater", (A, B), {}),
    ("logical_and", (A > 0, B > 0), {}),
    ("matmul", (A, B.T), {}),
    ("dot", (A, B.T), {}),
    ("norm", (A,), {"axis": -1}),
    ("cumsum", (A, 1), {}),
    ("one_hot", (LABELS, 3), {}),
    ("one_hot", (np.array([0, 5, -1]), 3), {}),
    ("cast", (LABELS, "float32"), {}),
    ("reshape", (A, (3, 4)), {}),
    ("expand_dims", (A, 1), {}),
    ("squeeze", (A[:, None], 1), {}),
    ("concatenate", ([A, B],), {"axis": 1}),
    ("concatenate", ([A, B],), {}),
    ("stack", ([A, B],), {}),
    ("transpose", (A,), {}),
    ("take", (A, np.array([1, 0]), 1), {}),
    ("tile", (A, (2, 1)), {}),
    ("repeat", (A, 2, 1), {}),
    ("zeros_like", (A,), {}),
    ("full", ((2, 2), 3.0), {}),
    ("arange", (0, 5, 2), {}),
    ("binary_crossentropy", (BITS, P), {}),
    ("binary_crossentropy", (BITS, A), {"from_logits": True}),
    ("categorical_crossentropy", (np.eye(3, dtype=np.float32)[LABELS], P), {}),
    ("categorical_crossentropy", (np.eye(3, dtype=np.float32)[LABELS], A), {"from_logits": True}),
    ("sparse_categorical_crossentropy", (LABELS, P), {}),
    ("sparse_categorical_crossentropy", (LABELS, A), {"from_logits": True}),
]


@pytest.mark.parametrize("number", range(len(CALLS)))
def test_operations_give_keras_numbers(number):
    name, arguments, settings = CALLS[number]
    keras = pytest.importorskip("keras", exc_type=ImportError)
    found = np.asarray(getattr(ops, name)(*arguments, **settings))
    known = np.asarray(getattr(keras.ops, name)(*arguments, **settings))
    assert found.shape == known.shape
    assert np.allclose(found, known, rtol=2e-5, atol=2e-6)


def test_operations_by_hand():
    assert ops.mean([[1.0, 2], [3, 5]], -1).tolist() == [1.5, 4]
    assert ops.sum(A, axis=-1, keepdims=True).shape == (4, 1)
    assert ops.mean(A).dtype == np.float32
    assert ops.clip(np.array([-2.0, 3]), 0, 1).tolist() == [0, 1]
    assert ops.one_hot([0, 2], 3).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert ops.shape(A) == (4, 3)
    assert ops.stop_gradient(A) is A
    cross = ops.binary_crossentropy(np.array([1.0, 0]), np.array([0.8, 0.3]))
    assert cross == pytest.approx(-np.log([0.8, 0.7]))


def test_in_metrics_and_losses_of_ones_own():
    K = df.backend

    def rmse(y_true, y_pred):
        return K.sqrt(K.mean(K.square(y_pred - y_true)))

    class Band(df.losses.Loss):
        def call(self, y_true, y_pred):
            return ops.mean(ops.maximum(ops.abs(y_true - y_pred) - 0.1, 0.0), axis=-1)

        def gradient(self, y_true, y_pred, weights):
            outside = ops.abs(y_true - y_pred) > 0.1
            share = weights[:, None] / y_pred.shape[-1]
            return ops.where(outside, ops.sign(y_pred - y_true), 0.0) * share

    model = df.Sequential([L.Dense(3)], seed=0)
    model.compile("sgd", Band(), metrics=[rmse])
    found = model.evaluate(A, B)
    p = model.predict(A)
    assert found == pytest.approx(
        [np.maximum(abs(B - p) - 0.1, 0).mean(), np.sqrt(((p - B) ** 2).mean())], rel=1e-5
    )
    assert model.fit(A, B, epochs=2, verbose=0).history["rmse"]


def test_on_symbolic_tensors():
    a, b = df.Input((3,)), df.Input((3,))
    parts = [ops.relu(a), ops.square(b), ops.add(a, b), ops.multiply(a, 2.0)]
    h = ops.concatenate(parts, axis=-1)
    h = ops.maximum(h, ops.subtract(h, 1.0))
    model = df.Model([a, b], ops.softmax(ops.reshape(h, (-1, 12))), seed=0)
    x = np.concatenate([np.maximum(A, 0), B**2, A + B, 2 * A], axis=1)
    known = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    assert np.allclose(model.predict([A, B]), known, atol=1e-6)
    assert ops.shape(a) == (None, 3)
    for refused in (lambda: ops.mean(a, -1), lambda: ops.matmul(a, b), lambda: ops.cast(a, "int")):
        with pytest.raises(TypeError, match=r"ops\.\w+ takes arrays; in a model, use a layer"):
            refused()


def test_gradients_go_through_operations():
    x = df.Input((3,))
    model = df.Model(x, ops.square(L.Dense(2)(x)), seed=0, dtype="float64")
    model.compile(df.optimizers.SGD(0.1), "mse")
    history = model.fit(A, B[:, :2] ** 2, epochs=20, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_backend_and_config():
    for module in (df.backend, df.config):
        assert module.backend() == "dropfast"
        assert (module.floatx(), module.epsilon()) == ("float32", 1e-7)
        assert module.image_data_format() == "channels_last"
        module.set_floatx("float32")
        module.set_epsilon(1e-7)
        with pytest.raises(ValueError, match="floatx must be 'float32'"):
            module.set_floatx("float16")
        with pytest.raises(ValueError, match="epsilon must be"):
            module.set_epsilon(1e-3)
        with pytest.raises(ValueError, match="data_format must be"):
            module.set_image_data_format("channels_first")
    df.backend.clear_session()
    df.utils.clear_session()
    assert df.backend.is_keras_tensor(df.Input(3))
    assert not df.utils.is_keras_tensor(A)
    assert df.version() == df.__version__
    assert isinstance(df.Input(3), df.KerasTensor)
    with pytest.raises(AttributeError, match=r"dropfast\.backend.*'rnn'"):
        _ = df.backend.rnn
    for name in ("Layer", "Loss", "Metric", "Optimizer", "Regularizer", "Initializer"):
        module = getattr(df, {"Loss": "losses"}.get(name, f"{name.lower()}s"))
        assert getattr(df, name) is getattr(module, name)


def test_random_numbers():
    R = df.random
    assert np.array_equal(R.normal((2, 3), seed=1), R.normal((2, 3), seed=1))
    drawn = R.normal((100_000,), mean=2.0, stddev=3.0, seed=1)
    assert drawn.dtype == np.float32
    assert (drawn.mean(), drawn.std()) == (pytest.approx(2, abs=0.05), pytest.approx(3, abs=0.05))
    even = R.uniform((100_000,), -1, 1, seed=2)
    assert -1 <= even.min() < -0.99 < 0.99 < even.max() < 1
    whole = R.randint((10_000,), 2, 5, seed=3)
    assert whole.dtype == np.int32
    assert np.bincount(whole).tolist()[:2] == [0, 0]
    assert min(np.bincount(whole)[2:]) > 3000
    seeds = R.SeedGenerator(7)
    assert not np.array_equal(R.uniform((4,), seed=seeds), R.uniform((4,), seed=seeds))
    a, b = L.Dropout(0.5, seed=R.SeedGenerator(7)), L.Dropout(0.5, seed=7)
    assert np.array_equal(a(A, training=True), b(A, training=True))


def test_registered_classes_load_by_name(tmp_path):
    @df.saving.register_keras_serializable(package="mine")
    class Half(L.Layer):
        def forward(self, x, passage):
            return x / 2

        def gradient(self, grad, passage):
            return grad / 2

    try:
        model = df.Sequential([L.Input(3), Half(), L.Dense(1)], seed=0)
        df.models.save_model(model, tmp_path / "m")
        assert np.array_equal(df.saving.load_model(tmp_path / "m").predict(A), model.predict(A))
        df.saving.save_weights(model, tmp_path / "w")
        df.saving.load_weights(model, tmp_path / "w")
    finally:
        df.saving.get_custom_objects().clear()
    with pytest.raises(ValueError, match="custom_objects must hold 'Half'"):
        df.load_model(tmp_path / "m")
    with df.saving.custom_object_scope({"Half": Half}):
        assert df.load_model(tmp_path / "m").layers[0].name == "half"
    assert df.utils.get_custom_objects() == {}
    with pytest.raises(ValueError, match="name must be 'Half'"):
        df.utils.register_keras_serializable(name="Other")(Half)


RELUS = [
    ({"max_value": 1.0}, [0, 0, 0.5, 1, 1]),
    ({"negative_slope": 0.5}, [-1, -0.25, 0.5, 1, 3]),
    ({"threshold": 0.6}, [0, 0, 0, 1, 3]),
    ({"max_value": 2.0, "negative_slope": 0.5, "threshold": 1.0}, [-1.5, -0.75, -0.25, 1, 2]),
]


@pytest.mark.parametrize(("settings", "values"), RELUS)
def test_relu(settings, values):
    x = np.array([[-2, -0.5, 0.5, 1, 3.0]])
    layer = L.ReLU(**settings)
    assert layer(x).tolist() == [values]
    layer(x + 1e-3)
    slopes = layer.backward(np.ones_like(x))
    near = (layer(x + 1e-3 + 1e-7) - layer(x + 1e-3 - 1e-7)) / 2e-7
    assert np.allclose(slopes, near, atol=1e-6)
    model = df.Sequential([L.Dense(4), L.ReLU(**settings), L.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.fit(A, B[:, :1], verbose=0)
    first, middle, last = model.layers
    assert np.allclose(model.predict(A), last(middle(first(A))), atol=1e-6)


def test_small_layers():
    x = df.Input((2, 3))
    model = df.Model(x, L.UnitNormalization()(L.Permute((2, 1))(x)), seed=0)
    rows = RNG.normal(size=(5, 2, 3))
    found = model.predict(rows)
    assert found.shape == (5, 3, 2)
    moved = rows.transpose(0, 2, 1)
    assert np.allclose(found, moved / np.linalg.norm(moved, axis=-1, keepdims=True), atol=1e-6)
    model = df.Sequential([L.Dense(2), L.RepeatVector(3), L.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.fit(A, np.repeat(B[:, None, :1], 3, axis=1), verbose=0)
    assert model.output_shape == (None, 3, 1)
    for layer, x in (
        (L.Permute((2, 1)), rows),
        (L.RepeatVector(2), A.astype(np.float64)),
        (L.UnitNormalization(), rows),
    ):
        y = layer(x)
        grad = RNG.normal(size=y.shape)
        layer(x)
        back = layer.backward(grad)
        shift = RNG.normal(size=x.shape)
        slope = ((layer(x + 1e-6 * shift) - layer(x - 1e-6 * shift)) * grad).sum() / 2e-6
        assert (back * shift).sum() == pytest.approx(slope, rel=1e-5)
    for bad in (lambda: L.Permute((0, 1)), lambda: L.RepeatVector(0)):
        with pytest.raises(ValueError, match="must be"):
            bad()
    for shape in (
        L.InputLayer((4,)),
        L.InputLayer(input_shape=(4,)),
        L.InputLayer(batch_shape=(None, 4)),
    ):
        assert df.Sequential([shape, L.Dense(1)]).input_shape == (None, 4)


def test_small_metrics():
    metric = df.metrics.BinaryAccuracy()
    assert metric([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]]) == 0.75
    assert metric([[1]], [[1]]) == 0.8
    assert df.metrics.Accuracy()([[1], [2]], [[1], [3]], [1, 3]) == 0.25
    assert df.metrics.Sum()([1, 2, 6], sample_weight=[1, 1, 0.5]) == 6
    wrapped = df.metrics.MeanMetricWrapper(lambda y, p: abs(y - p).mean(-1), "gap")
    model = df.Sequential([L.Dense(3)], seed=0)
    model.compile("sgd", "mse", metrics=[wrapped, "mae"])
    logs = model.evaluate(A, B, return_dict=True)
    assert logs["gap"] == pytest.approx(logs["mae"])


def test_attributes_of_layers():
    layer = L.Dense(2, kernel_regularizer="l2")
    layer.build((None, 3))
    assert len(layer.variables) == len(layer.trainable_variables) == 2
    assert layer.non_trainable_weights == layer.non_trainable_variables == []
    assert layer.losses == [pytest.approx(0.01 * (layer.kernel**2).sum())]
    layer.trainable = False
    assert layer.losses == []
    assert len(layer.non_trainable_variables) == 2


def test_packing():
    pack, unpack = df.utils.pack_x_y_sample_weight, df.utils.unpack_x_y_sample_weight
    assert unpack(pack(A, B, LABELS))[2] is LABELS
    assert unpack(pack(A)) == (A, None, None) or unpack(pack(A))[0] is A
    with pytest.raises(ValueError, match="data must hold"):
        unpack((1, 2, 3, 4))


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        json.dumps(L.ReLU(6.0).get_config())
        ops.sigmoid(np.array([1, 2]))


def test_functions_of_metrics():
    known = {
        "binary_accuracy": df.metrics.binary_accuracy([[1], [0]], [[0.6], [0.6]]),
        "top_k": df.metrics.top_k_categorical_accuracy(np.eye(3)[LABELS], P, k=3),
        "error": df.metrics.mean_absolute_error(A, B),
    }
    assert known["binary_accuracy"].tolist() == [1, 0]
    assert known["top_k"].tolist() == [1] * 4
    assert np.allclose(known["error"], abs(A - B).mean(axis=1))
    model = df.Sequential([L.Dense(3)], seed=0)
    model.compile("sgd", "mse", metrics=[df.metrics.mean_absolute_error, "mae"])
    logs = model.evaluate(A, B, return_dict=True)
    assert logs["mean_absolute_error"] == pytest.approx(logs["mae"])
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = df.metrics.nothing


def test_a_checkpoint_of_another_format_is_told_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"filepath must end in \.safetensors"):
        df.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True)


def test_attributes_of_models_and_optimizers():
    model = df.Sequential([L.Dense(3)], seed=0)
    model.compile("adam", "mse", run_eagerly=True)
    model.fit(A, B, verbose=0)
    assert not model.run_eagerly
    assert not model.jit_compile
    assert len(model.optimizer.variables) == 1 + 2 * 2
    assert model.optimizer.variables[0] == 1
    lines = []
    model.summary(80, None, lines.append, expand_nested=True, show_trainable=True)
    assert lines
