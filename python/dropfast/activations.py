"""Layer 6: activations as objects with a name, parameters, a value and a gradient.

The formulas are the native module's: linear, relu, leaky_relu, elu, selu, gelu, silu, tanh,
sigmoid, softmax, with Keras 3's defaults.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dropfast import _core
from dropfast.arrays import Array
from dropfast.configurable import Configurable
from dropfast.graph.symbolic import SymbolicTensor
from dropfast.training.exact import check_own

_ALIASES = {"swish": "silu"}
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
)


class Function(Configurable):
    """An activation.

    Parameters
    ----------
    name
        One of `NAMES`, or "swish" for "silu".
    negative_slope
        Of leaky_relu; None is 0.2.
    alpha
        Of elu; None is 1.0.
    approximate
        Of gelu: the form with tanh.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> slope = df.activations.Function("leaky_relu", negative_slope=0.5)
    >>> slope(np.array([-2.0, 1.0])).tolist()
    [-1.0, 1.0]
    """

    kind = "activation"
    # Layers share these objects.
    until_built = ("name", "negative_slope", "alpha", "approximate")

    def __init__(
        self,
        name: str,
        negative_slope: float | None = None,
        alpha: float | None = None,
        approximate: bool = False,
    ) -> None:
        name = _ALIASES.get(name, name)
        if name not in NAMES:
            raise ValueError(
                f"activation must be one of {', '.join(NAMES)}. Received: activation={name!r}"
            )
        self.name = name
        self.negative_slope, self.alpha, self.approximate = negative_slope, alpha, approximate

    def _settled(self) -> bool:
        return True

    @property
    def options(self) -> dict[str, Any]:
        """The parameters that are set, as the native module takes them."""
        given = {"negative_slope": self.negative_slope, "alpha": self.alpha}
        options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        return {**options, "approximate": True} if self.approximate else options

    def __call__(self, x: Any) -> Any:
        """activation(x); softmax runs over the last axis. Integers become float32.

        On a symbolic tensor it is an `Activation` layer.
        """
        if isinstance(x, SymbolicTensor):
            from dropfast.layers import Activation

            return Activation(self)(x)
        array = np.asarray(x)
        if array.dtype.kind in "iub":
            array = array.astype(np.float32)
        return _core.activation(self.name, array, **self.options)

    def backward(self, x: Array, y: Array, grad: Array) -> Array:
        """The gradient with respect to x, from y = activation(x) and the gradient of y."""
        return _core.activation_backward(self.name, x, y, grad, **self.options)

    def stands_for(self, identifier: Any) -> bool:
        """None stands for linear."""
        return (identifier is None and self.name == "linear") or super().stands_for(identifier)

    def __repr__(self) -> str:
        return repr(self.name) if not self.options else super().__repr__()


linear = Function("linear")
relu = Function("relu")
leaky_relu = Function("leaky_relu")
elu = Function("elu")
selu = Function("selu")
gelu = Function("gelu")
silu = swish = Function("silu")
tanh = Function("tanh")
sigmoid = Function("sigmoid")
softmax = Function("softmax")


def get(identifier: str | Function | None) -> Function:
    """The activation that a name or object stands for; None is linear.

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
    return Function(identifier)
