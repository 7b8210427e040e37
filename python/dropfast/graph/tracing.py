"""Layer 6: recording what is called on symbolic tensors, and the graph that comes of it.

A `call()` method of one's own is traced twice, with training True and False. Where both say the
same but for what `training` does, they are one graph; a layer that only drops in training may be
missing from the second.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import local
from typing import Any

from dropfast.arrays import Shape
from dropfast.graph.symbolic import Call, SymbolicTensor, flatten, like

# Makes the weights of a layer for the shape of its input.
Builder = Callable[[Any, Shape], None]


@dataclass(frozen=True)
class _Context:
    """What holds while a model is traced: `training` is None where both values are meant."""

    training: bool | None = None
    build: Builder | None = None
    scopes: tuple[Any, ...] = ()


_state = local()


def _context() -> _Context:
    found: _Context = getattr(_state, "context", _Context())
    return found


@contextmanager
def _within(context: _Context) -> Iterator[None]:
    before = _context()
    _state.context = context
    try:
        yield
    finally:
        _state.context = before


@contextmanager
def building(build: Builder) -> Iterator[None]:
    """Meanwhile layers are built as they are called."""
    with _within(replace(_context(), training=None, build=build, scopes=())):
        yield


@dataclass(eq=False)
class Graph:
    """What lies between some inputs and some outputs.

    Attributes
    ----------
    inputs, outputs
        Symbolic tensors, alone or in a list, tuple or dict.
    calls
        What is called, in order.
    inference
        Another graph for inference, where `call()` says so, or None.
    """

    inputs: Any
    outputs: Any
    calls: list[Call]
    inference: Graph | None = None

    @property
    def sources(self) -> list[SymbolicTensor]:
        """The inputs in a list."""
        return flatten(self.inputs)

    @property
    def results(self) -> list[SymbolicTensor]:
        """The outputs in a list."""
        return flatten(self.outputs)

    def numbers(self) -> dict[int, int]:
        """Numbers of values by the identity of their tensors: inputs first, then calls in order."""
        values = [*self.sources, *(call.output for call in self.calls)]
        return {id(value): number for number, value in enumerate(values)}


def record(layer: Any, x: Any, training: Any = None, acts: Any = None) -> SymbolicTensor:
    """Call a layer on symbolic tensors.

    Raises
    ------
    TypeError
        If something else than symbolic tensors is among `x`.
    ValueError
        If the layer can't take their number or shapes.
    """
    context, sources = _context(), flatten(x)
    for source in sources:
        if not isinstance(source, SymbolicTensor):
            raise TypeError(
                f"layer {layer.name!r} must be called on symbolic tensors alone, or on arrays "
                f"alone. Received: {type(source).__name__}"
            )
    if not layer.merges and len(sources) != 1:
        raise ValueError(
            f"layer {layer.name!r} must be called on one tensor; Concatenate and Add merge several."
            f" Received: {len(sources)} tensors"
        )
    shape: Any = [source.shape for source in sources] if layer.merges else sources[0].shape
    if context.build is not None:
        context.build(layer, shape)
    elif layer.built:
        layer.check_input(shape)
    if acts is None:
        now = context.training if training is None else _flag(layer, training)
        acts = (True, False) if now is None else (now, now)
    call = Call(layer, tuple(sources), acts, context.scopes)
    call.output = SymbolicTensor(layer.compute_output_shape(shape), layer.name, call)
    return call.output


def _flag(owner: Any, training: Any) -> bool:
    if training in (0, 1) and not isinstance(training, SymbolicTensor):
        return bool(training)
    raise TypeError(
        f"training of {owner.name!r} must be True, False or None. Received: training={training!r}"
    )


def enter(owner: Any, x: Any, training: Any = None) -> Any:
    """Call a model, or a layer with a `call()` of its own, on symbolic tensors.

    Raises
    ------
    ValueError
        If it is called inside itself.
    """
    context = _context()
    if any(owner is scope for scope in context.scopes):
        raise ValueError(f"a graph must have no cycle. Received: {owner.name!r} inside itself")
    now = context.training if training is None else _flag(owner, training)
    inside = replace(context, training=now, scopes=(*context.scopes, owner))
    if owner.kind == "layer" and not owner.built:
        # Keras' composite layers may make their layers in `build`.
        shapes = [source.shape for source in flatten(x)]
        owner.build_once(shapes[0] if len(shapes) == 1 else shapes, owner.dtype or "float32")
    fixed: Graph | None = owner._fixed_graph()
    if fixed is None and now is not None:
        with _within(inside):
            return run_call(owner, x, now)
    if fixed is None:
        fixed = trace(owner, like(x, [source.shape for source in flatten(x)]), context.build)
    return _replay(owner, fixed, x, inside)


def _replay(owner: Any, graph: Graph, x: Any, context: _Context) -> Any:
    """Call again what a graph says, on other tensors."""
    if graph.inference is not None and context.training is None:
        raise ValueError(
            f"call() of {owner.name!r} must say the same for training=True and False, but for what "
            "layers do, where a graph is made by hand. Received: two graphs"
        )
    if graph.inference is not None and not context.training:
        graph = graph.inference
    given = _in_order(owner, graph.inputs, x)
    known = {id(source): value for source, value in zip(graph.sources, given, strict=True)}
    for source, value in zip(graph.sources, given, strict=True):
        if value.shape != source.shape:
            raise ValueError(
                f"input {source.name!r} of {owner.name!r} must have shape {source.shape}. "
                f"Received: shape {value.shape}"
            )
    for call in graph.calls:
        acts = call.acts
        if context.training is not None:
            acts = (acts[not context.training],) * 2
        with _within(replace(context, scopes=context.scopes + call.scopes)):
            made = record(call.layer, [known[id(s)] for s in call.sources], acts=acts)
        known[id(call.output)] = made
    return like(graph.outputs, [known[id(result)] for result in graph.results])


def _in_order(owner: Any, inputs: Any, x: Any) -> list[SymbolicTensor]:
    """Tensors that a model is called on, in the order of its inputs."""
    if isinstance(inputs, dict) and isinstance(x, dict):
        missing = [name for name in inputs if name not in x]
        if missing or len(x) != len(inputs):
            raise ValueError(
                f"{owner.name!r} must be called on a dict of {', '.join(inputs)}. "
                f"Received: {', '.join(x)}"
            )
        return [x[name] for name in inputs]
    given, wanted = flatten(x), len(flatten(inputs))
    if len(given) != wanted:
        raise ValueError(
            f"{owner.name!r} must be called on {wanted} tensors. Received: {len(given)}"
        )
    return given


def run_call(owner: Any, x: Any, training: bool) -> Any:
    """What the `call` of a class of one's own returns, which must be symbolic."""
    taken = inspect.signature(owner.call).parameters
    hands_on = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in taken.values())
    settings = {"training": training} if "training" in taken or hands_on else {}
    result = owner.call(x, **settings)
    for leaf in flatten(result):
        if not isinstance(leaf, SymbolicTensor):
            raise TypeError(
                f"call() of {owner.name!r} must return what layers made of its input. "
                f"Received: {type(leaf).__name__}"
            )
    return result


def trace(owner: Any, shapes: Any, build: Builder | None) -> Graph:
    """The graph of a `call()` method for inputs of some shapes.

    Parameters
    ----------
    owner
        Model or layer that defines `call`.
    shapes
        Shape of its input, or a list or dict of shapes.
    build
        Makes the weights of a layer that is called; None leaves that for later.
    """
    found = []
    for training in (True, False):
        inputs = _inputs(shapes)
        with _within(_Context(training, build, (owner,))):
            outputs = run_call(owner, inputs, training)
        graph = connect(inputs, outputs, every_input=False)
        for call in graph.calls:
            call.scopes = call.scopes[1:]
        found.append(graph)
    return _united(*found)


def _inputs(shapes: Any) -> Any:
    """Fresh symbolic inputs of some shapes."""
    if isinstance(shapes, dict):
        return {name: SymbolicTensor(shape, name) for name, shape in shapes.items()}
    if isinstance(shapes, list) or (shapes and isinstance(shapes[0], tuple | list)):
        tensors = [SymbolicTensor(tuple(s), f"input_{i}") for i, s in enumerate(shapes)]
        return tensors if isinstance(shapes, list) else tuple(tensors)
    return SymbolicTensor(tuple(shapes), "input")


def connect(inputs: Any, outputs: Any, every_input: bool = True) -> Graph:
    """The graph between inputs and outputs.

    Raises
    ------
    ValueError
        If an output needs an input that is not given, or an input leads nowhere.
    """
    for name, leaves in (("inputs", flatten(inputs)), ("outputs", flatten(outputs))):
        for leaf in leaves:
            if not isinstance(leaf, SymbolicTensor):
                raise TypeError(
                    f"{name} must be symbolic tensors, as Input and layers called on them return. "
                    f"Received: {type(leaf).__name__}"
                )
        if not leaves:
            raise ValueError(f"{name} must have at least one tensor. Received: none")
    sources = {id(source): source for source in flatten(inputs)}
    if len(sources) != len(flatten(inputs)):
        raise ValueError("inputs must differ. Received: one of them twice")
    calls: dict[int, Call] = {}
    used, waiting = set(), flatten(outputs)
    while waiting:
        value = waiting.pop()
        if id(value) in sources:
            used.add(id(value))
        elif value.call is None:
            raise ValueError(
                f"inputs must hold all that the outputs are made of. Received: inputs without "
                f"{value!r}"
            )
        elif id(value.call) not in calls:
            calls[id(value.call)] = value.call
            waiting.extend(value.call.sources)
    idle = [source for key, source in sources.items() if key not in used]
    if idle and every_input:
        raise ValueError(
            f"inputs must all lead to an output. Received: {idle[0]!r}, which is disconnected"
        )
    return Graph(inputs, outputs, sorted(calls.values(), key=lambda call: call.order))


def _united(training: Graph, inference: Graph) -> Graph:
    """One graph for both, where they agree; else the first with the second beside it."""
    values = {id(a): id(b) for a, b in zip(training.sources, inference.sources, strict=True)}
    rest, pairs = list(inference.calls), []
    for call in training.calls:
        sources = [values.get(id(source)) for source in call.sources]
        other = rest[0] if rest else None
        if other and _alike(other, call) and sources == [id(s) for s in other.sources]:
            values[id(call.output)] = id(other.output)
            pairs.append((call, rest.pop(0).acts[1]))
        elif call.layer.idle_at_inference and sources[0] is not None:
            values[id(call.output)] = sources[0]
            pairs.append((call, False))
        else:
            break
    ends = [values.get(id(result)) for result in training.results]
    agree = len(pairs) == len(training.calls) and not rest
    if not agree or ends != [id(result) for result in inference.results]:
        training.inference = inference
        return training
    for call, at_inference in pairs:
        call.acts = (call.acts[0], at_inference)
    return training


def _alike(a: Call, b: Call) -> bool:
    """Whether two calls are of one layer, or of layers that `call` makes anew each time.

    Raises
    ------
    ValueError
        If such layers have weights: they would be others at each call.
    """
    if a.layer is b.layer:
        return True
    if type(a.layer) is not type(b.layer) or a.layer.get_config() != b.layer.get_config():
        return False
    if a.layer.weightless:
        return True
    raise ValueError(
        f"layer {a.layer.name!r} must be made once, in __init__, since it has weights. "
        "Received: a new one in each call()"
    )
