"""Layer 6: optimizers; names, arguments and defaults are Keras 3's."""

from __future__ import annotations

from typing import Any

from dropfast.configurable import resolve
from dropfast.optimizers import schedules
from dropfast.optimizers.adam import Adam, AdamW
from dropfast.optimizers.base import Optimizer
from dropfast.optimizers.further import Adadelta, Adagrad, Adamax, Lion, Nadam
from dropfast.optimizers.rmsprop import RMSprop
from dropfast.optimizers.sgd import SGD
from dropfast.training.exact import check_own

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "get",
    "schedules",
]


def get(identifier: Any) -> Optimizer:
    """The optimizer that a name, class, config or object stands for.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> import dropfast as df
    >>> df.optimizers.get("adamw")
    AdamW()
    """
    found: Optimizer = resolve("optimizer", identifier)
    check_own(found)
    return found
