"""Layer 7: tables of numbers from CSV and .npz files; every error names line and column."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class Table:
    """Columns by name, as text; or the arrays of an .npz file.

    Attributes
    ----------
    file
        Where it comes from, for messages.
    columns
        Name -> cells. Cells of a CSV file are strings.
    lines
        Line of the file of each row, for messages.
    arrays
        Arrays of an .npz file; then there are no columns.
    """

    file: Path
    columns: dict[str, list[str]]
    lines: list[int]
    arrays: dict[str, NDArray[Any]] | None = None

    def __len__(self) -> int:
        if self.arrays is not None:
            return len(next(iter(self.arrays.values()), ()))
        return len(self.lines)

    def need(self, name: str) -> None:
        """Refuse a name that is not in the file.

        Raises
        ------
        ValueError
            If there is no such column or array.
        """
        known = self.columns if self.arrays is None else self.arrays
        if name not in known:
            what = "column" if self.arrays is None else "array"
            raise ValueError(f"{self.file} has no {what} {name!r}. It has {_listed([*known])}")

    def features(self, names: Sequence[str]) -> NDArray[np.float64]:
        """The named columns as numbers, one row a row.

        Raises
        ------
        ValueError
            If a cell is no finite number, or a column is missing.
        """
        for name in names:
            self.need(name)
        return np.column_stack([self.numbers(name) for name in names])

    def numbers(self, name: str) -> NDArray[np.float64]:
        """One column as numbers."""
        try:
            values = np.array(self.columns[name], dtype=np.float64)
        except ValueError:
            values = np.array([_number(cell) for cell in self.columns[name]])
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            cell = self.columns[name][row]
            found = f"{cell!r}, which is no finite number" if cell.strip() else "an empty cell"
            raise ValueError(
                f"{self.file}, line {self.lines[row]}, column {name!r}: {found}. "
                f"--drop {name} leaves the column out; dropfast.tabular takes categories and "
                "missing values"
            )
        return values


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _listed(names: list[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more if names else "none"


def read(file: Path, header: bool = True) -> Table:
    """A table from a .csv, .tsv or .npz file.

    Raises
    ------
    ValueError
        If it is empty, not text, ragged, or without column names.
    OSError
        If it can't be read.
    """
    if file.suffix == ".npz":
        return _read_npz(file)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, delimiter="\t" if file.suffix == ".tsv" else ",")
            rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file} is no CSV file in UTF-8: {error}") from error
    if not rows:
        raise ValueError(f"{file} is empty")
    names = [name.strip() for name in rows[0][1]]
    if not header:
        names = [str(i) for i in range(len(names))]
    else:
        _check_names(file, names)
        rows = rows[1:]
    if not rows:
        raise ValueError(f"{file} has a header and no rows")
    for line, row in rows:
        if len(row) != len(names):
            raise ValueError(f"{file}, line {line}: {len(row)} cells for {len(names)} columns")
    cells = zip(*(row for _, row in rows), strict=True)
    columns = {name: list(column) for name, column in zip(names, cells, strict=True)}
    return Table(file, columns, [line for line, _ in rows])


def _check_names(file: Path, names: list[str]) -> None:
    if all(np.isfinite(_number(name)) for name in names):
        raise ValueError(
            f"{file}: the first line holds numbers, not column names. --no-header names the "
            "columns 0, 1, 2 …"
        )
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ValueError(f"{file} has two columns named {twice[0]!r}")


def _read_npz(file: Path) -> Table:
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: np.asarray(stored[name]) for name in stored.files}
    except (ValueError, EOFError, KeyError) as error:
        raise ValueError(f"{file} is no .npz file of plain arrays: {error}") from error
    except OSError:
        raise
    except Exception as error:  # zipfile's own errors
        raise ValueError(f"{file} is no .npz file: {error}") from error
    return Table(file, {}, [], arrays)


def matrix(table: Table, name: str = "x") -> NDArray[np.float64]:
    """Array `name` of an .npz file as rows of numbers.

    Raises
    ------
    ValueError
        If it is missing, has no rows, or holds anything but finite numbers.
    """
    table.need(name)
    assert table.arrays is not None
    array = table.arrays[name]
    if array.ndim < 2 or not array.size or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{table.file}: {name} must hold numbers, a row each. Received: shape "
            f"{array.shape}, dtype {array.dtype}"
        )
    rows = array.reshape(len(array), -1).astype(np.float64)
    if not np.isfinite(rows).all():
        raise ValueError(f"{table.file}: {name} must be finite. Received: NaN or infinity")
    return rows
