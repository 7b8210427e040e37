"""Everyone who takes part in a benchmark: one module a library, each with what it can do.

A contender is a class of static functions. Each makes ready all that is not to be timed, and
returns a function that does the work once:

* `dropout(x, rate)`: a training-mode forward, returns the output as an array;
* `product(a, b)`: returns a @ b;
* `network(weights, rates, optimizer, batch_size)`: an object with `epoch(x, y)`, `weights()`,
  `predict(x)` and, where it can, `predict_mc(x, samples)`; hidden relu, output softmax, dropout of
  these rates before each dense layer, of which 0 is none. `load(x, y)`, if it has one, moves data
  to where epochs want them. Ours takes `rows_per_mask` too.

What a library cannot do is absent, and its cell stays empty.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator

_MODULES = {
    "dropfast": "contenders.ours",
    "numpy": "contenders.numpys",
    "torch": "contenders.torchs",
    "jax": "contenders.jaxes",
    "tensorflow": "contenders.tensorflows",
    "sklearn": "contenders.sklearns",
}


def importable() -> Iterator[type]:
    """The contenders whose library is installed, in the order of the tables' columns."""
    for library, module in _MODULES.items():
        if importlib.util.find_spec(library):
            yield from importlib.import_module(module).CONTENDERS


def able_to(work: str) -> list[type]:
    """The importable contenders that have a function of this name."""
    return [contender for contender in importable() if hasattr(contender, work)]


def named(name: str) -> type:
    """The contender of this name; libraries of later columns are not imported."""
    return next(contender for contender in importable() if contender.name == name)
