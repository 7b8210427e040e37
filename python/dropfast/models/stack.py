"""Layer 6: a graph of layers with its weights: what every model is before it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from dropfast import _core
from dropfast.arrays import Array, Shape, shape_text
from dropfast.attributes import changes
from dropfast.checks import check_flag, check_integer, check_name
from dropfast.configurable import Configurable, snake_case
from dropfast.graph import Graph, trace
from dropfast.graph.symbolic import like
from dropfast.layers.base import Layer, parts_of
from dropfast.layers.dropout import check_rows_per_mask
from dropfast.layers.weight import Weight, copy_weights
from dropfast.mixed_precision import Policy, global_policy, policy_of
from dropfast.random import WEIGHTS, Key, check_seed, draw_seed
from dropfast.training.blocked import Blocked
from dropfast.training.blocks import Communicator, Share
from dropfast.training.engine import Engine, Native
from dropfast.training.exact import check_own
from dropfast.training.plan import Plan, make_plan
from dropfast.training.stepwise import Stepwise


class NotReadyError(ValueError, AttributeError):
    """A model was asked for what it has only once it is built or compiled.

    It is an AttributeError too, so that `hasattr` and `getattr` with a default work as usual.
    """


class Stack(Configurable):
    """A graph of layers, with their weights. See `dropfast.Model`."""

    kind = "model"
    # Tests set it to compare the engines.
    _stepwise_only = False
    moving = frozenset({"calls", "epochs_done", "stop_training"})
    calls = 0
    # The other processes of a training, while there are some.
    _comm: Communicator | None = None
    # Whether lists of arrays can only be rows.
    one_input: ClassVar[bool] = False

    def __init__(
        self,
        seed: int | None = None,
        name: str | None = None,
        dtype: DTypeLike | Policy | None = None,
    ) -> None:
        self._policy = global_policy() if dtype is None else policy_of(dtype)
        self.dtype = self._policy.variable_dtype
        self.seed: int = draw_seed() if seed is None else Key(seed).seed
        check_seed(self.seed)
        self.name = snake_case(type(self).__name__) if name is None else check_name(name)
        self._given_name = name
        self.rows_per_mask = 1
        self.gradient_blocks = 1
        # Of a batch as engines take it: several inputs are the columns of one.
        self._input_shape: Shape | None = None
        self._built: Plan | None = None
        self._runner: Native | None = None
        self._stepper: Stepwise | None = None
        self._trainable = True
        # What `call` methods could look at when they were traced.
        self._traced: list[Any] = []
        # The latest change of any object when the plan was made.
        self._seen: object = None
        # Who may read the weights and who may change them, where several threads use the model.
        self._turn = _core.Turn()
        check_own(self)

    def _set_attribute(self, name: str, value: Any) -> None:
        """Set a setting of the model, checked."""
        if name == "dtype":
            raise AttributeError(f"dtype of a model is read-only. Received: dtype={value!r}")
        if name == "name":
            check_name(value)
        if name == "seed":
            value, self._stepper = Key(value).seed, None
        if name == "gradient_blocks":
            value, self._stepper = check_integer("gradient_blocks", value, least=1), None
        if name == "rows_per_mask":
            value = check_rows_per_mask(value) or 0
        object.__setattr__(self, name, value)

    def _rename(self, name: str) -> None:
        """Take a name that another model chose."""
        object.__setattr__(self, "name", name)

    @property
    def dtype_policy(self) -> Policy:
        """The policy of layers that have none of their own."""
        return self._policy

    # Layers.

    @property
    def layers(self) -> list[Layer]:
        """The layers in the order of their first calls; what is inside them is not among them."""
        if self._built is None:
            return parts_of(self)
        found = (place.scopes[0] if place.scopes else place.layer for place in self._built.places)
        return list({id(layer): layer for layer in found}.values())

    def _leaves(self) -> list[Layer]:
        """All layers that compute, each once."""
        places = () if self._built is None else self._built.places
        return list({id(place.layer): place.layer for place in places}.values())

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its place.

        Raises
        ------
        ValueError
            If there is none, or not exactly one of both is given.
        """
        if (name is None) == (index is None):
            raise ValueError(
                f"one of name and index must be given. Received: name={name!r}, index={index!r}"
            )
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"index must be below {len(layers)}. Received: index={index}")
            return layers[index]
        for layer in layers:
            if isinstance(name, str) and layer.name == name:
                return layer
        known = ", ".join(layer.name for layer in layers)
        raise ValueError(f"name must be one of {known}. Received: name={name!r}")

    # Building.

    @property
    def built(self) -> bool:
        """Whether shapes and weights are known."""
        return self._built is not None

    def build(self, input_shape: Any = None) -> None:
        """Make the weights for inputs of a shape.

        Parameters
        ----------
        input_shape
            Shape of a batch, with None for the number of rows; a list or dict of them for several
            inputs. None takes the known one.

        Raises
        ------
        ValueError
            If the shape is not known or a layer can't take it.
        """
        self._build(self._input_shape if input_shape is None else input_shape)

    def _build(self, shape: Any, values: Iterator[Array] | None = None) -> None:
        """Build, with initial weights that are drawn or given."""
        if shape is None:
            raise ValueError("input_shape must be given where no Input is. Received: None")
        if isinstance(shape, dict):
            shapes: Any = {name: _batch_shape(one) for name, one in shape.items()}
        elif isinstance(shape, list) and shape and isinstance(shape[0], tuple | list):
            shapes = [_batch_shape(one) for one in shape]
        else:
            shapes = _batch_shape(shape)
        if self._built is not None:
            if shapes != self.input_shape:
                raise ValueError(
                    f"input_shape must be {_text(self.input_shape)}, for which the model is built. "
                    f"Received: input_shape={_text(shapes)}"
                )
            return
        self._take_graph(self._record(shapes, self._builder(values)))

    def _builder(self, values: Iterator[Array] | None = None) -> Callable[[Layer, Any], None]:
        """What makes the weights of each layer when it is first called."""
        made, known = 0, set()

        def next_key() -> Key:
            nonlocal made
            made += 1
            return Key(self.seed, WEIGHTS | made - 1)

        def build(layer: Layer, shape: Any) -> None:
            nonlocal made
            if layer.built and id(layer) not in known:
                made += len(layer._weights)
            known.add(id(layer))
            if not layer.built:
                layer._model_policy = self._policy
            self._check_dtype(layer)
            layer.build_once(shape, self.dtype, next_key, values)

        return build

    def _record(self, shapes: Any, build: Callable[[Layer, Any], None]) -> Graph:
        """The graph for inputs of some shapes."""
        return trace(self, shapes, build)

    def _fixed_graph(self) -> Graph | None:
        return None

    def _take_graph(self, graph: Graph) -> None:
        self._use(graph)
        self._seen = changes.latest
        self._input_shape = self.plan.columns_in.shape

    def _check_dtype(self, layer: Layer) -> None:
        found = layer._weight_dtype if layer._weights else layer.dtype
        if found not in (None, self.dtype):
            raise ValueError(
                f"dtype of layer {layer.name!r} must be the model's, {self._policy.name}. "
                f"Received: dtype={(layer._policy.name if layer._policy else found)!r}"
            )

    def _plan_again(self) -> None:
        """Look at the layers as they are now; what runs is kept where that changes nothing."""
        if self._built is not None:
            graph, seen = self._built.graph, changes.latest
            if self._fixed_graph() is None and self._settings_of(graph) != self._traced:
                shapes = like(graph.inputs, [source.shape for source in graph.sources])
                graph = self._record(shapes, self._builder())
                # Layers that `call` makes anew are no changes of others.
                seen = changes.latest
            self._use(graph)
            self._seen = seen

    def _use(self, graph: Graph) -> None:
        """Be a graph: name its layers, and plan."""
        taken: set[str] = set()
        for layer in dict.fromkeys(x for c in graph.calls for x in (*c.scopes[:1], c.layer)):
            if layer._given_name is None:
                layer._rename(free_name(layer.name, taken))
            taken.add(layer.name)
        for call in graph.calls:
            call.layer._placed = call
        plan = make_plan(graph, self.rows_per_mask, self._trainable)
        self._traced = self._settings_of(graph)
        if not plan.same(self._built):
            self._built, self._runner, self._stepper = plan, None, None

    def _settings_of(self, graph: Graph) -> list[Any]:
        """What `call` methods may look at: attributes of the model and of composite layers."""
        owners = [self, *(scope for call in graph.calls for scope in call.scopes)]
        return [
            (key, list(value) if isinstance(value, list | tuple) else value)
            for owner in dict.fromkeys(owners)
            for key, value in vars(owner).items()
            if key[0] != "_" and key not in _STATE and not isinstance(value, np.ndarray)
        ]

    @property
    def plan(self) -> Plan:
        """Places of the built model, made anew after any change of a layer.

        Raises
        ------
        ValueError
            If it is not built.
        """
        if self._built is None:
            raise NotReadyError(
                f"model {self.name!r} must be built: call build, fit or predict. Received: a model "
                "that is not built"
            )
        if self._seen is not changes.latest:
            self._plan_again()
        return self._built

    @property
    def input_shape(self) -> Any:
        """Shape of a batch of inputs; for several ones a list or dict of shapes."""
        graph = self.plan.graph
        return like(graph.inputs, [source.shape for source in graph.sources])

    @property
    def output_shape(self) -> Any:
        """Shape of a batch of outputs; for several ones a list or dict of shapes."""
        graph = self.plan.graph
        return like(graph.outputs, [result.shape for result in graph.results])

    def engine(self, only_stepwise: bool = False) -> Engine:
        """What the model runs on, chosen once: one native network where that knows all layers."""
        plan, dtype = self.plan, np.dtype(self.dtype)
        if only_stepwise or plan.obstacle or self._stepwise_only:
            if self._stepper is None:
                parts = (plan, self._weights, dtype, self.seed)
                share = Share(self.gradient_blocks, self._comm)
                whole = share.blocks == 1 and share.size == 1
                self._stepper = Stepwise(*parts) if whole else Blocked(*parts, share)
            return self._stepper
        if self._runner is None:
            held = [w.value for p in plan.places[plan.preparation :] for w in p.layer._weights]
            self._runner = Native(plan, plan.columns_in.shape, held, dtype, self._turn)
        return self._runner

    # Weights.

    @property
    def _weights(self) -> list[Weight]:
        return [weight for layer in self._leaves() for weight in layer._weights]

    def _all_weights(self) -> list[Weight]:
        return self._weights

    @property
    def weights(self) -> list[Array]:
        """All weight arrays in the order of the layers, themselves and not copies."""
        return [weight.value for weight in self._weights]

    @property
    def trainable_weights(self) -> list[Array]:
        """The weight arrays that training moves."""
        if not self._trainable:
            return []
        places = () if self._built is None else self._built.places
        frozen = {id(place.layer) for place in places if not place.trainable}
        free = [layer for layer in self._leaves() if id(layer) not in frozen]
        return [array for layer in free for array in layer.trainable_weights]

    @property
    def trainable(self) -> bool:
        """Whether training moves weights; setting it sets it for every layer too, as in Keras."""
        held = [layer.trainable for layer in self.layers if layer.weights]
        return self._trainable and (any(held) or not held)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.layers:
            layer.trainable = value
        self._trainable = check_flag("trainable", value)

    def get_weights(self) -> list[Array]:
        """Copies of all weight arrays."""
        with self._turn.reading:
            return [array.copy() for array in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Copy arrays into the model's weights.

        Raises
        ------
        ValueError
            If the model is not built, or their number or a shape does not fit; no weight is
            changed then.
        """
        _ = self.plan
        with self._turn.writing:
            copy_weights(f"model {self.name!r}", self._weights, weights)

    def count_params(self) -> int:
        """Number of weights, all arrays together."""
        return sum(array.size for array in self.weights)

    def __getstate__(self) -> dict[str, Any]:
        # The native network holds buffers only: a copy makes its own, and takes turns by itself.
        kept = {name: value for name, value in vars(self).items() if name != "_turn"}
        return kept | dict.fromkeys(("_runner", "_stepper", "_seen", "_comm"))

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({**state, "_turn": _core.Turn()})

    def get_config(self) -> dict[str, Any]:
        """Layers and settings, without weights."""
        from dropfast.models.saving import describe_model

        return describe_model(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, {len(self.layers)} layers, seed {self.seed}>"


def free_name(name: str, taken: set[str]) -> str:
    """The name itself, or else with the first number that is free."""
    free, count = name, 0
    while free in taken:
        count += 1
        free = f"{name}_{count}"
    return free


def _batch_shape(shape: Any) -> Shape:
    sizes = tuple(shape)
    if len(sizes) < 2 or not all(isinstance(size, int) and size > 0 for size in sizes[1:]):
        raise ValueError(
            "input_shape must be (None, sizes...), sizes positive. "
            f"Received: input_shape={shape_text(sizes)}"
        )
    return (None, *sizes[1:])


# Attributes of layers and models that no `call` method decides by.
_OF_MODELS = (
    "calls",
    "epochs_done",
    "stop_training",
    "history",
    "rows_per_mask",
    "gradient_blocks",
    "seed",
)
_STATE = frozenset((*_OF_MODELS, "name", "dtype", "built", "gradients"))


def _text(shape: Any) -> str:
    return shape_text(shape) if isinstance(shape, tuple) else repr(shape)
