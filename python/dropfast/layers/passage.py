"""Layer 6: one passage of a batch through a layer, forward and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dropfast.arrays import Array, assign
from dropfast.random import Key


@dataclass(eq=False)
class Passage:
    """One passage of a batch through a layer: how it went forward, and what the way back needs.

    A layer that stands at several places has a passage for each, so nothing is mixed up.

    Attributes
    ----------
    training
        Whether the layer acts as in training.
    key
        Where a stochastic layer draws.
    rate
        The rate of this step where a schedule moves it, else None.
    rows_per_mask
        The model's default for layers that set none.
    first_row
        The number of the batch's first row: row i of the batch draws as row ``first_row + i``.
    consistent
        Whether all rows take the decisions of row 0.
    linear
        True makes a layer leave out its activation: the loss computes it (softmax and
        cross-entropy together).
    to_input
        False where the gradient with respect to the layer's input is not needed.
    saved
        Whatever `forward` keeps for `gradient`.
    gradients
        Gradients of the layer's weights by name; `gradient` fills it.
    activity
        The output, where the layer has an ``activity_regularizer``.
    updates
        What running statistics become when the step is done, by the identity of their arrays; see
        `update`. Passages of one step share it.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> passage = df.layers.Passage(training=True, key=df.Key(0), rate=0.5)
    >>> df.layers.Dropout(0.5).forward(np.ones((1, 8)), passage).shape
    (1, 8)
    """

    training: bool = False
    key: Key | None = None
    rate: float | None = None
    rows_per_mask: int = 1
    first_row: int = 0
    consistent: bool = False
    linear: bool = False
    to_input: bool = True
    saved: Any = None
    gradients: dict[str, Array] = field(default_factory=dict)
    activity: Array | None = None
    updates: dict[int, tuple[Array, Array]] = field(default_factory=dict)

    def latest(self, array: Array) -> Array:
        """What an array of running statistics holds once the updates so far are made."""
        return self.updates.get(id(array), (array, array))[1]

    def update(self, array: Array, values: Array) -> None:
        """Let an array of running statistics become `values` when the step is done.

        Written at once, it would belong to another step than the weights if something interrupts.
        """
        self.updates[id(array)] = array, np.array(values, array.dtype, order="C")

    def finish(self) -> None:
        """Make the updates, all together."""
        if self.updates:
            assign(self.updates.values())

    def drawing_key(self) -> Key:
        """The key of a passage that draws.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self.key is None:
            raise ValueError("key must be given where a layer draws. Received: key=None")
        return self.key
