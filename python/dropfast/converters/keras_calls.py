"""Layer 7: calls in Keras' configs: what a layer is called on, as Keras 3 and Keras 2 write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def list_of(config: Any, key: str) -> list[Any]:
    """A list in a config."""
    found = config.get(key) if isinstance(config, Mapping) else None
    if not isinstance(found, list):
        raise ValueError(f"{key} of a config must be a list. Received: {type(found).__name__}")
    return found


class Ref(tuple[Any, ...]):
    """Layer name, number of the call and number of its output: a tensor in a config."""


def call_of(node: Any) -> tuple[list[Any], bool | None]:
    """Arguments of a call, tensors in them as `Ref`, and whether it says how it acts.

    Keras 3 writes ``training``, too, but a model's own value always goes first there.
    """
    if isinstance(node, Mapping):
        kwargs = node.get("kwargs") or {}
        for key, value in kwargs.items():
            if key not in ("training", "mask") and value is not None:
                raise ValueError(
                    f"a call must have no argument {key!r}. Received: {str(value)[:60]}"
                )
        return [_decoded(a) for a in list_of(node, "args") if a is not None], None
    if not isinstance(node, list) or not node:
        raise ValueError(f"a call must have arguments. Received: {str(node)[:60]}")
    # Keras 2: a list of [name, call, output, keyword arguments].
    node = [node] if isinstance(node[0], str) else node
    refs: list[Any] = []
    extra: dict[str, Any] = {}
    for key in node:
        refs.append(ref(key))
        if len(key) > 3 and isinstance(key[3], Mapping):
            extra |= key[3]
    training = extra.pop("training", None)
    others = [v for k, v in extra.items() if k not in ("mask", "name") and v is not None]
    others = [ref(v) if isinstance(v, list) and _is_key(v) else v for v in others]
    one: Any = refs[0] if len(refs) == 1 else refs
    return [one, *others], training if isinstance(training, bool) else None


def _decoded(value: Any) -> Any:
    if isinstance(value, Mapping):
        name, config = value.get("class_name"), value.get("config")
        if name == "__keras_tensor__" and isinstance(config, Mapping):
            return ref(config.get("keras_history"))
        if name == "__tuple__":
            return [_decoded(part) for part in value.get("items") or config or ()]
        if name is not None:
            raise ValueError(f"an argument of a call must be a tensor. Received: {name}")
        return {key: _decoded(part) for key, part in value.items()}
    return [_decoded(part) for part in value] if isinstance(value, list) else value


def _is_key(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) >= 3
        and isinstance(value[0], str)
        and all(type(number) is int for number in value[1:3])
    )


def ref(value: Any) -> Ref:
    """A tensor's name in a config."""
    if not _is_key(value):
        raise ValueError(f"a tensor must be [name, call, output]. Received: {str(value)[:60]}")
    return Ref(value[:3])


def structure(value: Any, make: Callable[[Ref], Any]) -> Any:
    """Lists, dicts and tensors of a config, with something else for each tensor."""
    if isinstance(value, Ref) or _is_key(value):
        return make(ref(list(value)))
    if isinstance(value, Mapping):
        return {key: structure(part, make) for key, part in value.items()}
    return [structure(part, make) for part in value] if isinstance(value, list) else value


def keys(value: Any) -> list[Ref]:
    """All tensors in a part of a config."""
    found: list[Ref] = []
    structure(value, found.append)
    return found
