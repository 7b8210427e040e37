"""Layer 7: categorical columns of a frame, by their dtype, as one-hot columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from dropfast.arrays import Array

# Beginnings of the dtypes' names, of pandas and polars.
_KINDS = ("category", "categorical", "enum", "str", "object")


def categories_of(X: Any) -> dict[int, Array] | None:
    """Column number -> its categories as text, sorted; None where no column has any.

    Columns of dtype object are categories if one of their values is text.
    """
    if not hasattr(X, "columns") or not hasattr(X, "shape"):
        return None
    found = {}
    for i, name in enumerate(X.columns):
        kind = str(getattr(X[name], "dtype", "")).lower()
        if not kind.startswith(_KINDS):
            continue
        values = np.asarray(X[name], dtype=object)
        if kind == "object" and not any(isinstance(value, str) for value in values):
            continue
        found[i] = np.unique(values[~_missing(values)].astype(str))
    return found or None


def require(X: Any) -> None:
    """Refuse what can't have categorical columns.

    Raises
    ------
    ValueError
        If X is no frame.
    """
    if not hasattr(X, "columns"):
        raise ValueError(
            "X must be a DataFrame, as in fit, whose categorical columns are told by their dtype. "
            f"Received: {type(X).__name__}"
        )


def encoded(X: Any, categories: dict[int, Array]) -> Array:
    """The frame as numbers: zeros where a category is missing or was not seen.

    Raises
    ------
    ValueError
        If another column holds no numbers.
    """
    parts = []
    for i, name in enumerate(X.columns):
        if i in categories:
            values = np.asarray(X[name], dtype=object)
            known = np.where(_missing(values), "", values.astype(str))
            parts.append((known[:, None] == categories[i]) & ~_missing(values)[:, None])
            continue
        try:
            parts.append(np.asarray(X[name], dtype=np.float64)[:, None])
        except (TypeError, ValueError):
            raise ValueError(
                f"column {name!r} must hold numbers, as in fit. Received: dtype {X[name].dtype}"
            ) from None
    return np.hstack(parts)


def _missing(values: Array) -> Array:
    return np.array(
        [value is None or value != value or type(value).__name__ == "NAType" for value in values],
        bool,
    )
