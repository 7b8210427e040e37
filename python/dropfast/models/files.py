"""Layer 6: whole files or none: written beside their place, brought to the disk, then moved there.

A reader sees the old file or the new one. What a killed process leaves behind is removed when the
same file is next written: a part that is being written is locked, one without a lock is stale.
"""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import stat
from collections.abc import Iterator
from typing import Any

from dropfast.checks import check_flag, check_path
from dropfast.formats import Path, check_format, is_keras

__all__ = ["Path", "check_format", "is_keras", "readable", "write"]

fcntl: Any
try:
    import fcntl
except ImportError:  # Not on Windows, where a file that is open can't be removed anyway.
    fcntl = None


def write(filepath: Path, data: bytes, overwrite: bool) -> None:
    """Write a file as one unit.

    A symbolic link stays one, and its target is written. A file that is replaced hands its
    permissions and, where that is allowed, its owner on.

    Raises
    ------
    FileExistsError
        If the file exists and must not be overwritten.
    OSError
        If the system can't write it; the old file is as it was.
    """
    name = check_path("filepath", filepath)
    check_flag("overwrite", overwrite)
    before = os.stat(name) if os.path.exists(name) else None
    if before is not None and not overwrite:
        raise _exists(filepath)
    if before is not None and not stat.S_ISREG(before.st_mode) and not stat.S_ISDIR(before.st_mode):
        # A pipe or a device has no content to keep.
        with open(name, "wb") as file:
            file.write(data)
        return
    path = os.path.realpath(name)
    _remove_stale(path)
    part, descriptor = _open_part(path, 0o666 if before is None else 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if before is not None:
                _take_over(file.fileno(), before)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if not overwrite:
                _place(part, path, filepath)
            elif fcntl is not None:
                # Still open, so still locked: it does not count as stale.
                os.replace(part, path)
        if overwrite and fcntl is None:
            os.replace(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
    _sync_directory(os.path.dirname(path))


@contextlib.contextmanager
def readable(path: str) -> Iterator[str]:
    """A name for a file that is valid Unicode, whatever bytes its own name has."""
    try:
        path.encode()
    except UnicodeEncodeError:
        with open(path, "rb") as file:
            yield f"/dev/fd/{file.fileno()}"
    else:
        yield path


def _exists(filepath: Any) -> FileExistsError:
    return FileExistsError(f"filepath must not exist. Received: filepath={os.fspath(filepath)!r}")


def _open_part(path: str, mode: int) -> tuple[str, int]:
    """A new file beside another, locked."""
    while True:
        part = f"{path}.{secrets.token_hex(4)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(part, flags, mode)
        try:
            _lock(descriptor)
            # Between creation and lock somebody may have taken it for stale.
            if os.path.exists(part):
                return part, descriptor
        except BlockingIOError:
            pass
        except OSError:
            # A file system without locks: no other process can take the file for stale.
            return part, descriptor
        os.close(descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def _lock(descriptor: int) -> None:
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_stale(path: str) -> None:
    """Remove parts of this file that nobody writes any more."""
    for part in glob.glob(f"{glob.escape(path)}.{'[0-9a-f]' * 8}.part"):
        with contextlib.suppress(OSError):
            if fcntl is None:
                os.unlink(part)
                continue
            descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                _lock(descriptor)
                os.unlink(part)
            finally:
                os.close(descriptor)


def _take_over(descriptor: int, before: os.stat_result) -> None:
    """Give a new file the owner and permissions of the one that it replaces."""
    if hasattr(os, "fchown"):
        with contextlib.suppress(OSError):
            os.fchown(descriptor, before.st_uid, before.st_gid)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _place(part: str, path: str, filepath: Any) -> None:
    """Give a part its name unless that is taken."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise _exists(filepath) from None
    except OSError:
        # A file system without links.
        if os.path.exists(path):
            raise _exists(filepath) from None
        os.rename(part, path)


def _sync_directory(directory: str) -> None:
    """Bring the new name to the disk, too, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
