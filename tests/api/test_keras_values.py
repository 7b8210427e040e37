"""What Keras 3 computes: values that scripts/keras_golden.py wrote, for every formula.

Keras turns some arguments into float32, so that its values are good to about 1e-6.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import dropfast as df

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "keras.json").read_text())


def _module(kind):
    return df.optimizers.schedules if kind == "schedules" else getattr(df, kind)


def named(kind):
    return [
        pytest.param(entry, id=f"{entry['name']}-{index}")
        for index, entry in enumerate(GOLDEN[kind])
        if "name" in entry
    ]


@pytest.mark.parametrize("entry", named("losses"))
def test_losses(entry):
    loss = getattr(df.losses, entry["name"])(**entry["arguments"])
    true, pred = np.array(entry["y_true"]), np.array(entry["y_pred"])
    rows = loss.call(loss.as_target(true, pred), pred)
    np.testing.assert_allclose(rows, entry["rows"], 1e-5, 1e-7)
    ones = np.ones(len(pred))
    gradient = loss.gradient(loss.as_target(true, pred), pred, ones)
    np.testing.assert_allclose(gradient, entry["gradient"], 1e-5, 1e-7)
    assert repr(type(loss).from_config(loss.get_config())) == repr(loss)


@pytest.mark.parametrize("entry", named("activations"))
def test_activations(entry):
    given = GOLDEN["activations"][0]
    x, grad = np.array(given["x"]), np.array(given["grad"])
    f = df.activations.get(entry["name"])
    y = f(x, **entry["options"])
    np.testing.assert_allclose(y, entry["y"], 1e-5, 1e-7)
    if entry["options"]:
        f = df.activations.Function(entry["name"], **entry["options"])
    np.testing.assert_allclose(f.backward(x, y, grad), entry["dx"], 1e-5, 1e-6)


def last_layer(shape):
    """A layer whose gradients are told, for steps of an optimizer alone."""

    class Told(df.layers.Layer):
        def build(self, input_shape):
            self.add_weight("w", shape, "zeros")

        def forward(self, x, passage):
            passage.saved = x
            return x[:, :1]

        def compute_output_shape(self, input_shape):
            return (None, 1)

        def gradient(self, grad, passage):
            passage.gradients["w"] = passage.saved.reshape(shape)
            return np.zeros_like(passage.saved)

    return Told()


@pytest.mark.parametrize("entry", named("optimizers"))
def test_optimizers(entry):
    given = GOLDEN["optimizers"][0]
    first, gradients = np.array(given["first"]), np.array(given["gradients"])
    model = df.Sequential([df.layers.Input(6), last_layer(first.shape)], seed=0, dtype="float64")
    model.set_weights([first])
    optimizer = getattr(df.optimizers, entry["name"])(**entry["arguments"])
    model.compile(optimizer, "mse")
    for gradient in gradients:
        model.train_on_batch(gradient.reshape(1, 6), np.zeros((1, 1)))
    np.testing.assert_allclose(model.get_weights()[0], entry["weights"], 1e-6, 1e-9)
    optimizer.finalize_variable_values()
    np.testing.assert_allclose(model.get_weights()[0], entry["final"], 1e-6, 1e-9)
    assert repr(type(optimizer).from_config(optimizer.get_config())) == repr(optimizer)


@pytest.mark.parametrize("entry", named("metrics"))
def test_metrics(entry):
    weights = np.array(GOLDEN["metrics"][0]["weights"])
    true, pred = np.array(entry["y_true"]), np.array(entry["y_pred"])
    for used, expected in zip((None, weights), entry["results"], strict=True):
        metric = getattr(df.metrics, entry["name"])(**entry["arguments"])
        for rows in (slice(0, 4), slice(4, 6)):
            metric.update_state(true[rows], pred[rows], None if used is None else used[rows])
        np.testing.assert_allclose(metric.result(), expected, 1e-6, 1e-9)
        metric.reset_state()
        assert np.all(metric.result() == 0)


@pytest.mark.parametrize("entry", named("schedules"))
def test_schedules(entry):
    schedule = getattr(df.optimizers.schedules, entry["name"])(**entry["arguments"])
    np.testing.assert_allclose([schedule(step) for step in range(40)], entry["rates"], 1e-5, 1e-9)
