"""Forms of data: dtypes and layouts, memory maps, bytes, generators."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df
from dropfast.training.engine import Native

L = df.layers


FORMS = {
    "list": lambda x: x.tolist(),
    "float64": lambda x: x.astype(np.float64),
    "fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "read only": lambda x: np.broadcast_to(x[None], (1, *x.shape))[0],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_forms_of_input_give_the_same_bits(form, make, same, data):
    a, b = make(), make()
    a.fit(*data, epochs=1, verbose=0)
    b.fit(form(data[0]), data[1].tolist(), epochs=1, verbose=0)
    assert same(a, b)
    assert np.array_equal(a.predict(data[0]), b.predict(form(data[0])))


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_memory_maps_give_the_same_bits(dtype, make, same, tmp_path, monkeypatch):
    from dropfast.models import epoch

    # So few bytes that several pieces have to be read.
    monkeypatch.setattr(epoch, "_GATHERED_BYTES", 3 * 32 * 6 * 8)
    x = np.random.default_rng(0).integers(0, 255, (200, 6)).astype(dtype)
    y = x[:, :3].argmax(axis=1)
    x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", dtype, "r", shape=x.shape)
    layers = lambda: [L.Rescaling(1 / 255), L.Dropout(0.2), L.Dense(3, "softmax")]  # noqa: E731
    a, b = make(layers=layers()), make(layers=layers())
    a.fit(x, y, epochs=2, verbose=0, sample_weight=np.linspace(0, 1, 200))
    b.fit(mapped, y, epochs=2, verbose=0, sample_weight=np.linspace(0, 1, 200))
    assert same(a, b)
    assert np.array_equal(a.predict(x), b.predict(mapped))
    assert a.evaluate(x, y, verbose=0) == b.evaluate(mapped, y, verbose=0)


def test_images_of_bytes(make, data):
    x = np.random.default_rng(0).integers(0, 256, (64, 4, 5), np.uint8)
    y = (x.reshape(64, -1).mean(axis=1) > 127).astype(int)
    layers = [L.Rescaling(1 / 255), L.Flatten(), L.Dropout(0.1), L.Dense(2, "softmax")]
    model = make(layers=layers)
    model.fit(x, y, epochs=1, verbose=0)
    assert type(model.trainer()) is Native
    scaled = x.reshape(64, -1).astype(np.float32) * np.float32(1 / 255)
    kernel, bias = model.get_weights()
    expected = df.activations.softmax(scaled @ kernel + bias)
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5)


def test_generators_are_trained_on_batch_by_batch(make, same, data):
    x, y = data

    def batches():
        while True:
            for start in range(0, 200, 40):
                yield x[start : start + 40], y[start : start + 40]

    a, b = make(), make()
    a.fit(x, y, batch_size=40, shuffle=False, epochs=2, verbose=0)
    history = b.fit(batches(), steps_per_epoch=5, epochs=2, verbose=0, validation_data=(x, y))
    assert same(a, b)
    assert history.history["val_accuracy"] == [*history.history["val_accuracy"]]
    parts = [(x[:100], y[:100]), (x[100:], y[100:])]
    values = b.evaluate(iter(parts), verbose=0)
    np.testing.assert_allclose(values, b.evaluate(x, y, verbose=0), rtol=1e-6)
