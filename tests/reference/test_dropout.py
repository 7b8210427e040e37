"""Masks down to decisions on ties; every rule of dropout, alpha and Gaussian dropout."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dropfast.reference import (
    Key,
    alpha_dropout,
    alpha_dropout_backward,
    dropout,
    dropout_backward,
    dropout_mask,
    gaussian_dropout,
    gaussian_dropout_backward,
    random_normal,
    random_words,
)
from dropfast.reference.dropout import threshold

KEY = Key(seed=12, stream=3, step=2**32 + 1)


def lane(key: Key, element: int) -> int:
    """The 16 bits of an element, from the raw words."""
    word = int(random_words(1, key, element // 2)[0])
    return word >> (16 * (element % 2)) & 0xFFFF


def tie_word(key: Key, element: int) -> int:
    """Its 32 further bits: word i % 4 of block i // 4 with the top bit of the block index set."""
    from dropfast.reference.aes import ars

    block = ars(np.array([element // 4 | 1 << 63], np.uint64), key.step, (key.seed, key.stream))
    return int(block[0, element % 4])


@pytest.mark.parametrize("element", [0, 1, 7, 8, 13, 1001, 2**32 + 5, 2**40 + 3])
def test_ties_are_decided_by_32_more_bits(element: int) -> None:
    high, low = lane(KEY, element), tie_word(KEY, element)
    for tie_limit, is_kept in [
        (low, True),
        (low + 1, False),
        (0, True),
        (2**32 - 1, low == 2**32 - 1),
    ]:
        limit = (high << 32) + tie_limit
        rate = limit / 2**48
        assert threshold(rate) == limit
        assert dropout_mask(1, rate, KEY, offset=element)[0] == is_kept
        # The same decision from inside an array that starts elsewhere.
        before = min(element, 11)
        assert dropout_mask(20, rate, KEY, offset=element - before)[before] == is_kept


def test_masks_follow_the_rule_element_by_element() -> None:
    rate = 0.37
    limit = threshold(rate)
    expected = []
    for element in range(3, 203):
        bits = lane(KEY, element) << 32 | tie_word(KEY, element)
        expected.append(bits >= limit)
    assert dropout_mask(200, rate, KEY, offset=3).tolist() == expected


@pytest.mark.parametrize(
    ("rate", "limit"),
    [
        (0.0, 0),
        (1.0, 2**48),
        (0.5, 2**47),
        (1e-10, 28147),
        (1e-5, 2814749767),
        (1 / 3, 93824992236885),
        (1 - 1e-5, 2**48 - 2814749767),
        (2.0**-49, 0),  # a half goes to even
        (3 * 2.0**-49, 2),
        (1 - 2.0**-53, 2**48),
    ],
)
def test_thresholds(rate: float, limit: int) -> None:
    assert threshold(rate) == limit


@pytest.mark.parametrize("rate", [1e-5, 0.1, 1 / 3, 0.5, 0.9, 1 - 1e-5])
def test_rates(rate: float) -> None:
    n = 2_000_000
    dropped = n - int(dropout_mask(n, rate, Key(77)).sum())
    assert abs(dropped - n * rate) < 5 * math.sqrt(n * rate * (1 - rate))


def test_extreme_rates() -> None:
    assert dropout_mask(1000, 0.0, KEY).all()
    assert not dropout_mask(1000, 1.0, KEY).any()


@pytest.mark.parametrize(
    ("shape", "noise_shape"),
    [
        ((4, 5), (None, 1)),
        ((4, 5), (1, None)),
        ((4, 5), (4, 5)),
        ((4, 5), (1, 1)),
        ((2, 3, 4), (None, 1, 4)),
        ((2, 3, 4, 5), (2, None, 1, 1)),
    ],
)
def test_noise_shapes(shape: tuple[int, ...], noise_shape: tuple[int | None, ...]) -> None:
    filled = tuple(s if n is None else n for s, n in zip(shape, noise_shape, strict=True))
    small = dropout_mask(filled, 0.5, KEY, offset=9)
    mask = dropout_mask(shape, 0.5, KEY, noise_shape=noise_shape, offset=9)
    np.testing.assert_array_equal(mask, np.broadcast_to(small, shape))


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 10, 100])
def test_row_groups(rows: int) -> None:
    mask = dropout_mask((10, 6), 0.5, KEY, rows_per_mask=rows, offset=5)
    groups = dropout_mask((-(-10 // rows), 6), 0.5, KEY, offset=5)
    for row in range(10):
        np.testing.assert_array_equal(mask[row], groups[row // rows])


def test_packed() -> None:
    mask = dropout_mask((3, 7), 0.4, KEY, noise_shape=(None, 1), offset=3)
    packed = dropout_mask((3, 7), 0.4, KEY, noise_shape=(None, 1), offset=3, packed=True)
    assert packed.dtype == np.uint8
    assert packed.shape == (3,)
    bits = np.unpackbits(packed, bitorder="little")
    np.testing.assert_array_equal(bits[:21].astype(bool).reshape(3, 7), mask)
    assert not bits[21:].any()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_values(dtype: str) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
        import ml_dtypes

        kind = np.dtype(ml_dtypes.bfloat16)
    else:
        kind = np.dtype(dtype)
    x = np.random.default_rng(0).normal(size=(50, 7)).astype(kind)
    mask = dropout_mask(x.shape, 0.3, KEY)
    y = dropout(x, 0.3, KEY)
    assert y.dtype == kind
    wide = np.float64 if dtype == "float64" else np.float32
    expected = (x.astype(wide) * wide(1 / 0.7)).astype(kind)
    np.testing.assert_array_equal(y[mask], expected[mask])
    assert not y[~mask].astype(np.float32).view(np.uint32).any()  # +0.0 to the bit


def test_dropped_is_zero_whatever_it_was() -> None:
    x = np.full(64, np.nan, np.float32)
    x[::2] = -np.inf
    mask = dropout_mask(64, 0.5, KEY)
    y = dropout(x, 0.5, KEY)
    assert not y[~mask].view(np.uint32).any()
    assert not np.isfinite(y[mask]).any()
    assert not dropout(x, 1.0, KEY).view(np.uint32).any()


def test_no_randomness() -> None:
    x = np.array([-0.0, np.nan, np.inf, 3.0])
    for y in (dropout(x, 0.0, KEY), dropout(x, 0.5, KEY, training=False)):
        assert y is not x
        assert y.tobytes() == x.tobytes()


def test_layout_does_not_matter() -> None:
    x = np.random.default_rng(0).normal(size=(6, 8, 5))
    expected = dropout(x, 0.5, KEY)
    wide = np.zeros((6, 16, 5))
    wide[:, ::2] = x
    for view in (np.asfortranarray(x), wide[:, ::2], x[:, ::-1].copy()[:, ::-1]):
        np.testing.assert_array_equal(dropout(view, 0.5, KEY), expected)


def test_out_and_in_place() -> None:
    x = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    expected = dropout(x, 0.5, KEY)
    out = np.empty_like(x)
    assert dropout(x, 0.5, KEY, out=out) is out
    np.testing.assert_array_equal(out, expected)
    dropout(x, 0.5, KEY, out=x)
    np.testing.assert_array_equal(x, expected)


def test_bad_out_changes_nothing() -> None:
    base = np.arange(10, dtype=np.float32)
    read_only = np.zeros(8, np.float32)
    read_only.flags.writeable = False
    x = base[:8]
    for out, message in [
        (np.zeros(7, np.float32), "shape"),
        (np.zeros(8), "dtype"),
        (read_only, "writable"),
        (base[2:], "overlap"),
        ([0.0] * 8, "list"),
    ]:
        with pytest.raises(ValueError, match=f"out must be .*{message}"):
            dropout(x, 0.5, KEY, out=out)  # type: ignore[arg-type]
    np.testing.assert_array_equal(base, np.arange(10))


@pytest.mark.parametrize("rate", [-0.1, 1.5, math.nan, math.inf, "0.5", None])
def test_bad_rates(rate) -> None:
    for call in (dropout, alpha_dropout, gaussian_dropout):
        with pytest.raises(ValueError, match=r"rate must be in \[0, 1\]\. Received: rate="):
            call(np.ones(3), rate, KEY)
    with pytest.raises(ValueError, match="rate must be in"):
        dropout_mask(3, rate, KEY)


@pytest.mark.parametrize("x", [np.ones(3, int), np.ones(3, bool), np.ones(3, complex)])
def test_only_floats(x) -> None:
    for call in (dropout, dropout_backward, alpha_dropout, gaussian_dropout):
        with pytest.raises(TypeError, match="must be an array of float16"):
            call(x, 0.5, KEY)


@pytest.mark.parametrize("noise_shape", [(None,), (2, 1), (None, 1, 1), (0, None), (-1, None)])
def test_bad_noise_shapes(noise_shape) -> None:
    with pytest.raises(ValueError, match="noise_shape must"):
        dropout(np.ones((3, 4)), 0.5, KEY, noise_shape=noise_shape)


def test_other_bad_arguments() -> None:
    x = np.ones((3, 4))
    with pytest.raises(ValueError, match="rows_per_mask must be in"):
        dropout(x, 0.5, KEY, rows_per_mask=0)
    with pytest.raises(ValueError, match="rows_per_mask must be 1 when noise_shape"):
        dropout(x, 0.5, KEY, noise_shape=(1, None), rows_per_mask=2)
    for offset in (-1, 2**63 - 11):
        with pytest.raises(ValueError, match="offset must be in"):
            dropout(x, 0.5, KEY, offset=offset)
    assert dropout_mask((3, 4), 0.5, KEY, offset=2**63 - 12).shape == (3, 4)


def test_empty() -> None:
    assert dropout(np.ones((0, 3)), 0.5, KEY).shape == (0, 3)
    assert dropout_mask((2, 0), 0.5, KEY, packed=True).shape == (0,)
    with pytest.raises(ValueError, match="rate"):
        dropout(np.ones(0), 2.0, KEY)


def test_backward_is_the_derivative() -> None:
    x = np.random.default_rng(0).normal(size=(5, 6))
    dy = np.random.default_rng(1).normal(size=(5, 6))
    for forward, backward in [
        (dropout, dropout_backward),
        (alpha_dropout, alpha_dropout_backward),
        (gaussian_dropout, gaussian_dropout_backward),
    ]:
        step = 1e-6
        for rate in (0.0, 0.3):
            dx = backward(dy, rate, KEY)
            numeric = np.empty_like(x)
            for i in np.ndindex(x.shape):
                h = np.zeros_like(x)
                h[i] = step
                change = forward(x + h, rate, KEY) - forward(x - h, rate, KEY)
                numeric[i] = (change * dy).sum() / (2 * step)
            np.testing.assert_allclose(dx, numeric, rtol=1e-8, atol=1e-8)


def test_alpha_dropout_values() -> None:
    rate, prime = 0.3, -1.7580993408473766
    a = ((1 - rate) * (1 + rate * prime**2)) ** -0.5
    x = np.random.default_rng(0).normal(size=200)
    x[0] = np.nan
    mask = dropout_mask(200, rate, KEY, offset=4)
    y = alpha_dropout(x, rate, KEY, offset=4)
    np.testing.assert_allclose(y[mask], a * x[mask] - a * prime * rate, rtol=1e-15)
    np.testing.assert_allclose(y[~mask], a * prime - a * prime * rate, rtol=1e-15)
    assert not alpha_dropout(x, 1.0, KEY).view(np.uint64).any()
    assert alpha_dropout(x, 0.0, KEY).tobytes() == x.tobytes()


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = random_normal(500_000, Key(0))
    for rate in (0.05, 0.3):
        y = alpha_dropout(x, rate, Key(1))
        assert abs(y.mean()) < 0.01
        assert abs(y.var() - 1) < 0.02


def test_gaussian_dropout_values() -> None:
    rate = 0.2
    own = Key(KEY.seed, KEY.stream ^ 1 << 48, KEY.step)
    noise = 1 + math.sqrt(rate / (1 - rate)) * random_normal(30, own, 5)
    x = np.linspace(-1, 1, 30)
    np.testing.assert_array_equal(gaussian_dropout(x, rate, KEY, offset=5), x * noise)
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\) "):
        gaussian_dropout(x, 1.0, KEY)
