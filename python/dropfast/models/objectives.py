"""Layer 6: what models with several outputs are trained for: losses and metrics of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dropfast import losses, metrics
from dropfast.graph.symbolic import flatten, like
from dropfast.models import adapters
from dropfast.training.plan import Plan, features
from dropfast.training.several import Part, _LossOfPart, _OfPart, _Several


def losses_of(loss: Any) -> tuple[losses.Loss, Any]:
    """The first loss, and all of them as given where they are a list or dict, else None.

    Raises
    ------
    ValueError
        If a name is unknown, or there is none at all.
    """
    if not isinstance(loss, Mapping | list | tuple):
        return losses.get(loss), None
    leaves = [None if leaf is None else losses.get(leaf) for leaf in flatten(loss)]
    for leaf in leaves:
        if leaf is not None:
            return leaf, like(loss, leaves)
    raise ValueError(f"loss must be given for one output at least. Received: loss={loss!r}")


def several(plan: Plan, loss: losses.Loss, given: Any, weights: Any) -> _Several | None:
    """The losses of all outputs together; None where one output has the loss itself."""
    if len(plan.outputs) == 1 and given is None and weights is None:
        return None
    every = loss if given is None else given
    parts = adapters.parts_of(plan.graph, plan.columns_out, every, weights)
    return None if len(parts) == 1 and parts[0].weight == 1.0 else _Several(parts)


def metrics_of(parts: list[Part], plain: Any, weighted: Any) -> list[metrics.Metric]:
    """The losses of the outputs by themselves, then the metrics, then the weighted ones.

    Raises
    ------
    ValueError
        If metrics are given for no output, or two have one name.
    """
    one = len(parts) == 1
    found: list[metrics.Metric] = (
        [] if one else [_LossOfPart(p) for p in parts if p.loss is not None]
    )
    for counts, given in ((False, plain), (True, weighted)):
        for part, names in zip(parts, _for_each(parts, given), strict=True):
            for name in names:
                found.append(_metric(part, name, counts, one))
    taken = [metric.name for metric in found]
    twice = next((name for name in taken if taken.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"metrics must have different names. Received: {twice!r} twice")
    return found


def _metric(part: Part, name: Any, counts: bool, one: bool) -> _OfPart:
    if part.loss is None:
        raise ValueError(f"metrics must be of outputs with a loss. Received: {part.name!r}")
    metric = metrics.for_loss(name, part.loss, features((None, *part.shape)))
    return _OfPart(part, metric, metric.name if one else f"{part.name}_{metric.name}", counts)


def _for_each(parts: list[Part], given: Any) -> list[list[Any]]:
    """The metrics of each output in a list."""
    names = [part.name for part in parts]
    if not given:
        return [[] for _ in parts]
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise ValueError(
                f"metrics must be of the outputs {', '.join(names)}. Received: {unknown[0]!r}"
            )
        each = [given.get(name) for name in names]
    elif len(parts) == 1 and not isinstance(given[0], list | tuple):
        each = [list(given)]
    elif len(given) == len(parts):
        each = list(given)
    else:
        raise ValueError(
            f"metrics must be a list or dict with one entry for each of the outputs "
            f"{', '.join(names)}. Received: {len(given)} entries"
        )
    return [
        [] if one is None else list(one) if isinstance(one, list | tuple) else [one] for one in each
    ]
