"""Layer 6: small helpers under the names that Keras' ``utils`` has."""

from __future__ import annotations

from dropfast.backend import clear_session, is_keras_tensor
from dropfast.customs import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    register_keras_serializable,
)
from dropfast.random import set_random_seed
from dropfast.utils.numeric import normalize, to_categorical
from dropfast.utils.packing import pack_x_y_sample_weight, unpack_x_y_sample_weight
from dropfast.utils.plot_model import model_to_dot, plot_model
from dropfast.utils.py_dataset import PyDataset, Sequence

__all__ = [
    "CustomObjectScope",
    "PyDataset",
    "Sequence",
    "clear_session",
    "custom_object_scope",
    "get_custom_objects",
    "is_keras_tensor",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "plot_model",
    "register_keras_serializable",
    "set_random_seed",
    "to_categorical",
    "unpack_x_y_sample_weight",
]
