"""Layer 6: a batch through the places of a graph, and gradients back, one layer after the other.

Values have numbers: the inputs first, then what each place returns. The gradient of a value with
several readers is the sum of theirs, from the last reader to the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dropfast.arrays import Array, Shape
from dropfast.graph import Graph
from dropfast.layers.base import Layer, Passage


@dataclass(frozen=True, eq=False)
class Place:
    """A layer in its position.

    Attributes
    ----------
    index
        Its number, by which it draws.
    layer, input_shapes, output_shape
        What stands there.
    sources
        Numbers of the values it takes.
    acts
        Whether it acts as in training: while a model trains, and at inference.
    scopes
        Models and layers that it is a part of, outermost first.
    """

    index: int
    layer: Layer
    input_shapes: tuple[Shape, ...]
    output_shape: Shape
    sources: tuple[int, ...]
    acts: tuple[bool, bool] = (True, False)
    scopes: tuple[Any, ...] = ()

    @property
    def input_shape(self) -> Shape:
        """The shape of its input, or of the first one."""
        return self.input_shapes[0]

    @property
    def stochastic(self) -> bool:
        """Whether it draws random numbers at some time."""
        return self.layer.stochastic and any(self.acts)

    @property
    def trainable(self) -> bool:
        """Whether training moves its weights."""
        return self.layer.trainable and all(
            scope._trainable if scope.kind == "model" else scope.trainable for scope in self.scopes
        )

    def same(self, other: Place) -> bool:
        """Whether another place computes the same with the same weights."""
        return (
            self.layer is other.layer
            and self.output_shape == other.output_shape
            and (self.sources, self.acts) == (other.sources, other.acts)
            and self.trainable == other.trainable
        )


def places_of(graph: Graph) -> list[Place]:
    """The calls of a graph, in order."""
    numbers = graph.numbers()
    return [
        Place(
            index,
            call.layer,
            tuple(source.shape for source in call.sources),
            call.output.shape,
            tuple(numbers[id(source)] for source in call.sources),
            call.acts,
            call.scopes,
        )
        for index, call in enumerate(graph.calls)
    ]


def outputs_of(graph: Graph) -> list[int]:
    """Numbers of the values that are the outputs."""
    numbers = graph.numbers()
    return [numbers[id(result)] for result in graph.results]


def forward(
    places: Sequence[Place], inputs: Sequence[Array], passages: Sequence[Passage]
) -> list[Array]:
    """All values of a batch."""
    values = list(inputs)
    for place, passage in zip(places, passages, strict=True):
        x: Any = [place.layer.taken(values[source]) for source in place.sources]
        values.append(place.layer.forward(x if place.layer.merges else x[0], passage))
        if place.layer.activity_regularizer is not None:
            passage.activity = values[-1]
    return values


def activity(places: Sequence[Place], passages: Sequence[Passage]) -> float:
    """Sum of the penalties on outputs of a batch, all rows together."""
    return sum(
        place.layer.activity_regularizer(passage.activity)
        for place, passage in zip(places, passages, strict=True)
        if place.layer.activity_regularizer is not None and passage.activity is not None
    )


def backward(
    places: Sequence[Place],
    inputs: int,
    gradients: dict[int, Array],
    passages: Sequence[Passage],
    to_inputs: bool = True,
) -> dict[int, Array]:
    """Gradients of the inputs by number, from those of the outputs; weights' go to `passages`.

    Without `to_inputs` the way back ends where no layer before learns.
    """
    learns = [to_inputs] * inputs
    for place in places:
        before = any(learns[source] for source in place.sources)
        learns.append(before or bool(place.layer._weights))
    for number in reversed(range(len(places))):
        place, passage = places[number], passages[number]
        gradient = gradients.pop(inputs + number, None)
        if gradient is None or not learns[inputs + number]:
            continue
        penalty = place.layer.activity_regularizer
        if penalty is not None and passage.activity is not None:
            rows = gradient.dtype.type(len(gradient))
            gradient = gradient + penalty.gradient(passage.activity) / rows
        gradient = place.layer.taken(np.ascontiguousarray(gradient))
        passage.to_input = any(learns[source] for source in place.sources)
        back = place.layer.gradient(gradient, passage)
        parts = back if place.layer.merges else [back]
        for source, part in zip(place.sources, parts, strict=True):
            known = gradients.get(source)
            gradients[source] = part if known is None else known + part
    return gradients
