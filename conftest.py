"""What all tests share: optional peers, and data for the examples in docstrings."""

from __future__ import annotations

import importlib.util
import os
import sys

import numpy as np
import pytest

from dropfast.datasets import fashion_mnist

# Pictures are drawn without a screen.
os.environ["MPLBACKEND"] = "Agg"

# Adapters need their peer at import; without it there is nothing to collect.
_ADAPTERS = {
    "torch": "torch",
    "sklearn": "sklearn",
    "tabular": "sklearn",
    "converters/torch_": "torch",
    "converters/sklearn": "sklearn",
    "converters/onnx_": "onnx",
}
collect_ignore_glob = [
    f"python/dropfast/{room}*"
    for room, peer in _ADAPTERS.items()
    if importlib.util.find_spec(peer) is None
]
# Contenders import their libraries at once; only a worker that is told to does so.
collect_ignore_glob.append("python/dropfast/bench/peers/*")


def _noise_like_fashion_mnist():
    rng = np.random.default_rng(0)
    return tuple(
        (rng.integers(0, 256, (n, 28, 28), np.uint8), rng.integers(0, 10, n, np.uint8))
        for n in (60_000, 10_000)
    )


@pytest.fixture
def fashion_mnist_or_noise(monkeypatch):
    """Let documented code run on noise where the data is not on this machine: no test downloads."""
    on_this_machine = (
        fashion_mnist.DEBIAN_FOLDER.is_dir()
        or "DROPFAST_DATA" in os.environ
        or fashion_mnist.cache_folder().is_dir()
    )
    if not on_this_machine:
        monkeypatch.setattr(fashion_mnist, "load_data", _noise_like_fashion_mnist)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(autouse=True)
def _docstrings_find_data(request):
    if isinstance(request.node, pytest.DoctestItem):
        request.getfixturevalue("fashion_mnist_or_noise")
