"""Layer 7: models of Keras' configs as rows and graphs of layers.

Models inside models are taken apart: what comes out is one graph of layers. Each layer remembers
its address in Keras' model, by which its weights are found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dropfast import layers
from dropfast.converters.keras_calls import Ref, call_of, keys, list_of, structure
from dropfast.converters.keras_objects import dtype_of, entry_of, layer_of
from dropfast.converters.keras_operations import group_name, is_operation, run_operation
from dropfast.graph import SymbolicTensor
from dropfast.graph.symbolic import flatten
from dropfast.layers.base import Layer
from dropfast.layers.input import row_shape
from dropfast.models.describing import MOST_LAYERS
from dropfast.models.stack import free_name

_MODELS = ("Sequential", "Functional", "Model")
# Name, and name of the class: how a layer is found in each of Keras' files.
Address = tuple[tuple[str, str], ...]


@dataclass
class Parts:
    """The layers of a model that are made so far.

    Attributes
    ----------
    outer
        Names that the model's own layers have, and those of models inside it can't.
    addresses
        Address of each layer by its identity.
    dtypes
        Dtypes that layers of the config name.
    """

    outer: frozenset[str]
    addresses: dict[int, Address] = field(default_factory=dict)
    dtypes: set[str] = field(default_factory=set)
    _taken: set[str] = field(default_factory=set)

    def leaf(self, entry: Any, address: Address) -> Layer:
        """Make one layer, under a name that no other has."""
        layer = layer_of(entry)
        path = [name for name, _ in address]
        taken = self._taken | self.outer if len(path) > 1 else self._taken
        while layer.name in taken and len(path) > 1:
            path.pop()
            layer.name = "_".join([path[-1], layer.name])
        if layer.name in taken:
            raise ValueError(f"names of layers must differ. Received: {layer.name!r} twice")
        self._claim(layer.name)
        dtype = dtype_of(entry["config"].get("dtype"), layer.name)
        if dtype is not None:
            self.dtypes.add(dtype)
        self.addresses[id(layer)] = address
        return layer

    def named(self, layer: Layer, name: str) -> None:
        """Name a layer that stands for an operation."""
        layer.name = free_name(name, self._taken)
        self._claim(layer.name)

    def _claim(self, name: str) -> None:
        self._taken.add(name)
        if len(self._taken) > MOST_LAYERS:
            raise ValueError(f"layers must be at most {MOST_LAYERS}. Received: more")


def parts_for(entry: Any) -> Parts:
    """Nothing yet, for a model."""
    return Parts(
        frozenset(address[0][0] for _, address in children(entry["config"], ()) if address)
    )


def is_model(entry: Any) -> bool:
    """Whether an entry of a config is a model itself."""
    return isinstance(entry, Mapping) and entry.get("class_name") in _MODELS


def is_row(entry: Any) -> bool:
    """Whether a model is a Sequential of layers and of Sequentials."""
    if entry.get("class_name") != "Sequential":
        return False
    return all(is_row(e) for e in list_of(entry["config"], "layers") if is_model(e))


def children(config: Any, above: Address) -> Iterator[tuple[Any, Address]]:
    """Entries of a model's layers with their addresses; inputs and operations have none."""
    counts: dict[str, int] = {}
    for entry in list_of(config, "layers"):
        class_name, inner = entry_of(entry, "a layer")
        if class_name == "InputLayer" or is_operation(entry):
            yield entry, above
            continue
        name = inner.get("name", entry.get("name"))
        if not isinstance(name, str):
            raise ValueError(f"a layer of class {class_name} must have a name. Received: {name!r}")
        group = group_name(class_name)
        number = counts.get(group, 0)
        counts[group] = number + 1
        yield entry, (*above, (name, f"{group}_{number}" if number else group))


def row(entry: Any, parts: Parts, above: Address = ()) -> list[Layer]:
    """The layers of a Sequential, those of Sequentials inside it too."""
    found: list[Layer] = []
    for inner, address in children(entry["config"], above):
        if is_model(inner):
            found += row(inner, parts, address)
        elif inner["class_name"] != "InputLayer":
            found.append(parts.leaf(inner, address))
    return found


def first_shape(entry: Any) -> tuple[int, ...]:
    """Shape of a row that a Sequential takes.

    Raises
    ------
    ValueError
        If the config does not say it: then the model was never built.
    """
    config = entry["config"]
    first = next(iter(list_of(config, "layers")), None)
    places = [config, entry.get("build_config")]
    while isinstance(first, Mapping):
        inner = first.get("config")
        places += [inner, first.get("build_config")]
        first = next(iter(list_of(inner, "layers")), None) if is_model(first) else None
    for place in places:
        for key in ("build_input_shape", "batch_shape", "batch_input_shape", "input_shape"):
            shape = place.get(key) if isinstance(place, Mapping) else None
            if isinstance(shape, list) and len(shape) > 1:
                return row_shape(shape[1:])
    raise ValueError("model must be built, so that it has weights. Received: no input shape")


def functional(entry: Any, parts: Parts) -> tuple[Any, Any]:
    """Inputs and outputs of a model, symbolic, nested as Keras' model takes and returns them."""
    if entry["class_name"] == "Sequential":
        shape = first_shape(entry)
        given = layers.Input(shape)
        return given, _sequence(entry, parts, ())(given)
    config = entry["config"]
    made: dict[str, SymbolicTensor] = {}
    for inner in list_of(config, "layers"):
        if isinstance(inner, Mapping) and inner.get("class_name") == "InputLayer":
            _, own = entry_of(inner, "an input")
            shape = own.get("batch_shape", own.get("batch_input_shape"))
            if not isinstance(shape, list) or len(shape) < 2:
                raise ValueError(f"an input must have a shape. Received: {shape!r}")
            made[str(own.get("name"))] = layers.Input(row_shape(shape[1:]), name=own.get("name"))
    inputs = _unwrapped(structure(config.get("input_layers"), lambda key: _known(made, key[0])))
    return inputs, _unwrapped(_Walk(config, parts, (), made).outputs())


def _sequence(entry: Any, parts: Parts, above: Address) -> Callable[[Any], Any]:
    """What a Sequential does to a tensor; its layers are made once."""
    steps = [
        _step(inner, parts, address)
        for inner, address in children(entry["config"], above)
        if inner["class_name"] != "InputLayer"
    ]

    def run(x: Any) -> Any:
        for step in steps:
            x = step(x)
        return x

    return run


def _step(entry: Any, parts: Parts, address: Address) -> Callable[..., Any]:
    """What calls a layer, a model or an operation."""
    if is_operation(entry):

        def operate(*x: Any) -> Any:
            result = run_operation(entry, *x)
            parts.named(result.call.layer, str(entry["config"].get("name", entry.get("name"))))
            return result

        return operate
    if not is_model(entry):
        return parts.leaf(entry, address)
    if entry["class_name"] == "Sequential":
        return _sequence(entry, parts, address)
    config = entry["config"]
    walk = _Walk(config, parts, address, {})

    def run(x: Any) -> Any:
        names = [key[0] for key in keys(config.get("input_layers"))]
        if isinstance(x, Mapping) and isinstance(config.get("input_layers"), Mapping):
            x = [x[name] for name in config["input_layers"]]
        tensors = flatten(x)
        if len(tensors) != len(names):
            raise ValueError(
                f"model {config.get('name')!r} must be called on {len(names)} tensors. "
                f"Received: {len(tensors)}"
            )
        return walk.outputs(dict(zip(names, tensors, strict=True)))

    return run


class _Walk:
    """A functional model's calls, made anew on any tensors; its layers are made once."""

    def __init__(
        self, config: Any, parts: Parts, above: Address, inputs: dict[str, SymbolicTensor]
    ) -> None:
        self.config, self.inputs = config, inputs
        self.steps: list[tuple[str, Callable[..., Any], list[Any], bool]] = []
        for entry, address in children(config, above):
            if entry["class_name"] != "InputLayer":
                name = str(entry.get("name", entry["config"].get("name")))
                plain = not (is_model(entry) or is_operation(entry))
                nodes = list_of(entry, "inbound_nodes")
                self.steps.append((name, _step(entry, parts, address), nodes, plain))

    def outputs(self, inputs: dict[str, SymbolicTensor] | None = None) -> Any:
        """The outputs as they are nested, for these inputs."""
        given = self.inputs if inputs is None else inputs
        known: dict[tuple[str, int], list[Any]] = {(n, 0): [x] for n, x in given.items()}
        waiting = [
            (name, number, step, node, plain)
            for name, step, nodes, plain in self.steps
            for number, node in enumerate(nodes)
        ]
        if len(waiting) > MOST_LAYERS:
            raise ValueError(f"calls must be at most {MOST_LAYERS}. Received: {len(waiting)}")
        while waiting:
            later = []
            for call in waiting:
                name, number, step, node, plain = call
                args, training = call_of(node)
                if any(key[:2] not in known for key in keys(args)):
                    later.append(call)
                    continue
                tensors = [structure(a, lambda key: _tensor(known, key)) for a in args]
                kwargs = {"training": training} if plain and training is not None else {}
                known[name, number] = flatten(step(*tensors, **kwargs))
            if len(later) == len(waiting):
                raise ValueError(
                    "a graph must have no cycle and all its parts. "
                    f"Received: {later[0][0]!r}, whose input nothing gives"
                )
            waiting = later
        return structure(self.config.get("output_layers"), lambda key: _tensor(known, key))


def _known(made: Mapping[str, Any], name: str) -> Any:
    if name not in made:
        raise ValueError(f"input_layers must be among the layers. Received: {name!r}")
    return made[name]


def _tensor(known: Mapping[tuple[str, int], list[Any]], key: Ref) -> Any:
    name, call, output = key
    tensors = known.get((name, call), [])
    if not 0 <= output < len(tensors):
        raise ValueError(f"a tensor must be made by a layer. Received: {list(key)}")
    return tensors[output]


def _unwrapped(found: Any) -> Any:
    """Keras writes one tensor as a list of one."""
    one = isinstance(found, list) and len(found) == 1
    return found[0] if one else found
