"""Layer 6: Keras' ``backend``: settings that have one value here, and `dropfast.ops`."""

from __future__ import annotations

from typing import Any

from dropfast.config import (
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)
from dropfast.graph import is_symbolic

__all__ = [
    "backend",
    "clear_session",
    "epsilon",
    "floatx",
    "image_data_format",
    "is_keras_tensor",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
]


def clear_session(free_memory: bool = True) -> None:
    """For compatibility, without effect: models share no state here.

    Parameters
    ----------
    free_memory
        Without effect.
    """


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is a symbolic tensor, as `dropfast.Input` returns."""
    return is_symbolic(x) and not isinstance(x, list | tuple | dict)


def __getattr__(name: str) -> Any:
    from dropfast import ops

    try:
        return getattr(ops, name)
    except AttributeError:
        raise AttributeError(f"module 'dropfast.backend' has no attribute {name!r}") from None
