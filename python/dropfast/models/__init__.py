"""Layer 6: models: Sequential, and what it is made of."""

from __future__ import annotations

from dropfast.models.cloning import clone_model, model_from_json
from dropfast.models.model import Model
from dropfast.models.monte_carlo import MonteCarlo
from dropfast.models.saving import load_model, save_model
from dropfast.models.sequential import Sequential

__all__ = [
    "Model",
    "MonteCarlo",
    "Sequential",
    "clone_model",
    "load_model",
    "model_from_json",
    "save_model",
]
