"""`Sequential.fit` against the reference: one seed; the same weights, order, masks and updates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dropfast as df
from dropfast import reference

SEED, ROWS, FEATURES = 19, 110, 12
Array = np.ndarray[Any, Any]


def data() -> tuple[Array, Array]:
    generator = np.random.default_rng(2)
    x = generator.normal(size=(ROWS, FEATURES))
    return x, (x @ generator.normal(size=(FEATURES, 4))).argmax(axis=1)


def model(rows_per_mask: int) -> Any:
    shared = df.layers.Dropout(0.3, rows_per_mask=rows_per_mask)
    return df.Sequential(
        [
            df.layers.Input((FEATURES,)),
            df.layers.Dropout(0.2),
            df.layers.Dense(24, activation="relu"),
            shared,
            df.layers.Dense(16, activation="tanh"),
            shared,  # one object at two places: two streams of masks
            df.layers.Dense(4, activation="softmax"),
        ],
        seed=SEED,
        dtype="float64",
    )


def program(rows_per_mask: int) -> list[dict[str, Any]]:
    shared = {"kind": "dropout", "rate": 0.3, "rows_per_mask": rows_per_mask}
    return [
        {"kind": "dropout", "rate": 0.2},
        {"kind": "dense", "units": 24, "activation": "relu"},
        shared,
        {"kind": "dense", "units": 16, "activation": "tanh"},
        shared,
        {"kind": "dense", "units": 4, "activation": "softmax"},
    ]


@pytest.mark.parametrize("rows_per_mask", [1, 4])
def test_fit(rows_per_mask: int) -> None:
    """Float64 on both sides: after 28 steps only roundings may differ."""
    x, y = data()
    ours = model(rows_per_mask)
    ours.compile(optimizer=df.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    start = [np.array(w, np.float64) for w in ours.get_weights()]
    weights = [w.copy() for w in start]
    network = reference.Network(program(rows_per_mask), FEATURES, "float64")
    losses = reference.fit(
        network, weights, x, y, seed=SEED, epochs=7, batch_size=32, learning_rate=0.01,
        loss={"name": "sparse_categorical_crossentropy"}, optimizer={"name": "adam"},
    )  # fmt: skip
    history = ours.fit(x, y, epochs=7, batch_size=32, verbose=0)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-9)
    for got, expected, before in zip(ours.get_weights(), weights, start, strict=True):
        assert np.abs(expected - before).max() > 1e-3
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)
    out = np.empty((ROWS, 4))
    network.forward(weights, x, out)
    np.testing.assert_allclose(ours.predict(x, verbose=0), out, rtol=0, atol=1e-9)


def test_another_seed_gives_another_run() -> None:
    x, y = data()
    runs = []
    for seed in (1, 1, 2):
        net = df.Sequential(
            [df.layers.Input((FEATURES,)), df.layers.Dropout(0.5), df.layers.Dense(4)], seed=seed
        )
        loss = df.losses.SparseCategoricalCrossentropy(from_logits=True)
        net.compile(optimizer="sgd", loss=loss)
        net.fit(x, y, epochs=2, verbose=0)
        runs.append(net.get_weights()[0])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_initial_weights_come_from_the_stream() -> None:
    """Glorot's uniform kernels, each from the stream of its number among the model's weights."""
    weights = model(1).get_weights()
    for index, w in enumerate(weights):
        if w.ndim == 1:
            np.testing.assert_array_equal(w, 0)
            continue
        unit = reference.random_uniform(w.size, reference.Key(SEED, 3 << 48 | index))
        limit = np.sqrt(6 / sum(w.shape))
        np.testing.assert_allclose(w, (limit * (2 * unit - 1)).reshape(w.shape), atol=1e-15)
