"""Layer 6: inputs and outputs in lists and dicts, as the one array that everything else takes.

Several inputs are the columns of one array of rows, and so are several targets and predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dropfast.arrays import Array, Shape, check_finite
from dropfast.checks import as_number
from dropfast.graph import Graph, SymbolicTensor
from dropfast.graph.symbolic import flatten, like
from dropfast.losses import Loss
from dropfast.models.data import check_x, check_y
from dropfast.models.monte_carlo import MonteCarlo
from dropfast.pieces import Pieces, in_pieces
from dropfast.training.columns import Columns
from dropfast.training.several import Part


class Packed(np.ndarray[Any, Any]):
    """Several arrays of a user side by side: an array that needs no second look."""


class _SideBySide:
    """Several inputs as the columns of one, some of which are read piece by piece."""

    def __init__(self, arrays: Sequence[Any], columns: Columns, dtype: Any) -> None:
        self.arrays, self.columns, self.dtype = arrays, columns, np.dtype(dtype)
        self.shape = (len(arrays[0]), *(columns.shape[1:]))

    def __getitem__(self, rows: slice) -> Array:
        return self.columns.join([np.asarray(array[rows], self.dtype) for array in self.arrays])


def is_structure(x: Any) -> bool:
    """Whether a user gives several inputs: a dict, or a list or tuple of arrays."""
    if isinstance(x, Mapping):
        return True
    if not isinstance(x, list | tuple) or not x:
        return False
    return all(hasattr(part, "shape") and len(part.shape) > 1 for part in x)


def shapes_of(x: Any) -> Any:
    """Shapes of batches for a model that is not built: one for each input."""
    shapes = [
        in_pieces(part).shape if hasattr(part, "shape") else np.shape(part) for part in flatten(x)
    ]
    return like(x, [(None, *(shape[1:] or (1,))) for shape in shapes])


def pack_inputs(x: Any, graph: Graph, columns: Columns, dtype: Any, name: str = "x") -> Any:
    """What a user gives for the inputs of a model, as one array.

    Raises
    ------
    ValueError
        If an input is missing, or one has another shape or number of rows.
    """
    ready = isinstance(x, Pieces) and isinstance(x.source, _SideBySide)
    if (
        ready
        or isinstance(x, Packed)
        or (isinstance(graph.inputs, SymbolicTensor) and _is_plain(x))
    ):
        return x
    names = input_names(graph)
    parts = _chosen(name, "input", x, names)
    arrays = [
        check_x(part, source.shape, f"{name}[{key!r}]")
        for part, source, key in zip(parts, graph.sources, names, strict=True)
    ]
    check_rows(name, names, arrays)
    if len(arrays) == 1:
        return arrays[0]
    for array, key in zip(arrays, names, strict=True):
        check_finite(f"{name}[{key!r}]", array)
    if any(isinstance(array, Pieces) for array in arrays):
        return Pieces(_SideBySide(arrays, columns, dtype))
    return columns.join([np.asarray(array, dtype) for array in arrays]).view(Packed)


def _is_plain(x: Any) -> bool:
    return not isinstance(x, Mapping)


def _chosen(what: str, kind: str, x: Any, names: Sequence[str], data: bool = True) -> list[Any]:
    """What a user gives, in the order of the model's own inputs or outputs.

    A list may be the rows of one array, but not where it holds no `data`.
    """
    if isinstance(x, Mapping):
        missing = [name for name in names if name not in x]
        unknown = [name for name in x if name not in names]
        if missing or unknown:
            fault = f"without {missing[0]!r}" if missing else f"with {unknown[0]!r}"
            raise ValueError(
                f"{what} must have one entry for each {kind}: {', '.join(names)}. "
                f"Received: a dict {fault}"
            )
        return [x[name] for name in names]
    if len(names) == 1 and (data or not isinstance(x, list | tuple)) and not is_structure(x):
        return [x]
    if not isinstance(x, list | tuple) or len(x) != len(names):
        count = len(x) if isinstance(x, list | tuple) else type(x).__name__
        raise ValueError(
            f"{what} must be a list of {len(names)} arrays, one for each {kind}: "
            f"{', '.join(names)}. Received: {count}"
        )
    return list(x)


def check_rows(what: str, names: Sequence[str], arrays: Sequence[Array]) -> None:
    """Refuse arrays of different lengths."""
    counts = [len(array) for array in arrays]
    if len(set(counts)) > 1:
        shown = ", ".join(f"{name} {n}" for name, n in zip(names, counts, strict=True))
        raise ValueError(f"{what} must have as many rows in each array. Received: {shown}")


def input_names(graph: Graph) -> list[str]:
    """Names of the inputs: keys of a dict, or those given to `Input`."""
    if isinstance(graph.inputs, Mapping):
        return list(graph.inputs)
    return _unique([source.name for source in graph.sources])


def output_names(graph: Graph) -> list[str]:
    """Names of the outputs: keys of a dict, or those of the layers that make them."""
    if isinstance(graph.outputs, Mapping):
        return list(graph.outputs)
    names = []
    for result in graph.results:
        call = result.call
        maker = None if call is None else call.scopes[0] if call.scopes else call.layer
        names.append(result.name if maker is None else maker.name)
    return _unique(names)


def _unique(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        free, count = name, 0
        while free in found:
            count += 1
            free = f"{name}_{count}"
        found.append(free)
    return found


def parts_of(
    graph: Graph, columns: Columns, losses: Any, weights: Any, required: bool = True
) -> list[Part]:
    """The outputs of a model with their losses.

    Raises
    ------
    ValueError
        If an output has no loss, or one is given for no output.
    """
    names = output_names(graph)
    if isinstance(losses, Loss):
        losses = [losses] * len(names)
    chosen = _chosen("loss", "output", losses, names, data=False)
    if all(loss is None for loss in chosen):
        raise ValueError("loss must be given for one output at least. Received: None for all")
    factors = [1.0] * len(names)
    if weights is not None:
        factors = [
            _factor(w) for w in _chosen("loss_weights", "output", weights, names, data=False)
        ]
    parts, at = [], 0
    for i, (name, loss) in enumerate(zip(names, chosen, strict=True)):
        shape = columns.shapes[i]
        start, end = columns.starts[i], columns.ends[i]
        labels = loss is not None and loss.target == "labels"
        width = 0 if loss is None else 1 if labels else end - start
        parts.append(Part(name, loss, factors[i], shape, slice(start, end), slice(at, at + width)))
        at += width
    return parts


def _factor(weight: Any) -> float:
    if not 0.0 <= as_number(weight) < np.inf:
        raise ValueError(f"loss_weights must be numbers. Received: {weight!r}")
    return float(weight)


def pack_targets(y: Any, rows: int, parts: Sequence[Part], name: str = "y") -> Array:
    """Targets of several outputs as one float64 array [n, columns].

    Raises
    ------
    ValueError
        If one is missing, or has another shape or number of rows.
    """
    if isinstance(y, Packed):
        return y
    names = [part.name for part in parts]
    if isinstance(y, Mapping):
        needed = [part.name for part in parts if part.loss is not None]
        y = {**{name: None for name in names if name not in needed}, **y}
    given = _chosen(name, "output", y, names)
    found = [np.zeros((rows, 0))]
    for part, targets in zip(parts, given, strict=True):
        if part.loss is None:
            continue
        if targets is None:
            raise ValueError(f"{name}[{part.name!r}] must be given. Received: None")
        shape: Shape = (None, *part.shape)
        array = check_y(targets, rows, part.loss, shape, np.float64, f"{name}[{part.name!r}]")
        found.append(array.reshape(rows, -1).astype(np.float64))
    return np.concatenate(found, axis=1).view(Packed)


def answer(graph: Graph, columns: Columns, rows: Array) -> Any:
    """Outputs as the model was made: alone, or in a list, tuple or dict."""
    if isinstance(graph.outputs, SymbolicTensor):
        return rows
    return like(graph.outputs, columns.split(rows))


def answers(graph: Graph, columns: Columns, found: MonteCarlo) -> Any:
    """Monte Carlo statistics of each output.

    Raises
    ------
    ValueError
        If information is wanted of outputs side by side, which are no probabilities together.
    """
    if isinstance(graph.outputs, SymbolicTensor):
        return found
    return like(graph.outputs, found._outputs(columns, _cut))


def _cut(array: Array, columns: Columns) -> list[Array]:
    """The outputs along the last axis."""
    if len(columns) == 1:
        return [array]
    cuts = zip(columns.starts, columns.ends, columns.shapes, strict=True)
    return [array[..., a:b].reshape(*array.shape[:-1], *shape) for a, b, shape in cuts]
