"""Layer 7: tables as numbers: robust scaling with smooth clipping, one-hot, missing values.

Holzmüller, Grinsztajn and Steinwart 2024, section 3, for the scaling; Rahimi and Recht 2007 for the
periodic features.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dropfast.arrays import Array

# Scaled values stay within (-3, 3); those near the middle hardly move.
_CLIP = 3.0
# Stands for a missing category beside all real ones.
_MISSING = "\0missing"


class TableEncoder:
    """Rows of a DataFrame or array as float32.

    Columns are found by their names, where they have them. A category that `fit` did not see is a
    row of zeros; of more than `max_categories`, the frequent ones count.

    Parameters
    ----------
    categorical_features
        "from_dtype": columns of dtype category, string, object or bool; or names or numbers.
    max_categories
        Largest number of columns that a categorical column becomes.
    periodic
        How many cosines of each numeric column are added, with frequencies drawn once.
    seed
        Of the frequencies.

    Attributes
    ----------
    names
        Columns, in the order of `fit`.
    columns
        Number of columns of what `transform` returns.
    numeric
        Which of those hold the values of numeric columns.
    """

    def __init__(
        self,
        categorical_features: Any = "from_dtype",
        max_categories: int = 100,
        periodic: int = 0,
        seed: int = 0,
    ) -> None:
        self.categorical_features, self.max_categories = categorical_features, max_categories
        self.periodic, self.seed = periodic, seed

    def fit(self, X: Any) -> TableEncoder:
        """Learn scales and categories.

        Raises
        ------
        ValueError
            If X is no table, has no rows or names a column that it has not.
        """
        named = hasattr(X, "columns")
        self.names: list[Any] | None = [*X.columns] if named else None
        columns = _columns(X)
        if not columns or len(columns[0]) == 0:
            raise ValueError("X must have rows and columns. Received: an empty table")
        wanted = self._categorical(X, columns)
        self._plans: list[Any] = []
        for i, column in enumerate(columns):
            made = _Categories if i in wanted else _Numbers
            name = self.names[i] if self.names is not None else i
            self._plans.append(made(column, name, self.max_categories))
        numbers = sum(type(plan) is _Numbers and plan.factor > 0.0 for plan in self._plans)
        random = np.random.default_rng(self.seed)
        # Periods from the whole range of a scaled column down to a few hundredths of it.
        self._frequencies = random.normal(size=(numbers, self.periodic)) * 2.0
        self._phases = random.uniform(0.0, 2.0 * np.pi, size=(numbers, self.periodic))
        widths = [plan.width for plan in self._plans]
        kept = [type(plan) is _Numbers and plan.factor > 0.0 for plan in self._plans]
        self.numeric = (np.cumsum(widths) - widths)[kept]
        self.columns = sum(widths) + numbers * self.periodic
        return self

    def transform(self, X: Any) -> Array:
        """Rows as float32 [n, columns].

        Raises
        ------
        ValueError
            If a column is missing, or a numeric one holds something else or an infinity.
        """
        columns = self._in_order(X)
        parts, numbers = [], []
        for plan, column in zip(self._plans, columns, strict=True):
            found = plan.transform(column)
            parts.append(found)
            if type(plan) is _Numbers and plan.factor > 0.0:
                numbers.append(found[:, 0])
        if self.periodic and numbers:
            angles = np.stack(numbers, axis=1)[:, :, None] * self._frequencies + self._phases
            parts.append(np.cos(angles).reshape(len(angles), -1))
        return np.hstack(parts).astype(np.float32)

    def _in_order(self, X: Any) -> list[Array]:
        if self.names is not None and hasattr(X, "columns"):
            lacking = [name for name in self.names if name not in X.columns]
            if lacking:
                raise ValueError(f"X must have the columns of fit. Received: none named {lacking}")
            X = X[self.names]
        columns = _columns(X)
        if len(columns) != len(self._plans):
            raise ValueError(
                f"X has {len(columns)} features, but the encoder is expecting {len(self._plans)} "
                "features as input"
            )
        return columns

    def _categorical(self, X: Any, columns: list[Array]) -> set[int]:
        given = self.categorical_features
        if isinstance(given, str) and given == "from_dtype":
            return {i for i, column in enumerate(columns) if column.dtype.kind in "OUSb"}
        found = set()
        for entry in given if given is not None else ():
            known = self.names is not None and entry in self.names
            at = self.names.index(entry) if known and self.names is not None else entry
            if isinstance(at, bool) or not hasattr(at, "__index__") or not at < len(columns):
                raise ValueError(
                    "categorical_features must hold names or numbers of columns. "
                    f"Received: {entry!r}"
                )
            found.add(int(at))
        return found


class _Numbers:
    """A numeric column: (x - median) / spread, clipped smoothly; missing values at the median."""

    def __init__(self, column: Array, name: Any, _: int) -> None:
        self.name = name
        values = self._read(column)
        known = values[~np.isnan(values)]
        self.missing = len(known) < len(values)
        self.median = float(np.median(known)) if len(known) else 0.0
        self.factor = 0.0
        if len(known):
            low, high = np.quantile(known, [0.25, 0.75])
            spread = high - low if high > low else (known.max() - known.min()) / 2.0
            self.factor = float(1.0 / spread) if spread > 0.0 else 0.0
        self.width = 2 if self.missing else 1

    def transform(self, column: Array) -> NDArray[np.float64]:
        values = self._read(column)
        lost = np.isnan(values)
        scaled = np.where(lost, 0.0, (values - self.median) * self.factor)
        found = scaled / np.sqrt(1.0 + (scaled / _CLIP) ** 2)
        return np.stack([found, lost], axis=1) if self.missing else found[:, None]

    def _read(self, column: Array) -> NDArray[np.float64]:
        try:
            values = column.astype(np.float64)
        except (TypeError, ValueError):
            raise ValueError(
                f"column {self.name!r} must hold numbers. Received: dtype {column.dtype}"
            ) from None
        if np.isinf(values).any():
            raise ValueError(f"column {self.name!r} must be finite. Received: infinity")
        return values


class _Categories:
    """A categorical column: a column for each frequent value; one of -1 and 1 if there are two."""

    def __init__(self, column: Array, name: Any, most: int) -> None:
        values, counts = np.unique(_text(column), return_counts=True)
        order = np.argsort(-counts, kind="stable")[:most]
        self.values = np.sort(values[order])
        self.width = 1 if len(self.values) == 2 else len(self.values)

    def transform(self, column: Array) -> NDArray[np.float64]:
        text = _text(column)
        at = np.minimum(np.searchsorted(self.values, text), len(self.values) - 1)
        seen = self.values[at] == text
        if len(self.values) == 2:
            return np.where(seen, 2.0 * at - 1.0, 0.0)[:, None]
        found = np.zeros((len(text), len(self.values)))
        found[np.flatnonzero(seen), at[seen]] = 1.0
        return found


def _text(column: Array) -> Array:
    """Categories as text, which sorts whatever they were."""
    if column.dtype.kind in "OfUS":
        lost = column != column if column.dtype.kind == "f" else [_is_missing(v) for v in column]
        return np.where(lost, _MISSING, column.astype(str))
    return column.astype(str)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value


def _columns(X: Any) -> list[Array]:
    """The columns of a table as arrays; pandas' nullable numbers as floats."""
    if not hasattr(X, "columns"):
        array = np.asarray(X)
        if array.ndim != 2:
            raise ValueError(
                "X must be a table: Expected 2D array. Reshape your data. "
                f"Received: shape {array.shape}"
            )
        return [array[:, i] for i in range(array.shape[1])]
    return [_array(X[name]) for name in X.columns]


def _array(column: Any) -> Array:
    dtype = str(column.dtype).lower()
    if dtype.startswith(("category", "str", "object", "bool", "enum", "categorical")):
        found = np.asarray(column, dtype=object)
        return found.astype(bool) if dtype == "bool" else found
    if hasattr(column, "to_numpy") and dtype.startswith(("int", "uint", "float")):
        try:
            return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))
        except TypeError:
            return np.asarray(column.to_numpy(), np.float64)
    return np.asarray(column)
