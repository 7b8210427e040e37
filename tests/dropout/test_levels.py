"""The same bits on every instruction set of this processor, and with any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dropfast import _core

PROGRAM = """
import hashlib
import numpy as np
import dropfast as df
from dropfast import _core

digest = hashlib.sha256()
for key in (df.Key(1), df.Key(2**64 - 1, 7, 2**40)):
    for n, offset in ((1, 0), (31, 2**32 - 9), (5000, 3), (300_001, 2**35 - 1)):
        digest.update(df.dropout_mask(n, 1 / 3, key, offset=offset).tobytes())
        digest.update(df.dropout_mask(n, 1e-5, key, offset=offset, packed=True).tobytes())
        for dtype in ("f2", "f4", "f8"):
            x = np.linspace(-3, 3, n).astype(dtype)
            digest.update(df.dropout(x, 0.1, key, offset=offset).tobytes())
            digest.update(df.alpha_dropout(x, 0.1, key, offset=offset).tobytes())
            digest.update(df.gaussian_dropout(x, 0.1, key, offset=offset).tobytes())
        digest.update(_core.random_words(n, key, offset).tobytes())
        digest.update(_core.random_uniform(n, key, offset).tobytes())
        digest.update(_core.random_normal(n, key, offset).tobytes())
    x = np.linspace(-3, 3, 40 * 33 * 20).reshape(40, 33, 20)
    for noise_shape in ((None, 1, None), (1, None, None), (None, None, 1)):
        digest.update(df.dropout(x, 0.3, key, noise_shape=noise_shape).tobytes())
    digest.update(df.dropout(x.T, 0.3, key, rows_per_mask=3).tobytes())
    digest.update(_core.permutation(5000, key).tobytes())
print(_core.simd_level(), digest.hexdigest())
"""


def digest(**variables):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout.split(), run.stderr


def test_levels_and_threads_agree():
    expected = digest(DROPFAST_SIMD="scalar", DROPFAST_NUM_THREADS="1")[1][1]
    below = {"avx512": ("avx2", "avx512"), "scalar": ()}
    for level in below.get(_core.simd_level(), (_core.simd_level(),)):
        for threads in ("1", "3"):
            code, out, error = digest(DROPFAST_SIMD=level, DROPFAST_NUM_THREADS=threads)
            assert code == 0, error
            assert out == [level, expected]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"DROPFAST_SIMD": "sse9"},
            "DROPFAST_SIMD must be one of scalar, neon, avx2, avx512. Received:",
        ),
        (
            {"DROPFAST_SIMD": "avx2" if _core.simd_level() == "neon" else "neon"},
            "asks for instructions that this processor lacks; it has [",
        ),
    ],
)
def test_settings_that_are_refused(variables, message):
    code, _, error = digest(**variables)
    assert code != 0
    assert message in error
