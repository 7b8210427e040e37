"""compile(gradient_blocks=B): blocks of rows, summed in one fixed tree."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dropfast as df
from dropfast.reference import Network
from dropfast.training import blocks

L = df.layers
rng = np.random.default_rng(0)
X = rng.normal(size=(70, 6)).astype(np.float32)
Y = (X[:, 0] + X[:, 1] > 0).astype(np.int64)
LOSS = "sparse_categorical_crossentropy"


@given(st.integers(0, 40), st.integers(1, 9))
def test_borders_and_trees_cover_a_batch_once(rows, count):
    ends = blocks.borders(rows, count)
    assert ends[0] == 0
    assert ends[-1] == rows
    assert all(0 <= b - a <= -(-rows // count) for a, b in itertools.pairwise(ends))
    for size in range(1, count + 1):
        owned = [range(r * count // size, (r + 1) * count // size) for r in range(size)]
        nodes = [node for own in owned for node in blocks.subtrees(count, own.start, own.stop)]
        covered = [block for first, last in nodes for block in range(first, last)]
        assert covered == list(range(count))


def dense(*middle, dtype="float32"):
    layers = [L.Input(6), L.Dense(16, "relu"), *middle, L.Dense(2, "softmax")]
    return df.Sequential(layers, seed=1, dtype=dtype)


def fitted(model, count, optimizer="adam", **fit):
    model.compile(optimizer, LOSS, metrics=["accuracy"], gradient_blocks=count)
    history = model.fit(X, Y, **{"batch_size": 32, "epochs": 2, "verbose": 0, **fit}).history
    return [*model.get_weights(), np.array(history["loss"]), np.array(history["accuracy"])]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_block_is_todays_numerics(dtype):
    plain = dense(L.Dropout(0.5), dtype=dtype)
    plain.compile("adam", LOSS, metrics=["accuracy"])
    plain.fit(X, Y, batch_size=32, epochs=2, verbose=0)
    assert plain.training_obstacle == ""
    found = fitted(dense(L.Dropout(0.5), dtype=dtype), 1)
    assert all(map(np.array_equal, plain.get_weights(), found))


MIDDLES = {
    "dropout": lambda: [L.Dropout(0.5)],
    "groups": lambda: [L.Dropout(0.5, rows_per_mask=5)],
    "batch": lambda: [L.Dropout(0.3, rows_per_mask=0), L.GaussianDropout(0.2)],
    "statistics": lambda: [L.BatchNormalization(), L.Dropout(0.5)],
    "penalties": lambda: [
        L.Dense(9, kernel_regularizer="l2", activity_regularizer=df.regularizers.L2(0.1))
    ],
    "frozen": lambda: [L.BatchNormalization(trainable=False), L.GaussianNoise(0.1)],
}


@pytest.mark.parametrize("count", [2, 3, 8])
@pytest.mark.parametrize("middle", MIDDLES)
def test_blocks_are_the_batch_up_to_rounding(middle, count):
    whole, cut = (fitted(dense(*MIDDLES[middle](), dtype="float64"), c) for c in (1, count))
    for a, b in zip(whole, cut, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_bits_differ_from_one_block_but_repeat():
    one, four, again = (fitted(dense(L.Dropout(0.5)), c) for c in (1, 4, 4))
    assert not np.array_equal(one[0], four[0])
    assert all(map(np.array_equal, four, again))


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: df.optimizers.SGD(0.1, momentum=0.9, clipnorm=0.1),
        lambda: df.optimizers.Adam(0.01, global_clipnorm=0.1, use_ema=True),
        lambda: df.optimizers.SGD(0.1, gradient_accumulation_steps=2),
    ],
)
def test_clipping_and_optimizers(optimizer):
    whole, cut = (fitted(dense(dtype="float64"), c, optimizer()) for c in (1, 4))
    for a, b in zip(whole, cut, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_last_batches_may_have_fewer_rows_than_blocks():
    whole, cut = (fitted(dense(L.Dropout(0.5), dtype="float64"), c, batch_size=67) for c in (1, 8))
    np.testing.assert_allclose(whole[0], cut[0], rtol=1e-9, atol=1e-12)


def test_the_reference_cuts_alike():
    layers = [
        {"kind": "dense", "units": 8, "activation": "tanh"},
        {"kind": "dropout", "rate": 0.5},
        {"kind": "dense", "units": 2, "activation": "softmax"},
    ]
    params = [rng.normal(size=s) for s in ((6, 8), (8,), (8, 2), (2,))]
    network = Network(layers, 6, "float64")
    found = []
    for count in (1, 5):
        value, outputs, gradients = network.gradients(
            params,
            X[:33],
            Y[:33],
            loss={"name": LOSS},
            keys=[df.Key(0, 1)],
            blocks=count,
        )
        found.append([np.array(value), outputs, *gradients])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_reference_and_engine_train_alike():
    layers = [
        {"kind": "dense", "units": 16, "activation": "relu"},
        {"kind": "dropout", "rate": 0.5},
        {"kind": "dense", "units": 2, "activation": "softmax"},
    ]
    model = dense(L.Dropout(0.5), dtype="float64")
    params = model.get_weights()
    model.compile(df.optimizers.SGD(0.1), LOSS, gradient_blocks=3)
    model.fit(X, Y, batch_size=32, epochs=1, shuffle=False, verbose=0)
    Network(layers, 6, "float64").train(
        params,
        [],
        X,
        Y,
        order=np.arange(70),
        start=0,
        batches=3,
        batch_size=32,
        loss={"name": LOSS},
        optimizer={"name": "sgd"},
        learning_rates=[0.1] * 3,
        keys=[df.Key(1, 1)],
        gradient_blocks=3,
    )
    for a, b in zip(model.get_weights(), params, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_the_number_of_blocks_is_saved_and_shown(tmp_path):
    model = dense(L.Dropout(0.5))
    fitted(model, 4)
    model.save(tmp_path / "model")
    other = df.load_model(tmp_path / "model")
    assert other.gradient_blocks == 4
    assert "gradient_blocks=4" in "".join(other.training_obstacle)
    for one in (model, other):
        one.fit(X, Y, verbose=0, initial_epoch=2, epochs=3)
    assert all(map(np.array_equal, model.get_weights(), other.get_weights()))


def test_bad_blocks_are_named():
    model = dense()
    for bad in (0, -1, 1.5, "2"):
        with pytest.raises((TypeError, ValueError), match="gradient_blocks must be"):
            model.compile("sgd", LOSS, gradient_blocks=bad)
    model.compile("sgd", LOSS, gradient_blocks=33)
    with pytest.raises(ValueError, match="gradient_blocks must be at most the rows of a batch, 32"):
        model.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match="gradient_blocks must be at most the rows of a batch, 5"):
        model.train_on_batch(X[:5], Y[:5])


class Noisy(L.Layer):
    stochastic = True

    def forward(self, x, passage):
        return x

    def gradient(self, grad, passage):
        return grad


def test_layers_that_do_not_number_rows_are_refused():
    model = dense(Noisy())
    model.compile("sgd", LOSS, gradient_blocks=2)
    with pytest.raises(ValueError, match="gradient_blocks must be left out with layer 'noisy'"):
        model.fit(X, Y, verbose=0)
