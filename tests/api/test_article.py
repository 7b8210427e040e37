"""The script of the Fashion-MNIST articles, imports changed: it runs natively, as it stands."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

import dropfast as df
from dropfast.training.engine import Native

SCRIPT = Path(__file__).parents[2] / "examples" / "subclassed_model.py"


def images(rows, seed):
    """Made-up images whose brightest quarter is their label."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, rows)
    x = rng.integers(0, 100, (rows, 28, 28), dtype=np.uint8)
    for i, label in enumerate(y):
        x[i, 7 * label : 7 * label + 7] += 100
    return x, y.astype(np.uint8)


def test_the_script_runs_natively_as_a_sequential_does(monkeypatch, capsys):
    sets = images(600, 0), images(200, 1)
    monkeypatch.setattr(df.datasets.fashion_mnist, "load_data", lambda: sets)
    script = runpy.run_path(str(SCRIPT))
    df.set_random_seed(5)
    with pytest.warns(DeprecationWarning, match="learning_rate"):
        model = script["main"](epochs=3)
    assert "accuracy" in capsys.readouterr().out
    assert type(model.trainer()) is Native
    (x, y), (x_test, y_test) = sets
    layers = [df.layers.Flatten()]
    for units in (200, 100, 60, 10):
        activation = "softmax" if units == 10 else "relu"
        layers += [df.layers.Dropout(0.2), df.layers.Dense(units, activation=activation)]
    row = df.Sequential(layers, seed=model.seed)
    row.compile(df.optimizers.SGD(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    row.fit(x / 255.0, y, epochs=3, verbose=0)
    for a, b in zip(model.get_weights(), row.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert model.evaluate(x_test / 255.0, y_test)[1] > 0.9
