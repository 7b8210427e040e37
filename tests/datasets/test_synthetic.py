"""The noisy sine: shapes, noise, the gap, the seed."""

from __future__ import annotations

import numpy as np
import pytest

from dropfast.datasets import noisy_sine


def test_points_lie_on_the_sine_and_outside_the_gap():
    x, y = noisy_sine(5000, noise=0.1, gap=(-1.0, 0.5), seed=3)
    assert x.dtype == y.dtype == np.float32
    assert x.shape == y.shape == (5000, 1)
    assert not ((x > -1) & (x < 0.5)).any()
    assert x.min() < -2.9
    assert x.max() > 2.9
    assert np.std(y - np.sin(2 * x)) == pytest.approx(0.1, rel=0.05)


def test_seed_decides():
    first, again, other = (noisy_sine(20, gap=None, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "Received: n=0"),
        ({"noise": -1.0}, "Received: noise=-1.0"),
        ({"noise": float("nan")}, "Received: noise=nan"),
        ({"gap": (2.0, 1.0)}, "gap must be"),
        ({"gap": (-3.0, 3.0)}, "gap must be"),
        ({"gap": (2.0, 4.0)}, "gap must be"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        noisy_sine(**arguments)
