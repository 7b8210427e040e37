"""predict_mc in blocks of rows and samples: the bits of one call, for every kind of model."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dropfast as df

L = df.layers
MonteCarlo = df.models.MonteCarlo
ROWS, SAMPLES = 53, 7
X = np.random.default_rng(0).normal(size=(ROWS, 6)).astype(np.float32)


class Subclassed(df.Model):
    def __init__(self):
        super().__init__(seed=3)
        self.hidden, self.drop = L.Dense(9, "relu"), L.Dropout(0.4)
        self.out = L.Dense(2, "softmax")

    def call(self, x, training=None):
        x = self.drop(self.hidden(self.drop(x)))
        return self.out(x)


def sequential(*layers, seed=1):
    return df.Sequential([L.Input(6), *layers], seed=seed)


def residual():
    x = inputs = df.Input((6,))
    x = L.Dense(12, "relu")(x)
    y = L.Dropout(0.5)(L.Dense(12, "relu")(x))
    return df.Model(inputs, L.Dense(2, "softmax")(L.Add()([x, y])), seed=2)


def subclassed():
    made = Subclassed()
    made.build((None, 6))
    return made


def all_kinds(norm):
    """Every layer that draws."""
    return sequential(
        L.GaussianNoise(0.3),
        L.Dropout(0.2, noise_shape=(None, 1)),
        L.Dense(20, "relu"),
        *norm,
        L.Dropout(0.5),
        L.AlphaDropout(0.1),
        L.GaussianDropout(0.3),
        L.Dropout(0.3, rows_per_mask=5),
        L.Dropout(0.3, rows_per_mask=0),
        L.Dropout(0.3, noise_shape=(1, None)),
        L.AlphaDropout(0.1, noise_shape=(None, 1)),
        L.DropConnect(2, 0.5),
    )


def spatial():
    return df.Sequential(
        [L.Input(6), L.Reshape((3, 2)), L.SpatialDropout1D(0.4), L.Flatten(), L.Dense(2)], seed=4
    )


def grouped(rows):
    layers = [L.Dense(40, "relu"), L.Dropout(0.5, rows_per_mask=rows), L.Dense(2, "softmax")]
    return sequential(L.Dropout(0.3, rows_per_mask=rows), *layers)


MODELS = {
    "row": lambda: sequential(L.Dense(16, "relu"), L.Dropout(0.5), L.Dense(2, "softmax")),
    "wide": lambda: df.Sequential(
        [L.Input(6), L.Dropout(0.2), L.Dense(33, "selu"), L.AlphaDropout(0.2), L.Dense(2)],
        seed=5,
        dtype="float64",
    ),
    "gaussian": lambda: sequential(L.GaussianDropout(0.4), L.Dense(2)),
    "features": lambda: sequential(L.Dropout(0.4, noise_shape=(None, 1)), L.Dense(2)),
    "classic": lambda: sequential(L.Dropout(0.4, scale_at="inference"), L.Dense(2)),
    "groups of 16": lambda: grouped(16),
    "groups of 32": lambda: grouped(32),
    "groups of 6": lambda: grouped(6),
    "whole batch": lambda: grouped(0),
    "normalised": lambda: sequential(
        L.Dense(8, "relu"), L.LayerNormalization(), L.Dropout(0.5), L.Dense(2, "softmax")
    ),
    "every layer": lambda: all_kinds([L.BatchNormalization()]),
    "spatial": spatial,
    "graph": residual,
    "subclass": subclassed,
}
ASKED = [{}, {"quantiles": [0.1, 0.5], "return_samples": True}, {"information": True}]


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return MODELS[request.param]()


def same(a, b):
    def bits(found):
        part = found._part
        return [
            None if array is None else array.tobytes()
            for array in (found.mean, found.std, found.quantiles, found.samples, part.m2)
        ]

    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    entropies = [found._expected_entropy for found in (a, b)]
    return bits(a) == bits(b) and (
        entropies[0] is entropies[1] or np.array_equal(entropies[0], entropies[1])
    )


def cuts(size):
    return st.lists(st.integers(1, size - 1), max_size=3, unique=True).map(
        lambda borders: [0, *sorted(borders), size]
    )


@settings(deadline=None, max_examples=12)
@given(rows=cuts(ROWS), samples=cuts(SAMPLES), seed=st.integers(0, 99), data=st.data())
def test_any_split_gives_the_bits_of_one_call(rows, samples, seed, data, model):
    asked = dict(data.draw(st.sampled_from(ASKED)))
    if asked.get("information") and "softmax" not in repr(model.layers[-1]):
        asked = {}
    asked["consistent"] = data.draw(st.booleans())
    asked["key"] = data.draw(st.sampled_from([None, df.Key(7, 3, 11)]))
    whole = model.predict_mc(X, samples=SAMPLES, **asked)
    parts = [
        model.predict_mc(X[a:b], samples=t - s, first_row=a, first_sample=s, **asked)
        for a, b in itertools.pairwise(rows)
        for s, t in itertools.pairwise(samples)
    ]
    np.random.default_rng(seed).shuffle(parts)
    assert same(MonteCarlo.merge(parts), whole)


@settings(deadline=None, max_examples=10)
@given(samples=cuts(SAMPLES), asked=st.sampled_from(ASKED[:2]))
def test_merging_in_steps_is_merging_at_once(samples, asked, model):
    parts = [
        model.predict_mc(X, samples=t - s, first_sample=s, **asked)
        for s, t in itertools.pairwise(samples)
    ]
    whole = MonteCarlo.merge(parts)
    while len(parts) > 1:
        parts[-2:] = [MonteCarlo.merge(parts[-2:])]
    assert same(parts[0], whole)


def test_the_default_key_is_the_documented_one(model):
    default = model.predict_mc(X, samples=3, return_samples=True)
    given_ = model.predict_mc(X, samples=3, return_samples=True, key=df.Key(model.seed, 4 << 48))
    assert same(default, given_)
    other = model.predict_mc(X, samples=3, return_samples=True, key=df.Key(model.seed + 1))
    assert not np.array_equal(default.samples, other.samples)


def test_consistent_masks_are_one_for_all_rows(model):
    rows = np.repeat(X[:1], 40, axis=0)
    raw = model.predict_mc(rows, samples=9, return_samples=True, consistent=True).samples
    assert (raw == raw[:, :1]).all()
    assert len(np.unique(raw[:, 0, 0])) > 1
    first = model.predict_mc(rows[:1], samples=9, return_samples=True).samples
    assert np.array_equal(raw[:, :1], first)


def test_consistent_curves_are_smooth():
    model = df.Sequential([L.Input(1), L.Dense(64, "tanh"), L.Dropout(0.2), L.Dense(1)], seed=0)
    x = np.linspace(-2, 2, 200, dtype=np.float32)[:, None]
    rough, smooth = (
        np.abs(np.diff(model.predict_mc(x, samples=20, consistent=c).mean[:, 0], 2)).max()
        for c in (False, True)
    )
    assert smooth < 0.01 < 0.1 < rough


def test_repeated_rows_in_blocks_have_means_of_their_own():
    model = MODELS["row"]()
    rows = np.repeat(X[:1], 64, axis=0)
    parts = [
        model.predict_mc(rows[i : i + 16], samples=5, first_row=i).mean for i in range(0, 64, 16)
    ]
    assert len(np.unique(np.concatenate(parts)[:, 0])) == 64


def test_several_outputs_merge_by_name():
    inputs = df.Input((6,))
    hidden = L.Dropout(0.5)(L.Dense(8, "relu")(inputs))
    outputs = {"a": L.Dense(2)(hidden), "b": L.Dense(1)(hidden)}
    model = df.Model(inputs, outputs, seed=1)
    whole = model.predict_mc(X, samples=5)
    parts = [
        model.predict_mc(X[a:b], samples=t, first_row=a, first_sample=s)
        for a, b in ((0, 20), (20, ROWS))
        for s, t in ((0, 2), (2, 3))
    ]
    assert same(MonteCarlo.merge(parts), whole)
    with pytest.raises(TypeError, match="parts must all be results of predict_mc of one model"):
        MonteCarlo.merge([whole, whole["a"]])


def part(first_row=0, rows=4, first_sample=0, samples=2, **more):
    made = MODELS["row"]()
    x = X[first_row : first_row + rows]
    return made.predict_mc(
        x, samples=samples, first_row=first_row, first_sample=first_sample, **more
    )


BAD_PARTS = {
    "none": (list, "parts must be one or more results"),
    "gap in rows": (lambda: [part(), part(5)], "a gap, rows up to 4 and then 5 to 9"),
    "overlap of rows": (lambda: [part(), part(3)], "an? overlap, rows up to 4 and then 3 to 7"),
    "gap in samples": (lambda: [part(), part(first_sample=3)], "a gap, samples up to 2"),
    "the same twice": (lambda: [part(), part()], "overlap, samples up to 2 and then 0 to 2"),
    "fewer samples": (lambda: [part(), part(4, samples=1)], "the same samples of all rows"),
    "another key": (lambda: [part(), part(4, key=df.Key(5))], "parts must have one key"),
    "another kind": (lambda: [part(), part(4, consistent=True)], "parts must have one key"),
    "other quantiles": (
        lambda: [part(quantiles=[0.5]), part(4, quantiles=[0.1])],
        "parts must agree in",
    ),
    "no samples": (
        lambda: [part(quantiles=[0.5]), part(first_sample=2, quantiles=[0.5])],
        "parts must hold their samples",
    ),
    "by hand": (
        lambda: [MonteCarlo(np.zeros((1, 1)), np.zeros((1, 1)))],
        "parts must come from predict_mc",
    ),
}


@pytest.mark.parametrize("case", BAD_PARTS)
def test_parts_that_do_not_fit_are_named(case):
    make, message = BAD_PARTS[case]
    parts = make()
    with pytest.raises(ValueError, match=message):
        MonteCarlo.merge(parts)


BAD_CALLS = {
    "negative row": ({"first_row": -1}, "first_row must be"),
    "row of a float": ({"first_row": 0.5}, "first_row must be"),
    "row outside": ({"first_row": 1 << 62}, "first_row must leave room"),
    "negative sample": ({"first_sample": -1}, "first_sample must be"),
    "sample outside": ({"first_sample": (1 << 64) - 1}, "first_sample must leave room"),
    "flag": ({"consistent": "yes"}, "consistent must be"),
    "key": ({"key": 3}, "key must be a Key or None"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
@pytest.mark.parametrize("kind", ["row", "normalised"])
def test_bad_blocks_are_named(name, kind):
    settings_, message = BAD_CALLS[name]
    with pytest.raises((TypeError, ValueError), match=message):
        MODELS[kind]().predict_mc(X, samples=2, **settings_)


def test_the_network_refuses_rows_outside_the_stream():
    network = df._core.Network([{"kind": "dense", "units": 1, "use_bias": False}], 2, "float32")
    x, mean, m2 = np.ones((3, 2), np.float32), np.zeros((3, 1)), np.zeros((3, 1))
    params = [np.ones((2, 1), np.float32)]
    with pytest.raises(ValueError, match=re.escape("below 2**63. Received: first_row=")):
        network.predict_mc(params, x, mean, m2, keys=[], samples=1, first_row=1 << 62)


class Noisy(L.Layer):
    stochastic = True

    def forward(self, x, passage):
        if not passage.training:
            return x
        offset = getattr(self, "rows", 0) * passage.first_row * x.shape[1]
        noise = df.random.random_normal(x.size, passage.key, offset).reshape(x.shape)
        return x + noise.astype(x.dtype)

    def gradient(self, grad, passage):
        return grad


class NoisyByRows(Noisy):
    by_rows = True
    rows = 1


class Undone(NoisyByRows):
    def forward(self, x, passage):
        return super().forward(x, passage) * 2


def test_layers_of_ones_own_say_that_they_number_rows():
    for kind in (Noisy, Undone):
        model = df.Sequential([L.Input(6), kind(), L.Dense(1)], seed=0)
        model.predict_mc(X, samples=2)
        for more in ({"first_row": 5}, {"consistent": True}):
            with pytest.raises(ValueError, match="must be left out with layer"):
                model.predict_mc(X, samples=2, **more)
    model = df.Sequential([L.Input(6), NoisyByRows(), L.Dense(1)], seed=0)
    parts = [model.predict_mc(X[i : i + 11], samples=2, first_row=i) for i in range(0, ROWS, 11)]
    assert same(MonteCarlo.merge(parts), model.predict_mc(X, samples=2))


DRAWING = {
    "dropout": L.Dropout(0.5),
    "groups": L.Dropout(0.5, rows_per_mask=7),
    "classic groups": L.Dropout(0.5, rows_per_mask=7, scale_at="inference"),
    "shape": L.Dropout(0.5, noise_shape=(None, 1)),
    "alpha": L.AlphaDropout(0.5),
    "gaussian": L.GaussianDropout(0.5),
    "noise": L.GaussianNoise(0.5),
    "connect": L.DropConnect(3, 0.5, seed=1),
}


@pytest.mark.parametrize("name", DRAWING)
def test_layers_by_hand_take_row_numbers(name):
    layer, key = DRAWING[name], df.Key(1, 2, 3)
    y = layer(X, training=True, key=key)
    back = layer.backward(np.ones_like(y))
    for a, b in ((0, 3), (3, 12), (12, 14), (14, ROWS)):
        assert np.array_equal(layer(X[a:b], training=True, key=key, first_row=a), y[a:b])
        assert np.array_equal(layer.backward(np.ones_like(y[a:b])), back[a:b])


def test_composite_layers_by_hand_take_row_numbers():
    class Block(L.Layer):
        def __init__(self):
            super().__init__()
            self.drop = L.Dropout(0.5)

        def call(self, x, training=None):
            return self.drop(self.drop(x))

    block, key = Block(), df.Key(1)
    y = block(X, training=True, key=key)
    assert np.array_equal(block(X[9:30], training=True, key=key, first_row=9), y[9:30])
    with pytest.raises((TypeError, ValueError), match="first_row"):
        block(X, training=True, key=key, first_row=-1)
