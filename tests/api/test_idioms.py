"""Lines that scripts for Keras have, each run as it stands: it runs here, or is refused by name."""

import pathlib
import warnings

import numpy as np
import pytest

import dropfast as keras

RNG = np.random.default_rng(0)


def scene(folder):
    """The names that tutorials have when a line comes."""
    x = RNG.normal(size=(96, 8)).astype("float32")
    labels = RNG.integers(0, 3, 96)
    model = keras.Sequential(
        [
            keras.layers.Dense(16, activation="relu", input_shape=(8,)),
            keras.layers.Dropout(0.2, name="drop"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    regression = keras.Sequential([keras.layers.Dense(8), keras.layers.Dense(1)])
    regression.compile("sgd", "mse")
    return {
        "keras": keras,
        "layers": keras.layers,
        "models": keras.models,
        "optimizers": keras.optimizers,
        "callbacks": keras.callbacks,
        "losses": keras.losses,
        "metrics": keras.metrics,
        "regularizers": keras.regularizers,
        "initializers": keras.initializers,
        "constraints": keras.constraints,
        "utils": keras.utils,
        "ops": keras.ops,
        "K": keras.backend,
        "np": np,
        "model": model,
        "regression": regression,
        "x": x,
        "y": labels,
        "t": RNG.normal(size=(96, 1)).astype("float32"),
        "one_hot": np.eye(3)[labels],
        "folder": str(folder),
        "inputs": keras.Input(shape=(8,)),
    }


FILE = pathlib.Path(__file__).parent.parent / "data" / "keras_idioms.txt"
LINES = FILE.read_text(encoding="utf-8").splitlines()

# What Keras runs and this package does not, with what it says.
REFUSED = {
    'layers.Conv2D(32, (3, 3), activation="relu")': "has no attribute 'Conv2D'",
    "layers.LSTM(32)": "has no attribute 'LSTM'",
    'model.save(folder + "/m.keras")': r"safetensors|keras",
    'K.set_floatx("float16")': "floatx must be 'float32'",
    "layers.Dense(3, dtype='float16')": "dtype must be 'float32', 'float64' or 'mixed_bfloat16'",
    "ops.mean(inputs)": "ops.mean takes arrays",
    'model.compile("adam", "sparse_categorical_crossentropy", metrics=["nothing"])': "metrics",
    "model.fit(x, np.array(['a', 'b', 'c'] * 32), verbose=0)": "y must hold numbers, not strings",
    "model.predict(x[0])": "x must have",
    "losses.Loss(reduction='sum')": "reduction must be",
}


def test_there_are_enough_lines():
    assert len(LINES) >= 100


@pytest.mark.parametrize("line", LINES)
def test_it_runs(line, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        exec(line, scene(tmp_path))


@pytest.mark.parametrize("line", REFUSED)
def test_it_is_refused_by_name(line, tmp_path):
    with pytest.raises((ValueError, TypeError, AttributeError), match=REFUSED[line]):
        exec(line, scene(tmp_path))


OLD = {
    "layers.Dense(12, input_dim=8)": "input_dim",
    "optimizers.SGD(lr=0.01)": "lr is now called learning_rate",
    "layers.LeakyReLU(alpha=0.1)": "negative_slope",
    'model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])': "third place",
}


@pytest.mark.parametrize("line", OLD)
def test_old_spellings_warn(line, tmp_path):
    with pytest.warns(DeprecationWarning, match=OLD[line]):
        exec(line, scene(tmp_path))
