"""Layer 6: a model as a table of text, and as a picture in a notebook."""

from __future__ import annotations

import html as escape
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dropfast import _core
from dropfast.arrays import shape_text
from dropfast.checks import check_integer
from dropfast.layers import AlphaDropout, Dropout
from dropfast.layers.base import Layer
from dropfast.models import explaining

if TYPE_CHECKING:
    from dropfast.models.fitting import Fitting
    from dropfast.training.plan import Plan

# Rows of the batch on which the share of dropped elements is measured.
_MEASURED_ROWS = 1024


def lines(model: Fitting, line_length: int | None) -> Iterator[str]:
    """The lines of `Sequential.summary`."""
    realised = _realised(model)
    table = _table(model, realised)
    text = _TEXT_COLUMNS + (table[0][2] == _CONNECTED)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    if line_length is not None:
        check_integer("line_length", line_length, least=1)
        widths[0] += max(line_length - sum(widths) - 2 * (len(widths) - 1), 0)
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    yield f'Model "{model.name}" (seed {model.seed}, {model.dtype_policy.name})'
    yield rule
    for i, row in enumerate(table):
        cells = (
            cell.rjust(width) if j >= text else cell.ljust(width)
            for j, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
        if i == 0:
            yield rule
    yield rule
    if not model.built:
        yield "Not built: shapes and weights come with the first data."
        return
    trainable = sum(array.size for array in model.trainable_weights)
    yield f"Weights: {model.count_params():,}, of which {trainable:,} are trained"
    yield _engines(model)
    if any(place.layer.mixed for place in model.plan.places) and not _core.has_bfloat16():
        yield (
            "This processor has no instructions for bfloat16: same results, but slower than float32"
        )


def _engines(model: Fitting) -> str:
    """Which engine runs, and why."""
    if model.plan.obstacle:
        return f"Runs layer by layer, because of {model.plan.obstacle}"
    if model.compiled and model.training_obstacle:
        return (
            "Predicts in the native engine; trains layer by layer, because of "
            f"{model.training_obstacle}"
        )
    return "Runs in the native engine"


_TEXT_COLUMNS = 2
_CONNECTED = "Connected to"


def _table(model: Fitting, realised: dict[int, float]) -> list[list[str]]:
    """Head and rows; where layers are not in a row also what each is connected to."""
    head = ["Layer (type)", "Output shape", "Weights", "Rate"]
    layers = [place.layer for place in model.plan.places] if model.built else model.layers
    links = _links(model.plan) if model.built else None
    table = [[*head[:2], *([_CONNECTED] if links else []), *head[2:]]]
    if realised:
        table[0].append("Dropped")
    for i, layer in enumerate(layers):
        shape = shape_text(model.plan.places[i].output_shape) if model.built else "?"
        weights = f"{layer.count_params():,}" if layer.built else "?"
        row = [f"{layer.name} ({type(layer).__name__})", shape]
        row += [", ".join(links[i])] if links else []
        row += [weights, rate_text(layer)]
        if realised:
            row.append(f"{100 * realised[i]:.2f} %" if i in realised else "")
        table.append(row)
    return table


def _links(plan: Plan) -> list[list[str]] | None:
    """Names of what each place takes, or None where all are in a row."""
    if plan.inputs == 1 and all(place.sources == (place.index,) for place in plan.places):
        return None
    names = [source.name for source in plan.graph.sources]
    # A layer at several places is told apart by its place.
    leaves = [place.layer for place in plan.places]
    for place in plan.places:
        several = sum(layer is place.layer for layer in leaves) > 1
        names.append(f"{place.layer.name}[{place.index}]" if several else place.layer.name)
    return [[names[source] for source in place.sources] for place in plan.places]


def rate_text(layer: Layer) -> str:
    """The rate of a layer as it was given; "" for layers without."""
    rate: Any = getattr(layer, "rate", None)
    return "" if rate is None else f"{rate:g}" if isinstance(rate, float) else repr(rate)


def _realised(model: Fitting) -> dict[int, float]:
    """Share of dropped elements by place in the latest step, once there was one."""
    if not model.built or model._steps_done() == 0:
        return {}
    shares = {}
    step = model._steps_done() - 1
    epoch = max(model.epochs_done - 1, 0)
    keys = model.plan.keys(model.seed, step=step)
    for place, key in zip(model.plan.stochastic, keys, strict=True):
        layer = place.layer
        if isinstance(layer, Dropout | AlphaDropout):
            shape = (_MEASURED_ROWS, *(size or 1 for size in place.input_shape[1:]))
            rate = layer.rate_at(step, epoch)
            mask = explaining.mask_of(layer, shape, rate, key, model.rows_per_mask)
            shares[place.index] = 1.0 - float(mask.mean())
    return shares


def html(model: Fitting) -> str:
    """The network as boxes in a row, dropout hatched by its rate; other graphs say what feeds."""
    layers = [place.layer for place in model.plan.places] if model.built else model.layers
    links = _links(model.plan) if model.built else None
    boxes = []
    for source in model.plan.graph.sources if model.built else ():
        name = source.name if links else "input"
        boxes.append(_box(name, shape_text(source.shape), "", 0.0))
    for i, layer in enumerate(layers):
        shape = shape_text(model.plan.places[i].output_shape) if model.built else ""
        rate = getattr(layer, "rate", 0.0)
        share = rate if isinstance(rate, float) else 0.5
        text = f"rate {rate_text(layer)}" if rate_text(layer) else _activation(layer)
        name = f"{', '.join(links[i])} → {layer.name}" if links else layer.name
        boxes.append(_box(name, shape, text, share if rate_text(layer) else 0.0))
    boxes = boxes if model.built else [_box("input", "?", "", 0.0), *boxes]
    arrow = "" if links else '<span style="color:#888">→</span>'
    title = escape.escape(f"{model.name}, {model.count_params():,} weights, seed {model.seed}")
    return (
        f'<div style="font-family:sans-serif;font-size:12px"><div>{title}</div>'
        '<div style="display:flex;flex-wrap:wrap;align-items:center;gap:4px">'
        f"{arrow.join(boxes)}</div></div>"
    )


def _activation(layer: Layer) -> str:
    function = getattr(layer, "activation", None)
    return "" if function is None or function.name == "linear" else str(function.name)


def _box(name: str, shape: str, text: str, rate: float) -> str:
    # Text and ground are the page's own, so that the picture is readable in light and dark.
    ground = "transparent"
    if rate > 0.0:
        width = f"{8 * rate:.1f}px"
        stops = f"rgba(200,80,60,.4) 0 {width},transparent {width} 8px"
        ground = f"repeating-linear-gradient(45deg,{stops})"
    parts = "<br>".join(escape.escape(part) for part in (name, shape, text) if part)
    return (
        '<div style="border:1px solid #888;border-radius:4px;padding:4px 6px;color:inherit;'
        f'text-align:center;background:{ground}">{parts}</div>'
    )
