"""Layer 6: what every recipe is: a compiled model and how to fit it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dropfast.models import Sequential


@dataclass(frozen=True, eq=False)
class Recipe:
    """A compiled model, and how to fit it: ``recipe.model.fit(x, y, **recipe.fit)``.

    Attributes
    ----------
    model
        A compiled model that has seen no data.
    fit
        Arguments of `Sequential.fit`.

    Examples
    --------
    >>> import dropfast as df
    >>> model = df.Sequential([df.layers.Input(2), df.layers.Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> df.recipes.practical_guide(model, epochs=50).fit
    {'epochs': 50, 'batch_size': 128}
    """

    model: Sequential
    fit: dict[str, Any] = field(default_factory=dict)
