"""Layer 6: arguments of layers under the names that Keras 2 and its tutorials give them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from dropfast.arrays import Shape, shape_text


def renamed(owner: str, old: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Arguments under their present names; an old name gives a DeprecationWarning.

    Parameters
    ----------
    owner
        Whose arguments they are.
    old
        What came beside the arguments that the constructor knows.
    names
        Old name -> present name.
    """
    found = {}
    for name, value in old.items():
        if name in names:
            warnings.warn(
                f"{name} of {owner} is now called {names[name]}", DeprecationWarning, stacklevel=4
            )
        found[names.get(name, name)] = value
    return found


def row_shape(owner: str, given: dict[str, Any]) -> tuple[int, ...] | None:
    """The shape of a row that a first layer is given, or None.

    Parameters
    ----------
    owner
        The layer's class.
    given
        ``input_shape``, ``batch_input_shape``, ``batch_shape`` or ``input_dim``; nothing else.

    Raises
    ------
    TypeError
        If there is another argument.
    ValueError
        If the shape isn't one of positive integers.
    """
    rest = dict(given)
    if "input_dim" in rest:
        warnings.warn(
            "input_dim is now called input_shape: input_dim=8 is input_shape=(8,)",
            DeprecationWarning,
            stacklevel=4,
        )
        rest["input_shape"] = (rest.pop("input_dim"),)
    for name in ("batch_input_shape", "batch_shape"):
        if name in rest:
            rest["input_shape"] = tuple(rest.pop(name))[1:]
    shape = rest.pop("input_shape", None)
    if rest:
        name = next(iter(rest))
        raise TypeError(f"{owner} got an unexpected argument. Received: {name}={rest[name]!r}")
    if shape is None:
        return None
    sizes = (shape,) if hasattr(shape, "__index__") else tuple(shape)
    if not sizes or not all(hasattr(size, "__index__") and size > 0 for size in sizes):
        raise ValueError(
            f"input_shape must hold positive integers. Received: input_shape={shape!r}"
        )
    return tuple(int(size) for size in sizes)


def last_axis(axis: Any) -> int:
    """An axis as Keras' normalisations take it: an int, or a list of one."""
    given = axis
    if isinstance(axis, list | tuple) and len(axis) == 1:
        axis = axis[0]
    if not hasattr(axis, "__index__") or isinstance(axis, bool):
        raise ValueError(f"axis must be an integer. Received: axis={given!r}")
    return int(axis)


def check_last_axis(axis: int, input_shape: Shape) -> None:
    """Refuse any axis but the last.

    Raises
    ------
    ValueError
        If it is another.
    """
    if axis not in (-1, len(input_shape) - 1):
        raise ValueError(
            f"axis must be the last of inputs of shape {shape_text(input_shape)}. "
            f"Received: axis={axis}"
        )
