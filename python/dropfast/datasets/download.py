"""Layer 6: download one file, check it, and only then give it its name."""

from __future__ import annotations

import http.client
import os
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from dropfast.datasets.idx import IdxFile, read_idx

# Seconds without any answer after which the next address is tried.
TIMEOUT = 20.0
# gzip adds a few bytes to data that do not shrink; a longer answer cannot be the file.
PACKING_ALLOWANCE = 4096
CHUNK = 1 << 16


def download(path: Path, urls: Sequence[str], expected: IdxFile) -> None:
    """Download `path` from the first address that has it.

    Parameters
    ----------
    path
        Where the file goes; its folder is made. Nothing is written there unless the file is whole
        and its checksum right.
    urls
        Addresses of the same file, tried in this order.
    expected
        What the file must hold.

    Raises
    ------
    OSError
        If no address gave the right file. The message has a line for each.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for url in urls:
        # The ending is kept: it says whether the file is packed.
        handle, name = tempfile.mkstemp(prefix=".part-", suffix=path.name, dir=path.parent)
        os.close(handle)
        part = Path(name)
        try:
            _fetch(url, part, limit=expected.size + PACKING_ALLOWANCE)
            read_idx(part, expected)
            part.replace(path)
            return
        except (OSError, http.client.HTTPException, ValueError) as error:
            failures.append(f"{url}: {str(error).replace(name, 'the answer')}")
        finally:
            part.unlink(missing_ok=True)
    raise OSError("; ".join(failures))


def _fetch(url: str, part: Path, limit: int) -> None:
    """Write the answer of `url` to `part`; stop where it is longer than `limit` bytes."""
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, part.open("wb") as file:
        length = 0
        while chunk := answer.read(CHUNK):
            length += len(chunk)
            if length > limit:
                raise ValueError(f"the answer is longer than {limit} bytes")
            file.write(chunk)
