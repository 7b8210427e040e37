"""Layer 6: lines of text on streams that may be missing, closed, or unable to show every character.

Training is worth more than its log: what a stream can't take is replaced or left out.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

_PLAIN = str.maketrans({"─": "-", "→": ">", "×": "x", "·": ".", "±": "~"})


def usable(stream: Any) -> bool:
    """Whether there is a stream, and it is open."""
    return stream is not None and hasattr(stream, "write") and not getattr(stream, "closed", False)


def watched(stream: Any) -> bool:
    """Whether a stream is a terminal."""
    looks = getattr(stream, "isatty", None)
    if not usable(stream) or not callable(looks):
        return False
    try:
        return bool(looks())
    except (OSError, ValueError):
        return False


def columns(stream: Any) -> int | None:
    """How many characters a line of a terminal has; None for what is no terminal."""
    if not watched(stream):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):
        return 80


def printable(text: str, stream: Any) -> str:
    """Text with everything replaced that the stream's encoding doesn't have."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "replace").decode(encoding)
    except LookupError:
        return text.translate(_PLAIN)
    return text


def write(text: str) -> None:
    """Print a line to standard output, if there is one that takes it."""
    if usable(sys.stdout):
        # A pipe whose reader has left, a stream closed meanwhile.
        with contextlib.suppress(OSError, ValueError):
            print(printable(text, sys.stdout))
