"""Layer 7: trained embeddings of numeric columns, forward and backward, in NumPy.

Each numeric column becomes some features by itself; the others are handed on. Gorishniy,
Rubachev and Babenko 2022 for both kinds; Holzmüller, Grinsztajn and Steinwart 2024 for PBLD.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dropfast.arrays import Array
from dropfast.tabular.parts import Masks, Parameter, Part


class Embedding(Part):
    """Base: takes the numeric columns out of [columns, 1, rows], and puts features back.

    Parameters
    ----------
    numeric
        Numbers of the numeric columns.
    columns
        How many columns there are.
    """

    def __init__(self, numeric: Array, columns: int) -> None:
        self.numeric = np.asarray(numeric, np.int64)
        self.others = np.setdiff1d(np.arange(columns), self.numeric)
        self.columns = columns
        self.width = 0

    @property
    def features(self) -> int:
        """Features behind it."""
        return len(self.numeric) * self.width + len(self.others)

    def embed(self, x: Array) -> Array:
        """[numeric columns, rows] -> [numeric columns, width, rows]."""
        raise NotImplementedError(f"{type(self).__name__} must define embed")

    def embed_backward(self, grad: Array) -> Array:
        """Gradient of embed's inputs from that of its outputs."""
        raise NotImplementedError(f"{type(self).__name__} must define embed_backward")

    def forward(self, x: Array, masks: Masks | None = None) -> Array:
        """Features [features, 1, rows] of x [columns, 1, rows]."""
        embedded = self.embed(x[self.numeric, 0])
        return np.concatenate([embedded.reshape(-1, 1, x.shape[2]), x[self.others]])

    def backward(self, grad: Array) -> Array:
        """Gradients of the parameters and the inputs."""
        split = len(self.numeric) * self.width
        shape = (len(self.numeric), self.width, grad.shape[2])
        back = np.empty((self.columns, 1, grad.shape[2]), grad.dtype)
        back[self.numeric, 0] = self.embed_backward(grad[:split].reshape(shape))
        back[self.others] = grad[split:]
        return back


class Periodic(Embedding):
    """The value, and a linear function of cosines of it: PBLD.

    Parameters
    ----------
    numeric, columns
        As `Embedding`.
    random
        Draws frequencies (normal, of deviation `sigma` cycles) and phases.
    width
        Features a column, the value among them.
    cosines
        Cosines a column.
    sigma
        See there.
    rate
        Factor of the learning rate.
    """

    def __init__(
        self,
        numeric: Array,
        columns: int,
        random: np.random.Generator,
        *,
        width: int = 4,
        cosines: int = 16,
        sigma: float = 0.1,
        rate: float = 1.0,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(numeric, columns)
        self.width, count = width, len(self.numeric)

        def made(array: Array) -> Parameter:
            return Parameter(array.astype(dtype), rate, 0.0)

        edge = 1.0 / np.sqrt(cosines)
        self.frequency = made(2.0 * np.pi * random.normal(scale=sigma, size=(count, cosines, 1)))
        self.phase = made(random.uniform(-np.pi, np.pi, (count, cosines, 1)))
        self.kernel = made(random.uniform(-edge, edge, (count, width - 1, cosines)))
        self.bias = made(random.uniform(-edge, edge, (count, width - 1, 1)))

    def embed(self, x: Array) -> Array:
        """The value, then what is made of its cosines."""
        angles = x[:, None] * self.frequency.value + self.phase.value
        self._x = x, angles, np.cos(angles)
        made = np.matmul(self.kernel.value, self._x[2]) + self.bias.value
        return np.concatenate([x[:, None], made], axis=1)

    def embed_backward(self, grad: Array) -> Array:
        """Through the linear function, the cosine and the angle."""
        x, angles, cosines = self._x
        made = grad[:, 1:]
        np.sum(made, axis=2, keepdims=True, out=self.bias.grad)
        np.matmul(made, cosines.swapaxes(1, 2), out=self.kernel.grad)
        back = np.matmul(self.kernel.value.swapaxes(1, 2), made) * -np.sin(angles)
        np.sum(back, axis=2, keepdims=True, out=self.phase.grad)
        np.einsum("fcn,fn->fc", back, x, out=self.frequency.grad[:, :, 0])
        return np.asarray(grad[:, 0] + (back * self.frequency.value).sum(axis=1))


class PiecewiseLinear(Embedding):
    """A linear function of the value plus one with a slope for each bin.

    Parameters
    ----------
    numeric, columns
        As `Embedding`.
    edges
        Edges of the bins of each numeric column, ascending; see `quantile_edges`.
    random
        Draws the linear function; the slopes of bins start at 0.
    width
        Features a column.
    rate
        Factor of the learning rate.
    """

    def __init__(
        self,
        numeric: Array,
        columns: int,
        edges: list[Array],
        random: np.random.Generator,
        *,
        width: int = 8,
        rate: float = 1.0,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(numeric, columns)
        self.width, count = width, len(self.numeric)
        bins = max([len(e) - 1 for e in edges], default=1)
        self.low = np.zeros((count, bins, 1), dtype)
        # Bins that a column has not have no width, and are 0 for every value.
        self.inverse = np.zeros((count, bins, 1), dtype)
        # The outer bins go on for ever.
        self.floor = np.zeros_like(self.low)
        self.ceiling = np.ones_like(self.low)
        for i, edge in enumerate(edges):
            self.low[i, : len(edge) - 1, 0] = edge[:-1]
            self.inverse[i, : len(edge) - 1, 0] = 1.0 / np.diff(edge)
            self.floor[i, 0], self.ceiling[i, len(edge) - 2] = -np.inf, np.inf
        start = random.uniform(-1.0, 1.0, (2, count, width, 1)).astype(dtype)
        self.slope, self.bias = (Parameter(array, rate, 0.0) for array in start)
        self.kernel = Parameter(np.zeros((count, width, bins), dtype), rate, 0.0)

    def embed(self, x: Array) -> Array:
        """Shares of each bin that lie below the value, times its slopes."""
        share = (x[:, None] - self.low) * self.inverse
        code = np.clip(share, self.floor, self.ceiling)
        self._x = x, code, code == share
        made = np.matmul(self.kernel.value, code)
        return np.asarray(x[:, None] * self.slope.value + self.bias.value + made)

    def embed_backward(self, grad: Array) -> Array:
        """Gradients of slopes and value."""
        x, code, inside = self._x
        np.matmul(grad, code.swapaxes(1, 2), out=self.kernel.grad)
        np.sum(grad, axis=2, keepdims=True, out=self.bias.grad)
        np.einsum("fen,fn->fe", grad, x, out=self.slope.grad[:, :, 0])
        back = np.matmul(self.kernel.value.swapaxes(1, 2), grad) * self.inverse
        return np.asarray((back * inside).sum(axis=1) + (grad * self.slope.value).sum(axis=1))


# Bins are no narrower than this share of a column's range: what lies beyond the outer ones is
# measured in their widths.
_NARROWEST = 1e-3


def quantile_edges(x: Array, bins: int) -> list[Array]:
    """Edges of at most `bins` bins a column, at its quantiles; at least one bin."""
    found = []
    for column in np.asarray(x, np.float64).T:
        edges = np.unique(np.quantile(column, np.linspace(0.0, 1.0, bins + 1)))
        least = max(_NARROWEST * (edges[-1] - edges[0]), 1e-6)
        kept = [edges[0]]
        for edge in edges[1:]:
            if edge - kept[-1] >= least:
                kept.append(edge)
        one = len(kept) == 1
        found.append(np.array([edges[0] - 0.5, edges[0] + 0.5] if one else kept))
    return found
