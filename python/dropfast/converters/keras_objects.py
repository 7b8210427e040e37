"""Layer 7: what stands in Keras' configs as objects of this package: layers, losses and the rest.

Configs are read as data. Nothing in them is executed: a Lambda layer, whose config is code, is
refused like any other layer without a counterpart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dropfast import constraints, initializers, layers, losses, metrics, optimizers, regularizers
from dropfast.attributes import parameters
from dropfast.layers.base import Layer

_ROOMS: dict[str, Any] = {
    "initializer": initializers,
    "regularizer": regularizers,
    "constraint": constraints,
    "loss": losses,
    "metric": metrics,
    "optimizer": optimizers,
    "schedule": optimizers.schedules,
}
# What a config says beside the layer's own arguments, without effect here or read elsewhere.
_ELSEWHERE = {
    *("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape"),
    *("input_length", "quantization_config", "synchronized", "renorm_momentum"),
    *("jit_compile", "is_legacy_optimizer"),
}
# Values that say nothing where this package has no such argument.
_PLAIN = {
    "reduction": ("sum_over_batch_size", "auto", "mean"),
    "axis": (-1,),
    "ema_momentum": (0.99,),
    "data_format": ("channels_last",),
}
_OLD_NAMES = {"LeakyReLU": {"alpha": "negative_slope"}}
_PACKAGES = ("keras", "tf_keras", "tensorflow")
# Layers whose config is code, and what a file of Keras can't mean by these names.
_NEVER = {"Lambda", "Layer", "Input", "DropConnect", "Passage"}


def entry_of(value: Any, what: str) -> tuple[str, Mapping[str, Any]]:
    """Class name and config of something in a config.

    Raises
    ------
    ValueError
        If it has none, or the class is not one of Keras' own.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("class_name"), str):
        raise ValueError(f"{what} must have a class_name. Received: {_short(value)}")
    name, config = value["class_name"], value.get("config")
    module, registered = value.get("module"), value.get("registered_name")
    own = isinstance(module, str) and module.split(".")[0] not in _PACKAGES
    package = isinstance(registered, str) and ">" in registered
    if own or package or (module is None and isinstance(registered, str)):
        raise ValueError(
            f"{what} must be of a class of Keras' own. Received: {registered or name} "
            f"of module {module!r}"
        )
    if not isinstance(config, Mapping):
        raise ValueError(f"{what} must have a config. Received: {_short(config)}")
    return name, config


def layer_of(value: Any) -> Layer:
    """The layer that an entry of Keras' config describes, not built.

    Raises
    ------
    ValueError
        If there is no counterpart for its class or one of its settings; both are named.
    """
    class_name, config = entry_of(value, "a layer")
    name = config.get("name", value.get("name"))
    what = f"layer {name!r} of class {class_name}"
    cls = getattr(layers, class_name, None) if class_name not in _NEVER else None
    if not isinstance(cls, type) or not issubclass(cls, Layer) or class_name not in layers.__all__:
        raise ValueError(f"{what} has no counterpart in dropfast")
    dtype_of(config.get("dtype"), what)
    arguments = _arguments(cls, config, what)
    if not isinstance(arguments.get("seed", 0), int | None):
        # A generator's state is no seed of ours.
        del arguments["seed"]
    try:
        layer = cls(**arguments, name=name, trainable=bool(config.get("trainable", True)))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{what}: {error}") from error
    return layer


def dtype_of(policy: Any, what: str) -> str | None:
    """The dtype of a layer; None where the config names none.

    Raises
    ------
    ValueError
        If it is not float32 or float64.
    """
    if isinstance(policy, Mapping):
        inner = policy.get("config")
        policy = inner.get("name") if isinstance(inner, Mapping) else None
    if policy not in (None, "float32", "float64"):
        raise ValueError(f"{what} must have dtype float32 or float64. Received: {_short(policy)}")
    found: str | None = policy
    return found


def _arguments(cls: type, config: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Constructor arguments; what the class doesn't know must say nothing."""
    known, found = parameters(cls), {}
    old = _OLD_NAMES.get(cls.__name__, {})
    for key, value in config.items():
        here = old.get(key, key)
        if here in known and here not in ("name", "trainable", "dtype"):
            found[here] = _value(here, value, f"{key} of {what}")
        elif key not in _ELSEWHERE and value and value not in _PLAIN.get(key, ()):
            raise ValueError(f"{key} of {what} has no counterpart. Received: {_short(value)}")
    return {key: value for key, value in found.items() if value is not _DEFAULT}


_DEFAULT = object()


def _value(key: str, value: Any, what: str) -> Any:
    """One argument of a constructor."""
    if isinstance(value, list):
        return tuple(_value(key, part, what) for part in value)
    if isinstance(value, Mapping) and value.get("class_name") == "__tuple__":
        return tuple(value.get("items") or value.get("config") or ())
    if key.endswith("_initializer"):
        # Weights are there already: an initializer without a counterpart changes nothing.
        try:
            return initializers.get(
                value if isinstance(value, str) else _made("initializer", value)
            )
        except (ValueError, TypeError):
            return _DEFAULT
    if key == "activation":
        return _activation(value, what)
    if key == "learning_rate" and isinstance(value, float):
        # Keras keeps it in float32 and writes 0.0010000000474974513 for 0.001.
        short = float(str(np.float32(value)))
        return short if np.float32(short) == value else value
    if isinstance(value, Mapping):
        kind = "schedule" if key == "learning_rate" else key.rpartition("_")[2]
        return None if key == "seed" else _made(kind, value)
    return value


def _activation(value: Any, what: str) -> Any:
    """The name or function of an activation; a layer that is one gives its own."""
    if value is None or isinstance(value, str):
        return value
    if _is_function(value):
        return value["config"]
    name, _ = entry_of(value, what)
    if name in ("LeakyReLU", "ELU", "ReLU", "Softmax"):
        found: Any = layer_of(value)
        return found.activation
    raise ValueError(f"{what} has no counterpart. Received: {name}")


def _is_function(value: Any) -> bool:
    """Whether an entry names a function of Keras' own."""
    return (
        isinstance(value, Mapping)
        and value.get("class_name") == "function"
        and isinstance(value.get("config"), str)
    )


def _made(kind: str, value: Any) -> Any:
    """An object of one of our rooms."""
    if kind not in _ROOMS:
        raise ValueError(f"{kind} must be a plain value. Received: {_short(value)}")
    class_name, config = entry_of(value, kind)
    cls = getattr(_ROOMS[kind], class_name, None)
    if not isinstance(cls, type) or cls.__name__ != class_name:
        raise ValueError(f"{kind} {class_name} has no counterpart in dropfast")
    arguments = _arguments(cls, config, f"{kind} {class_name}")
    if kind in ("loss", "metric") and isinstance(config.get("name"), str):
        arguments |= {"name": config["name"]} if "name" in parameters(cls) else {}
    return cls(**arguments)


def compile_arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """What `compile` takes, from Keras' compile config or training config.

    Raises
    ------
    ValueError
        If something has no counterpart.
    """
    optimizer = config.get("optimizer", config.get("optimizer_config"))
    found = {
        "optimizer": optimizer if isinstance(optimizer, str) else _made("optimizer", optimizer),
        "loss": _each("loss", config.get("loss")),
        "loss_weights": config.get("loss_weights"),
        "metrics": _each("metric", config.get("metrics")),
        "weighted_metrics": _each("metric", config.get("weighted_metrics")),
    }
    return {key: value for key, value in found.items() if value is not None}


def _each(kind: str, value: Any) -> Any:
    """Losses or metrics: one, or lists and dicts of them by output."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return [_each(kind, part) for part in value]
    if _is_function(value):
        return value["config"]
    if "class_name" not in value:
        return {name: _each(kind, part) for name, part in value.items()}
    if value["class_name"] in ("MeanMetricWrapper", "LossFunctionWrapper"):
        _, config = entry_of(value, kind)
        return _each(kind, config.get("fn"))
    return _made(kind, value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
