"""Layer 7: everyone who takes part in a benchmark: one module a library, each with what it can do.

A contender is a class of static functions. Each makes ready all that is not to be timed, and
returns a function that does the work once:

* `dropout(x, rate)`: a training-mode forward, returns the output as an array;
* `product(a, b)`: returns a @ b;
* `network(weights, rates, optimizer, batch_size)`: an object with `epoch(x, y)`, `weights()`,
  `predict(x)` and, where it can, `predict_mc(x, samples)`; hidden relu, output softmax, dropout of
  these rates before each dense layer, of which 0 is none. `load(x, y)`, if it has one, moves data
  to where epochs want them. Ours takes `rows_per_mask` too.

What a library cannot do is absent, and its cell stays empty. `limit` marks floors that are no
contenders.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

# Library -> its module here, and the names of the contenders in it.
LIBRARIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "dropfast": ("ours", ("dropfast", "dropfast, 1 thread")),
    "numpy": ("numpys", ("np.copyto", "NumPy", "NumPy, binomial")),
    "torch": ("torchs", ("PyTorch",)),
    "jax": ("jaxes", ("JAX",)),
    "tensorflow": ("tensorflows", ("TensorFlow",)),
    "sklearn": ("sklearns", ("scikit-learn",)),
}


def installed() -> list[str]:
    """The libraries that can be found, not imported yet."""
    return [library for library in LIBRARIES if importlib.util.find_spec(library)]


def _contenders(library: str) -> tuple[Any, ...]:
    module = importlib.import_module(f"{__name__}.{LIBRARIES[library][0]}")
    found: tuple[Any, ...] = module.CONTENDERS
    return found


def importable() -> Iterator[Any]:
    """The contenders whose library is installed, in the order of the tables' columns."""
    for library in installed():
        yield from _contenders(library)


def able_to(work: str) -> list[Any]:
    """The importable contenders that have a function of this name."""
    return [contender for contender in importable() if hasattr(contender, work)]


def named(name: str) -> Any:
    """The contender of this name; no other library is imported.

    Where `DROPFAST_SIMD` pins an instruction set, our names say so.
    """
    for library, (_, names) in LIBRARIES.items():
        if any(name.startswith(known) for known in names):
            for contender in _contenders(library):
                if contender.name == name:
                    return contender
    raise ValueError(f"name must be a contender's. Received: name={name!r}")
