"""Layer 6: small helpers under the names that Keras' ``utils`` has."""

from __future__ import annotations

from dropfast.random import set_random_seed
from dropfast.utils.numeric import normalize, to_categorical
from dropfast.utils.plot_model import model_to_dot, plot_model
from dropfast.utils.py_dataset import PyDataset, Sequence

__all__ = [
    "PyDataset",
    "Sequence",
    "model_to_dot",
    "normalize",
    "plot_model",
    "set_random_seed",
    "to_categorical",
]
