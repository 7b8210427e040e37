"""Layer 7: one epoch of training in an order given, and losses and outputs without dropout.

scikit-learn divides the losses of a batch by the sum of its weights; the engine divides by the
number of rows. `per_batch` scales weights from one to the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from dropfast.arrays import Array
from dropfast.models import Sequential
from dropfast.training.engine import Run

# Sparse rows are made dense in pieces of this size.
_DENSE_BYTES = 1 << 25
# Python looks for Ctrl-C as often as this.
_MILLISECONDS = 100


def per_batch(weights: Array, order: NDArray[np.int64], size: int) -> Array:
    """Weights whose mean over the rows of each batch is 1.

    Parameters
    ----------
    weights
        One positive weight a row.
    order
        Row numbers as they will be trained on.
    size
        Rows of a batch.
    """
    starts = np.arange(0, len(order), size)
    picked = weights[order].astype(np.float64)
    counts = np.diff(np.append(starts, len(order)))
    scale = np.repeat(counts / np.add.reduceat(picked, starts), counts)
    found = np.empty_like(weights)
    found[order] = picked * scale
    return found


def train(
    model: Sequential,
    x: Any,
    y: Array,
    weights: Array | None,
    order: NDArray[np.int64],
    size: int,
    epoch: int,
) -> float:
    """Train on rows in an order; returns the sum over rows of their batches' losses.

    Parameters
    ----------
    model
        Compiled and built.
    x
        Features in the model's dtype, or a sparse matrix.
    y, weights
        Targets as the loss takes them; a weight for each row, or None.
    order
        Row numbers.
    size
        Rows of a batch.
    epoch
        Number of the epoch, for schedules.
    """
    if not sparse.issparse(x):
        return _train(model, x, y, weights, order, size, epoch)
    total, piece = 0.0, max(_DENSE_BYTES // (8 * x.shape[1] * size), 1) * size
    for start in range(0, len(order), piece):
        rows = order[start : start + piece]
        part = None if weights is None else weights[rows]
        total += _train(
            model, dense(x[rows], model.dtype), y[rows], part, np.arange(len(rows)), size, epoch
        )
    return total


def _train(
    model: Sequential,
    x: Array,
    y: Array,
    weights: Array | None,
    order: NDArray[np.int64],
    size: int,
    epoch: int,
) -> float:
    optimizer, plan, engine = model.optimizer, model.plan, model.trainer()
    batches, done, total = -(-len(order) // size), 0, 0.0
    keys = plan.keys(model.seed)
    while done < batches:
        step, left = optimizer.iterations, batches - done
        run = Run(
            order=order[done * size :],
            start=0,
            batches=left,
            batch_size=size,
            learning_rates=optimizer.learning_rates(step, left),
            keys=keys,
            rates=plan.rates(step, left, epoch),
            first_step=step,
            total=total,
            sample_weight=weights,
            predictions=None,
            milliseconds=_MILLISECONDS,
        )
        steps, total, _ = engine.train(x, y, run, model.loss, optimizer)
        done += steps
    return total


def outputs(model: Sequential, x: Any) -> Array:
    """What the network answers, without dropout; sparse rows a piece at a time."""
    if not sparse.issparse(x):
        return np.asarray(model.predict(np.ascontiguousarray(x, model.dtype)))
    piece = max(_DENSE_BYTES // (8 * x.shape[1]), 1)
    starts = range(0, x.shape[0], piece)
    return np.concatenate(
        [model.predict(dense(x[start : start + piece], model.dtype)) for start in starts]
    )


def dense(x: Any, dtype: Any) -> Array:
    """A sparse matrix or an array as a dense one in C order."""
    found = x.toarray() if sparse.issparse(x) else x
    return np.ascontiguousarray(found, dtype)
