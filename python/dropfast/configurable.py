"""Layer 6: objects described by their constructor's arguments: configs, names, `repr`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from dropfast.arrays import writable
from dropfast.attributes import Attributed, parameters
from dropfast.customs import get_custom_objects

_T = TypeVar("_T", bound="Configurable")

# Classes of this package by kind and name; a file can name these and nothing else.
_registry: dict[str, type[Configurable]] = {}


class Configurable(Attributed):
    """Base of everything a model is made of.

    A subclass stores each constructor argument under the argument's own name. From that follow
    `get_config`, `from_config`, `repr`, and that the attribute may be set later.
    """

    kind: ClassVar[str] = "object"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__module__.startswith("dropfast.") and not cls.__name__.startswith("_")
        # A model inside a model's file would be one more way to claim memory.
        if own and cls.kind != "model":
            name = f"{cls.kind}.{cls.__name__}"
            if _registry.get(name, cls).__module__ != cls.__module__:
                raise TypeError(f"{name} is the name of a class of {_registry[name].__module__}")
            _registry[name] = cls
            cls.checked_by = cls

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(writable(state))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values that JSON can hold."""
        return {name: serialize(self._shown(name)) for name in parameters(type(self))}

    @classmethod
    def from_config(
        cls: type[_T],
        config: Mapping[str, Any],
        custom_objects: Mapping[str, Any] | None = None,
    ) -> _T:
        """Make an object from what `get_config` returned.

        Parameters
        ----------
        config
            Argument names and values.
        custom_objects
            Classes and functions of your own that the config names.

        Raises
        ------
        ValueError
            If the config has a key that the constructor doesn't know, or lacks one.
        """
        known = parameters(cls)
        unknown = sorted(set(config) - set(known))
        if unknown:
            raise ValueError(
                f"config of {cls.__name__} must have no keys but {', '.join(known)}. "
                f"Received: {', '.join(map(repr, unknown))}"
            )
        arguments = {name: deserialize(value, custom_objects) for name, value in config.items()}
        missing = [
            name
            for name, parameter in known.items()
            if parameter.default is inspect.Parameter.empty and name not in arguments
        ]
        if missing:
            raise ValueError(
                f"config of {cls.__name__} must have a key {missing[0]!r}. "
                f"Received keys: {', '.join(arguments) or 'none'}"
            )
        return cls(**arguments)

    def stands_for(self, identifier: Any) -> bool:
        """Whether a constructor's default is this object."""
        return _short(self) == repr(identifier)

    def _shown(self, name: str) -> Any:
        """Value of a constructor's argument, for configs and `repr`."""
        return getattr(self, name)

    def __repr__(self) -> str:
        shown: list[str] = []
        for name, parameter in parameters(type(self)).items():
            value, default = self._shown(name), parameter.default
            if default is inspect.Parameter.empty:
                shown.append(f"{value!r}" if not shown else f"{name}={value!r}")
            elif not _same(value, default):
                shown.append(f"{name}={_short(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"


def registered(cls: type) -> bool:
    """Whether a class is one of this package's public ones itself, not derived from one."""
    kind = getattr(cls, "kind", "")
    return _registry.get(f"{kind}.{cls.__name__}") is cls


def _same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    if isinstance(value, Configurable):
        return value.stands_for(default)
    return bool(np.array_equal(value, default)) if value is not None else False


def _short(value: Any) -> str:
    """A configurable without arguments that differ from its defaults is shown by its name."""
    if isinstance(value, Configurable):
        text = repr(value)
        return repr(snake_case(text[:-2])) if text.endswith("()") else text
    return repr(value)


def snake_case(name: str) -> str:
    """Turn "GlorotUniform" into "glorot_uniform" and "ELU" into "elu"."""
    name = name.replace("RMSprop", "Rmsprop")
    name = re.sub(r"([a-z0-9])([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name).lower()


def serialize(value: Any) -> Any:
    """A value of a config as JSON can hold it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Configurable):
        cls = type(value)
        name = f"{cls.kind}.{cls.__name__}" if registered(cls) else f"custom.{cls.__name__}"
        return {"class": name, "config": value.get_config()}
    if isinstance(value, Mapping):
        return {str(key): serialize(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [serialize(item) for item in value]
    if callable(value) and hasattr(value, "__name__"):
        return {"class": f"custom.{value.__name__}", "config": None}
    raise TypeError(
        f"a config must hold numbers, strings, lists and configurable objects. Received: {value!r}"
    )


def deserialize(value: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The inverse of `serialize`.

    Raises
    ------
    ValueError
        If a class is unknown or a config does not fit its class.
    """
    if isinstance(value, list):
        return [deserialize(item, custom_objects) for item in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) != {"class", "config"}:
        return {key: deserialize(item, custom_objects) for key, item in value.items()}
    name, config = value["class"], value["config"]
    if isinstance(name, str) and name.startswith("custom."):
        return _custom(name.removeprefix("custom."), config, custom_objects or {})
    if not isinstance(name, str) or name not in _registry or not isinstance(config, Mapping):
        raise ValueError(f"config must name a known class. Received: {name!r}")
    return _registry[name].from_config(config, custom_objects)


def _custom(name: str, config: Any, custom_objects: Mapping[str, Any]) -> Any:
    custom_objects = {**get_custom_objects(), **custom_objects}
    if name not in custom_objects:
        raise ValueError(
            f"custom_objects must hold {name!r}, which the config uses. "
            f"Received: {', '.join(custom_objects) or 'none'}"
        )
    thing = custom_objects[name]
    if config is None:
        return thing
    if not (isinstance(thing, type) and issubclass(thing, Configurable)):
        raise ValueError(
            f"custom_objects[{name!r}] must be a class with from_config. Received: {thing!r}"
        )
    return thing.from_config(config, custom_objects)


def _normal(name: str) -> str:
    return name.replace("_", "").lower()


def resolve(kind: str, identifier: Any, aliases: Mapping[str, str] | None = None) -> Any:
    """The object that a user names: by string, class, config or the object itself.

    Parameters
    ----------
    kind
        "optimizer", "loss" and so on: the `kind` of the classes looked at.
    identifier
        What the user gave.
    aliases
        Further names, each with the class name it stands for.

    Raises
    ------
    ValueError
        If nothing has that name or it is something else.
    """
    if isinstance(identifier, Mapping):
        identifier = deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Configurable):
        identifier = identifier()
    if isinstance(identifier, Configurable) and identifier.kind == kind:
        return identifier
    names = {
        _normal(cls.__name__): cls
        for name, cls in _registry.items()
        if name.startswith(f"{kind}.") and _normal(cls.__name__) != kind
    }
    if isinstance(identifier, str):
        name = _normal((aliases or {}).get(identifier.lower(), identifier))
        if name in names:
            return names[name]()
    known = sorted(snake_case(cls.__name__) for cls in names.values())
    raise ValueError(
        f"{kind} must be an object of that kind or one of {', '.join(known)}. "
        f"Received: {kind}={identifier!r}"
    )
