"""Layer 6: Keras' ``saving``: files of models, and names of one's own that they may hold."""

from __future__ import annotations

from typing import Any

from dropfast.customs import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    register_keras_serializable,
)
from dropfast.models import Model, load_model, save_model

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "get_custom_objects",
    "load_model",
    "load_weights",
    "register_keras_serializable",
    "save_model",
    "save_weights",
]


def save_weights(model: Model, filepath: Any, overwrite: bool = True) -> None:
    """Write a model's weights; see `dropfast.Model.save_weights`."""
    model.save_weights(filepath, overwrite)


def load_weights(model: Model, filepath: Any) -> None:
    """Read weights into a model; see `dropfast.Model.load_weights`."""
    model.load_weights(filepath)
