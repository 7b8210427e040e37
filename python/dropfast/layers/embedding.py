"""Layer 6: Embedding."""

from __future__ import annotations

from typing import Any

import numpy as np

from dropfast import constraints, initializers, regularizers
from dropfast.arrays import Array, Shape
from dropfast.checks import check_integer
from dropfast.layers.base import Layer, Passage


class Embedding(Layer):
    """A learned vector for each of some integers: categories as numbers that a network can use.

    Parameters
    ----------
    input_dim
        How many integers there are: they are 0 to input_dim - 1.
    output_dim
        Length of a vector.
    embeddings_initializer
        Initial vectors.
    embeddings_regularizer, embeddings_constraint
        Penalty and bound of the vectors.

    Raises
    ------
    ValueError
        If an input is no integer in that range; the first bad one is named.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> layer = df.layers.Embedding(3, 2, embeddings_initializer="ones")
    >>> layer(np.array([[0, 2]])).shape
    (1, 2, 2)
    """

    rounds = False
    until_built = ("input_dim", "output_dim", "embeddings_initializer")

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_dim = check_integer("input_dim", input_dim, 1)
        self.output_dim = check_integer("output_dim", output_dim, 1)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.embeddings: Array

    def build(self, input_shape: Shape) -> None:
        """Make the vectors."""
        self.embeddings = self.add_weight(
            "embeddings",
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            self.embeddings_regularizer,
            self.embeddings_constraint,
        )

    def forward(self, x: Array, passage: Passage) -> Array:
        """[n, ...] -> [n, ..., output_dim]."""
        with np.errstate(invalid="ignore"):
            index = x.astype(np.intp)
            bad = (index < 0) | (index >= self.input_dim) | (index != x)
        if bad.any():
            raise ValueError(
                f"input of layer {self.name!r} must hold integers in [0, {self.input_dim - 1}]. "
                f"Received: {x[bad][0]} in row {int(np.argwhere(bad)[0][0])}"
            )
        passage.saved = index
        found: Array = self.embeddings[index]
        return found

    def gradient(self, grad: Array, passage: Passage) -> Array:
        """Zeros: integers have no slope; a vector's gradient is the sum over its uses."""
        index = passage.saved
        sums = np.zeros((self.input_dim, self.output_dim))
        np.add.at(sums, index.reshape(-1), grad.reshape(-1, self.output_dim))
        passage.gradients["embeddings"] = sums.astype(grad.dtype)
        return np.zeros(index.shape, grad.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """One axis more."""
        return (*input_shape, self.output_dim)
