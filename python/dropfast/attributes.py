"""Layer 6: attributes of objects that a model is made of: checked when set, and never unnoticed.

What a constructor takes is an attribute, and setting that attribute later is checked by the very
same constructor: a probe of the class is made with the new value in the old one's place. So
whatever a constructor refuses is refused here, with its message and before anything is changed.
What was fixed when weights were made is read-only from then on.

Each accepted change replaces `changes.latest`. A model compares that with what it saw when it made
its plan, which costs nanoseconds, and looks at its layers again before the next step if they
differ.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from typing import Any, ClassVar


class _Changes:
    """Which change was the latest one, in the whole process."""

    __slots__ = ("latest",)

    def __init__(self) -> None:
        # An object of its own for each change: unlike a counter it can't be lost between threads.
        self.latest = object()

    def note(self) -> None:
        """Something was changed."""
        self.latest = object()


changes = _Changes()
# A constructor that sets an attribute twice is not probed again by its own probe.
_thread = threading.local()


class Attributed:
    """Base: settings are constructor arguments that are attributes of the same names."""

    # Arguments of a base's constructor that a subclass decides itself.
    fixed: ClassVar[tuple[str, ...]] = ()
    # Settings that `build` has used up: read-only as soon as `_settled()`.
    until_built: ClassVar[tuple[str, ...]] = ()
    # State, not settings: what models do at every step needs no second look.
    moving: ClassVar[frozenset[str]] = frozenset()
    # Whether plans depend on objects of the class.
    planned: ClassVar[bool] = True
    # Where a class is one of this package's: the one whose constructor checks.
    checked_by: ClassVar[type | None] = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name[0] == "_" or name in type(self).moving:
            object.__setattr__(self, name, value)
            return
        if name in self.__dict__:
            self._set_attribute(name, value)
        else:
            object.__setattr__(self, name, value)
        if type(self).planned:
            changes.note()

    def _set_attribute(self, name: str, value: Any) -> None:
        """Set an attribute that is there already."""
        cls = type(self)
        if value is self.__dict__[name]:
            return
        if name in cls.fixed or (name in _until_built(cls) and self._settled()):
            why = "its class decides it" if name in cls.fixed else "it has been used already"
            raise AttributeError(
                f"{name} of {self!r} is read-only: {why}. Received: {name}={value!r}"
            )
        probe = self._probe(name, value)
        if probe is None:
            object.__setattr__(self, name, value)
            return
        for taken in (name, *cls.fixed):
            if taken in probe.__dict__:
                object.__setattr__(self, taken, probe.__dict__[taken])

    def _settled(self) -> bool:
        """Whether settings of `until_built` have been used."""
        return False

    def _probe(self, name: str, value: Any) -> Attributed | None:
        """Make a new object with one setting changed; None if it is no setting, or not all are."""
        base = type(self).checked_by
        known = {} if base is None else parameters(base)
        if base is None or name not in known:
            return None
        try:
            arguments = {other: getattr(self, other) for other in known}
        except AttributeError:
            # Its constructor is still at work.
            return None
        if getattr(_thread, "probing", False):
            return None
        _thread.probing = True
        try:
            found: Attributed = base(**{**arguments, name: value})
        finally:
            _thread.probing = False
        return found


def _until_built(cls: type) -> set[str]:
    return {name for base in cls.__mro__ for name in vars(base).get("until_built", ())}


_known: dict[type, dict[str, inspect.Parameter]] = {}


def parameters(cls: type[Any]) -> dict[str, inspect.Parameter]:
    """The constructor's parameters by name, with those it hands on through ``**kwargs``."""
    if cls not in _known:
        found: dict[str, inspect.Parameter] = {}
        for parameter in _walk(cls):
            # Where a base has an argument of that name too, the subclass's default counts.
            if parameter.name not in cls.fixed:
                found.setdefault(parameter.name, parameter)
        _known[cls] = found
    return _known[cls]


def _walk(cls: type) -> Iterator[inspect.Parameter]:
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        hands_on = False
        for parameter in list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]:
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                hands_on = True
            elif parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
                yield parameter
        if not hands_on:
            return
