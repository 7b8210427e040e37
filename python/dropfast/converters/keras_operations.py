"""Layer 7: operations in Keras' graphs: x + y, 2 * x, activations called as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dropfast import activations, layers


def group_name(name: str) -> str:
    """Keras' names for groups of weights: "PReLU" is "p_re_lu"."""
    out = ""
    for i, letter in enumerate(name):
        before, after = name[i - 1 : i], name[i + 1 : i + 2]
        starts = letter.isupper() and (before.islower() or after.islower())
        out += f"_{letter}" if starts and i else letter
    return out.lower()


def is_operation(entry: Any) -> bool:
    """Whether an entry stands for an operation, not for a layer."""
    module, name = str(entry.get("module") or ""), entry["class_name"]
    if module.startswith(("keras.src.ops", "keras.ops")) or name == "TFOpLambda":
        return True
    # HDF5 files don't tell an operation from the layer of its name, but a layer has a dtype.
    plain = not module and name not in ("Sequential", "Functional", "Model", "InputLayer")
    return plain and not {"trainable", "dtype"} & entry["config"].keys()


def run_operation(entry: Any, *x: Any) -> Any:
    """What an operation makes of tensors and numbers: a layer's output.

    Raises
    ------
    ValueError
        If no layer does the same.
    """
    config = entry["config"]
    name = entry["class_name"]
    if name == "TFOpLambda":
        name = str(config.get("function", "")).rpartition(".")[2].title().replace("_", "")
    make = _OPERATIONS.get(name)
    known = {"name", "function", "approximate", "alpha", "negative_slope", "axis"}
    odd = [k for k, v in config.items() if k not in known and v]
    if odd or (make is None and config.get("axis", -1) != -1):
        raise ValueError(
            f"{(odd or ['axis'])[0]} of operation {name} has no counterpart in dropfast"
        )
    try:
        if make is not None:
            return make(config, *x)
        (tensor,) = x
        options = {k: config[k] for k in ("alpha", "negative_slope", "approximate") if k in config}
        return activations.Function(group_name(name), **options)(tensor)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"operation {config.get('name', name)!r} of class {name} has no counterpart in "
            f"dropfast: {error}"
        ) from error


def _two(kind: str) -> Callable[..., Any]:
    def merged(config: Any, a: Any, b: Any) -> Any:
        return getattr(layers, kind)()([a, b])

    return merged


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "Add": lambda config, a, b: a + b,
    "Addv2": lambda config, a, b: a + b,
    "Subtract": lambda config, a, b: a - b,
    "Multiply": lambda config, a, b: a * b,
    "Divide": lambda config, a, b: a / b,
    "TrueDivide": lambda config, a, b: a / b,
    "Truediv": lambda config, a, b: a / b,
    "Negative": lambda config, a: -a,
    "Maximum": _two("Maximum"),
    "Minimum": _two("Minimum"),
    "Concatenate": lambda config, xs: layers.Concatenate(config.get("axis", 0))(xs),
}
