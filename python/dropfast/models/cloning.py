"""Layer 6: copies of a model's architecture: clone_model, model_from_json."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from dropfast.layers.base import Layer
from dropfast.models.describing import copy_graph
from dropfast.models.model import Model
from dropfast.models.saving import model_from_description
from dropfast.models.sequential import Sequential


def clone_model(
    model: Model,
    clone_function: Callable[[Layer], Layer] | None = None,
) -> Model:
    """A model of the same layers with weights of its own, newly drawn from the model's seed.

    Parameters
    ----------
    model
        The model.
    clone_function
        Called with each layer, returns the one that stands in its place; None makes a new layer of
        the same config.

    Returns
    -------
    Model
        Not compiled; of a class of one's own that defines `call`, a `Model` of its graph.

    Examples
    --------
    >>> import dropfast as df
    >>> model = df.Sequential([df.layers.Input(2), df.layers.Dense(1)], seed=0)
    >>> twin = df.models.clone_model(model)
    >>> bool((twin.get_weights()[0] == model.get_weights()[0]).all())
    True
    """
    if clone_function is None:
        return model_from_description(model.get_config(), _classes(model))
    made: dict[int, Layer] = {}
    if not isinstance(model, Sequential):
        graph = copy_graph(model.plan.graph, clone_function)
        return Model._of(graph, model.seed, model.name, model.dtype_policy)
    for layer in model.layers:
        if id(layer) not in made:
            made[id(layer)] = clone_function(layer)
    twin = Sequential(
        [made[id(layer)] for layer in model.layers],
        seed=model.seed,
        name=model.name,
        dtype=model.dtype_policy,
    )
    if model.built:
        twin.build(model.input_shape)
    return twin


def _classes(model: Model) -> dict[str, Any]:
    """Whatever of one's own the layers are and hold, by name, as configs refer to it."""
    found: dict[str, Any] = {}
    for layer in model._leaves() or model.layers:
        for thing in (layer, *vars(layer).values()):
            found.setdefault(type(thing).__name__, type(thing))
            if callable(thing) and hasattr(thing, "__name__"):
                found[thing.__name__] = thing
    return found


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Model:
    """A model, with new weights, from what `to_json` returned.

    Raises
    ------
    ValueError
        If the text is something else.

    Examples
    --------
    >>> import dropfast as df
    >>> model = df.Sequential([df.layers.Input(2), df.layers.Dense(1)], seed=0)
    >>> df.models.model_from_json(model.to_json()).count_params()
    3
    """
    try:
        found = json.loads(json_string)
    except (TypeError, ValueError):
        found = None
    if not isinstance(found, dict) or set(found) != {"class", "config"}:
        raise ValueError(
            f"json_string must be what to_json returned. Received: {str(json_string)[:60]!r}"
        )
    return model_from_description(found["config"], custom_objects)
