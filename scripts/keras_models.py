"""Write tests/converters/data: files that Keras 3 saved, and what its models predict.

Needs Keras 3 with JAX as its back end (KERAS_BACKEND=jax), and h5py.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from keras import layers as L

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "helpers"))
from keras_inputs import inputs

PLACE = Path(__file__).parent.parent / "tests" / "converters" / "data"
RNG = np.random.default_rng(0)


def row():
    """A Sequential of all kinds of layers."""
    model = keras.Sequential(
        [
            keras.Input((2, 3)),
            L.Rescaling(0.5, 0.1),
            L.Flatten(),
            L.Dense(8, "relu", kernel_regularizer=keras.regularizers.L2(0.01)),
            L.Dropout(0.3, seed=4),
            L.BatchNormalization(momentum=0.9),
            L.Dense(8, L.LeakyReLU(0.1), kernel_constraint=keras.constraints.MaxNorm(3.0)),
            L.LayerNormalization(),
            L.GaussianDropout(0.2),
            L.Dense(8, keras.activations.gelu, use_bias=False),
            L.AlphaDropout(0.1),
            L.PReLU(),
            L.Reshape((2, 4)),
            L.SpatialDropout1D(0.1),
            L.Dense(3, "tanh"),
            L.Flatten(),
            L.GaussianNoise(0.1),
            L.ELU(0.7),
            L.Activation("silu"),
            L.Dense(4),
            L.Softmax(),
        ],
        name="row",
    )
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9)
    model.compile(
        keras.optimizers.Adam(schedule, beta_1=0.8),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy", keras.metrics.SparseCategoricalCrossentropy(name="ce")],
    )
    return model


def graph():
    """Inputs and outputs by name, a shared layer, operations, categories."""
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    shared = L.Dense(5, "relu", name="shared")
    merged = L.Add()([shared(a), shared(L.Dense(4, "leaky_relu")(b))])
    sums = merged * 2.0 + L.Dropout(0.5)(merged) - 1.0
    words = L.Flatten()(L.Embedding(5, 3)(a))
    scaled = L.Normalization()(a)
    both = L.Concatenate()([sums, words, scaled, keras.ops.relu(-merged) / 4.0])
    inner = keras.Sequential([L.Dense(3), L.BatchNormalization()], name="inner")
    kept = L.Maximum()([inner(both), L.Dense(3, "elu")(both)])
    outputs = {"o": L.Dense(2, "softmax", name="o")(kept), "p": L.Dense(1, name="p")(both)}
    model = keras.Model({"a": a, "b": b}, outputs, name="graph")
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        {"o": "categorical_crossentropy", "p": "mse"},
        loss_weights={"o": 1.0, "p": 0.5},
        metrics={"p": ["mae"]},
    )
    return model


def nested():
    """Models inside models, one of them twice, one partly frozen; one name twice."""
    x = keras.Input((4,))
    parts = [L.Dense(3, name="same"), L.BatchNormalization(), L.Dense(4, "sigmoid")]
    inner = keras.Sequential([keras.Input((4,)), *parts], name="inner")
    inner.layers[0].trainable = False
    h = keras.Input((4,))
    two = keras.Model(h, [L.Dense(2, name="same")(h), L.Dense(4)(inner(h))], name="two")
    first, second = two(x)
    _, third = two(second)
    return keras.Model(x, L.Concatenate(name="same")([first, third]), name="nested")


def wide():
    """Float64, and a model in a Sequential."""
    keras.backend.set_floatx("float64")
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3, "selu"), L.LayerNormalization()])
    model = keras.Sequential([keras.Input((4,)), inner, L.Dense(2)], name="wide")
    keras.backend.set_floatx("float32")
    return model


def with_weights(model):
    """Weights that matter: no zeros and ones, variances that are positive."""
    model.set_weights(
        [
            RNG.uniform(0.5, 1.5, w.shape) if "variance" in w.path else RNG.normal(0, 0.6, w.shape)
            for w in model.weights
        ]
    )
    return model


def main() -> None:
    """Write all files."""
    PLACE.mkdir(exist_ok=True)
    expected = {}
    for make in (row, graph, nested, wide):
        model = with_weights(make())
        model.save(PLACE / f"{make.__name__}.keras")
        model.save(PLACE / f"{make.__name__}.h5")
        # Normalization reads its statistics when it is loaded.
        model = keras.models.load_model(PLACE / f"{make.__name__}.keras")
        found = model.predict(inputs(make.__name__), verbose=0)
        single = {"": found}
        expected[make.__name__] = {
            name: np.asarray(array, np.float64).tolist()
            for name, array in (found if isinstance(found, dict) else single).items()
        }
    (PLACE / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
