"""Layer 7: a call that fails leaves its estimator as it was; threads while one runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import dropfast


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Take back whatever the block did to an estimator, if it ends with an exception.

    Weights and optimizer state are trained in place, so they are copied where the block goes on
    with them.
    """
    before = dict(vars(estimator))
    model = before.get("model_")
    random_state = before.get("_random_state")
    drawn = None if random_state is None else random_state.get_state()
    if model is not None:
        optimizer, steps = model.optimizer, model.optimizer.iterations
        rate, loss, rows_per_mask = optimizer.learning_rate, model.loss, model.rows_per_mask
        arrays = [*model.weights, *(array for slot in optimizer.state for array in slot)]
        copies = [array.copy() for array in arrays]
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        if random_state is not None:
            random_state.set_state(drawn)
        if model is not None:
            for array, copy in zip(arrays, copies, strict=True):
                np.copyto(array, copy)
            optimizer.iterations, optimizer.learning_rate = steps, rate
            model.compile(optimizer, loss, rows_per_mask=rows_per_mask)
        raise


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Let the native module use so many threads; None leaves it alone."""
    if count is None:
        yield
        return
    before = dropfast.get_num_threads()
    dropfast.set_num_threads(int(count))
    try:
        yield
    finally:
        dropfast.set_num_threads(before)
