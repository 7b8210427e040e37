"""Layer 6: graphs as plain values for files: layers once each, and calls by number.

A class of one's own that defines `call` is written as the graph that was traced, so a file needs
none of its code; what is read back is a `Model` of that graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dropfast.configurable import deserialize, serialize
from dropfast.graph import Call, Graph, SymbolicTensor
from dropfast.graph.symbolic import flatten, like
from dropfast.layers.base import Layer
from dropfast.layers.input import row_shape

if TYPE_CHECKING:
    from dropfast.training.plan import Plan

# Building takes time that grows with the square of this; no network stacks as many.
MOST_LAYERS = 4096
_KEYS = {"inputs", "layers", "calls", "outputs", "inference"}


def describe_graph(plan: Plan) -> dict[str, Any]:
    """A built model's graph as plain values."""
    graph, frozen = plan.graph, {id(p.layer) for p in plan.places if not p.trainable}
    calls = [*graph.calls, *(() if graph.inference is None else graph.inference.calls)]
    layers = list({id(call.layer): call.layer for call in calls}.values())
    described = []
    for layer in layers:
        entry = serialize(layer)
        if id(layer) in frozen:
            entry["config"]["trainable"] = False
        described.append(entry)
    numbers = {id(layer): i for i, layer in enumerate(layers)}
    inputs = [{"shape": list(s.shape[1:]), "name": s.name} for s in graph.sources]
    found = {
        "inputs": like(graph.inputs, inputs),
        "layers": described,
        **_describe_calls(graph, numbers),
        "inference": None,
    }
    if graph.inference is not None:
        found["inference"] = _describe_calls(graph.inference, numbers)
    return found


def _describe_calls(graph: Graph, layers: dict[int, int]) -> dict[str, Any]:
    values = graph.numbers()
    return {
        "calls": [
            [layers[id(call.layer)], [values[id(s)] for s in call.sources], list(call.acts)]
            for call in graph.calls
        ],
        "outputs": like(graph.outputs, [values[id(result)] for result in graph.results]),
    }


def graph_from_description(config: Any, custom_objects: Mapping[str, Any] | None) -> Graph:
    """The inverse of `describe_graph`; layers are not built.

    Raises
    ------
    ValueError
        If a key is unknown or missing, or a value doesn't fit.
    """
    check_keys("graph", config, _KEYS)
    layers = [deserialize(entry, custom_objects) for entry in _list(config, "layers")]
    for layer in layers:
        if not isinstance(layer, Layer):
            raise ValueError(f"layers of a graph must be layers. Received: {layer!r}")
    inputs = _map(config["inputs"], _input)
    graph = _graph(inputs, layers, config)
    if config["inference"] is not None:
        check_keys("inference", config["inference"], {"calls", "outputs"})
        graph.inference = _graph(_map(config["inputs"], _input), layers, config["inference"])
    return graph


def _input(entry: Any) -> SymbolicTensor:
    check_keys("an input", entry, {"shape", "name"})
    return SymbolicTensor((None, *row_shape(entry["shape"])), str(entry["name"]))


def _map(structure: Any, make: Any) -> Any:
    """Inputs alone, in a list or in a dict by name; an input itself is a dict with a shape."""
    if isinstance(structure, list):
        return [make(entry) for entry in structure]
    if isinstance(structure, Mapping) and set(structure) != {"shape", "name"}:
        return {name: make(entry) for name, entry in structure.items()}
    return make(structure)


def _graph(inputs: Any, layers: list[Layer], config: Mapping[str, Any]) -> Graph:
    values, calls = flatten(inputs), []
    for entry in _list(config, "calls"):
        if not isinstance(entry, list) or len(entry) != 3:
            raise ValueError(f"a call must be [layer, sources, acts]. Received: {entry!r}")
        at, sources, acts = entry
        if not isinstance(sources, list) or not sources or not isinstance(acts, list):
            raise ValueError(f"a call must be [layer, sources, acts]. Received: {entry!r}")
        layer = layers[_number("layer of a call", at, len(layers))]
        taken = tuple(values[_number("source", source, len(values))] for source in sources)
        if [type(flag) for flag in acts] != [bool, bool]:
            raise ValueError(f"acts of a call must be two booleans. Received: {acts!r}")
        call = Call(layer, taken, (acts[0], acts[1]))
        shapes = [source.shape for source in taken]
        if len(shapes) > 1 and not layer.merges:
            raise ValueError(f"layer {layer.name!r} must have one source. Received: {len(shapes)}")
        shape: Any = shapes if layer.merges else shapes[0]
        call.output = SymbolicTensor(layer.compute_output_shape(shape), layer.name, call)
        calls.append(call)
        values.append(call.output)
    ends = flatten(config["outputs"])
    found = [values[_number("output", number, len(values))] for number in ends]
    if not found:
        raise ValueError("outputs of a graph must be given. Received: none")
    return Graph(inputs, like(config["outputs"], found), calls)


def _list(config: Mapping[str, Any], name: str) -> list[Any]:
    found = config[name]
    if not isinstance(found, list) or len(found) > MOST_LAYERS:
        raise ValueError(f"{name} must be a list of at most {MOST_LAYERS}. Received: another")
    return found


def _number(what: str, value: Any, count: int) -> int:
    if type(value) is not int or not 0 <= value < count:
        raise ValueError(f"{what} must be in [0, {count - 1}]. Received: {value!r}")
    return value


def copy_graph(graph: Graph, clone: Callable[[Layer], Layer]) -> Graph:
    """The same graph of other layers, one for each."""
    layers: dict[int, Layer] = {}

    def copied(one: Graph) -> Graph:
        inputs = [SymbolicTensor(source.shape, source.name) for source in one.sources]
        values = dict(zip(map(id, one.sources), inputs, strict=True))
        calls = []
        for call in one.calls:
            if id(call.layer) not in layers:
                layers[id(call.layer)] = clone(call.layer)
            sources = tuple(values[id(source)] for source in call.sources)
            made = Call(layers[id(call.layer)], sources, call.acts)
            made.output = SymbolicTensor(call.output.shape, made.layer.name, made)
            values[id(call.output)] = made.output
            calls.append(made)
        results = [values[id(result)] for result in one.results]
        return Graph(like(one.inputs, inputs), like(one.outputs, results), calls)

    found = copied(graph)
    found.inference = None if graph.inference is None else copied(graph.inference)
    return found


def check_keys(what: str, config: Any, keys: set[str]) -> None:
    """Refuse what is no mapping with just these keys."""
    if not isinstance(config, Mapping):
        raise ValueError(f"{what} must be a mapping. Received: {type(config).__name__}")
    for name in sorted(set(config) ^ keys):
        fault = "unknown" if name in config else "missing"
        raise ValueError(
            f"{what} must have the keys {', '.join(sorted(keys))}. Received: {fault} key {name!r}"
        )
