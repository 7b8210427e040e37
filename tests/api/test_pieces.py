"""Data that are no arrays in memory are read piece by piece, never whole."""

import numpy as np
import pytest

import dropfast as df
from dropfast.pieces import Pieces, in_pieces

L = df.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(1000, 6)).astype(np.float32)
Y = X[:, :1] * 2


class Counted:
    """Has shape, dtype and slices, and notes how many rows it is asked for at a time."""

    def __init__(self, array):
        self.array, self.asked = array, []
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, rows):
        assert isinstance(rows, slice)
        found = self.array[rows]
        self.asked.append(len(found))
        return found


class Walked(Counted):
    """The same with what iterables and containers have."""

    def __len__(self):
        return len(self.array)

    def __iter__(self):
        raise AssertionError("nobody should walk through it")


def compiled(**settings):
    layers = [L.Rescaling(0.5), L.Dense(8, "relu"), L.Dropout(0.2), L.Dense(1)]
    model = df.Sequential(layers, seed=0)
    model.compile("adam", "mse", metrics=["mae"], **settings)
    return model


def same(a, b):
    return all(np.array_equal(v, w) for v, w in zip(a.weights, b.weights, strict=True))


USES = {
    "fit": lambda m, x, y: m.fit(x, y, verbose=0).history,
    "in order": lambda m, x, y: m.fit(x, y, shuffle=False, epochs=2, verbose=0).history,
    "few steps": lambda m, x, y: m.fit(x, y, steps_per_epoch=3, epochs=2, verbose=0).history,
    "one wide batch": lambda m, x, y: m.fit(x, y, batch_size=999, verbose=0).history,
    "split": lambda m, x, y: m.fit(x, y, validation_split=0.25, verbose=0).history,
    "validation": lambda m, x, y: m.fit(X, Y, validation_data=(x, y), verbose=0).history,
    "classes": lambda m, x, y: m.fit(x, Y > 0, class_weight={0: 1, 1: 2}, verbose=0).history,
    "batches": lambda m, x, y: (
        (
            m.fit(x, y, verbose=0, callbacks=[df.callbacks.LambdaCallback(on_batch_end=print)])
        ).history
    ),
    "evaluate": lambda m, x, y: m.evaluate(x, y),
    "some": lambda m, x, y: m.evaluate(x, y, batch_size=10, steps=7),
    "predict": lambda m, x, y: m.predict(x),
    "some rows": lambda m, x, y: m.predict(x, batch_size=10, steps=7),
    "told": lambda m, x, y: m.predict(
        x, callbacks=[df.callbacks.LambdaCallback(on_predict_batch_end=lambda *a: None)]
    ),
    "call": lambda m, x, y: m(x, training=True),
    "monte carlo": lambda m, x, y: m.predict_mc(x, samples=3).mean,
    "a batch": lambda m, x, y: m.train_on_batch(x, y),
}


@pytest.mark.parametrize("kind", [Counted, Walked])
@pytest.mark.parametrize("use", USES)
def test_never_whole_and_the_same_numbers(kind, use):
    x, y = kind(X), kind(Y)
    model, plain = compiled(), compiled()
    found, expected = USES[use](model, x, y), USES[use](plain, X, Y)
    assert np.array_equal(found, expected) if isinstance(found, np.ndarray) else found == expected
    assert same(model, plain)
    assert 0 < max(x.asked) <= 250
    assert max(y.asked, default=0) <= 250


def test_rows_that_lie_apart_are_read_by_themselves():
    x = Counted(X)
    found = Pieces(x)[np.array([900, 3, 500, 5, 901, 3])]
    assert np.array_equal(found, X[[900, 3, 500, 5, 901, 3]])
    assert x.asked == [3, 1, 2]


def test_bytes_vectors_and_several_inputs():
    images = RNG.integers(0, 255, (400, 7, 7), np.uint8)
    labels = RNG.integers(0, 3, 400)
    models = []
    for given in (images, Counted(images)):
        layers = [L.Flatten(), L.Rescaling(1 / 255), L.Dense(3, "softmax")]
        models.append(df.Sequential(layers, seed=0))
        models[-1].compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        models[-1].fit(given, labels, epochs=2, verbose=0)
    assert same(*models)

    for wrap in (lambda a: a, Counted):
        column = df.Sequential([L.Dense(1)], seed=0)
        column.compile("sgd", "mse")
        column.fit(wrap(X[:, 0]), Y, verbose=0)
        models.append(column)
        a, b = df.Input((6,), name="a"), df.Input((1,), name="b")
        both = df.Model([a, b], L.Dense(1)(L.Concatenate()([a, b])), seed=0)
        both.compile("sgd", "mse")
        rows = Counted(X) if wrap is Counted else X
        both.fit({"a": rows, "b": Y[:, 0]}, Y, verbose=0)
        both.fit([rows, wrap(Y)], Y, validation_split=0.2, verbose=0)
        assert both.predict([rows, Y]).shape == (1000, 1)
        assert wrap is not Counted or max(rows.asked) <= 250
        models.append(both)
    assert same(models[2], models[4])
    assert same(models[3], models[5])


def test_bad_rows_and_shapes_are_named_before_the_first_step():
    bad = X.copy()
    bad[700, 2] = np.nan
    model = compiled()
    for x, message in (
        (Counted(bad), "x must be finite. Received: NaN or infinity in row 700"),
        (Counted(X[:0]), "x must have at least one row"),
        (Counted(X[:, 0]), "x must have a first axis"),
        (Counted(X[:, :5]), r"x must have shape \(None, 6\)"),
        (Counted(X[:10]), "y must have as many rows as x, 10"),
        (Counted(X.astype(str)), "x must"),
    ):
        model.build((None, 6))
        before = model.get_weights()
        with pytest.raises((ValueError, TypeError), match=message):
            model.fit(x, Y, verbose=0)
        assert all(np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True))


def test_what_lies_in_memory_is_left_alone():
    pd = pytest.importorskip("pandas")
    for x in (X, X.tolist(), pd.Series(X[:, 0]), pd.DataFrame(X), pd.array([1, 2]), "text", None):
        assert in_pieces(x) is x


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["x"], file["y"] = X, Y
        model, plain = compiled(), compiled()
        model.fit(file["x"], file["y"], epochs=2, validation_split=0.2, verbose=0)
        plain.fit(X, Y, epochs=2, validation_split=0.2, verbose=0)
        assert same(model, plain)
        assert np.array_equal(model.predict(file["x"]), plain.predict(X))
        assert model.evaluate(file["x"], file["y"]) == plain.evaluate(X, Y)


def test_inputs_of_one_axis():
    x = np.array([-1.0, 0, 1, 2, 3, 4])
    model = df.Sequential([L.Dense(1, input_shape=[1])], seed=0)
    model.compile("sgd", "mse")
    model.fit(x, 2 * x - 1, epochs=300, verbose=0)
    assert model.predict(np.array([10.0]))[0, 0] == pytest.approx(19, abs=0.5)
    assert np.array_equal(model.predict([10.0]), model.predict([[10.0]]))
    free = df.Sequential([L.Dense(1)], seed=0)
    free.compile("sgd", "mse")
    free.fit(x, x, verbose=0)
    assert free.input_shape == (None, 1)
    wide = compiled()
    wide.build((None, 6))
    with pytest.raises(ValueError, match="x must have a first axis of rows"):
        wide.predict(X[0])


def test_batches_of_loaders():
    class Loader:
        def __iter__(self):
            for first in range(0, 1000, 100):
                yield [X[first : first + 100], Y[first : first + 100]]

    class ByNumber(df.utils.PyDataset):
        def __len__(self):
            return 10

        def __getitem__(self, number):
            return X[100 * number :][:100], Y[100 * number :][:100]

    model = compiled()
    model.fit(Loader(), epochs=2, validation_data=Loader(), verbose=0)
    other = compiled()
    other.fit(ByNumber(), epochs=2, validation_data=ByNumber(), verbose=0)
    assert same(model, other)
    whole = model.predict(X)
    assert np.array_equal(model.predict(Loader()), whole)
    assert np.array_equal(model.predict(ByNumber()), whole)
    assert np.array_equal(model.predict([x] for x, _ in Loader()), whole)
    assert model.evaluate(Loader()) == pytest.approx(model.evaluate(X, Y))
    seen = []
    tell = df.callbacks.LambdaCallback(on_predict_batch_end=lambda n, logs: seen.append(n))
    model.predict(Loader(), steps=3, callbacks=[tell])
    assert seen == [0, 1, 2]
