"""Layer 6: Dense."""

from __future__ import annotations

from typing import Any

import numpy as np

from dropfast import _core, activations, constraints, initializers, regularizers
from dropfast.arrays import Array, Shape, shape_text
from dropfast.checks import check_flag, check_integer, named
from dropfast.layers.base import Layer, Passage
from dropfast.layers.weight import Weight
from dropfast.training.exact import exact


class Dense(Layer):
    """y = activation(x @ kernel + bias).

    Parameters
    ----------
    units
        Number of outputs.
    activation
        Name of an activation or a `dropfast.activations.Function`; None is linear.
    use_bias
        Whether a bias is added.
    kernel_initializer, bias_initializer
        Initial values.
    kernel_regularizer, bias_regularizer
        Penalties added to the loss.
    activity_regularizer
        Penalty on the outputs, of the mean row; models with one train layer by layer.
    kernel_constraint, bias_constraint
        What the weights are forced back to after every step.

    Attributes
    ----------
    kernel
        Weights (inputs, units).
    bias
        Weights (units,), or None.

    Raises
    ------
    ValueError
        If `units` is not a positive integer or a name is unknown.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> layer = df.layers.Dense(1, activation="relu", kernel_initializer="ones")
    >>> layer(np.array([[1.0, 2.0], [-4.0, 1.0]])).tolist()
    [[3.0], [0.0]]
    >>> layer.backward(np.ones((2, 1))).tolist()
    [[1.0, 1.0], [0.0, 0.0]]
    >>> layer.gradients["kernel"].tolist()
    [[1.0], [2.0]]
    """

    until_built = ("units", "use_bias", "kernel_initializer", "bias_initializer")

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = check_integer("units", units, least=1)
        self.activation = activations.get(activation)
        self.use_bias = check_flag("use_bias", use_bias)
        self.kernel_initializer = named("kernel_initializer", initializers.get, kernel_initializer)
        self.bias_initializer = named("bias_initializer", initializers.get, bias_initializer)
        self.kernel_regularizer = named("kernel_regularizer", regularizers.get, kernel_regularizer)
        self.bias_regularizer = named("bias_regularizer", regularizers.get, bias_regularizer)
        self.activity_regularizer = named(
            "activity_regularizer", regularizers.get, activity_regularizer
        )
        self.kernel_constraint = named("kernel_constraint", constraints.get, kernel_constraint)
        self.bias_constraint = named("bias_constraint", constraints.get, bias_constraint)
        self.kernel: Array
        self.bias: Array | None = None

    def build(self, input_shape: Shape) -> None:
        """Make kernel and bias."""
        inputs = input_shape[-1] if len(input_shape) > 1 else None
        if inputs is None:
            raise ValueError(
                f"input of layer {self.name!r} must have a known last size. "
                f"Received: shape {shape_text(input_shape)}"
            )
        self.kernel = self.add_weight(
            "kernel",
            (inputs, self.units),
            self.kernel_initializer,
            self.kernel_regularizer,
            self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                (self.units,),
                self.bias_initializer,
                self.bias_regularizer,
                self.bias_constraint,
            )

    def forward(self, x: Array, passage: Passage) -> Array:
        """[n, ..., inputs] -> [n, ..., units]."""
        rows = x.reshape(-1, x.shape[-1])
        kernel = self.kernel_of(passage)
        before = self._before(rows, kernel)
        y = before if passage.linear else self.activation(before)
        passage.saved = (x.shape, rows, kernel, before, y)
        return y.reshape((*x.shape[:-1], self.units))

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """dx; the gradients of kernel and bias."""
        shape, rows, kernel, before, y = passage.saved
        dy = grad.reshape(-1, self.units)
        if not passage.linear and self.activation.name != "linear":
            # What is kept from forward to backward is rounded too.
            before, y = self.taken(before), self.taken(y)
            dy = self.taken(self.activation.backward(before, y, dy))
        dx, dkernel, dbias = self._gradients(dy, rows, kernel, passage.to_input)
        passage.gradients["kernel"] = self.kernel_gradient(dkernel, passage)
        if self.use_bias:
            passage.gradients["bias"] = dbias
        shaped: Array = dx.reshape(shape)
        return shaped

    def _before(self, rows: Array, kernel: Array) -> Array:
        """What the activation is applied to."""
        if not self.mixed:
            return _core.dense(rows, kernel, self.bias)
        before = _core.matmul_bfloat16(rows, kernel)
        if self.bias is not None:
            before += self.bias
        return before

    def _gradients(
        self, dy: Array, rows: Array, kernel: Array, to_input: bool
    ) -> tuple[Array, Array, Array]:
        """Gradients of rows, kernel and bias."""
        if not self.mixed:
            return _core.dense_backward(dy, rows, kernel)
        dx = np.broadcast_to(np.float32(0), rows.shape)
        if to_input:
            dx = _core.matmul_bfloat16(dy, kernel.T)
        dkernel = _core.matmul_bfloat16(rows.T, dy)
        # A chain of ones is the plain sum over rows, ascending.
        dbias = _core.matmul(np.ones((1, len(dy)), dy.dtype), dy)[0]
        return dx, dkernel, dbias

    def kernel_of(self, passage: Passage) -> Array:
        """The kernel that this passage goes through."""
        return self.kernel

    def kernel_gradient(self, grad: Array, passage: Passage) -> Array:
        """The gradient of the kernel from that of `kernel_of`."""
        return grad

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The last size becomes `units`."""
        return (*input_shape[:-1], self.units)

    def native(self, input_shape: Shape) -> dict[str, Any] | None:
        """A "dense" of the native network, where that knows the constraints."""
        known = type(self.activation) is activations.Function and exact(self.activation)
        if len(input_shape) != 2 or not known or self.activity_regularizer is not None:
            return None
        described = {
            "kind": "dense",
            "units": self.units,
            "use_bias": self.use_bias,
            "activation": self.activation.native_name,
            **self.activation.options,
        }
        for weight in self._weights:
            extra = _training_of(weight)
            if extra is None:
                return None
            described |= {f"{weight.name}_{key}": value for key, value in extra.items()}
        return described


def _training_of(weight: Weight) -> dict[str, Any] | None:
    """Penalties and constraint of a weight in native terms, or None if these don't reach."""
    penalty, constraint = weight.regularizer, weight.constraint
    if penalty is not None and not (exact(penalty) and _is_plain(penalty)):
        return None
    limit = None
    if constraint is not None:
        if not isinstance(constraint, constraints.MaxNorm) or not exact(constraint):
            return None
        if constraint.axis != 0:
            return None
        limit = float(constraint.max_value)
    return {
        "l1": penalty.l1 if penalty else 0.0,
        "l2": penalty.l2 if penalty else 0.0,
        "max_norm": limit,
    }


def _is_plain(penalty: regularizers.Regularizer) -> bool:
    """Whether a penalty is l1 * sum(abs(w)) + l2 * sum(w * w)."""
    return type(penalty).__call__ is regularizers.Regularizer.__call__
