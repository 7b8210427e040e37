"""Layer 6: classes and functions of one's own that files may name without `custom_objects`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")

_objects: dict[str, Any] = {}


def get_custom_objects() -> dict[str, Any]:
    """The classes and functions that are known by name, to look at or to change."""
    return _objects


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[_T], _T]:
    """Decorate a class or function, so that files may name it.

    Parameters
    ----------
    package
        For compatibility, without effect.
    name
        For compatibility; must be the object's own name, by which files know it.

    Raises
    ------
    ValueError
        If the name is another one.

    Examples
    --------
    >>> import dropfast as df
    >>> @df.saving.register_keras_serializable()
    ... class Twice(df.layers.Layer):
    ...     def forward(self, x, passage):
    ...         return 2 * x
    ...     def gradient(self, grad, passage):
    ...         return 2 * grad
    >>> df.saving.get_custom_objects().pop("Twice").__name__
    'Twice'
    """

    def note(thing: _T) -> _T:
        own = getattr(thing, "__name__", "")
        if name not in (None, own):
            raise ValueError(f"name must be {own!r}, as files say. Received: name={name!r}")
        _objects[own] = thing
        return thing

    return note


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any]) -> Iterator[None]:
    """Know some names inside a ``with`` block.

    Parameters
    ----------
    custom_objects
        Name -> class or function.
    """
    before = dict(_objects)
    _objects.update(custom_objects)
    try:
        yield
    finally:
        _objects.clear()
        _objects.update(before)


CustomObjectScope = custom_object_scope
