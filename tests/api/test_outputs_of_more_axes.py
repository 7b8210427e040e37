"""Dense layers on sequences: outputs (n, t, units) are trained as n * t vectors."""

import numpy as np
import pytest

import dropfast as df

L = df.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 5, 4))
VALUES = RNG.normal(size=(40, 5, 3))
LABELS = RNG.integers(0, 3, (40, 5))
ONE_HOT = np.eye(3)[LABELS]
WEIGHTS = RNG.uniform(0.5, 2, 40)

CASES = [
    ("mse", None, VALUES, ["mae"]),
    ("huber", None, VALUES, ["mse"]),
    ("sparse_categorical_crossentropy", "softmax", LABELS, ["accuracy"]),
    ("sparse_categorical_crossentropy", "softmax", LABELS[..., None], ["accuracy"]),
    ("categorical_crossentropy", "softmax", ONE_HOT, ["accuracy"]),
    ("binary_crossentropy", "sigmoid", ONE_HOT, ["binary_accuracy"]),
]


@pytest.mark.parametrize(("loss", "activation", "y", "metrics"), CASES)
def test_as_the_vectors_by_themselves(loss, activation, y, metrics):
    models = []
    for shape in ((None, 5, 4), (None, 4)):
        layers = [L.Dense(8, "tanh"), L.Dense(3, activation)]
        model = df.Sequential(layers, seed=0, dtype="float64")
        model.build(shape)
        model.compile(df.optimizers.SGD(0.1), loss, metrics=metrics, weighted_metrics=["acc"])
        models.append(model)
    rows, vectors = models
    flat_x, flat_y = X.reshape(200, 4), y.reshape(200, *y.shape[2:])
    settings = {"shuffle": False, "epochs": 2, "verbose": 0}
    found = rows.fit(X, y, batch_size=8, sample_weight=WEIGHTS, **settings).history
    known = vectors.fit(
        flat_x, flat_y, batch_size=40, sample_weight=np.repeat(WEIGHTS, 5), **settings
    ).history
    assert found.keys() == known.keys()
    for name in found:
        assert found[name] == pytest.approx(known[name], rel=1e-9), name
    for a, b in zip(rows.weights, vectors.weights, strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-12)
    assert rows.evaluate(X, y) == pytest.approx(vectors.evaluate(flat_x, flat_y))
    assert rows.predict(X).shape == (40, 5, 3)


def test_validation_and_one_unit():
    model = df.Sequential([L.Dense(4, "relu"), L.Dropout(0.2), L.Dense(1)], seed=0)
    model.compile("adam", "mse", metrics=["mae"])
    for y in (VALUES[..., :1], VALUES[..., 0]):
        history = model.fit(X, y, validation_split=0.2, verbose=0).history
        assert set(history) == {"loss", "mae", "val_loss", "val_mae"}


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("mse", VALUES[:, :4], r"y must have shape \(None, 5, 3\). Received: shape \(40, 4, 3\)"),
        ("mse", VALUES[:, 0], r"y must have shape \(None, 5, 3\)"),
        ("mse", LABELS, r"y must have shape \(None, 5, 3\)"),
        ("sparse_categorical_crossentropy", LABELS + 1, r"y must hold labels in \[0, 2\]"),
        ("sparse_categorical_crossentropy", ONE_HOT, r"y must have shape \(None, 5\)"),
        ("categorical_crossentropy", ONE_HOT - 1, r"y must hold probabilities in \[0, 1\]"),
    ],
)
def test_other_targets_are_refused(loss, y, message):
    model = df.Sequential([L.Dense(3, "softmax")], seed=0)
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y, verbose=0)
    assert model.optimizer.iterations == 0


def test_weights_of_classes_are_refused():
    model = df.Sequential([L.Dense(3, "softmax")], seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="class_weight must be None for outputs of more than"):
        model.fit(X, LABELS, class_weight={0: 1}, verbose=0)
