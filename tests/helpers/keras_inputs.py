"""Inputs of the models in tests/converters/data, for the script that writes them and the tests."""

from __future__ import annotations

import numpy as np


def inputs(name):
    rng = np.random.default_rng(7)
    if name == "row":
        return rng.normal(size=(6, 2, 3)).astype(np.float32)
    if name == "graph":
        categories = rng.integers(0, 5, (6, 4)).astype(np.float32)
        return {"a": categories, "b": rng.normal(size=(6, 3)).astype(np.float32)}
    return rng.normal(size=(6, 4)).astype(np.float64 if name == "wide" else np.float32)
