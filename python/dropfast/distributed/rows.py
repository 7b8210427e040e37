"""Layer 7: predictions of dask arrays and frames, block by block, with the bits of one call."""

from __future__ import annotations

from typing import Any

import numpy as np

from dropfast.graph import SymbolicTensor
from dropfast.models.monte_carlo import MonteCarlo
from dropfast.models.predicting import Predicting


def predict(model: Predicting, x: Any) -> Any:
    """Outputs without dropout of a dask array or frame, lazily, a block of rows at a time.

    Parameters
    ----------
    model
        Built, with one output; it is sent to each worker once.
    x
        A dask array of at least two axes, or a dask data frame.

    Returns
    -------
    dask.array.Array
        What ``model.predict`` gives for all rows at once, to the bit.

    Raises
    ------
    ValueError
        If the model has several outputs or `x` isn't a dask collection.
    """
    import dask.array as da
    from dask import delayed

    rows = _rows(x, known=False)
    units, dtype = _outputs(model), np.dtype(model.dtype)
    sent = delayed(model, pure=True)
    parts = [
        da.from_delayed(delayed(_predict)(sent, block), (size, *units), dtype)
        for block, size in zip(_blocks(rows), rows.chunks[0], strict=True)
    ]
    return da.concatenate(parts, allow_unknown_chunksizes=True)


def predict_mc(model: Predicting, x: Any, samples: int = 100, **settings: Any) -> MonteCarlo:
    """Monte Carlo predictions of a dask array or frame, lazily, a block of rows at a time.

    Parameters
    ----------
    model, x
        As `predict`. Chunks must be known, since rows draw by their numbers; those of a frame are
        counted first.
    samples, **settings
        As `Sequential.predict_mc`: `first_sample`, `key`, `consistent`.

    Returns
    -------
    MonteCarlo
        Its mean and standard deviation are dask arrays: those of one call, to the bit.

    Raises
    ------
    ValueError
        If chunks are unknown, the model has several outputs or `x` isn't a dask collection.
    """
    import dask.array as da
    from dask import delayed

    unknown = set(settings) - {"first_sample", "key", "consistent", "first_row"}
    if unknown:
        raise ValueError(
            "settings must be first_row, first_sample, key or consistent for dask collections. "
            f"Received: {', '.join(sorted(unknown))}"
        )
    rows = _rows(x, known=True)
    units, sent = _outputs(model), delayed(model, pure=True)
    first = settings.pop("first_row", 0)
    means: list[Any] = []
    stds: list[Any] = []
    for block, size in zip(_blocks(rows), rows.chunks[0], strict=True):
        found = delayed(_predict_mc, nout=2)(sent, block, samples, first, settings)
        for parts, part in zip((means, stds), found, strict=True):
            parts.append(da.from_delayed(part, (size, *units), np.float64))
        first += size
    return MonteCarlo(da.concatenate(means), da.concatenate(stds))


def _predict(model: Predicting, x: Any) -> Any:
    if len(x) == 0:
        return np.empty((0, *_outputs(model)), model.dtype)
    return model.predict(x)


def _predict_mc(model: Predicting, x: Any, samples: int, first: int, settings: Any) -> Any:
    if len(x) == 0:
        empty = np.empty((0, *_outputs(model)))
        return empty, empty
    found = model.predict_mc(x, samples=samples, first_row=first, **settings)
    return found.mean, found.std


def _rows(x: Any, known: bool) -> Any:
    """A dask array whose blocks are whole rows."""
    rows = x.to_dask_array(lengths=known or None) if hasattr(x, "to_dask_array") else x
    if not hasattr(rows, "chunks") or not hasattr(rows, "rechunk"):
        raise ValueError(f"x must be a dask array or frame. Received: a {type(x).__name__}")
    if rows.ndim < 2:
        raise ValueError(f"x must have rows and at least one more axis. Received: {rows.ndim} axes")
    if known and np.isnan(rows.chunks[0]).any():
        raise ValueError(
            "x must have known chunks, since rows draw by their numbers: x.compute_chunk_sizes(). "
            "Received: chunks of unknown size"
        )
    return rows.rechunk(dict.fromkeys(range(1, rows.ndim), -1))


def _blocks(rows: Any) -> Any:
    return rows.to_delayed().reshape(-1)


def _outputs(model: Predicting) -> tuple[int, ...]:
    if not isinstance(model.plan.graph.outputs, SymbolicTensor):
        raise ValueError(
            "model must have one output for dask collections. Received: several outputs"
        )
    return tuple(size or 1 for size in model.output_shape[1:])
