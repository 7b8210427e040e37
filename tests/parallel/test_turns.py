"""Teams change from batch to batch; bits don't."""

from __future__ import annotations

import hashlib
import threading

import numpy as np
import pytest

import dropfast as df
from dropfast import _core


@pytest.fixture
def sizes():
    before = df.get_num_threads()
    yield _core.force_team_sizes
    _core.force_team_sizes("measured")
    df.set_num_threads(before)


def rows(count, width, classes):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(count, width)).astype(np.float32)
    return x, generator.integers(0, classes, count)


def model(units, rows_per_mask=1, optimizer="sgd", **settings):
    network = df.Sequential(
        [
            df.layers.Dropout(0.2, rows_per_mask=rows_per_mask),
            df.layers.Dense(units, activation="relu", **settings),
            df.layers.Dropout(0.5, rows_per_mask=rows_per_mask),
            df.layers.Dense(units, activation="tanh"),
            df.layers.Dense(10, activation="softmax"),
        ],
        seed=7,
    )
    network.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    return network


def digest(network):
    return hashlib.sha256(b"".join(w.tobytes() for w in network.get_weights())).hexdigest()


@pytest.mark.parametrize(
    ("units", "batch", "options"),
    [
        (50, 16, {}),
        (300, 40, {}),
        (300, 100, {"optimizer": "adam"}),
        (256, 64, {"rows_per_mask": 32}),
        (256, 32, {"kernel_constraint": "max_norm", "kernel_regularizer": "l2"}),
    ],
)
def test_bits_dont_change_while_the_team_does(sizes, units, batch, options):
    x, y = rows(700, 300, 10)

    def train():
        network = model(units, **options)
        network.fit(x, y, epochs=2, batch_size=batch, verbose=0)
        return digest(network)

    with df.thread_limit(1):
        expected = train()
    df.set_num_threads(4)
    for seed in range(4):
        sizes("random", seed)
        assert train() == expected
    sizes("full")
    assert train() == expected
    sizes("measured")
    assert train() == expected


def test_fits_at_once_in_two_threads_have_their_bits():
    x, y = rows(2000, 300, 10)

    def train(digests):
        network = model(256)
        network.fit(x, y, epochs=2, batch_size=32, verbose=0)
        digests.append(digest(network))

    alone, at_once = [], []
    train(alone)
    threads = [threading.Thread(target=train, args=(at_once,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert at_once == alone * 3


def test_unknown_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="sizes must be one of measured, full, random"):
        sizes("three")
