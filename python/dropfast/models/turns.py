"""Layer 6: what only one thread may do with a model at a time."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

from dropfast import _core

Method = TypeVar("Method", bound=Callable[..., Any])

# What other threads of the parent held is free in a forked child.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_core.forked)


def alone(method: Method) -> Method:
    """Refuse a call while another thread is in one, with one error that says so."""

    @functools.wraps(method)
    def guarded(self: Any, *arguments: Any, **settings: Any) -> Any:
        with self._turn.training:
            return method(self, *arguments, **settings)

    return guarded  # type: ignore[return-value]
