"""Layer 7: models from Keras, PyTorch and scikit-learn, and models for PyTorch and ONNX.

Each converter imports its peer when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dropfast.converters.keras import from_keras
    from dropfast.converters.onnx_export import export
    from dropfast.converters.sklearn import from_sklearn
    from dropfast.converters.torch_in import from_torch
    from dropfast.converters.torch_out import to_torch

# Name -> the module that holds it, and the peer that this needs.
_NAMES = {
    "export": ("onnx_export", "onnx"),
    "from_keras": ("keras", "keras"),
    "from_sklearn": ("sklearn", "sklearn"),
    "from_torch": ("torch_in", "torch"),
    "to_torch": ("torch_out", "torch"),
}

__all__ = ["export", "from_keras", "from_sklearn", "from_torch", "to_torch"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'dropfast.converters' has no attribute {name!r}")
    module, peer = _NAMES[name]
    try:
        value = getattr(import_module(f"dropfast.converters.{module}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != peer:
            raise
        raise ModuleNotFoundError(
            f"{name} needs {peer}: pip install 'dropfast[{peer}]'", name=peer
        ) from error
    globals()[name] = value
    return value
