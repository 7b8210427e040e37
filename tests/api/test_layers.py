"""Layers driven by hand: values, gradients against finite differences, configs."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dropfast as df
from dropfast.configurable import deserialize, serialize

L = df.layers
KEY = df.Key(3, 0, 7)

LAYERS = {
    "dense": lambda: L.Dense(3, activation="tanh"),
    "dense without bias": lambda: L.Dense(2, use_bias=False),
    "dense gelu": lambda: L.Dense(3, activation="gelu"),
    "dense softmax": lambda: L.Dense(3, activation="softmax"),
    "drop connect": lambda: L.DropConnect(3, 0.4, activation="sigmoid"),
    "dropout": lambda: L.Dropout(0.4),
    "classic dropout": lambda: L.Dropout(0.4, scale_at="inference"),
    "dropout of rows": lambda: L.Dropout(0.4, noise_shape=(None, 1)),
    "dropout of groups": lambda: L.Dropout(0.4, rows_per_mask=2),
    "dropout of a batch": lambda: L.Dropout(0.4, rows_per_mask=0),
    "alpha dropout": lambda: L.AlphaDropout(0.4),
    "gaussian dropout": lambda: L.GaussianDropout(0.4),
    "gaussian noise": lambda: L.GaussianNoise(0.3),
    "layer normalisation": lambda: L.LayerNormalization(),
    "batch normalisation": lambda: L.BatchNormalization(),
    "leaky relu": lambda: L.LeakyReLU(0.1),
    "elu": lambda: L.ELU(),
    "softmax": lambda: L.Softmax(),
    "activation": lambda: L.Activation("silu"),
    "rescaling": lambda: L.Rescaling(2.0, 1.0),
    "flatten": lambda: L.Flatten(),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_gradients_are_those_of_finite_differences(make, training):
    rng = np.random.default_rng(1)
    x, grad_seed = rng.normal(size=(5, 4)), np.random.default_rng(2)
    layer = make()
    y = layer(x, training=training, key=KEY)
    upstream = grad_seed.normal(size=y.shape)
    if not training and layer.stochastic and getattr(layer, "rate", 0):
        with pytest.warns(UserWarning, match="does not act"):
            dx = layer.backward(upstream)
    else:
        dx = layer.backward(upstream)
    found = dict(layer.gradients)

    def value():
        return float((layer(x, training=training, key=KEY) * upstream).sum())

    def numeric(array):
        out, step = np.empty_like(array), 1e-6
        for index in np.ndindex(array.shape):
            before = array[index]
            array[index] = before + step
            above = value()
            array[index] = before - step
            out[index] = (above - value()) / (2 * step)
            array[index] = before
        return out

    np.testing.assert_allclose(dx, numeric(x), rtol=1e-5, atol=1e-7)
    assert set(found) == {weight.name for weight in layer._weights if weight.trainable}
    for weight in layer._weights:
        if weight.trainable:
            np.testing.assert_allclose(
                found[weight.name], numeric(weight.value), rtol=1e-5, atol=1e-7
            )


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_config_gives_the_same_layer(make):
    layer = make()
    text = json.dumps(serialize(layer))
    again = deserialize(json.loads(text))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    assert repr(again) == repr(layer)
    x = np.random.default_rng(0).normal(size=(3, 4))
    layer(x)
    again(x)
    again.set_weights(layer.get_weights())
    assert np.array_equal(layer(x, training=True, key=KEY), again(x, training=True, key=KEY))


def test_unknown_keys_of_a_config_are_named():
    with pytest.raises(ValueError, match=r"config of Dense must have no keys but.*: 'unit'"):
        L.Dense.from_config({"unit": 3})
    with pytest.raises(ValueError, match="config of Dense must have a key 'units'"):
        L.Dense.from_config({})


def test_hand_driven_dropout_draws_a_reproducible_sequence():
    x = np.ones((4, 8), np.float32)
    first, second = L.Dropout(0.5, seed=9), L.Dropout(0.5, seed=9)
    a = [first(x, training=True) for _ in range(3)]
    b = [second(x, training=True) for _ in range(3)]
    assert all(np.array_equal(one, other) for one, other in zip(a, b, strict=True))
    assert not np.array_equal(a[0], a[1])
    assert np.array_equal(a[2], df.dropout(x, 0.5, df.Key(9, 0, 2)))


def test_classic_dropout_scales_at_inference():
    layer = L.Dropout(0.25, scale_at="inference", seed=0)
    x = np.full((50, 40), 2.0)
    assert set(np.unique(layer(x, training=True))) == {0.0, 2.0}
    assert np.array_equal(layer(x), np.full((50, 40), 1.5))


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_extreme_rates(rate):
    x = np.random.default_rng(0).normal(size=(3, 4))
    layer = L.Dropout(rate, seed=0)
    y = layer(x, training=True)
    assert np.array_equal(y, x if rate == 0 else np.zeros_like(x))
    assert not np.signbit(y[y == 0]).any()
    assert np.array_equal(layer.backward(np.ones_like(x)), np.full_like(x, 1 - rate))


def test_dropped_nans_are_zero():
    x = np.full((4, 4), np.nan)
    mask = df.dropout_mask((4, 4), 0.5, KEY)
    y = L.Dropout(0.5)(x, training=True, key=KEY)
    assert np.array_equal(np.isnan(y), mask)
    assert (y[~mask] == 0).all()


@pytest.mark.parametrize(
    ("layer", "shape", "maps"),
    [
        (L.SpatialDropout1D, (6, 5, 8), (6, 1, 8)),
        (L.SpatialDropout2D, (6, 3, 4, 8), (6, 1, 1, 8)),
        (L.SpatialDropout3D, (6, 2, 3, 2, 8), (6, 1, 1, 1, 8)),
    ],
)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_spatial_dropout_drops_maps(layer, shape, maps, data_format):
    x = np.ones(shape, np.float32)
    y = layer(0.5, seed=1, data_format=data_format)(x, training=True)
    if data_format == "channels_last":
        first = y[tuple(slice(0, size) for size in maps)]
    else:
        first = y[(slice(None), slice(None), *(slice(0, 1),) * (len(shape) - 2))]
    assert np.array_equal(y, np.broadcast_to(first, shape))
    assert set(np.unique(y)) == {0.0, 2.0}


def test_batch_normalisation_learns_running_statistics():
    layer = L.BatchNormalization(momentum=0.5)
    x = np.array([[1.0], [3.0]])
    layer(x, training=True)
    assert layer.moving_mean.tolist() == [1.0]
    assert layer.moving_variance.tolist() == [1.0]
    y = layer(x)
    np.testing.assert_allclose(y, (x - 1.0) / np.sqrt(1.0 + 1e-3))


def test_dense_takes_higher_ranks():
    layer = L.Dense(2, kernel_initializer="ones")
    x = np.ones((2, 3, 4))
    assert layer(x).shape == (2, 3, 2)
    assert layer.backward(np.ones((2, 3, 2))).shape == x.shape
    assert layer.gradients["kernel"].tolist() == [[6.0, 6.0]] * 4


def test_set_weights_checks_before_it_copies():
    layer = L.Dense(2)
    layer(np.ones((1, 3)))
    before = layer.get_weights()
    with pytest.raises(ValueError, match=r"weights of layer 'dense' must be 2 arrays. Rec.* 1 arr"):
        layer.set_weights([np.zeros((3, 2))])
    with pytest.raises(
        ValueError, match=r"weights\[1\].*bias.* shape \(2,\). Received: shape \(3,\)"
    ):
        layer.set_weights([np.zeros((3, 2)), np.zeros(3)])
    assert all(np.array_equal(a, b) for a, b in zip(before, layer.get_weights(), strict=True))


def test_a_layer_that_cannot_be_built_stays_unbuilt():
    class Broken(L.Layer):
        def build(self, input_shape):
            self.add_weight("w", (2,), "ones")
            raise ValueError("no")

    layer = Broken()
    with pytest.raises(ValueError, match="no"):
        layer(np.ones((1, 2)))
    assert not layer.built
    assert layer.weights == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: L.Dropout(1.5), "rate must be in [0, 1]. Received: rate=1.5"),
        (lambda: L.Dropout(float("nan")), "rate must be in [0, 1]. Received: rate=nan"),
        (lambda: L.Dropout("0.5"), "rate must be in [0, 1]. Received: rate='0.5'"),
        (lambda: L.Dropout(None), "rate must be in [0, 1]. Received: rate=None"),
        (
            lambda: L.Dropout(0.5, scale_at="test"),
            "scale_at must be 'train' or 'inference'. Received: scale_at='test'",
        ),
        (
            lambda: L.Dropout(0.5, noise_shape=(0, None)),
            "noise_shape must hold positive integers and None. Received: noise_shape=(0, None)",
        ),
        (
            lambda: L.Dropout(0.5, noise_shape=3),
            "noise_shape must hold positive integers and None. Received: noise_shape=3",
        ),
        (
            lambda: L.Dropout(0.5, rows_per_mask=-1),
            "rows_per_mask must be an integer >= 0. Received: rows_per_mask=-1",
        ),
        (
            lambda: L.Dropout(0.5, noise_shape=(None, 1), rows_per_mask=2),
            "rows_per_mask must be None when noise_shape is given.",
        ),
        (lambda: L.GaussianDropout(1.0), "rate must be in [0, 1). Received: rate=1.0"),
        (
            lambda: L.GaussianNoise(-1.0),
            "stddev must be at least 0 and finite. Received: stddev=-1",
        ),
        (lambda: L.Dense(0), "units must be a positive integer. Received: units=0"),
        (lambda: L.Dense(2.5), "units must be a positive integer. Received: units=2.5"),
        (lambda: L.Dense(True), "units must be a positive integer. Received: units=True"),
        (lambda: L.Dense(2, activation="rel"), "activation must be one of linear, relu"),
        (
            lambda: L.Dense(2, kernel_initializer="foo"),
            "kernel_initializer: initializer must be an object of that kind or one of",
        ),
        (
            lambda: L.Dense(2, dtype="int8"),
            "dtype must be 'float32', 'float64' or 'mixed_bfloat16'. Received: dtype=",
        ),
        (lambda: L.Input((3, 0)), "shape must hold positive integers. Received: shape=(3, 0)"),
        (lambda: L.Rescaling(float("inf")), "scale must be a finite number. Received: scale=inf"),
        (lambda: L.BatchNormalization(momentum=1.0), "momentum must be in [0, 1). Received: mom"),
        (lambda: L.LayerNormalization(epsilon=0), "epsilon must be positive. Received: epsilon=0"),
        (
            lambda: L.SpatialDropout1D(0.5, data_format="last"),
            "data_format must be 'channels_last' or 'channels_first'. Received: data_format='last'",
        ),
        (
            lambda: L.SpatialDropout2D(0.5)(np.ones((2, 2))),
            "input of layer 'spatial_dropout2d' must have 4 axes. Received: shape (2, 2)",
        ),
        (lambda: L.Dense(2)(np.ones(3)), "input of layer 'dense' must have a known last size."),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=r"\A" + _literal(message)):
        call()


def _literal(text):
    import re

    return re.escape(text)


def test_wrong_input_size_is_named():
    layer = L.Dense(2)
    layer(np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"input of layer 'dense' must have shape \(None, 3\)\. "):
        layer(np.ones((1, 4)))


def test_backward_before_a_call_is_named():
    with pytest.raises(RuntimeError, match=r"layer 'dense' must be called before backward\(grad\)"):
        L.Dense(1).backward(np.ones((1, 1)))


def test_strings_are_no_input():
    with pytest.raises(TypeError, match=r"x must hold numbers, not strings: .*Received: dtype=<U1"):
        L.Dense(1)(np.array([["a"]]))


def test_dropout_keeps_the_dtype_it_gets():
    for dtype in (np.float16, np.float32, np.float64):
        assert L.Dropout(0.5, seed=0)(np.ones((2, 2), dtype), training=True).dtype == dtype
    assert L.Dropout(0.5, seed=0)(np.ones((2, 2), np.int32)).dtype == np.float32
