"""from_keras with Keras itself: model objects, layer by layer, where it is installed."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest

import dropfast as df

os.environ.setdefault("KERAS_BACKEND", "jax")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras", exc_type=ImportError)
# What Keras and its back end warn of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")

LAYERS = [
    ("Dense", {"units": 3, "activation": name}, (4,))
    for name in ("linear", "relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid", "softmax")
] + [
    ("Dense", {"units": 3, "use_bias": False, "activation": "leaky_relu"}, (2, 4)),
    ("Activation", {"activation": "relu"}, (4,)),
    ("ReLU", {}, (4,)),
    ("LeakyReLU", {"negative_slope": 0.2}, (4,)),
    ("ELU", {"alpha": 0.5}, (4,)),
    ("PReLU", {"alpha_initializer": "he_normal", "shared_axes": [1]}, (3, 4)),
    ("Softmax", {"axis": 1}, (3, 4)),
    ("BatchNormalization", {"epsilon": 0.01, "scale": False}, (4,)),
    ("LayerNormalization", {"center": False}, (3, 4)),
    ("Rescaling", {"scale": 2.0, "offset": -1.0}, (4,)),
    ("Normalization", {"mean": [1.0, 2.0, 3.0, 4.0], "variance": [1.0, 4.0, 9.0, 16.0]}, (4,)),
    ("Flatten", {}, (2, 3)),
    ("Reshape", {"target_shape": (3, -1)}, (6,)),
    ("Dropout", {"rate": 0.5, "noise_shape": (None, 1)}, (4,)),
    ("SpatialDropout2D", {"rate": 0.5}, (2, 2, 3)),
    ("AlphaDropout", {"rate": 0.5}, (4,)),
    ("GaussianDropout", {"rate": 0.5}, (4,)),
    ("GaussianNoise", {"stddev": 0.5}, (4,)),
    ("Identity", {}, (4,)),
]


@pytest.mark.parametrize(("name", "arguments", "shape"), LAYERS)
def test_layers(name, arguments, shape):
    theirs = keras.Sequential([keras.Input(shape), getattr(keras.layers, name)(**arguments)])
    rng = np.random.default_rng(0)
    theirs.set_weights([rng.uniform(0.2, 1.0, w.shape) for w in theirs.get_weights()])
    x = rng.normal(size=(5, *shape)).astype(np.float32)
    ours = df.from_keras(theirs)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x, verbose=0), 1e-6, 1e-6)


@pytest.mark.parametrize("name", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"])
def test_merges(name):
    a, b = keras.Input((4,)), keras.Input((4,))
    theirs = keras.Model([a, b], [getattr(keras.layers, name)()([a, b]), a])
    x = list(np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32))
    for own, other in zip(
        df.from_keras(theirs).predict(x), theirs.predict(x, verbose=0), strict=True
    ):
        np.testing.assert_allclose(own, other, 1e-6, 1e-6)


@pytest.mark.parametrize("cls", ["Conv1D", "LSTM", "Permute", "UpSampling1D"])
def test_layers_without_counterpart(cls):
    arguments = {"Conv1D": (2, 1), "LSTM": (2,), "Permute": ((2, 1),)}.get(cls, ())
    layer = getattr(keras.layers, cls)(*arguments, name="odd")
    theirs = keras.Sequential([keras.Input((3, 4)), layer])
    with pytest.raises(ValueError, match=f"layer 'odd' of class {cls} has no counterpart"):
        df.from_keras(theirs)


def test_code_is_refused():
    theirs = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2)])
    with pytest.raises(ValueError, match="Lambda has no counterpart"):
        df.from_keras(theirs)

    class Mine(keras.Model):
        def call(self, x):
            return x

    with pytest.raises((TypeError, ValueError), match="Mine"):
        df.from_keras(Mine())


OPTIMIZERS = ["SGD", "Adam", "AdamW", "RMSprop", "Nadam", "Adamax", "Adagrad", "Adadelta", "Lion"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_alike(name):
    if not hasattr(df.optimizers, name):
        pytest.skip(f"no {name}")
    theirs = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    theirs.compile(getattr(keras.optimizers, name)(0.01), "sparse_categorical_crossentropy")
    ours = df.from_keras(theirs)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 4)).astype(np.float32), rng.integers(0, 3, 32)
    for model in (theirs, ours):
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    for own, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, 1e-4, 1e-5)
