"""The real stream through the public mask function: rates, correlations, independence of keys.

Keys are fixed, so these tests pass or fail for good; limits are 5 to 6.5 standard deviations.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import dropfast as df
from dropfast import _core

KEY = df.Key(seed=2026, stream=5, step=11)


def dropped(n, rate, key=KEY):
    """How many of n elements are dropped, counted in pieces of packed bits."""
    piece, count = 1 << 25, 0
    ones = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)
    for start in range(0, n, piece):
        packed = df.dropout_mask(min(piece, n - start), rate, key, offset=start, packed=True)
        rare = packed[packed != 255] if rate < 0.001 else packed
        zeros = 8 * rare.size - int((np.bincount(rare, minlength=256) * ones).sum())
        count += zeros
    return count


@pytest.mark.parametrize(
    ("rate", "n"),
    [
        (1e-5, 1 << 28),
        (2.0**-16, 1 << 26),
        (1.5 * 2.0**-16, 1 << 26),  # half of it comes from ties
        (0.1, 1 << 26),
        (1 / 3, 1 << 26),
        (0.5, 1 << 26),
        (0.9, 1 << 26),
        (1 - 1e-5, 1 << 26),
        (1 - 2.0**-17, 1 << 26),
    ],
)
def test_rates_are_exact(rate, n):
    z = (dropped(n, rate) - n * rate) / math.sqrt(n * rate * (1 - rate))
    assert abs(z) < 5


def test_rates_far_below_the_16_bits_that_usually_decide():
    n = 1 << 32
    assert abs(dropped(n, 1e-8) - n * 1e-8) < 5 * math.sqrt(n * 1e-8)
    # 0.43 expected; without the second 32 bits it were 0 or 65,536.
    assert dropped(n, 1e-10) <= 5
    assert dropped(n, 1e-10, df.Key(7)) + dropped(n, 1e-10, df.Key(8)) <= 8
    # What drops at a rate drops at every higher one.
    few = df.dropout_mask(1 << 24, 1e-6, KEY)
    more = df.dropout_mask(1 << 24, 2e-5, KEY)
    assert not (more & ~few).any()


@pytest.mark.parametrize("rate", [0.1, 1 / 3, 0.9])
def test_the_bits_below_sixteen_count_at_middling_rates_too(rate):
    # A count of all drops would not show 5e-6 of the rate; what differs from 16 bits' rate does.
    n, coarse = 1 << 26, math.floor(rate * 2**16) / 2**16
    fine, rough = (df.dropout_mask(n, each, KEY, packed=True) for each in (rate, coarse))
    differ, expected = int(np.unpackbits(fine ^ rough).sum()), n * (rate - coarse)
    assert not (fine & ~rough).any()
    assert abs(differ - expected) < 5 * math.sqrt(expected)


def signs(shape, rate, key, **options):
    """Decisions of mean 0 and variance 1."""
    mask = df.dropout_mask(shape, rate, key, **options)
    return ((mask - (1 - rate)) / math.sqrt(rate * (1 - rate))).astype(np.float32)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_neighbours_are_independent(rate):
    x = signs(1 << 21, rate, KEY)
    for lag in [*range(1, 70), 127, 128, 256, 784, 1024, 4096, 2**16, 2**20]:
        z = float(x[lag:] @ x[:-lag]) / math.sqrt(x.size - lag)
        assert abs(z) < 5, lag


def largest_correlation(x):
    """Over all pairs of rows, in standard deviations."""
    z = x @ x.T / math.sqrt(x.shape[1])
    np.fill_diagonal(z, 0)
    return float(abs(z).max())


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_rows_are_independent(rate):
    assert largest_correlation(signs((1024, 784), rate, KEY)) < 6.5
    assert largest_correlation(signs((1024, 784), rate, KEY).T.copy()) < 6.5


NEIGHBOURS = {
    "seeds": lambda i: df.Key(i, 0, 0),
    "bits of seeds": lambda i: df.Key(1 << (i % 64), i // 64, 0),
    "layers": lambda i: df.Key(12, i, 0),
    "steps": lambda i: df.Key(12, 3, i),
    "steps from 2^32": lambda i: df.Key(12, 3, 2**32 - 256 + i),
    "domains": lambda i: df.Key(12, i << 48, 0),
    "bits of steps": lambda i: df.Key(12, i // 64, 1 << (i % 64)),
}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_neighbouring_keys_are_independent(name):
    x = np.stack([signs(4096, 0.5, NEIGHBOURS[name](i)) for i in range(512)])
    assert largest_correlation(x) < 6.5
    # Each position is kept under half of the keys.
    assert abs(x.sum(axis=0) / math.sqrt(512)).max() < 6
    assert abs(x.sum(axis=1) / 64).max() < 6


def chi_square(counts, expected):
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_all_patterns_of_eight_decisions_come_as_often_as_they_should(rate):
    n = 1 << 24
    packed = df.dropout_mask(n, rate, KEY, packed=True)
    ones = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)
    expected = n / 8 * (1 - rate) ** ones * rate ** (8 - ones)
    counts = np.bincount(packed, minlength=256)
    enough = expected > 10
    freedom = enough.sum() - 1
    assert chi_square(counts[enough], expected[enough]) < freedom + 5 * math.sqrt(2 * freedom)


def test_runs_have_the_lengths_of_coin_flips():
    mask = df.dropout_mask(1 << 22, 0.5, KEY)
    lengths = np.diff(np.flatnonzero(np.diff(mask.astype(np.int8))))
    counts = np.bincount(lengths, minlength=16)[1:15]
    expected = lengths.size * 0.5 ** np.arange(1, 15)
    assert chi_square(counts, expected) < 14 + 5 * math.sqrt(28)


def test_uniform_and_normal_variates():
    n = 1 << 20
    u = np.sort(_core.random_uniform(n, KEY))
    assert abs(u - (np.arange(n) + 0.5) / n).max() < 2.5 / math.sqrt(n)
    z = _core.random_normal(n, KEY)
    assert abs(z.mean()) < 5 / math.sqrt(n)
    assert abs(z.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs((z**3).mean()) < 5 * math.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 5 * math.sqrt(96 / n)
    assert abs(float(z[0::2] @ z[1::2])) < 5 * math.sqrt(n / 2)
    inside = np.mean(abs(z) < 1)
    assert abs(inside - 0.6826894921) < 5 * math.sqrt(0.217 / n)


def test_permutations_are_uniform():
    n, trials = 5, 24_000
    orders = np.array([_core.permutation(n, df.Key(9, 2 << 48, i)) for i in range(trials)])
    codes = orders @ (n ** np.arange(n))
    _, counts = np.unique(codes, return_counts=True)
    assert counts.size == math.factorial(n)
    assert chi_square(counts, trials / 120) < 119 + 5 * math.sqrt(2 * 119)
