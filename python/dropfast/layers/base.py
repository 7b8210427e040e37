"""Layer 6: what every layer has: weights, a name, a way forward and a way back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from dropfast import _core, constraints, initializers, regularizers
from dropfast.arrays import Array, Shape, as_numeric, float_dtype, shape_text, zeros
from dropfast.checks import check_flag, check_integer, check_name
from dropfast.configurable import Configurable, snake_case
from dropfast.graph import Call, Graph, SymbolicTensor, enter, is_symbolic, record
from dropfast.layers.passage import Passage as Passage
from dropfast.layers.spellings import row_shape
from dropfast.layers.weight import Weight, copy_weights
from dropfast.mixed_precision import Policy, own_policy
from dropfast.random import WEIGHTS, Key, draw_seed
from dropfast.training.exact import check_own, exact

KeyMaker = Callable[[], Key]


class Layer(Configurable):
    """Base of all layers, and of your own.

    A subclass stores its constructor's arguments under their names and defines `forward` and
    `gradient`; with weights also `build`, with another output shape `compute_output_shape`. Or it
    defines `call`, which calls other layers: then these are what a model runs.

    Parameters
    ----------
    name
        A name; None takes the class's.
    trainable
        False freezes the weights.
    dtype
        "float32", "float64" or "mixed_bfloat16", or a `dropfast.mixed_precision.Policy`; None takes
        the global policy if one was set, else the model's, or that of the first array.
    **kwargs
        ``input_shape``, the shape of a row: a model that starts with the layer is built at once.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> class Scale(df.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight("scale", (input_shape[-1],), "ones")
    ...     def forward(self, x, passage):
    ...         passage.saved = x
    ...         return x * self.scale
    ...     def gradient(self, grad, passage):
    ...         passage.gradients["scale"] = (grad * passage.saved).sum(axis=0)
    ...         return grad * self.scale
    >>> layer = Scale()
    >>> layer(np.array([[1.0, 2.0]])).tolist(), layer.backward(np.ones((1, 2))).tolist()
    ([[1.0, 2.0]], [[1.0, 1.0]])
    >>> layer.gradients["scale"].tolist()
    [1.0, 2.0]
    """

    kind = "layer"
    stochastic: ClassVar[bool] = False
    # Whether `forward` and `gradient` of this class draw by the numbers of rows, as a passage says.
    by_rows: ClassVar[bool] = False
    until_built: ClassVar[tuple[str, ...]] = ("dtype",)
    moving = frozenset({"built", "gradients"})
    # Whether it takes a list of tensors.
    merges: ClassVar[bool] = False
    # A penalty on outputs, of the mean row.
    activity_regularizer: regularizers.Regularizer | None = None

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: DTypeLike | Policy | None = None,
        **kwargs: Any,
    ) -> None:
        self.name = snake_case(type(self).__name__) if name is None else check_name(name)
        self._given_name = name
        self.trainable = check_flag("trainable", trainable)
        self._policy = own_policy(dtype)
        self.dtype = None if self._policy is None else self._policy.variable_dtype
        self.gradients: dict[str, Array] = {}
        self.built = False
        self._weights: list[Weight] = []
        self._weight_dtype: str | None = None
        self._build_shape: Shape | None = None
        self._last: Passage | None = None
        self._calls = 0
        self._own_seed: int | None = None
        self._row_shape = row_shape(type(self).__name__, kwargs)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            setattr(cls, "build", _building_once(vars(cls)["build"]))  # noqa: B010

    # What subclasses define.

    def build(self, input_shape: Shape) -> None:
        """Make the weights with `add_weight`; `input_shape` starts with None for the batch."""
        if not self._building:
            self.build_once(input_shape, "float32")

    def forward(self, x: Array, passage: Passage) -> Array:
        """The layer's output for a batch; keep in ``passage.saved`` what `gradient` needs."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, passage)")

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient with respect to x; gradients of weights go to ``passage.gradients``."""
        raise NotImplementedError(f"{type(self).__name__} must define gradient(grad, passage)")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Shape of the output for inputs of a shape; None stands for the batch."""
        return input_shape

    def native(self, input_shape: Shape) -> dict[str, Any] | None:
        """The layer in the native network's terms, or None if that doesn't know it."""
        return None

    # Attributes that are set later.

    def _settled(self) -> bool:
        return self.built

    def _set_attribute(self, name: str, value: Any) -> None:
        """Set an attribute: arrays of weights are copied into, the rest is checked first."""
        now = self.__dict__[name]
        if value is now:
            return
        if any(now is weight.value for weight in self._weights):
            weight = next(weight for weight in self._weights if now is weight.value)
            copy_weights(f"layer {self.name!r}", [weight], [value])
            return
        if now is None and self.built and isinstance(value, np.ndarray):
            raise AttributeError(f"layer {self.name!r} has no weight {name!r}. Received: an array")
        if name == "name":
            check_name(value)
        super()._set_attribute(name, value)
        if name == "name":
            self._given_name = self.name
        if name == "dtype":
            self._policy = own_policy(value)
        own, _, what = name.rpartition("_")
        for weight in self._weights:
            if weight.name == own and what in ("regularizer", "constraint"):
                setattr(weight, what, getattr(self, name))

    def _rename(self, name: str) -> None:
        """Take a name that a model chose: in files and `repr` the layer still has none."""
        object.__setattr__(self, "name", name)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """What the layer does to `x`, for layers that are made of others.

        A subclass may define it with calls of other layers; it is traced with symbolic tensors.
        """
        if is_symbolic(x):
            return record(self, x, training)
        return self._eager(x, bool(training), None)

    @property
    def output(self) -> SymbolicTensor:
        """What the layer returns in the model that it is a part of, for models of its inside."""
        return self._place_in_graph().output

    @property
    def input(self) -> Any:
        """What it takes there; a list where it merges."""
        sources = self._place_in_graph().sources
        return list(sources) if self.merges else sources[0]

    def _place_in_graph(self) -> Call:
        if self._placed is None:
            raise AttributeError(
                f"layer {self.name!r} must be part of a built model to have input and output. "
                "Received: one that is not"
            )
        return self._placed

    _placed: Call | None = None

    @property
    def composite(self) -> bool:
        """Whether the layer's class defines `call`, so that it stands for what that calls."""
        return type(self).call is not Layer.call

    @property
    def weightless(self) -> bool:
        """Whether the layer can't have weights."""
        return self.merges or type(self).build is Layer.build

    @property
    def draws_by_rows(self) -> bool:
        """Whether blocks of a batch draw what the whole would, because `forward` numbers rows."""
        if not self.stochastic:
            return True
        for kind in type(self).__mro__:
            if "by_rows" in vars(kind) or "forward" in vars(kind):
                return bool(vars(kind).get("by_rows", False))
        return False

    @property
    def idle_at_inference(self) -> bool:
        """Whether a graph for inference may leave the layer out."""
        own = self.stochastic and exact(self)
        return own and not self.weights and getattr(self, "scale_at", "train") == "train"

    def _fixed_graph(self) -> Graph | None:
        """The graph that a model is, whatever `training` says; layers have none."""
        return None

    # Precision.

    # False where a layer computes in float32 under every policy.
    rounds: ClassVar[bool] = True
    # The model's policy, for layers that have none of their own.
    _model_policy: Policy | None = None

    @property
    def dtype_policy(self) -> Policy:
        """The layer's own policy, or else its model's."""
        return self._policy or self._model_policy or Policy("float32")

    @property
    def compute_dtype(self) -> str:
        """What the layer computes in: "bfloat16" where what it takes is rounded to that."""
        return "bfloat16" if self.mixed else self.variable_dtype

    @property
    def variable_dtype(self) -> str:
        """What the layer's weights are."""
        return self.dtype_policy.variable_dtype

    @property
    def mixed(self) -> bool:
        """Whether what the layer takes, values and gradients, is rounded to bfloat16."""
        return self.rounds and self.dtype_policy.mixed

    def taken(self, x: Array) -> Array:
        """A value or gradient as the layer takes it: rounded where its policy says so."""
        return _core.round_bfloat16(np.asarray(x, np.float32)) if self.mixed else x

    # Weights.

    def add_weight(
        self,
        name: str,
        shape: Sequence[int],
        initializer: Any = "glorot_uniform",
        regularizer: Any = None,
        constraint: Any = None,
        trainable: bool = True,
    ) -> Array:
        """Make an array of weights; call it in `build`.

        Parameters
        ----------
        name
            Name of the weight, by which `gradient` hands over its gradient.
        shape
            Its shape.
        initializer, regularizer, constraint
            Names or objects.
        trainable
            False for what training doesn't move by gradients, such as running means.

        Returns
        -------
        ndarray
            The array. Training changes it in place: keep it, don't replace it.
        """
        if isinstance(self.__dict__.get(name), np.ndarray):
            raise ValueError(
                f"{name} of layer {self.name!r} must be set once the layer is built. "
                "Received: an array before"
            )
        weight = Weight(
            name,
            self._first_value(name, tuple(int(size) for size in shape), initializer),
            regularizers.get(regularizer),
            constraints.get(constraint),
            trainable,
        )
        self._weights.append(weight)
        return weight.value

    def _first_value(self, name: str, shape: tuple[int, ...], initializer: Any) -> Array:
        """The next of the values that wait for this layer, or else what the initializer draws."""
        dtype = np.dtype(self._weight_dtype or "float32")
        key = self._next_weight_key()
        source = initializers.get(initializer)
        if self._values is not None:
            value = next(self._values, None)
            if value is None:
                raise ValueError(f"weights must have one more array for {name!r}. Received: none")
            what = f"weights of layer {self.name!r} ({name}) must have"
        elif isinstance(source, initializers.Initializer):
            value, what = source(shape, dtype, key), ""
        else:
            value, what = np.asarray(source(shape, dtype)), "initializer must return"
        if value.shape != shape:
            raise ValueError(
                f"{what} shape {shape_text(shape)}. Received: shape {shape_text(value.shape)}"
            )
        weights = zeros(shape, dtype)
        weights[...] = value
        return weights

    def _all_weights(self) -> list[Weight]:
        """The layer's weights, then those of the layers it is made of."""
        if not self.composite:
            return self._weights
        inner = [weight for part in parts_of(self) for weight in part._all_weights()]
        return [*self._weights, *inner]

    @property
    def weights(self) -> list[Array]:
        """All weight arrays, themselves and not copies."""
        return [weight.value for weight in self._all_weights()]

    @property
    def trainable_weights(self) -> list[Array]:
        """The weight arrays that training moves."""
        if not self.trainable:
            return []
        own = [weight.value for weight in self._weights if weight.trainable]
        parts = parts_of(self) if self.composite else []
        return [*own, *(array for part in parts for array in part.trainable_weights)]

    @property
    def variables(self) -> list[Array]:
        """Another name for `weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Array]:
        """Another name for `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_weights(self) -> list[Array]:
        """The weight arrays that training doesn't move."""
        moved = {id(array) for array in self.trainable_weights}
        return [array for array in self.weights if id(array) not in moved]

    @property
    def non_trainable_variables(self) -> list[Array]:
        """Another name for `non_trainable_weights`."""
        return self.non_trainable_weights

    @property
    def losses(self) -> list[float]:
        """The penalty of each weight array that is trained and has a regularizer."""
        moved = {id(array) for array in self.trainable_weights}
        found = [w for w in self._all_weights() if w.regularizer and id(w.value) in moved]
        return [w.regularizer(w.value) for w in found if w.regularizer]

    def get_weights(self) -> list[Array]:
        """Copies of all weight arrays."""
        return [array.copy() for array in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Copy arrays into the layer's weights.

        Raises
        ------
        ValueError
            If their number or a shape does not fit; no weight is changed then.
        """
        copy_weights(f"layer {self.name!r}", self._all_weights(), weights)

    def count_params(self) -> int:
        """Number of weights, all arrays together."""
        return sum(array.size for array in self.weights)

    # By hand.

    def __call__(
        self,
        x: Any,
        training: bool | None = None,
        key: Key | None = None,
        first_row: int = 0,
    ) -> Any:
        """Send a batch through the layer, or record that a graph does.

        Parameters
        ----------
        x
            Batch, first axis the rows; or a symbolic tensor. Layers that merge take a list.
        training
            Whether stochastic layers draw. On symbolic tensors None leaves that to the model.
        key
            Where they draw; None draws at (seed, 0, number of the call).
        first_row
            The number of the first row, for a block of a larger batch: with the same key it gives
            the bits that the whole has there.

        Returns
        -------
        ndarray or SymbolicTensor
            The layer's output. `backward` refers to the latest call on arrays.
        """
        check_own(self)
        if is_symbolic(x):
            return enter(self, x, training) if self.composite else record(self, x, training)
        if self.composite:
            from dropfast.training.eager import run

            return run(self, x, bool(training), key, first_row)
        return self._eager(x, bool(training), key, first_row)

    def _eager(self, x: Any, training: bool, key: Key | None, first_row: int = 0) -> Array:
        if self.merges:
            parts = [self._convert(as_numeric("x", part)) for part in x]
            batch: Any = parts
            shape: Any = [(None, *part.shape[1:]) for part in parts]
            wide = any(part.dtype == np.float64 for part in parts)
        else:
            batch = self._convert(as_numeric("x", x))
            shape, wide = (None, *batch.shape[1:]), batch.dtype == np.float64
        if not self.built:
            self.build_once(shape, "float64" if wide else "float32")
        else:
            self.check_input(shape)
        passage = Passage(training, key, self.rate_at(0, 0), first_row=first_row)
        if first_row:
            check_rows_of(self, first_row)
        # A class of one's own may draw in inference too.
        if self.stochastic and key is None and (training or not exact(self)):
            passage.key = Key(self._seed(), 0, self._calls)
            self._calls += 1
        taken: Any = [self.taken(x) for x in batch] if self.merges else self.taken(batch)
        output: Array = self.forward(taken, passage)
        passage.finish()
        self._last = passage
        return output

    def backward(self, grad: ArrayLike) -> Array:
        """The gradient with respect to the latest call's input.

        Gradients of the weights are put into ``self.gradients`` by name.

        Parameters
        ----------
        grad
            Gradient with respect to that call's output.

        Raises
        ------
        RuntimeError
            If the layer has not been called.
        """
        if self.composite:
            from dropfast.training.eager import run_back

            back: Array = run_back(self, grad)
            return back
        if self._last is None:
            raise RuntimeError(f"layer {self.name!r} must be called before backward(grad)")
        if self.stochastic and not self._last.training and self._last.rate:
            warnings.warn(
                f"layer {self.name!r} was called with training=False before backward: its dropout "
                "does not act. Call it with training=True to train",
                UserWarning,
                stacklevel=2,
            )
        self._last.gradients = {}
        result = self.gradient(self.taken(self._convert(as_numeric("grad", grad))), self._last)
        self.gradients = self._last.gradients
        return result

    def rate_at(self, step: int, epoch: int) -> float | None:
        """The drop rate at a step of training; None for layers that have none."""
        return None

    # For models.

    def build_once(
        self,
        input_shape: Shape,
        dtype: DTypeLike,
        next_key: KeyMaker | None = None,
        values: Iterator[Array] | None = None,
    ) -> None:
        """Build for a shape; a failure leaves the layer unbuilt.

        Parameters
        ----------
        input_shape
            Starts with None for the batch.
        dtype
            Used where the layer was given none.
        next_key
            Called once for each weight: where its initial values are drawn.
        values
            Initial values themselves, as they come from a file; nothing is drawn then.
        """
        if not self.merges:
            input_shape = (None, *input_shape[1:])
        if self.built:
            self.check_input(input_shape)
            return
        self._building = True
        self._weight_keys, self._values = next_key, values
        self._weight_dtype = self.dtype or float_dtype(dtype).name
        try:
            self.build(input_shape)
        except BaseException:
            self._weights = []
            raise
        finally:
            self._building = False
            self._weight_keys = self._values = None
        self._build_shape, self.built = input_shape, True

    def check_input(self, input_shape: Shape) -> None:
        """Refuse inputs that the weights don't fit."""
        if self._weights and self._build_shape and input_shape[-1] != self._build_shape[-1]:
            raise ValueError(
                f"input of layer {self.name!r} must have shape {shape_text(self._build_shape)}. "
                f"Received: shape {shape_text(input_shape)}"
            )

    _building = False
    _weight_keys: KeyMaker | None = None
    _values: Iterator[Array] | None = None

    def _next_weight_key(self) -> Key:
        if self._weight_keys is not None:
            return self._weight_keys()
        return Key(self._seed(), WEIGHTS | len(self._weights))

    def _seed(self) -> int:
        given: int | None = getattr(self, "seed", None)
        if given is not None:
            return given
        if self._own_seed is None:
            self._own_seed = draw_seed()
        return self._own_seed

    def _convert(self, array: Array) -> Array:
        """Floats in the weights' dtype; a layer without either leaves floats as they are."""
        dtype = self._weight_dtype if self._weights else self.dtype
        if dtype is not None:
            return np.asarray(array, dtype)
        return array.astype(np.float32) if array.dtype.kind in "iub" else array

    def __getstate__(self) -> dict[str, Any]:
        # What the latest call left behind is no part of a copy. An attribute that is a weight is
        # written as its number: joblib would write the array twice, and read two.
        numbers = {id(weight.value): i for i, weight in enumerate(self._weights)}
        named = {name: numbers[id(v)] for name, v in vars(self).items() if id(v) in numbers}
        rest = {name: value for name, value in vars(self).items() if name not in named}
        return {**rest, "_last": None, "_named_weights": named}

    def __setstate__(self, state: dict[str, Any]) -> None:
        named = state.get("_named_weights", {})
        super().__setstate__({k: v for k, v in state.items() if k != "_named_weights"})
        vars(self).update({name: self._weights[i].value for name, i in named.items()})

    def _shown(self, name: str) -> Any:
        if name == "dtype" and self._policy is not None:
            return self._policy.name
        return self._given_name if name == "name" else super()._shown(name)


def _building_once(build: Callable[[Any, Shape], None]) -> Callable[[Any, Shape], None]:
    """A layer's own `build`, which does all that a model does around it where users call it."""

    @wraps(build)
    def built(self: Layer, input_shape: Shape) -> None:
        if self._building:
            build(self, input_shape)
        else:
            self.build_once(input_shape, "float32")

    return built


def check_rows_of(layer: Layer, first_row: Any = 0, what: str = "first_row") -> None:
    """Refuse a row number that is none, and layers that would draw as if every batch began at 0."""
    if what == "first_row":
        check_integer("first_row", first_row)
    if not layer.draws_by_rows:
        raise ValueError(
            f"{what} must be left out with layer {layer.name!r}, which draws for itself: its "
            "forward and gradient must heed passage.first_row and passage.consistent, and its "
            f"class say so with by_rows = True. Received: {what}={first_row!r}"
        )


def parts_of(owner: Configurable) -> list[Any]:
    """The layers and models that are attributes of an object, or in lists and dicts that are."""
    found: dict[int, Any] = {}

    def look(value: Any) -> None:
        if isinstance(value, Configurable) and value.kind in ("layer", "model"):
            found[id(value)] = value
        elif isinstance(value, dict | list | tuple):
            for part in value.values() if isinstance(value, dict) else value:
                look(part)

    for value in vars(owner).values():
        look(value)
    return list(found.values())
