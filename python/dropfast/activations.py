"""Layer 6: activations as objects with a name, parameters, a value and a gradient.

The formulas are the native module's: linear, relu, leaky_relu, elu, selu, gelu, silu, tanh,
sigmoid, softmax, with Keras 3's defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from dropfast import _core
from dropfast.arrays import Array
from dropfast.checks import check_flag, check_number
from dropfast.configurable import Configurable
from dropfast.graph.symbolic import SymbolicTensor
from dropfast.training.exact import check_own

_ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}
NAMES = (
    "linear",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "tanh",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "hard_sigmoid",
    "hard_silu",
    "mish",
    "exponential",
    "log_sigmoid",
    "hard_tanh",
    "tanh_shrink",
    "celu",
)
_OPTIONS = {
    "relu": ("negative_slope", "max_value", "threshold"),
    "leaky_relu": ("negative_slope",),
    "elu": ("alpha",),
    "celu": ("alpha",),
    "gelu": ("approximate",),
}


class Function(Configurable):
    """An activation.

    Parameters
    ----------
    name
        One of `NAMES`, "swish" for "silu", "hard_swish" for "hard_silu", or "relu6".
    negative_slope
        Of leaky_relu, where None is 0.2, and of relu below its threshold, where None is 0.
    alpha
        Of elu and celu; None is 1.0.
    approximate
        Of gelu: the form with tanh.
    max_value
        Of relu: its largest value; None for none.
    threshold
        Of relu: where the rise begins; None is 0.

    Raises
    ------
    ValueError
        If there is none of that name, or it has no such parameter.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> slope = df.activations.Function("leaky_relu", negative_slope=0.5)
    >>> slope(np.array([-2.0, 1.0])).tolist()
    [-1.0, 1.0]
    """

    kind = "activation"
    # Layers share these objects.
    until_built: ClassVar[tuple[str, ...]] = (
        "name",
        "negative_slope",
        "alpha",
        "approximate",
        "max_value",
        "threshold",
    )

    def __init__(
        self,
        name: str,
        negative_slope: float | None = None,
        alpha: float | None = None,
        approximate: bool = False,
        max_value: float | None = None,
        threshold: float | None = None,
    ) -> None:
        if name == "relu6" and max_value in (None, 6.0):
            name, max_value = "relu", 6.0
        name = _ALIASES.get(name, name)
        if name not in NAMES:
            raise ValueError(
                f"activation must be one of {', '.join(NAMES)}. Received: activation={name!r}"
            )
        self.name = name
        self.approximate = check_flag("approximate", approximate)
        self.negative_slope = _option("negative_slope", negative_slope)
        self.alpha, self.max_value = _option("alpha", alpha), _option("max_value", max_value)
        self.threshold = _option("threshold", threshold)
        strange = sorted(set(self.options) - set(_OPTIONS.get(name, ())))
        if strange:
            raise ValueError(
                f"activation {name!r} takes no {strange[0]}. "
                f"Received: {strange[0]}={self.options[strange[0]]!r}"
            )

    def _settled(self) -> bool:
        return True

    @property
    def options(self) -> dict[str, Any]:
        """The parameters that are set, as the native module takes them."""
        given = ("negative_slope", "alpha", "max_value", "threshold")
        options: dict[str, Any] = {
            key: value for key in given if (value := getattr(self, key)) is not None
        }
        return {**options, "approximate": True} if self.approximate else options

    @property
    def native_name(self) -> str:
        """The name that the native module knows it by."""
        return "rectifier" if self.name == "relu" and self.options else self.name

    def __call__(self, x: Any, axis: int = -1, **options: Any) -> Any:
        """activation(x), with other options where they are given; integers become float32.

        Softmax runs over an axis. On a symbolic tensor it is an `Activation` layer.
        """
        if options:
            return Function(self.name, **{**self.options, **options})(x)
        if isinstance(x, SymbolicTensor):
            from dropfast.layers import Activation

            return Activation(self)(x)
        if axis != -1:
            return np.moveaxis(self(np.moveaxis(np.asarray(x), axis, -1)), -1, axis)
        array = np.asarray(x)
        if array.dtype.kind in "iub":
            array = array.astype(np.float32)
        return _core.activation(self.native_name, array, **self.options)

    def backward(self, x: Array, y: Array, grad: Array) -> Array:
        """The gradient with respect to x, from y = activation(x) and the gradient of y."""
        return _core.activation_backward(self.native_name, x, y, grad, **self.options)

    def stands_for(self, identifier: Any) -> bool:
        """None stands for linear."""
        return (identifier is None and self.name == "linear") or super().stands_for(identifier)

    def __repr__(self) -> str:
        return repr(self.name) if not self.options else super().__repr__()


class Call(Function):
    """A function of your own of single numbers, as an activation; models with it run by layers.

    Parameters
    ----------
    function
        Maps an array to one of its shape, each number by itself.
    derivative
        Maps the same array to the slopes there; None takes differences of values in float64.

    Raises
    ------
    TypeError
        If `function` can't be called.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> square = df.activations.Call(np.square)
    >>> x = np.array([3.0])
    >>> square(x).tolist(), square.backward(x, square(x), np.ones(1)).round(6).tolist()
    ([9.0], [6.0])
    """

    until_built: ClassVar[tuple[str, ...]] = ("function", "derivative")

    def __init__(
        self,
        function: Callable[[Array], Array],
        derivative: Callable[[Array], Array] | None = None,
    ) -> None:
        if not callable(function):
            raise TypeError(f"function must be callable. Received: function={function!r}")
        if derivative is not None and not callable(derivative):
            raise TypeError(f"derivative must be callable. Received: derivative={derivative!r}")
        self.function, self.derivative, self.name = function, derivative, "call"

    @property
    def options(self) -> dict[str, Any]:
        """None: there is nothing native about it."""
        return {}

    def __call__(self, x: Any, axis: int = -1, **options: Any) -> Array:
        """The function's values, in the dtype of x."""
        array = np.asarray(x)
        array = array.astype(np.float32) if array.dtype.kind in "iub" else array
        values = np.asarray(self.function(array, **options))
        if values.shape != array.shape:
            raise ValueError(
                f"activation {self.function!r} must return the shape of its input, {array.shape}. "
                f"Received: shape {values.shape}"
            )
        return values.astype(array.dtype, copy=False)

    def backward(self, x: Array, y: Array, grad: Array) -> Array:
        """The gradient times the slopes.

        Raises
        ------
        ValueError
            If values depend on more than their own number: differences don't tell slopes then.
        """
        if self.derivative is not None:
            slopes: Array = np.asarray(self.derivative(x))
        else:
            wide = x.astype(np.float64)
            alone = np.asarray(self.function(wide.reshape(-1, 1))).reshape(x.shape)
            if not np.allclose(alone, self.function(wide), rtol=1e-5, atol=1e-7, equal_nan=True):
                raise ValueError(
                    f"activation {self.function!r} must map each number by itself, or have a "
                    "derivative: activations.Call(function, derivative). Received: one that mixes"
                )
            step = 1e-5 * np.maximum(np.abs(wide), 1.0)
            above, below = self.function(wide + step), self.function(wide - step)
            slopes = (np.asarray(above) - np.asarray(below)) / (2.0 * step)
        product: Array = (grad * slopes).astype(grad.dtype, copy=False)
        return product

    def __repr__(self) -> str:
        return f"Call({getattr(self.function, '__name__', repr(self.function))})"


def _option(name: str, value: float | None) -> float | None:
    return None if value is None else float(check_number(name, value, 0.0))


linear = Function("linear")
relu = Function("relu")
relu6 = Function("relu6")
leaky_relu = Function("leaky_relu")
elu = Function("elu")
selu = Function("selu")
celu = Function("celu")
gelu = Function("gelu")
silu = swish = Function("silu")
tanh = Function("tanh")
sigmoid = Function("sigmoid")
softmax = Function("softmax")
softplus = Function("softplus")
softsign = Function("softsign")
hard_sigmoid = Function("hard_sigmoid")
hard_silu = hard_swish = Function("hard_silu")
hard_tanh = Function("hard_tanh")
tanh_shrink = Function("tanh_shrink")
log_sigmoid = Function("log_sigmoid")
mish = Function("mish")
exponential = Function("exponential")


def get(identifier: Any) -> Function:
    """The activation that a name, object or function stands for; None is linear.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> from dropfast import activations
    >>> activations.get("swish").name
    'silu'
    """
    if isinstance(identifier, Function):
        check_own(identifier)
        return identifier
    if identifier is None:
        return linear
    if callable(identifier):
        return Call(identifier)
    if not isinstance(identifier, str):
        raise ValueError(
            f"activation must be a name or a function. Received: activation={identifier!r}"
        )
    return Function(identifier)
