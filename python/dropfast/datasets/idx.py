"""Layer 6: read one IDX file of bytes (the format of MNIST), and trust nothing in it.

An IDX file is a magic number ``00 00 08 rank``, one big-endian 32-bit count for each axis, and the
bytes in C order. It may be packed with gzip, in whole.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class IdxFile(NamedTuple):
    """What a published IDX file must hold.

    Attributes
    ----------
    name
        File name without ``.gz``.
    shape
        Counts in its header.
    sha256
        Sum of the unpacked file, in hexadecimal: gzip packs the same bytes in many ways.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def header(self) -> bytes:
        """The first ``4 + 4 * rank`` bytes."""
        counts = (count.to_bytes(4, "big") for count in self.shape)
        return bytes([0, 0, 8, len(self.shape)]) + b"".join(counts)

    @property
    def size(self) -> int:
        """Bytes of the unpacked file."""
        return len(self.header) + math.prod(self.shape)


def read_idx(path: Path, expected: IdxFile) -> NDArray[np.uint8]:
    """Read an IDX file, plain or packed with gzip (by its ending), as a uint8 array.

    Parameters
    ----------
    path
        The file.
    expected
        What it must hold.

    Returns
    -------
    array
        Of shape ``expected.shape``; its own memory, writable.

    Raises
    ------
    ValueError
        If the file is not the expected one. The message names the file and what is wrong with it.
    OSError
        If it cannot be read.
    """
    header, size = expected.header, expected.size
    content = _unpacked(path, limit=size + 1)
    if content[:4] != header[:4]:
        raise _bad(path, f"magic number {content[:4].hex()}, expected {header[:4].hex()}")
    if content[: len(header)] != header:
        counts = tuple(
            int.from_bytes(content[at : at + 4], "big") for at in range(4, len(header), 4)
        )
        raise _bad(path, f"holds {counts}, expected {expected.shape}")
    if len(content) != size:
        problem = "truncated" if len(content) < size else "too long"
        raise _bad(path, f"{problem}: its counts {expected.shape} need {size} bytes unpacked")
    digest = hashlib.sha256(content).hexdigest()
    if digest != expected.sha256:
        raise _bad(path, f"SHA-256 of the unpacked file is {digest}, expected {expected.sha256}")
    data = np.frombuffer(content, np.uint8, offset=len(header))
    return np.array(data.reshape(expected.shape))


def _unpacked(path: Path, limit: int) -> bytes:
    """The first `limit` bytes: a file that unpacks to gigabytes is not read to its end."""
    if path.suffix != ".gz":
        with path.open("rb") as plain:
            return plain.read(limit)
    try:
        with gzip.open(path, "rb") as packed:
            return packed.read(limit)
    except EOFError:
        raise _bad(path, "truncated: its gzip stream has no end") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _bad(path, f"not a sound gzip file ({error})") from None


def _bad(path: Path, problem: str) -> ValueError:
    return ValueError(f"{path} cannot be used: {problem}.")
