"""Data as scripts bring it: loaders, batches by number, tables, tensors, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 3)).astype(np.float32)
Y = X[:, :1]


def compiled():
    model = df.Sequential([df.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    return model


def trained(*arguments, **settings):
    model = compiled()
    model.fit(*arguments, verbose=0, **settings)
    return model


class ByNumber:
    """What Keras' PyDataset is: batches by number, and no end of its own."""

    def __len__(self):
        return 3

    def __getitem__(self, number):
        rows = slice(8 * number % 24, 8 * number % 24 + 8)
        return X[rows], Y[rows]


def test_batches_by_number_and_in_lists():
    expected = trained(X, Y, batch_size=8, shuffle=False)
    lists = [[X[i : i + 8], Y[i : i + 8]] for i in (0, 8, 16)]
    for data in (ByNumber(), iter(lists)):
        model = trained(data, steps_per_epoch=3)
        assert np.array_equal(model.predict(X), expected.predict(X))
    model = trained(ByNumber(), validation_data=ByNumber())
    assert "val_loss" in model.history.history
    assert model.evaluate(ByNumber()) == pytest.approx(model.evaluate(X, Y))


def test_predictions_of_streams():
    model = trained(X, Y)
    whole = model.predict(X)
    parts = [X[:8], X[8:16], X[16:]]
    for data in (ByNumber(), iter(parts), ((x, None) for x in parts)):
        assert np.array_equal(model.predict(data), whole)
    assert np.array_equal(model.predict(iter(parts), steps=2), whole[:16])
    with pytest.raises(ValueError, match="x must yield at least one batch"):
        model.predict(iter(()))


def test_tables():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(
        {
            "a": pd.array([1, 2, 3], "Int64"),
            "b": pd.array([True, False, True], "boolean"),
            "c": [0.5, 1.5, 2.5],
        }
    )
    model = compiled()
    plain = np.array([[1, 1, 0.5], [2, 0, 1.5], [3, 1, 2.5]])
    assert np.array_equal(model.predict(table), model.predict(plain))
    table.loc[1, "a"] = pd.NA
    with pytest.raises(ValueError, match="must be finite"):
        model.fit(table, plain[:, 0], verbose=0)


def test_strings_are_refused_with_a_hint():
    model = df.Sequential([df.layers.Dense(2, "softmax")], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    for labels in (["cat", "dog"] * 12, np.array(["cat", "dog"] * 12, object)):
        with pytest.raises(TypeError, match=r"y must hold numbers, not strings: labels become"):
            model.fit(X, labels, verbose=0)


def test_sparse_matrices_are_refused_by_name():
    sparse = pytest.importorskip("scipy.sparse")
    model = compiled()
    matrix = sparse.csr_matrix(X)
    for call in (
        lambda: model.fit(matrix, Y, verbose=0),
        lambda: model.predict(matrix),
        lambda: model.evaluate(matrix, Y),
    ):
        with pytest.raises(TypeError, match=r"must be a dense array: .*toarray\(\) makes one"):
            call()


def test_arrays_that_speak_dlpack_only():
    class Shared:
        def __dlpack__(self, **arguments):
            return X.__dlpack__(**arguments)

        def __dlpack_device__(self):
            return X.__dlpack_device__()

    model = trained(X, Y)
    assert np.array_equal(model.evaluate(Shared(), Y), model.evaluate(X, Y))
