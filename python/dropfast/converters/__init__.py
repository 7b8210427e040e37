"""Layer 7: models from Keras, PyTorch and scikit-learn, and models for PyTorch and ONNX.

Each converter imports its peer when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dropfast.converters.keras import from_keras

# Name -> the module that holds it.
_NAMES = {
    "from_keras": "keras",
}

__all__ = ["from_keras"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'dropfast.converters' has no attribute {name!r}")
    value = getattr(import_module(f"dropfast.converters.{_NAMES[name]}"), name)
    globals()[name] = value
    return value
