"""Models that reach a worker: out-of-band buffers, memory maps, odd addresses; they train there."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import dropfast as df

L = df.layers
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def odd(data):
    """The bytes at an odd address, read-only."""
    raw = bytes(1) + bytes(data)
    return memoryview(raw)[1:]


def at_odd_address(array):
    raw = bytearray(array.nbytes + 1)
    found = np.frombuffer(raw, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


def out_of_band(thing, way):
    buffers = []
    data = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    if way == "in band":
        return pickle.loads(pickle.dumps(thing, protocol=5))
    change = {"bytes": bytes, "bytearray": bytearray, "odd": odd}[way]
    assert buffers
    return pickle.loads(data, buffers=[change(buffer.raw()) for buffer in buffers])


WAYS = ["in band", "bytes", "bytearray", "odd"]


def joined():
    x = inputs = df.Input((6,))
    x = L.Dense(8, "relu")(x)
    y = L.Dropout(0.5)(L.BatchNormalization()(L.Dense(8)(x)))
    return df.Model(inputs, L.Dense(2, "softmax")(L.Add()([x, y])), seed=2)


class Own(df.Model):
    def __init__(self):
        super().__init__(seed=3)
        self.hidden, self.drop, self.out = L.Dense(8, "relu"), L.Dropout(0.4), L.Dense(2, "softmax")

    def call(self, x, training=None):
        return self.out(self.drop(self.hidden(x)))


def row():
    return df.Sequential(
        [L.Input(6), L.Dense(8, "relu"), L.Dropout(0.5), L.Dense(2, "softmax")], seed=1
    )


def trained(make):
    model = make()
    optimizer = df.optimizers.Adam(0.01, use_ema=True) if make is row else "adam"
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, Y, epochs=2, verbose=0)
    return model


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", [row, joined, Own])
def test_models_go_on_training_to_the_same_bits(make, way):
    model = trained(make)
    other = out_of_band(model, way)
    assert np.array_equal(other.predict(X), model.predict(X))
    assert np.array_equal(other.predict(X[:3]), model.predict(X[:3]))
    mean = other.predict_mc(X, samples=3).mean
    assert np.array_equal(mean, model.predict_mc(X, samples=3).mean)
    for one in (model, other):
        one.fit(X, Y, epochs=2, verbose=0)
        one.train_on_batch(X, Y)
    assert all(map(np.array_equal, other.get_weights(), model.get_weights()))
    states = [[a for slot in one.optimizer.state for a in slot] for one in (model, other)]
    assert all(map(np.array_equal, *states))
    other.set_weights([array * 0 for array in other.get_weights()])
    assert not any(array.any() for array in other.weights)


def test_models_from_memory_maps_train(tmp_path):
    joblib = pytest.importorskip("joblib")
    model = trained(row)
    path = tmp_path / "model.joblib"
    joblib.dump(model, path)
    other = joblib.load(path, mmap_mode="r")
    assert np.array_equal(other.predict(X), model.predict(X))
    for one in (model, other):
        one.fit(X, Y, verbose=0)
    assert all(map(np.array_equal, other.get_weights(), model.get_weights()))
    again = joblib.load(path, mmap_mode="r")
    assert not np.array_equal(again.get_weights()[0], other.get_weights()[0])


@pytest.mark.parametrize("way", WAYS)
def test_layers_and_optimizers(way):
    layer = L.BatchNormalization()
    layer(X, training=True)
    other = out_of_band(layer, way)
    assert other.weights[0] is other._weights[0].value
    for one in (layer, other):
        one(X * 2, training=True)
        one.gamma[...] = 3
        one.set_weights([array + 1 for array in one.get_weights()])
    assert all(map(np.array_equal, other.weights, layer.weights))


def test_keys_pickle():
    key = df.Key(1, 2, 3)
    for protocol in range(2, 6):
        assert pickle.loads(pickle.dumps(key, protocol=protocol)) == key
    assert copy.deepcopy(key) == key


@pytest.mark.parametrize("way", WAYS)
def test_metrics_go_on(way):
    metric = df.metrics.AUC()
    metric.update_state(Y, X[:, 0] > 0)
    other = out_of_band(metric, way)
    for one in (metric, other):
        one.update_state(Y, (X[:, 0] > 0).astype(float))
    assert other.result() == metric.result()


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["DropoutMLPClassifier", "DropoutMLPRegressor"])
def test_estimators_go_on(name, way):
    pytest.importorskip("sklearn")
    import dropfast.sklearn as adapters

    model = getattr(adapters, name)(random_state=0, max_iter=2).fit(X, Y)
    other = out_of_band(model, way)
    for one in (model, other):
        one.partial_fit(X, Y)
    assert np.array_equal(other.predict(X), model.predict(X))


def test_results_of_predict_mc_merge_after_a_journey():
    model = row()
    whole = model.predict_mc(X, samples=4)
    parts = [out_of_band(model.predict_mc(X, samples=2, first_sample=s), "odd") for s in (0, 2)]
    assert np.array_equal(df.models.MonteCarlo.merge(parts).std, whole.std)


READ = [
    at_odd_address,
    lambda array: np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape),
]


@pytest.mark.parametrize("move", READ, ids=["odd", "read-only"])
@pytest.mark.parametrize("make", [row, joined])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_data_may_lie_anywhere(move, make, dtype):
    a, b = trained(make), trained(make)
    x, y, w = X.astype(dtype), Y, np.linspace(0, 1, 60).astype(dtype)
    for model, data in ((a, (x, y, w)), (b, tuple(map(move, (x, y, w))))):
        model.fit(data[0], data[1], sample_weight=data[2], verbose=0)
        model.train_on_batch(*data)
    x_, y_, w_ = map(move, (x, y, w))
    assert all(map(np.array_equal, a.get_weights(), b.get_weights()))
    assert a.evaluate(x, y, sample_weight=w) == a.evaluate(x_, y_, sample_weight=w_)
    assert np.array_equal(a.predict(x), a.predict(x_))
    assert np.array_equal(a.predict_mc(x, samples=2).std, a.predict_mc(x_, samples=2).std)
    assert np.array_equal(a(x), a(x_))
    a.set_weights([move(array) for array in b.get_weights()])


@pytest.mark.parametrize("move", READ, ids=["odd", "read-only"])
@pytest.mark.parametrize("name", ["sparse_categorical_crossentropy", "mse", "huber"])
def test_losses_take_targets_from_anywhere(move, name):
    loss = df.losses.get(name)
    p = rng.uniform(0.1, 0.9, (60, 2)).astype(np.float32)
    t = Y if "sparse" in name else np.eye(2, dtype=np.float32)[Y]
    w = np.ones(60, np.float32)
    assert np.array_equal(loss(t, p), loss(move(t), move(p)))
    assert np.array_equal(loss.gradient(t, p, w), loss.gradient(move(t), move(p), move(w)))


@pytest.mark.parametrize("make", [row, joined, Own])
def test_weights_are_one_array_wherever_they_are_held(make, tmp_path):
    joblib = pytest.importorskip("joblib")
    model = trained(make)
    joblib.dump(model, tmp_path / "model")
    for mode in (None, "r", "c"):
        other = joblib.load(tmp_path / "model", mmap_mode=mode)
        for layer in other._leaves():
            for weight in layer._weights:
                assert getattr(layer, weight.name) is weight.value
        other.fit(X, Y, verbose=0)
        fresh = pickle.loads(pickle.dumps(model))
        fresh.fit(X, Y, verbose=0)
        assert all(map(np.array_equal, other.get_weights(), fresh.get_weights()))


def test_a_model_is_always_the_same_file(tmp_path):
    model = trained(row)
    found = set()
    for i in range(8):
        model.save(tmp_path / str(i))
        found.add((tmp_path / str(i)).read_bytes())
    assert len(found) == 1
    assert np.array_equal(df.load_model(tmp_path / "0").predict(X), model.predict(X))
