"""Small models and data that the API tests share."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df


@pytest.fixture
def data():
    """200 rows of 6 normal values; the label is one of 3 by the largest of the first three."""
    x = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    return x, x[:, :3].argmax(axis=1)


@pytest.fixture
def make():
    """A function that makes a small compiled classifier with dropout, the same each time."""

    def made(
        optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=("accuracy",), **more
    ):
        layers = more.pop("layers", None) or [
            df.layers.Dropout(0.2),
            df.layers.Dense(16, activation="relu"),
            df.layers.Dropout(0.5),
            df.layers.Dense(3, activation="softmax"),
        ]
        rows = more.pop("rows_per_mask", 1)
        model = df.Sequential(layers, seed=more.pop("seed", 5), **more)
        model.compile(optimizer, loss, metrics=list(metrics), rows_per_mask=rows)
        return model

    return made


@pytest.fixture
def stepwise():
    """A function that makes a model run layer by layer although it could run natively."""

    def forced(model, shape=(None, 6)):
        model.build(shape)
        model._stepwise_only = True
        return model

    return forced


@pytest.fixture
def same():
    """A function that tells whether two models have the same weights, bit for bit."""

    def equal(a, b):
        pairs = zip(a.weights, b.weights, strict=True)
        return all(np.array_equal(one, other) for one, other in pairs)

    return equal
