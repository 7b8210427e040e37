"""Layer 7: workloads that only some contenders have: adapters, start-up, a busy machine.

Each function takes a contender's name and returns the work, after its result was checked.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np

Work = Callable[[], object]
# What `import` and `pip` call the libraries of the contenders.
_IMPORTED = {
    "dropfast": ("dropfast; dropfast.Sequential", "dropfast"),
    "NumPy": ("numpy", "numpy"),
    "PyTorch": ("torch", "torch"),
    "JAX": ("jax", "jaxlib"),
    "TensorFlow": ("tensorflow", "tensorflow"),
    "scikit-learn": ("sklearn.neural_network", "scikit-learn"),
}


def start_up(name: str) -> Work | None:
    """A fresh process that imports the library."""
    if name not in _IMPORTED:
        return None
    command = [sys.executable, "-c", f"import {_IMPORTED[name][0]}"]
    return lambda: subprocess.run(command, check=True)


def footprint(name: str) -> Work | None:
    """Size of the installed library's files in MB, without what it depends on."""
    if name not in _IMPORTED or name == "dropfast":
        return _own_footprint if name == "dropfast" else None

    def size() -> float:
        files = metadata.files(_IMPORTED[name][1]) or []
        return sum((file.size or 0) for file in files) / 1e6

    return size


def _own_footprint() -> float:
    from pathlib import Path

    import dropfast

    package = Path(dropfast.__file__).parent
    parts = (p for p in package.rglob("*") if p.suffix in (".py", ".pyi", ".so", ".pyd"))
    return sum(part.stat().st_size for part in parts) / 1e6


def torch_module(name: str, exponent: int) -> Work | None:
    """A dropout module's forward and backward, p = .5, on a tensor of 2^exponent elements."""
    if name not in ("dropfast", "PyTorch") or importlib.util.find_spec("torch") is None:
        return None
    import torch

    if name == "dropfast":
        import dropfast.torch

        module = dropfast.torch.Dropout(0.5)
    else:
        module = torch.nn.Dropout(0.5)
    x = torch.ones(2**exponent, requires_grad=True)
    ones = torch.ones(2**exponent)

    def work() -> Any:
        x.grad = None
        y = module(x)
        y.backward(ones)
        return y

    y = work().detach().numpy()
    if not np.array_equal(y, x.grad.numpy()) or not set(np.unique(y)) <= {0.0, 2.0}:
        raise AssertionError("outputs are not 0 and 2, or gradients differ from them")
    return work


def estimator(name: str) -> Work | None:
    """Ten epochs of a scikit-learn estimator on 1,797 handwritten digits, without dropout."""
    if name not in ("dropfast", "scikit-learn") or importlib.util.find_spec("sklearn") is None:
        return None
    import warnings

    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = x / 16.0
    settings: dict[str, Any] = {"hidden_layer_sizes": (256, 256), "max_iter": 10, "random_state": 0}
    if name == "dropfast":
        from dropfast.sklearn import DropoutMLPClassifier

        model = DropoutMLPClassifier(dropout=0.0, **settings)
    else:
        from sklearn.neural_network import MLPClassifier

        model = MLPClassifier(**settings)

    def work() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ten epochs don't converge
            return model.fit(x, y)

    score = work().score(x, y)
    if score < 0.95:
        raise AssertionError(f"{score:.3f} of the digits are right after ten epochs")
    return work


def busy_epoch(peer: Any, spinning: int) -> Work | None:
    """Seconds of an epoch of the seed network beside processes that spin."""
    if not hasattr(peer, "network") or not getattr(peer, "has_dropout", True):
        return None
    from dropfast.bench.networks import EPOCHS, data, initial

    case = EPOCHS[0]
    x, y = data(case.sizes[0], case.sizes[-1])
    network = peer.network(initial(case.sizes), case.rates, case.optimizer, case.batch)
    if hasattr(network, "load"):
        x, y = network.load(x, y)

    def work() -> float:
        command = [sys.executable, "-c", "while True: pass"]
        others = [subprocess.Popen(command) for _ in range(spinning)]
        try:
            time.sleep(0.1)
            start = time.perf_counter()
            network.epoch(x, y)
            return time.perf_counter() - start
        finally:
            for other in others:
                other.kill()
                other.wait()

    return work


def accuracy(peer: Any, wanted: float) -> Work | None:
    """Seconds of training until so many test images of Fashion-MNIST are right."""
    if not hasattr(peer, "network") or not getattr(peer, "has_dropout", True):
        return None
    from dropfast.bench.networks import EPOCHS, initial
    from dropfast.datasets import fashion_mnist

    try:
        (x, y), (x_test, y_test) = fashion_mnist.load_data()
    except (OSError, RuntimeError, ValueError):
        return None
    train, test = (a.reshape(-1, 784).astype(np.float32) / 255 for a in (x, x_test))
    case = EPOCHS[0]

    def work() -> float:
        network = peer.network(initial(case.sizes), case.rates, case.optimizer, case.batch)
        rows = (train, y.astype(np.int64))
        if hasattr(network, "load"):
            rows = network.load(*rows)
        total = 0.0
        for _ in range(30):
            start = time.perf_counter()
            network.epoch(*rows)
            total += time.perf_counter() - start
            if (network.predict(test).argmax(axis=1) == y_test).mean() >= wanted:
                return total
        raise AssertionError(f"{wanted} of the test images are not right after 30 epochs")

    return work


# Suite, name, unit, value of a second, peer -> work, whether a call returns the value, quick.
Row = tuple[str, str, str, float, Callable[[Any], "Work | None"], bool, bool]
ROWS: tuple[Row, ...] = (
    *(
        (
            "adapters",
            f"PyTorch module, forward + backward, 2^{e} float32",
            "µs",
            1e6,
            lambda peer, e=e: torch_module(peer.name, e),
            False,
            e == 16,
        )
        for e in (6, 12, 16, 20)
    ),
    (
        "adapters",
        "scikit-learn estimator, 10 epochs on digits",
        "s",
        1.0,
        lambda peer: estimator(peer.name),
        False,
        False,
    ),
    ("start-up", "import", "ms", 1e3, lambda peer: start_up(peer.name), False, True),
    ("start-up", "installed files", "MB", 1.0, lambda peer: footprint(peer.name), True, True),
    (
        "accuracy",
        "Fashion-MNIST, seed network, to 85 % of the test images",
        "s",
        1.0,
        lambda peer: accuracy(peer, 0.85),
        True,
        False,
    ),
    *(
        (
            "busy machine",
            f"epoch of the seed network beside {n} spinning process{'es' * (n > 1)}",
            "s",
            1.0,
            lambda peer, n=n: busy_epoch(peer, n),
            True,
            False,
        )
        for n in (1, 2)
    ),
)
