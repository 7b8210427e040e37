"""Layer 6: when the native engine may stand in for an object, and which code would never run.

It may for objects of exactly one of this package's classes, unchanged. A subclass, a class whose
methods were replaced, or an object with methods of its own runs that code, layer by layer. What a
class of one's own defines in vain is refused by name.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

from dropfast.configurable import Configurable, registered

# Methods that Keras calls and no engine here does: what they say would be lost silently.
_NEVER_CALLED = {
    "layer": ("__call__", "train_step"),
    "loss": ("__call__",),
    "optimizer": ("update_step", "apply", "apply_gradients"),
    "model": (
        "__call__",
        "train_step",
        "test_step",
        "predict_step",
        "compute_loss",
        "compute_metrics",
        "make_train_function",
        "make_test_function",
        "make_predict_function",
    ),
}
# A value and its derivative belong together: who changes the first must give the second too.
_TOGETHER = {
    "loss": ("call", "gradient"),
    "regularizer": ("__call__", "gradient"),
    "activation": ("__call__", "backward"),
}
_INSTEAD = {"layer": "forward(x, passage) and gradient(grad, passage)", "model": "layers"}


def why_not(thing: Configurable) -> str:
    """Why the native engine can't stand in for an object; "" if it can.

    Examples
    --------
    >>> import dropfast as df
    >>> from dropfast.training.exact import why_not
    >>> layer = df.layers.Dropout(0.5)
    >>> why_not(layer)
    ''
    >>> layer.forward = lambda x, passage: x
    >>> why_not(layer)
    'forward of this Dropout was replaced'
    """
    cls = type(thing)
    if not registered(cls):
        return f"class {cls.__name__} is not one of dropfast"
    for name in vars(thing):
        if callable(getattr(cls, name, None)):
            return f"{name} of this {cls.__name__} was replaced"
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] == "dropfast":
            for name, value in vars(base).items():
                foreign = isinstance(value, FunctionType) and not _ours(value)
                if foreign:
                    return f"{name} of class {base.__name__} was replaced"
    return ""


def exact(thing: Configurable) -> bool:
    """Whether the native engine can stand in for an object."""
    return not why_not(thing)


def check_own(thing: Configurable) -> None:
    """Refuse a class of one's own whose code would never run, or whose derivative is another's.

    Raises
    ------
    TypeError
        If there is such a method; the message names it.
    """
    cls, kind = type(thing), type(thing).kind
    for name in _NEVER_CALLED.get(kind, ()):
        definer = _definer(thing, name)
        if definer is not None and not _ours(definer):
            instead = f"define {_INSTEAD[kind]} instead" if kind in _INSTEAD else "leave it out"
            raise TypeError(
                f"{kind} of class {cls.__name__} must not define {name}(), which is never "
                f"called: {instead}. Received: {cls.__name__}.{name}"
            )
    value, derivative = _TOGETHER.get(kind, ("", ""))
    if value and _depth(cls, value) < _depth(cls, derivative):
        raise TypeError(
            f"{kind} of class {cls.__name__} must define {derivative}() beside {value}(): the "
            f"inherited one belongs to another formula. Received: {cls.__name__}.{value} alone"
        )


def _definer(thing: Any, name: str) -> Any:
    """The function that a name stands for, on the object or in its class."""
    return vars(thing).get(name, getattr(type(thing), name, None))


def _depth(cls: type, name: str) -> int:
    """How far up the bases a method is defined."""
    return next((i for i, base in enumerate(cls.__mro__) if name in vars(base)), len(cls.__mro__))


def _ours(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).partition(".")[0] == "dropfast"
