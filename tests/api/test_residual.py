"""Skip connections in the native engine, beside layer by layer."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import compiled, residual

import dropfast as df
from dropfast.training.engine import Native
from dropfast.training.stepwise import Stepwise

L = df.layers


def test_residual_networks_are_native_and_agree_with_layer_by_layer():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(70, 6)), rng.integers(0, 3, 70)
    native, plain = (compiled(residual(dtype="float64")) for _ in range(2))
    plain._stepwise_only = True
    logs = [m.fit(x, y, epochs=3, verbose=0).history["loss"] for m in (native, plain)]
    assert type(native.trainer()) is Native
    assert type(plain.trainer()) is Stepwise
    assert logs[0] == pytest.approx(logs[1], rel=1e-12)
    for a, b in zip(native.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(native.predict(x[:2]), plain.predict(x)[:2], rtol=1e-12)
    mean, std = native.predict_mc(x, samples=6)
    other, spread = plain.predict_mc(x, samples=6)
    np.testing.assert_allclose(mean, other, rtol=1e-10)
    np.testing.assert_allclose(std, spread, rtol=1e-6, atol=1e-12)


def test_skips_that_are_no_row_run_layer_by_layer():
    x = df.Input((6,))
    sums = {
        "projection": L.Dense(4)(x) + L.Dense(4)(x),
        "three": L.Add()([x, L.Dense(6)(x), x]),
        "stretched": L.Dense(6)(x) + L.Dense(1)(x),
    }
    for name, value in sums.items():
        model = df.Model(x, L.Dense(3)(value), seed=0)
        assert type(model.engine()) is Stepwise, name
    squeezed = df.Model(x, L.Dense(1)(L.Rescaling(0.5)(x)) + 1.0, seed=0)
    assert "rescaling" in squeezed.plan.obstacle
