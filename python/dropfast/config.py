"""Layer 6: what this installation runs on."""

from __future__ import annotations

import platform

import numpy as np

from dropfast._core import (
    __version__,
    aes_level,
    get_num_threads,
    set_num_threads,
    simd_level,
)

__all__ = ["aes_level", "get_num_threads", "set_num_threads", "show_config", "simd_level"]


def show_config() -> None:
    """Print versions, instruction sets and threads: what a bug report should hold.

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
