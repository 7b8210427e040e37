"""Monte Carlo dropout: statistics against the raw samples."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import dropfast as df
from dropfast.models import monte_carlo

L = df.layers


@pytest.fixture(params=["native", "stepwise"])
def model(request):
    middle = [L.LayerNormalization()] if request.param == "stepwise" else []
    layers = [L.Dense(16, "relu"), *middle, L.Dropout(0.5), L.Dense(3, "softmax")]
    made = df.Sequential([L.Input(6), *layers], seed=1)
    assert bool(made.plan.obstacle) == (request.param == "stepwise")
    return made


def test_statistics_are_those_of_the_samples(model, data):
    x = data[0]
    found = model.predict_mc(
        x, samples=25, quantiles=[0.1, 0.5], information=True, return_samples=True
    )
    raw = found.samples.astype(np.float64)
    assert raw.shape == (25, 200, 3)
    assert not np.array_equal(raw[0], raw[1])
    np.testing.assert_allclose(found.mean, raw.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.std, raw.std(axis=0), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found.quantiles, np.quantile(raw, [0.1, 0.5], axis=0), rtol=1e-6)
    mean = raw.mean(axis=0)
    entropy = -(mean * np.log(mean)).sum(axis=-1)
    inner = -(raw * np.log(raw)).sum(axis=-1).mean(axis=0)
    np.testing.assert_allclose(found.entropy, entropy, rtol=1e-6)
    np.testing.assert_allclose(found.mutual_information, entropy - inner, atol=1e-6)
    mean, std = found
    assert mean.dtype == std.dtype == np.float64


def test_samples_come_from_the_documented_stream(data):
    model = df.Sequential([L.Dropout(0.5), L.Dense(2)], seed=9)
    raw = model.predict_mc(data[0], samples=3, return_samples=True).samples
    for s in range(3):
        x = df.dropout(data[0], 0.5, df.Key(9, 4 << 48, s))
        kernel, bias = model.weights
        np.testing.assert_allclose(raw[s], x @ kernel + bias, rtol=1e-4, atol=1e-5)


def test_predictions_repeat_and_leave_the_model_alone(model, data):
    before = model.predict(data[0])
    first, second = (model.predict_mc(data[0], samples=5) for _ in range(2))
    assert np.array_equal(first.mean, second.mean)
    assert np.array_equal(model.predict(data[0]), before)


@pytest.mark.parametrize("rows", [1, 33, 100, 199, 200])
def test_quantiles_in_parts_are_the_same(rows, model, data, monkeypatch):
    whole = model.predict_mc(data[0], samples=7, quantiles=[0.25, 0.75]).quantiles
    monkeypatch.setattr(monte_carlo, "_KEPT_BYTES", 4 * 7 * 3 * rows)
    monkeypatch.setattr(monte_carlo, "_WIDENED_BYTES", 8 * 7 * 3 * 10)
    parts = model.predict_mc(data[0], samples=7, quantiles=[0.25, 0.75]).quantiles
    assert np.array_equal(whole, parts)


EXTRAS = {
    "quantiles": {"quantiles": [0.5]},
    "information": {"information": True},
    "samples": {"return_samples": True},
    "all": {"quantiles": [0.5], "information": True, "return_samples": True},
}


@pytest.mark.parametrize("extras", EXTRAS.values(), ids=EXTRAS)
def test_no_pass_is_run_twice(extras, model, data, monkeypatch):
    alone = model.predict_mc(data[0], samples=9)
    engine, passes = model.engine(), []
    once = engine.sample
    monkeypatch.setattr(
        engine, "sample", lambda x, keys, *more: passes.append(keys) or once(x, keys, *more)
    )
    found = model.predict_mc(data[0], samples=9, **extras)
    assert [keys[0].step for keys in passes] == list(range(9))
    assert np.array_equal(found.mean, alone.mean)
    assert np.array_equal(found.std, alone.std)


def test_memory_does_not_grow_with_the_samples(model, data, monkeypatch):
    monkeypatch.setattr(monte_carlo, "_KEPT_BYTES", 1 << 16)
    monkeypatch.setattr(monte_carlo, "_WIDENED_BYTES", 1 << 16)

    def peak(samples):
        tracemalloc.start()
        model.predict_mc(data[0], samples=samples, quantiles=[0.1, 0.9], information=True)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(4)
    assert peak(200) < 1.5 * peak(40)


def test_without_dropout_there_is_no_spread(data):
    model = df.Sequential([L.Dense(2)], seed=0)
    mean, std = model.predict_mc(data[0], samples=4)
    assert not std.any()
    np.testing.assert_allclose(mean, model.predict(data[0]), rtol=1e-6)


def test_mean_approaches_the_weight_scaled_prediction_of_a_linear_model(data):
    model = df.Sequential([L.Dropout(0.5), L.Dense(1)], seed=0)
    x = data[0][:5]
    mean, std = model.predict_mc(x, samples=4000)
    assert (abs(mean - model.predict(x)) < 5 * std / np.sqrt(4000)).all()


def test_batch_statistics_stay_during_monte_carlo(data):
    layers = [L.Dense(4), L.BatchNormalization(), L.Dropout(0.5), L.Dense(1)]
    model = df.Sequential([L.Input(6), *layers], seed=0)
    before = model.get_weights()
    model.predict_mc(data[0], samples=3, quantiles=[0.5])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True))


def test_entropy_of_certainty_is_zero():
    assert monte_carlo.entropy(np.array([[1.0, 0.0]])).tolist() == [0.0]


def test_schedules_use_the_rate_of_the_training_so_far(data):
    rate = df.schedules.Late(0.5, start=1)
    model = df.Sequential([L.Dropout(rate), L.Dense(1)], seed=0)
    model.compile(df.optimizers.SGD(0.0), "mse")
    y = data[1].astype(float)
    model.fit(data[0], y, epochs=1, verbose=0)
    assert not model.predict_mc(data[0], samples=3).std.any()
    model.fit(data[0], y, epochs=2, initial_epoch=1, verbose=0)
    assert model.predict_mc(data[0], samples=3).std.all()
