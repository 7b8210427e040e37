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
    has_bfloat16,
    limit_threads,
    set_num_threads,
    simd_level,
)
from dropfast.mixed_precision import dtype_policy, set_dtype_policy

__all__ = [
    "aes_level",
    "backend",
    "dtype_policy",
    "epsilon",
    "floatx",
    "get_num_threads",
    "image_data_format",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_num_threads",
    "show_config",
    "simd_level",
    "thread_limit",
    "version",
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
    print(f"bfloat16  {'native' if has_bfloat16() else 'by float32'}")
    print(f"threads   {get_num_threads()}")


def version() -> str:
    """Version of the package.

    Examples
    --------
    >>> import dropfast as df
    >>> df.version() == df.__version__
    True
    """
    return __version__


def backend() -> str:
    """What computes: always this package."""
    return "dropfast"


def floatx() -> str:
    """The dtype of models that are given none."""
    return "float32"


def epsilon() -> float:
    """By how much losses keep probabilities away from 0 and 1."""
    return 1e-7


def image_data_format() -> str:
    """Where images have their colours."""
    return "channels_last"


def set_floatx(value: str) -> None:
    """Accept the one value there is.

    Raises
    ------
    ValueError
        If it is another.
    """
    if value != floatx():
        raise ValueError(
            f"floatx must be 'float32': give models another by dtype={value!r}. "
            f"Received: value={value!r}"
        )


def set_epsilon(value: float) -> None:
    """Accept the one value there is.

    Raises
    ------
    ValueError
        If it is another.
    """
    if value != epsilon():
        raise ValueError(f"epsilon must be {epsilon()}. Received: value={value!r}")


def set_image_data_format(data_format: str) -> None:
    """Accept the one value there is.

    Raises
    ------
    ValueError
        If it is another.
    """
    if data_format != image_data_format():
        raise ValueError(
            f"data_format must be 'channels_last'. Received: data_format={data_format!r}"
        )
