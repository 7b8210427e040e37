"""Everyone who takes part in a benchmark: one module a library, each with what it can do.

A contender is a class of static functions. Each makes ready all that is not to be timed, and
returns a function that does the work once:

* `dropout(x, rate)`: a training-mode forward, returns the output as an array;
* `product(a, b)`: returns a @ b;
* `network(weights, rate, optimizer, batch_size)`: an object with `epoch(x, y)`, `weights()`,
  `predict(x)` and, where it can, `predict_mc(x, samples)`; hidden relu, output softmax, dropout of
  the same rate before every dense layer. `load(x, y)`, if it has one, moves data to where epochs
  want them.

What a library cannot do is absent, and its cell stays empty.
"""

from __future__ import annotations

import importlib
import importlib.util

_MODULES = {
    "dropfast": "contenders.ours",
    "numpy": "contenders.numpys",
    "torch": "contenders.torchs",
    "jax": "contenders.jaxes",
    "tensorflow": "contenders.tensorflows",
    "sklearn": "contenders.sklearns",
}


def importable() -> list[type]:
    """The contenders whose library is installed, in the order of the tables' columns."""
    return [
        contender
        for library, module in _MODULES.items()
        if importlib.util.find_spec(library)
        for contender in importlib.import_module(module).CONTENDERS
    ]


def able_to(work: str) -> list[type]:
    """The importable contenders that have a function of this name."""
    return [contender for contender in importable() if hasattr(contender, work)]
