"""Layer 6: what a stack of layers amounts to: places, randomness, and whether it runs natively.

A place is a position in ``model.layers``. Its index is the stream of its random numbers, so one
layer object at two places draws two masks.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dropfast import schedules
from dropfast.arrays import Array, Shape
from dropfast.layers import Dense, Flatten, Rescaling
from dropfast.layers.base import Layer, Passage
from dropfast.random import Key
from dropfast.training.exact import exact, why_not


@dataclass(frozen=True, eq=False)
class Place:
    """A layer in its position."""

    index: int
    layer: Layer
    input_shape: Shape
    output_shape: Shape


@dataclass(frozen=True, eq=False)
class Plan:
    """Places of a built model, and what follows from them.

    Attributes
    ----------
    places
        All of them, in order.
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

    places: Sequence[Place]
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
            all(a.layer is b.layer and a.output_shape == b.output_shape for a, b in pairs)
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
    def stochastic(self) -> list[Place]:
        """The places that draw random numbers."""
        return [place for place in self.places if place.layer.stochastic]

    @property
    def moving(self) -> bool:
        """Whether a schedule moves a rate."""
        return any(
            isinstance(getattr(place.layer, "rate", None), schedules.Schedule)
            for place in self.stochastic
        )

    def keys(self, seed: int, domain: int = 0, step: int = 0) -> list[Key]:
        """Where each stochastic place draws."""
        found = []
        for place in self.stochastic:
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


def make_plan(
    layers: Sequence[Layer], input_shape: Shape, rows_per_mask: int, trainable: bool = True
) -> Plan:
    """Look at built layers.

    Parameters
    ----------
    layers
        In order.
    input_shape
        Of the first one, with None for the batch.
    rows_per_mask
        For layers that set none of their own.
    trainable
        False freezes all of them.
    """
    _check_names(layers)
    places, shape = [], input_shape
    for index, layer in enumerate(layers):
        output = layer.compute_output_shape(shape)
        places.append(Place(index, layer, shape, output))
        shape = output
    preparation = _preparation(layers)
    program: list[dict[str, Any]] = []
    obstacle = _shared(layers)
    for place in places[preparation:]:
        if isinstance(place.layer, Flatten) and exact(place.layer):
            continue
        why = why_not(place.layer)
        described = None if why else place.layer.native(place.input_shape)
        if described is None:
            why = f": {why}" if why else ""
            obstacle = obstacle or f"layer {place.index} ({place.layer.name}){why}"
            break
        if described["kind"] == "rescaling" and program:
            obstacle = obstacle or f"layer {place.index} ({place.layer.name}), which is not first"
        if described["kind"] == "dropout":
            described.setdefault("rows_per_mask", rows_per_mask)
        program.append(described)
    if not obstacle and len(shape) != 2:
        obstacle = "outputs that are no vectors"
    if not obstacle and not any(described["kind"] == "dense" for described in program):
        obstacle = "a stack without Dense"
    frozen = "" if trainable else "the model, which is frozen"
    for place in places[preparation:]:
        if place.layer.weights and not place.layer.trainable:
            frozen = frozen or f"layer {place.index} ({place.layer.name}), which is frozen"
    if obstacle:
        program = []
    preparing = repr(layers[:preparation])
    return Plan(places, preparation, preparing, program, obstacle, frozen, rows_per_mask, trainable)


def _preparation(layers: Sequence[Layer]) -> int:
    """How many layers at the start only prepare data; none if the network does it itself."""
    count = 0
    while count < len(layers) and _prepares(layers[count]):
        count += 1
    # The native network rescales once, while it gathers rows; frozen weights are foreign to it.
    rescalings = sum(isinstance(layer, Rescaling) for layer in layers[:count])
    frozen = any(layer.weights for layer in layers[:count])
    if frozen and not any(isinstance(layer, Dense) for layer in layers[count:]):
        count = next(i for i, layer in enumerate(layers) if layer.weights)
        frozen = False
    return count if rescalings > 1 or frozen else 0


def _prepares(layer: Layer) -> bool:
    """Whether a layer at the start gives a row the same values in every epoch."""
    if not exact(layer):
        return False
    return isinstance(layer, Flatten | Rescaling) or (
        type(layer) is Dense and not layer.trainable and exact(layer.activation)
    )


def _check_names(layers: Sequence[Layer]) -> None:
    """Refuse two layers of one name, which `get_layer` and messages couldn't tell apart."""
    named: dict[str, Layer] = {}
    for layer in layers:
        if named.setdefault(layer.name, layer) is not layer:
            raise ValueError(
                "names of layers must differ within a model. "
                f"Received: {layer.name!r} for two layers"
            )


def _shared(layers: Sequence[Layer]) -> str:
    """A layer with weights that stands twice, if there is one."""
    for index, layer in enumerate(layers):
        if layer.weights and any(layer is other for other in layers[:index]):
            return f"layer {index} ({layer.name}), which shares weights"
    return ""


def features(shape: Shape) -> int:
    """Numbers in one row."""
    return math.prod(size for size in shape[1:] if size is not None)
