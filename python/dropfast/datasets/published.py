"""Layer 6: data sets of four published IDX files, and the places that may have them.

Looked at in this order: folders of the system; the folder named by the environment variable
``DROPFAST_DATA``; the cache folder; a download into the cache folder. Each file's SHA-256 is
checked whatever its source. A bad file is an error that names it: it is never used, and no later
source is taken silently instead.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dropfast.datasets.download import download
from dropfast.datasets.idx import IdxFile, read_idx

Split = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def cache_of(folder: str) -> Path:
    """The folder that keeps the downloaded files of a data set."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dropfast" / folder


class Published(NamedTuple):
    """A data set and where it can be had.

    Attributes
    ----------
    title
        Its name in messages.
    folder
        Name of its folders.
    files
        In the order x_train, y_train, x_test, y_test.
    urls
        Folders that have the files packed with gzip.
    system
        Folders of the system that may have them.
    helps
        Commands that help, for the message where nothing has them.
    """

    title: str
    folder: str
    files: tuple[IdxFile, ...]
    urls: tuple[str, ...]
    system: tuple[Path, ...] = ()
    helps: tuple[str, ...] = ()

    def load(self) -> tuple[Split, Split]:
        """The arrays of the first source that has files."""
        found = (self._in_folder(folder) for folder in self.system)
        paths = next(filter(None, found), None) or self._in_user_folder() or self._in_cache()
        x_train, y_train, x_test, y_test = map(read_idx, paths, self.files)
        return (x_train, y_train), (x_test, y_test)

    def _in_folder(self, folder: Path) -> list[Path] | None:
        """The four files of a folder, plain or packed; None where it has none of them."""
        found = [_file_in(folder, file.name) for file in self.files]
        if not any(found):
            return None
        paths = [path for path in found if path]
        if len(paths) < len(self.files):
            pairs = zip(self.files, found, strict=True)
            missing = [file.name for file, path in pairs if path is None]
            raise FileNotFoundError(f"{folder} has no {', '.join(missing)} (plain or with .gz).")
        return paths

    def _in_user_folder(self) -> list[Path] | None:
        named = os.environ.get("DROPFAST_DATA")
        if not named:
            return None
        folder = Path(named).expanduser()
        paths = self._in_folder(folder / self.folder) or self._in_folder(folder)
        if paths is None:
            raise FileNotFoundError(
                f"The folder named by DROPFAST_DATA has no {self.title} files. Received: {named}"
            )
        return paths

    def _in_cache(self) -> list[Path]:
        folder = cache_of(self.folder)
        paths = []
        for file in self.files:
            path = _file_in(folder, file.name)
            if path is None:
                path = folder / f"{file.name}.gz"
                try:
                    download(path, [f"{url}{path.name}" for url in self.urls], file)
                except OSError as error:
                    raise FileNotFoundError(self._help(folder, error)) from None
            paths.append(path)
        return paths

    def _help(self, folder: Path, error: OSError) -> str:
        lines = (
            f"{self.title} was not found, and could not be downloaded ({error}).",
            "One of these helps:",
            *(f"  {line}" for line in self.helps),
            "  export DROPFAST_DATA=FOLDER                     (a folder with its four files, .gz "
            "or not)",
            "  a connection to the internet                    (the files are then kept in "
            f"{folder})",
        )
        return "\n".join(lines)


def _file_in(folder: Path, name: str) -> Path | None:
    candidates = (folder / name, folder / f"{name}.gz")
    return next((path for path in candidates if path.is_file()), None)
