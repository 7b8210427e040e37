"""Layer 6: the state of a fit in a file: what an interrupted one goes on from.

Unlike a model's file it describes no layers, so it holds for models that can't be described too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from dropfast.arrays import Array
from dropfast.layers.weight import Weight, copy_weights
from dropfast.models import files
from dropfast.models.saving import read_file, write_file
from dropfast.optimizers.schedules import LearningRateSchedule

if TYPE_CHECKING:
    from dropfast.models.model import Model

_COUNTS = ("epoch", "batch", "iterations", "epochs_done", "calls", "seed")


def save_state(model: Model, filepath: files.Path, epoch: int, batch: int) -> None:
    """Write all that training moves, and where it stands.

    Parameters
    ----------
    model
        Compiled and built.
    filepath
        File to write.
    epoch, batch
        What comes next.
    """
    with model._turn.reading:
        model.optimizer.settle()
        rate = model.optimizer.learning_rate
        state = {
            "epoch": epoch,
            "batch": batch,
            "iterations": model.optimizer.iterations,
            "epochs_done": model.epochs_done,
            "calls": model.calls,
            "seed": model.seed,
            "learning_rate": None if isinstance(rate, LearningRateSchedule) else rate,
        }
        arrays = {f"state.{i}": array for i, array in enumerate(_arrays(model))}
        write_file(filepath, arrays, {"state": json.dumps(state)})


def load_state(model: Model, filepath: files.Path) -> tuple[int, int]:
    """Take a state that was saved, and return the epoch and the batch that come next.

    Raises
    ------
    ValueError
        If the file is damaged or of another model; nothing is changed then.
    """
    metadata, arrays = read_file(filepath)
    state = _checked(metadata.get("state", ""), filepath)
    own = [Weight(f"state.{i}", array, None, None, False) for i, array in enumerate(_arrays(model))]
    missing = [weight.name for weight in own if weight.name not in arrays]
    if missing or len(arrays) != len(own):
        raise ValueError(
            f"backup must be of this model, with {len(own)} arrays. Received: {len(arrays)}"
        )
    copy_weights("the model of the backup", own, [arrays[weight.name] for weight in own])
    model.epochs_done, model.calls = state["epochs_done"], state["calls"]
    model.optimizer.iterations = state["iterations"]
    if model.seed != state["seed"]:
        model.seed = state["seed"]
    if isinstance(state["learning_rate"], float):
        model.optimizer.learning_rate = state["learning_rate"]
    return state["epoch"], state["batch"]


def _arrays(model: Model) -> list[Array]:
    slots = [array for slot in model.optimizer.state for array in slot]
    return [*model.weights, *slots]


def _checked(text: str, filepath: files.Path) -> dict[str, Any]:
    """The counts of a file, each a whole number."""
    try:
        state = json.loads(text)
        counts = [state[name] for name in _COUNTS]
        rate = state["learning_rate"]
    except (ValueError, TypeError, KeyError):
        counts, rate, state = [None], None, {}
    sound = all(type(count) is int and 0 <= count < 2**64 for count in counts)
    if not sound or not (rate is None or (type(rate) is float and 0 <= rate < np.inf)):
        raise ValueError(f"filepath must hold the state of a fit. Received: {filepath!r}")
    found: dict[str, Any] = state
    return found
