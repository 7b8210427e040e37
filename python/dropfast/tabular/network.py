"""Layer 7: networks of `dropfast.tabular.parts`: losses over members, and AdamW."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dropfast.arrays import Array
from dropfast.tabular.parts import Masks, Part


class Network:
    """Parts one after another, whose parameters lie in one array.

    Parameters
    ----------
    parts
        From the table's columns to the members' answers.
    softmax
        Whether the answers are logits of classes.
    smoothing
        Share of a target that is spread over all classes.
    """

    def __init__(self, parts: Sequence[Part], softmax: bool, smoothing: float = 0.0) -> None:
        self.parts, self.softmax, self.smoothing = list(parts), softmax, smoothing
        self._gather()

    def _gather(self) -> None:
        """One array for all values and one for all gradients; parts hold views of them."""
        held = [parameter for part in self.parts for parameter in part.parameters()]
        sizes = [parameter.value.size for parameter in held]
        self.values = np.concatenate([parameter.value.ravel() for parameter in held])
        self.grads = np.zeros_like(self.values)
        dtype = self.values.dtype
        self.rates = np.repeat(np.array([p.rate for p in held], dtype), sizes)
        self.decays = np.repeat(np.array([p.decay for p in held], dtype), sizes)
        ends = np.cumsum(sizes)
        for parameter, end, size in zip(held, ends, sizes, strict=True):
            shape = parameter.value.shape
            parameter.value = self.values[end - size : end].reshape(shape)
            parameter.grad = self.grads[end - size : end].reshape(shape)

    def __getstate__(self) -> dict[str, Any]:
        for part in self.parts:
            part.forget()
        gone = ("grads", "rates", "decays")
        return {name: value for name, value in vars(self).items() if name not in gone}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        # Views are written as arrays of their own: put them together again.
        self._gather()

    def forward(self, x: Array, masks: Masks | None = None) -> Array:
        """The members' outputs [units, members, rows] for rows [rows, columns]."""
        x = np.ascontiguousarray(x.T)[:, None]
        for part in self.parts:
            x = part.forward(x, masks)
        return x

    def backward(self, grad: Array) -> None:
        """Gradients of all parameters, into `grads`."""
        for part in reversed(self.parts):
            grad = part.backward(grad)

    def loss(self, outputs: Array, y: Array, weights: Array | None) -> tuple[float, Array]:
        """Mean over rows and members, and its gradient with respect to the outputs.

        Parameters
        ----------
        outputs
            Of `forward`.
        y
            Labels (rows,), or targets (rows, units).
        weights
            One a row, of mean 1; or None.
        """
        units, members, rows = outputs.shape
        share = np.full(rows, 1.0 / (members * rows), outputs.dtype)
        if weights is not None:
            share *= weights.astype(outputs.dtype)
        if not self.softmax:
            errors = outputs - y.T[:, None]
            value = np.einsum("ukr,ukr,r->", errors, errors, share) / units
            return float(value), errors * (share * (2.0 / units))
        logs = outputs - outputs.max(axis=0)
        logs -= np.log(np.exp(logs).sum(axis=0))
        targets = np.full((units, 1, rows), self.smoothing / units, outputs.dtype)
        targets[y, 0, np.arange(rows)] += 1.0 - self.smoothing
        value = -np.einsum("ukr,ur,r->", logs, targets[:, 0], share)
        return float(value), (np.exp(logs) - targets) * share

    def predict(self, x: Array) -> Array:
        """Mean of the members' answers [rows, units], float64: of probabilities for classes."""
        pieces = []
        for start in range(0, len(x), _ROWS):
            outputs = self.forward(x[start : start + _ROWS]).astype(np.float64)
            if self.softmax:
                outputs = np.exp(outputs - outputs.max(axis=0))
                outputs /= outputs.sum(axis=0)
            pieces.append(outputs.mean(axis=1).T)
        return np.concatenate(pieces)


# Rows whose activations lie in memory at once.
_ROWS = 1024


class AdamW:
    """Adam with decoupled decay on one array, with a factor of the learning rate for each number.

    Loshchilov and Hutter 2019.
    """

    def __init__(self, network: Network, weight_decay: float, beta_2: float = 0.95) -> None:
        self.network, self.weight_decay, self.betas = network, weight_decay, (0.9, beta_2)
        self.first, self.second = np.zeros((2, network.values.size), network.values.dtype)
        self.steps = 0

    def step(self, rate: float) -> None:
        """Move the values along the gradients."""
        network, grads = self.network, self.network.grads
        (beta_1, beta_2), self.steps = self.betas, self.steps + 1
        self.first += (1.0 - beta_1) * (grads - self.first)
        self.second += (1.0 - beta_2) * (grads * grads - self.second)
        bias = np.sqrt(1.0 - beta_2**self.steps) / (1.0 - beta_1**self.steps)
        moves = self.first / (np.sqrt(self.second) + 1e-8)
        moves *= bias
        if self.weight_decay:
            moves += self.weight_decay * network.decays * network.values
        moves *= network.rates
        network.values -= rate * moves
