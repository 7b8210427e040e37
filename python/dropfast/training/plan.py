"""Layer 6: what a graph of layers amounts to: places, randomness, and whether it runs natively.

A place is a call of a layer. Its index, in the order of calls, is the stream of its random numbers,
so one layer object at two places draws two masks.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dropfast import schedules
from dropfast.arrays import Array, Shape
from dropfast.graph import Graph
from dropfast.layers import Add, Dense, Flatten, Identity, Normalization, Rescaling, Reshape
from dropfast.layers.base import Passage
from dropfast.random import Key
from dropfast.training.columns import Columns
from dropfast.training.exact import exact, why_not
from dropfast.training.walk import Place, outputs_of, places_of


@dataclass(frozen=True, eq=False)
class Plan:
    """Places of a built model, and what follows from them.

    Attributes
    ----------
    graph
        Where they come from.
    places
        All of them, in order.
    outputs
        Numbers of the values that are the outputs: inputs come first, then places.
    preparation
        Number of places at the start that are left to `prepare`: what doesn't change while a model
        trains is computed once for all epochs.
    preparing
        Those layers in words.
    program
        The places after those in the native network's terms; empty if that can't run them.
    obstacle
        Why it can't, or "".
    frozen
        What keeps it from training natively, though not from answering: a layer that stands still.
    rows_per_mask
        The model's, for layers that set none of their own.
    trainable
        False for a model that is frozen as a whole.
    """

    graph: Graph
    places: Sequence[Place]
    outputs: Sequence[int]
    preparation: int
    preparing: str
    program: Sequence[dict[str, Any]]
    obstacle: str
    frozen: str
    rows_per_mask: int
    trainable: bool

    def same(self, other: Plan | None) -> bool:
        """Whether an engine made for the other plan runs this one too."""
        if other is None or len(self.places) != len(other.places):
            return False
        pairs = zip(self.places, other.places, strict=True)
        return (
            all(a.same(b) for a, b in pairs)
            and list(self.outputs) == list(other.outputs)
            and (self.graph.inference is None) == (other.graph.inference is None)
            and self.preparation == other.preparation
            and self.preparing == other.preparing
            and self.program == other.program
            and self.obstacle == other.obstacle
            and self.frozen == other.frozen
            and self.rows_per_mask == other.rows_per_mask
            and self.trainable == other.trainable
        )

    def prepared_by(self) -> bytes:
        """What the preparation depends on: rows that were prepared are stale when it differs."""
        if not self.preparation:
            return b""
        digest = hashlib.blake2b(self.preparing.encode(), digest_size=16)
        for place in self.places[: self.preparation]:
            for array in place.layer.weights:
                digest.update(np.ascontiguousarray(array).data)
        return digest.digest()

    @property
    def inputs(self) -> int:
        """How many values are given."""
        return len(self.graph.sources)

    @cached_property
    def columns_in(self) -> Columns:
        """Where the inputs lie in a row."""
        return Columns([source.shape for source in self.graph.sources])

    @cached_property
    def columns_out(self) -> Columns:
        """Where the outputs lie in a row."""
        return Columns([result.shape for result in self.graph.results])

    @cached_property
    def inference(self) -> tuple[Sequence[Place], Sequence[int]]:
        """Places and outputs at inference, which are the same ones but for rare `call` methods."""
        other = self.graph.inference
        return (
            (self.places, self.outputs) if other is None else (places_of(other), outputs_of(other))
        )

    @cached_property
    def stochastic(self) -> list[Place]:
        """The places that draw random numbers."""
        return [place for place in self.places if place.stochastic]

    @property
    def draws_always(self) -> bool:
        """Whether a place draws at inference too."""
        return any(place.layer.stochastic and place.acts[1] for place in self.inference[0])

    @property
    def moving(self) -> bool:
        """Whether a schedule moves a rate."""
        return any(
            isinstance(getattr(place.layer, "rate", None), schedules.Schedule)
            for place in self.stochastic
        )

    def keys(self, seed: int, domain: int = 0, step: int = 0) -> list[Key]:
        """Where each stochastic place draws."""
        return self.keys_of(self.stochastic, seed, domain, step)

    @staticmethod
    def keys_of(places: Sequence[Place], seed: int, domain: int = 0, step: int = 0) -> list[Key]:
        """Where some places draw."""
        found = []
        for place in places:
            own: int | None = getattr(place.layer, "seed", None)
            found.append(Key(seed if own is None else own, domain | place.index, step))
        return found

    def rates(self, first_step: int, count: int, epoch: int) -> NDArray[np.float64] | None:
        """Rates of some steps, [count, stochastic places]; None if no schedule moves one."""
        if not self.moving:
            return None
        rows = [
            [place.layer.rate_at(first_step + i, epoch) or 0.0 for place in self.stochastic]
            for i in range(count)
        ]
        return np.array(rows, np.float64).reshape(count, len(self.stochastic))

    def prepare(self, x: Array) -> Array:
        """Rows as the first place after the preparation takes them."""
        for place in self.places[: self.preparation]:
            x = place.layer.forward(x, Passage())
        return x


def make_plan(graph: Graph, rows_per_mask: int, trainable: bool = True) -> Plan:
    """Look at built layers.

    Parameters
    ----------
    graph
        The calls of layers.
    rows_per_mask
        For layers that set none of their own.
    trainable
        False freezes all of them.
    """
    _check_names(graph)
    places, outputs = places_of(graph), outputs_of(graph)
    obstacle = _no_row(graph, outputs) or _shared(places) or _mixed(places)
    preparation = 0 if obstacle else _preparation(places)
    program: list[dict[str, Any]] = []
    # Where the native network has each value: the number of layers of the program behind it.
    known = dict.fromkeys(range(preparation + 1), 0)
    for place in places[preparation:]:
        if obstacle:
            break
        described, obstacle = _described(place, known, len(program))
        if described is not None:
            if described["kind"] == "dropout":
                described.setdefault("rows_per_mask", rows_per_mask)
            program.append(described)
        known[place.index + 1] = len(program)
    if not obstacle and len(graph.results[0].shape) != 2:
        obstacle = "outputs that are no vectors"
    if not obstacle and not any(described["kind"] == "dense" for described in program):
        obstacle = "a stack without Dense"
    if not obstacle and known[outputs[0]] != len(program):
        obstacle = "an output with layers after it"
    frozen = "" if trainable else "the model, which is frozen"
    for place in places[preparation:]:
        if place.layer.weights and not place.trainable:
            frozen = frozen or f"layer {place.index} ({place.layer.name}), which is frozen"
    return Plan(
        graph,
        places,
        outputs,
        preparation,
        repr([place.layer for place in places[:preparation]]),
        [] if obstacle else program,
        obstacle,
        frozen,
        rows_per_mask,
        trainable,
    )


def _described(
    place: Place, known: dict[int, int], count: int
) -> tuple[dict[str, Any] | None, str]:
    """A place in the native network's terms, None where that has nothing to do; and why not.

    The network is a row of layers; beside the value before it, an Add takes an earlier one.
    """
    layer, name = place.layer, f"layer {place.index} ({place.layer.name})"
    sources = [known[source] for source in place.sources]
    if type(layer) is Add and exact(layer):
        if len(sources) != 2 or max(sources) != count or not _alike(place):
            return None, f"{name}, which adds more than an earlier value to the latest"
        return {"kind": "add", "source": min(sources)}, ""
    if layer.merges:
        return None, name
    if sources != [count]:
        return None, f"{name}, which is not in a row"
    if layer.stochastic and place.acts not in ((True, False), (False, False)):
        return None, f"{name}, which acts at inference too"
    idle = not any(place.acts) and layer.idle_at_inference
    if (isinstance(layer, Flatten | Identity | Reshape) and exact(layer)) or idle:
        return None, ""
    why = why_not(layer)
    described = None if why else layer.native(place.input_shape)
    if described is None:
        return None, f"{name}: {why}" if why else name
    if described["kind"] == "rescaling" and count:
        return None, f"{name}, which is not first"
    return described, ""


def _alike(place: Place) -> bool:
    """Whether all that a place takes has one shape."""
    return all(shape == place.output_shape for shape in place.input_shapes)


def _no_row(graph: Graph, outputs: Sequence[int]) -> str:
    """What is more than one way from one input to one output, if anything is."""
    if graph.inference is not None:
        return "a call() that says something else at inference"
    if len(graph.sources) > 1:
        return "several inputs"
    return "several outputs" if len(outputs) > 1 else ""


def _preparation(places: Sequence[Place]) -> int:
    """How many layers at the start only prepare data; none if the network does it itself."""
    count = 0
    while count < len(places) and _prepares(places[count], count):
        count += 1
    # What later places take must be what comes last, and the only thing they take.
    later = [source for place in places[count:] for source in place.sources]
    count = min([count, *later])
    # The native network rescales once, while it gathers rows; frozen weights are foreign to it.
    layers = [place.layer for place in places[:count]]
    rescalings = sum(isinstance(layer, Rescaling) for layer in layers)
    frozen = any(layer.weights or type(layer) is Normalization for layer in layers)
    if frozen and not any(isinstance(place.layer, Dense) for place in places[count:]):
        count = next(
            i for i, layer in enumerate(layers) if layer.weights or type(layer) is Normalization
        )
        frozen = False
    return count if rescalings > 1 or frozen else 0


def _prepares(place: Place, number: int) -> bool:
    """Whether a layer at the start gives a row the same values in every epoch."""
    layer = place.layer
    if place.sources != (number,) or not exact(layer):
        return False
    return isinstance(layer, Flatten | Identity | Normalization | Rescaling | Reshape) or (
        type(layer) is Dense and not place.trainable and exact(layer.activation)
    )


def _check_names(graph: Graph) -> None:
    """Refuse two layers of one name, which `get_layer` and messages couldn't tell apart."""
    named: dict[str, Any] = {}
    for call in graph.calls:
        layer = call.scopes[0] if call.scopes else call.layer
        if named.setdefault(layer.name, layer) is not layer:
            raise ValueError(
                "names of layers must differ within a model. "
                f"Received: {layer.name!r} for two layers"
            )


def _shared(places: Sequence[Place]) -> str:
    """A layer with weights that stands twice, if there is one."""
    for place in places:
        layer = place.layer
        if layer.weights and any(layer is other.layer for other in places[: place.index]):
            return f"layer {place.index} ({layer.name}), which shares weights"
    return ""


def _mixed(places: Sequence[Place]) -> str:
    """A layer that rounds what it takes, if there is one."""
    for place in places:
        if place.layer.mixed:
            return f"layer {place.index} ({place.layer.name}), of policy mixed_bfloat16"
    return ""


def features(shape: Shape) -> int:
    """Numbers in one row."""
    return math.prod(size for size in shape[1:] if size is not None)
