"""Layer 6: checks of settings that constructors share; each returns the value as it is kept."""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

_T = TypeVar("_T")


def check_flag(name: str, value: Any) -> bool:
    """True or False, and nothing that only looks like it.

    Raises
    ------
    ValueError
        If it is something else.

    Examples
    --------
    >>> check_flag("shuffle", 1)
    True
    """
    if isinstance(value, bool | np.bool_) or (type(value) is int and value in (0, 1)):
        return bool(value)
    raise ValueError(f"{name} must be True or False. Received: {name}={value!r}")


def check_name(name: Any, what: str = "name") -> str:
    """A string that is not empty.

    Raises
    ------
    ValueError
        If it is something else.

    Examples
    --------
    >>> check_name("hidden")
    'hidden'
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"{what} must be a string that is not empty. Received: {what}={name!r}")
    return str(name)


def check_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """One of some strings.

    Raises
    ------
    ValueError
        If it is something else.

    Examples
    --------
    >>> check_choice("mode", "min", ["auto", "min", "max"])
    'min'
    """
    if not isinstance(value, str) or value not in choices:
        known = ", ".join(map(repr, choices[:-1])) + f" or {choices[-1]!r}"
        raise ValueError(f"{name} must be {known}. Received: {name}={value!r}")
    return value


def check_integer(name: str, value: Any, least: int = 0, most: int | None = None) -> int:
    """An integer in [least, most]; True and 1.0 are none.

    Raises
    ------
    ValueError
        If it is something else.

    Examples
    --------
    >>> check_integer("epochs", 3)
    3
    """
    try:
        bad = isinstance(value, bool | np.bool_ | np.ndarray)
        number = least - 1 if bad else operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or (most is not None and number > most):
        kind = {0: "an integer >= 0", 1: "a positive integer"}.get(least, f"an integer >= {least}")
        kind = kind if most is None else f"an integer in [{least}, {most}]"
        raise ValueError(f"{name} must be {kind}. Received: {name}={value!r}")
    return number


def check_number(
    name: str,
    value: Any,
    least: float = -math.inf,
    below: float = math.inf,
    *,
    positive: bool = False,
) -> float:
    """A finite number in [least, below), or above 0 if it has to be positive.

    Raises
    ------
    ValueError
        If it is something else.

    Examples
    --------
    >>> check_number("momentum", 0.9, 0.0, below=1.0)
    0.9
    """
    number = as_number(value)
    if positive:
        good, kind = 0.0 < number < below, "positive"
    else:
        good = -math.inf < number < below and number >= least
        kind = "a finite number" if least == -math.inf else f"at least {least:g} and finite"
    if below != math.inf:
        kind = f"in {'(' if positive else '['}{0.0 if positive else least:g}, {below:g})"
    if not good:
        raise ValueError(f"{name} must be {kind}. Received: {name}={value!r}")
    return operator.index(value) if isinstance(value, int | np.integer) else number


def as_number(value: Any) -> float:
    """A real number as a float; NaN for everything else, such as True, "1" or an array."""
    if isinstance(value, bool | np.bool_ | str | bytes | bytearray | memoryview):
        return math.nan
    if getattr(value, "ndim", 0):
        return math.nan
    return _of(value)


def _of(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def named(name: str, get: Callable[[Any], _T], value: Any) -> _T:
    """What `get` makes of a value, where an error names the argument that the value came as.

    Examples
    --------
    >>> named("bias_scale", lambda value: check_number("scale", value), 2)
    2
    """
    try:
        return get(value)
    except (ValueError, TypeError) as error:
        if name in str(error):
            raise
        raise type(error)(f"{name}: {error}") from error


def check_path(name: str, value: Any) -> str:
    """A path as a string.

    Raises
    ------
    TypeError
        If it is none.

    Examples
    --------
    >>> check_path("filename", "log.csv")
    'log.csv'
    """
    if not isinstance(value, str | bytes | os.PathLike):
        raise TypeError(f"{name} must be a path. Received: {name}={value!r}")
    return os.fsdecode(value)
