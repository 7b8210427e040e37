"""Layer 6: a model that comes out of a pickle can be trained, wherever its arrays lie.

Workers get large arrays as read-only memory maps or buffers (joblib, Ray, pickle protocol 5), and
buffers at odd addresses. Those are copied; a layer's attributes, the model's weights and the
optimizer go on to share one array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dropfast.arrays import Array, zeros

if TYPE_CHECKING:
    from dropfast.models.stack import Stack


def restore_writable(model: Stack) -> None:
    """Give the model arrays of its own for those that can't be written."""
    copies: dict[int, tuple[Array, Array]] = {}

    def own(array: Any) -> Any:
        if not isinstance(array, np.ndarray) or _usable(array):
            return array
        if id(array) not in copies:
            made = zeros(array.shape, array.dtype)
            made[...] = array
            # The first is kept, so that nothing else gets its identity.
            copies[id(array)] = array, made
        return copies[id(array)][1]

    for layer in model._leaves():
        for weight in layer._weights:
            weight.value = own(weight.value)
        for name, value in vars(layer).items():
            if isinstance(value, np.ndarray):
                vars(layer)[name] = own(value)
    optimizer = getattr(model, "_optimizer", None)
    if optimizer is not None:
        optimizer._params = [own(array) for array in optimizer._params]
        optimizer.state = [[own(array) for array in slot] for slot in optimizer.state]
        optimizer._counter = own(optimizer._counter)


def _usable(array: Array) -> bool:
    return array.flags.writeable and array.flags.aligned and array.flags.c_contiguous
