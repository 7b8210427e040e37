"""Dropout forward of float32 over sizes from one page to gigabytes, beside a copy and NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from dropfast.bench.peers import able_to

RATES = (0.1, 0.5)
EXPONENTS = (10, 12, 14, 16, 18, 20, 22, 25)
# Takes a second at 2^25 and tells nothing new there.
LARGEST_FOR_TEXTBOOK = 18


def check(x, y, rate):
    """Kept values are scaled, others 0, and as many are dropped as should be."""
    kept = y != 0
    np.testing.assert_allclose(y[kept], x[kept] / np.float32(1 - rate), rtol=1e-6)
    share, deviation = 1 - kept.mean(), (rate * (1 - rate) / x.size) ** 0.5
    assert abs(share - rate) < 6 * deviation


@pytest.mark.parametrize("contender", able_to("dropout"), ids=lambda each: each.name)
@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("rate", RATES)
def bench_dropout(measure, rate, exponent, contender):
    copies = contender.name == "np.copyto"
    if contender.name == "NumPy, binomial" and exponent > LARGEST_FOR_TEXTBOOK:
        pytest.skip("tells nothing new at this size")
    if copies and rate != RATES[0]:
        pytest.skip("a copy has no rate")
    x = np.random.default_rng(0).random(2**exponent, dtype=np.float32) + 1
    function = contender.dropout(x, rate)
    if not copies:
        check(x, np.asarray(function()), rate)
    measure(function, [rate, exponent], contender, x.size)
