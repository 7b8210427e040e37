"""A forked child: its parent's threads are not there, whatever they were doing."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

import dropfast as df


def thick_calls(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Products that come so thick that helpers wait for them, and dropout."""
    for _ in range(300):
        product = df.matmul(x, kernel)
    return df.dropout(product, 0.5, df.Key(1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_computes_what_its_parent_does() -> None:
    rng = np.random.default_rng(0)
    x, kernel = rng.random((64, 400), np.float32), rng.random((400, 100), np.float32)
    expected = thick_calls(x, kernel)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        model = df.Sequential([df.layers.Dense(1)], seed=0)
        same = np.array_equal(thick_calls(x, kernel), expected)
        model.compile("sgd", "mean_squared_error")
        model.fit(x, x[:, :1], epochs=1, verbose=0)
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(thick_calls(x, kernel), expected)
