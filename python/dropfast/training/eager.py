"""Layer 6: a layer that is made of others, called on arrays: the graph that its `call` says."""

from __future__ import annotations

from typing import Any

import numpy as np

from dropfast.arrays import Array, as_numeric
from dropfast.graph import Graph, trace
from dropfast.graph.symbolic import flatten, like
from dropfast.layers.base import Layer, Passage, check_rows_of
from dropfast.random import Key
from dropfast.training.walk import backward, forward, outputs_of, places_of


def run(owner: Layer, x: Any, training: bool, key: Key | None, first_row: int = 0) -> Any:
    """Send a batch through a composite layer."""
    arrays = [as_numeric("x", part) for part in flatten(x)]
    wide = all(array.dtype == np.float64 for array in arrays)
    dtype = owner.dtype or ("float64" if wide else "float32")
    graph = _graph_for(owner, like(x, [(None, *array.shape[1:]) for array in arrays]), dtype)
    if graph.inference is not None and not training:
        graph = graph.inference
    places = places_of(graph)
    passages = []
    for place in places:
        acts = place.acts[not training]
        passage = Passage(acts, None, place.layer.rate_at(0, 0), first_row=first_row)
        if first_row and acts:
            check_rows_of(place.layer, first_row)
        if acts and place.layer.stochastic:
            first = Key(owner._seed(), 0, owner._calls) if key is None else key
            passage.key = Key(first.seed, first.stream + place.index, first.step)
        passages.append(passage)
    if training and key is None:
        owner._calls += 1
    values = forward(places, [np.asarray(array, dtype) for array in arrays], passages)
    owner._last = Passage(training, saved=(graph, places, passages, values))
    found = [values[number] for number in outputs_of(graph)]
    return like(graph.outputs, found)


def _graph_for(owner: Layer, shapes: Any, dtype: str) -> Graph:
    def build(layer: Layer, shape: Any) -> None:
        layer.build_once(shape, dtype)

    if not owner.built:
        owner.build_once(shapes, dtype)
    return trace(owner, shapes, build)


def run_back(owner: Layer, grad: Any) -> Any:
    """Gradients of the inputs of the latest call; those of weights go to the layers inside."""
    if owner._last is None:
        raise RuntimeError(f"layer {owner.name!r} must be called before backward(grad)")
    graph, places, passages, values = owner._last.saved
    gradients: dict[int, Array] = {}
    for number, part in zip(outputs_of(graph), flatten(grad), strict=True):
        array = np.asarray(part, values[number].dtype)
        gradients[number] = gradients[number] + array if number in gradients else array
    found = backward(places, len(graph.sources), gradients, passages)
    for place in places:
        place.layer.gradients = {}
    for place, passage in zip(places, passages, strict=True):
        for name, part in passage.gradients.items():
            known = place.layer.gradients.get(name)
            place.layer.gradients[name] = part if known is None else known + part
    zeros = [found.get(i, np.zeros_like(values[i])) for i in range(len(graph.sources))]
    return like(graph.inputs, zeros)
