"""Layer 6: what this installation runs on."""

from __future__ import annotations

import platform
from contextlib import ContextDecorator
from typing import Any

import numpy as np

from dropfast._core import (
    __version__,
    aes_level,
    get_num_threads,
    limit_threads,
    set_num_threads,
    simd_level,
)

__all__ = [
    "aes_level",
    "get_num_threads",
    "set_num_threads",
    "show_config",
    "simd_level",
    "thread_limit",
]


class thread_limit(ContextDecorator):
    """Limit the number of threads in a ``with`` block, or in a decorated function.

    The limit holds for calls from the thread that enters the block. Blocks may be nested: the
    smallest limit counts. Results don't depend on it.

    Parameters
    ----------
    n : int
        In [1, 256].

    Raises
    ------
    ValueError
        If n is outside [1, 256].
    TypeError
        If n is not an integer.

    See Also
    --------
    set_num_threads : The same for all calls in the process.

    Examples
    --------
    >>> import dropfast as df
    >>> with df.thread_limit(1):
    ...     df.get_num_threads()
    1
    """

    def __init__(self, n: int) -> None:
        before = limit_threads(n)  # checks it
        limit_threads(before)
        self._n = n
        self._before: list[int] = []

    def __enter__(self) -> thread_limit:
        before = limit_threads(self._n)
        limit_threads(min(before, self._n))
        self._before.append(before)
        return self

    def __exit__(self, *_: Any) -> None:
        limit_threads(self._before.pop())


def show_config() -> None:
    """Print versions, instruction sets and the number of threads, for bug reports.

    Examples
    --------
    >>> import dropfast as df
    >>> df.show_config()
    dropfast ...
    """
    print(f"dropfast  {__version__}")
    print(f"python    {platform.python_version()}")
    print(f"numpy     {np.__version__}")
    print(f"machine   {platform.system()} {platform.machine()}")
    print(f"simd      {simd_level()}")
    print(f"aes       {aes_level()}")
    print(f"threads   {get_num_threads()}")
