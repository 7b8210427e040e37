"""Layer 6: one array of weights, and copying into several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dropfast import constraints, regularizers
from dropfast.arrays import Array, assign, shape_text, writable


@dataclass(eq=False)
class Weight:
    """One array of weights with what acts on it in training."""

    name: str
    value: Array
    regularizer: regularizers.Regularizer | None = None
    constraint: constraints.Constraint | None = None
    trainable: bool = True

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(writable(state))


def copy_weights(owner: str, own: Sequence[Weight], weights: Sequence[ArrayLike]) -> None:
    """Copy arrays into weights, all at once; checks all before it changes one."""
    if len(weights) != len(own):
        raise ValueError(
            f"weights of {owner} must be {len(own)} arrays. Received: {len(weights)} arrays"
        )
    arrays = [np.asarray(array) for array in weights]
    for i, (weight, array) in enumerate(zip(own, arrays, strict=True)):
        if array.shape != weight.value.shape:
            raise ValueError(
                f"weights[{i}] of {owner} ({weight.name}) must have shape "
                f"{shape_text(weight.value.shape)}. Received: shape {shape_text(array.shape)}"
            )
        if array.dtype.kind not in "fiub":
            raise TypeError(f"weights[{i}] must hold numbers. Received: dtype={array.dtype}")
    targets = [weight.value for weight in own]
    sources = [array.astype(w.dtype, "C") for w, array in zip(targets, arrays, strict=True)]
    assign(zip(targets, sources, strict=True))
