"""Layer 7: parts of networks for tables, forward and backward, in NumPy.

Activations are [features, members, rows]; one member stands for rows that all of them share. So a
product over the rows of all members is one call, whose long side lies in memory as it comes. What a
part does in `backward` belongs to its latest `forward`.

Wen, Tran and Ba 2020 for BatchEnsemble; Gorishniy, Kotelnikov and Babenko 2025 for its use on
tables; Holzmüller, Grinsztajn and Steinwart 2024 for scaling layer, parametric activations and
learning-rate factors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import dropfast
from dropfast import activations
from dropfast.arrays import Array


@dataclass(eq=False)
class Parameter:
    """An array that training moves.

    Attributes
    ----------
    value
        The array.
    rate
        Factor of the learning rate.
    decay
        Factor of the weight decay.
    grad
        Gradient of the loss, written by `backward`.
    """

    value: Array
    rate: float = 1.0
    decay: float = 1.0
    grad: Array = field(init=False)

    def __post_init__(self) -> None:
        self.grad = np.zeros_like(self.value)


class Part:
    """Base: a function with parameters and its gradient."""

    def parameters(self) -> list[Parameter]:
        """What training moves."""
        return [value for value in vars(self).values() if isinstance(value, Parameter)]

    def forward(self, x: Array, masks: Masks | None = None) -> Array:
        """Outputs; with masks as in training."""
        raise NotImplementedError(f"{type(self).__name__} must define forward")

    def backward(self, grad: Array) -> Array:
        """Gradient of the inputs; those of the parameters are written to their `grad`."""
        raise NotImplementedError(f"{type(self).__name__} must define backward")

    def forget(self) -> None:
        """Drop what the latest call left behind."""
        for name in ("_x", "_scaled", "_product", "_mask"):
            vars(self).pop(name, None)


@dataclass(frozen=True)
class Masks:
    """Where dropout draws in a step of training, and how much it drops.

    Attributes
    ----------
    seed, step
        Key of the step's masks.
    rate
        Probability to drop a unit.
    """

    seed: int
    step: int
    rate: float


class Scale(Part):
    """A factor for each feature, so that training can select features early."""

    def __init__(self, features: int, rate: float, dtype: Any) -> None:
        self.scale = Parameter(np.ones(features, dtype), rate, 0.0)

    def forward(self, x: Array, masks: Masks | None = None) -> Array:
        """Inputs times the factors."""
        self._x = x
        return np.asarray(x * self.scale.value[:, None, None])

    def backward(self, grad: Array) -> Array:
        """Gradients of the factors and the inputs."""
        np.einsum("fkr,fkr->f", grad, self._x, out=self.scale.grad)
        return np.asarray(grad * self.scale.value[:, None, None])


class Dense(Part):
    """s * (kernel.T @ (r * x)) + bias, where all members share the kernel.

    Parameters
    ----------
    inputs, units
        Features before and after.
    members
        Number of members; of one, there are no r and s.
    random
        Draws the first values: the kernel's with variance `gain` / inputs.
    gain
        See there.
    signs
        Whether r starts as random signs, which is what makes the members differ, instead of ones.
    shared
        Whether members have the kernel in common; else each has its own, as heads do.
    kernel_rate, bias_rate
        Factors of the learning rate.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        members: int,
        random: np.random.Generator,
        *,
        gain: float = 2.0,
        signs: bool = False,
        shared: bool = True,
        kernel_rate: float = 1.0,
        bias_rate: float = 1.0,
        dtype: Any = np.float32,
    ) -> None:
        shape = (inputs, units) if shared else (members, inputs, units)
        kernel = random.normal(scale=np.sqrt(gain / inputs), size=shape)
        self.kernel = Parameter(kernel.astype(dtype), kernel_rate)
        edge = 1.0 / np.sqrt(inputs)
        bias = random.uniform(-edge, edge, (units, members, 1))
        self.bias = Parameter(bias.astype(dtype), bias_rate, 0.0)
        self.adapted = shared and members > 1
        if self.adapted:
            first = random.choice([-1.0, 1.0], (inputs, members, 1)) if signs else 1.0
            self.r = Parameter(np.full((inputs, members, 1), first, dtype), 1.0, 0.0)
            self.s = Parameter(np.ones((units, members, 1), dtype), 1.0, 0.0)

    def forward(self, x: Array, masks: Masks | None = None) -> Array:
        """Outputs [units, members, rows]."""
        self._x = x
        self._scaled = x * self.r.value if self.adapted else x
        self._product = product = _products(self.kernel.value.swapaxes(-1, -2), self._scaled)
        return np.asarray((product * self.s.value if self.adapted else product) + self.bias.value)

    def backward(self, grad: Array) -> Array:
        """Gradients of kernel, r, s, bias and inputs."""
        kernel = self.kernel.value
        np.sum(grad, axis=2, keepdims=True, out=self.bias.grad)
        if self.adapted:
            np.einsum("ukr,ukr->uk", grad, self._product, out=self.s.grad[:, :, 0])
            grad = grad * self.s.value
        scaled = np.broadcast_to(self._scaled, (len(self._scaled), *grad.shape[1:]))
        if kernel.ndim == 2:
            flat = scaled.reshape(len(scaled), -1), grad.reshape(len(grad), -1)
            dropfast.matmul(flat[0], flat[1].T, out=self.kernel.grad)
        else:
            np.matmul(scaled.swapaxes(0, 1), grad.transpose(1, 2, 0), out=self.kernel.grad)
        back = _products(kernel, grad)
        if self.adapted:
            x = np.broadcast_to(self._x, back.shape)
            np.einsum("ikr,ikr->ik", back, x, out=self.r.grad[:, :, 0])
            back = back * self.r.value
        return back if self._x.shape[1] == back.shape[1] else back.sum(axis=1, keepdims=True)


class Activation(Part):
    """x + strength * (f(x) - x): with a strength of its own for each unit if `parametric`.

    Parameters
    ----------
    name
        Of f, in `dropfast.activations`.
    units
        Number of features.
    parametric
        Whether the strength is trained; else it is 1.
    rate
        Factor of its learning rate.
    """

    def __init__(self, name: str, units: int, parametric: bool, rate: float, dtype: Any) -> None:
        self.function = activations.get(name)
        self.parametric = parametric
        if parametric:
            self.strength = Parameter(np.ones(units, dtype), rate, 0.0)

    def forward(self, x: Array, masks: Masks | None = None) -> Array:
        """Outputs of x's shape."""
        out = self.function(x)
        self._x = x, out
        if not self.parametric:
            return np.asarray(out)
        return np.asarray(x + self.strength.value[:, None, None] * (out - x))

    def backward(self, grad: Array) -> Array:
        """Gradients of strength and inputs."""
        x, out = self._x
        slope = self.function.backward(x, out, grad)
        if not self.parametric:
            return np.asarray(slope)
        np.einsum("ukr,ukr->u", grad, out - x, out=self.strength.grad)
        return np.asarray(grad + self.strength.value[:, None, None] * (slope - grad))


class Dropout(Part):
    """Inverted dropout, a mask for each member."""

    def __init__(self, place: int) -> None:
        self.place = place

    def _key(self, masks: Masks) -> Any:
        return dropfast.Key(masks.seed, self.place, masks.step)

    def forward(self, x: Array, masks: Masks | None = None) -> Array:
        """Inputs with units dropped, if there are masks."""
        self._mask = masks
        if masks is None or masks.rate == 0.0:
            return x
        return dropfast.dropout(x, masks.rate, self._key(masks))

    def backward(self, grad: Array) -> Array:
        """The gradient with the same units dropped."""
        masks = self._mask
        if masks is None or masks.rate == 0.0:
            return grad
        return dropfast.dropout_backward(grad, masks.rate, self._key(masks))


def _products(kernel: Array, x: Array) -> Array:
    """A kernel [units, inputs] times [inputs, members, rows], in one call if members share it."""
    if kernel.ndim == 3:
        return np.asarray(np.matmul(kernel, x.swapaxes(0, 1)).swapaxes(0, 1))
    flat = dropfast.matmul(kernel, x.reshape(len(x), -1))
    return flat.reshape(-1, *x.shape[1:])
