"""Layer 7: ``python -m dropfast``: info, predict, summary, export."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from dropfast.cli.table import Table, matrix, read
from dropfast.cli.training import NOTE, check_new
from dropfast.config import show_config
from dropfast.models import Model, load_model, saving
from dropfast.models.monte_carlo import entropy
from dropfast.output import write

_OPTIONAL = ("scikit-learn", "pandas", "matplotlib", "torch", "keras", "onnx")


def info(given: Any) -> int:
    """What a bug report should hold."""
    show_config()
    for library in _OPTIONAL:
        try:
            write(f"{library:<13} {metadata.version(library)}")
        except metadata.PackageNotFoundError:
            write(f"{library:<13} not installed")
    return 0


def summary(given: Any) -> int:
    """Layers and parameters, and what the model expects where the file says it."""
    load_model(given.model, compile=False).summary()
    note = _note(given.model)
    if note is not None:
        columns, classes = note["columns"], note["classes"]
        write(f"target: {note['target']}" + (f", one of {', '.join(classes)}" if classes else ""))
        if columns:
            write(f"inputs: {', '.join(columns)}")
    return 0


def export(given: Any) -> int:
    """Weights as .npz or .safetensors, the description of the layers as .json."""
    check_new(given.out, given.overwrite, ".npz", ".safetensors", ".json")
    model = load_model(given.model, compile=False)
    if given.out.suffix == ".json":
        given.out.write_text(model.to_json(), encoding="utf-8")
    elif given.out.suffix == ".safetensors":
        model.save_weights(given.out, given.overwrite)
    else:
        arrays: dict[str, Any] = saving.named_weights(model)
        np.savez(given.out, **arrays)
    return 0


def predict(given: Any) -> int:
    """A row of answers for each row of the table."""
    if given.out is not None:
        check_new(given.out, given.overwrite)
    model = load_model(given.model, compile=False)
    note = _note(given.model) or {"columns": None, "classes": None}
    x = _inputs(model, read(given.data, not given.no_header), note["columns"])
    header, rows = _answers(model, x, note["classes"], given.samples)
    opened: Any = nullcontext(sys.stdout)
    if given.out is not None:
        opened = given.out.open("w", encoding="utf-8", newline="")
    with opened as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        stream.flush()
    return 0


def _note(file: Path) -> dict[str, Any] | None:
    text = saving.read_notes(file).get(NOTE)
    return None if text is None else json.loads(text)


def _inputs(model: Model, table: Table, columns: Sequence[str] | None) -> Any:
    if table.arrays is not None:
        x = matrix(table)
    else:
        # A model that was not trained here has no names: then all columns are inputs.
        x = table.features(list(table.columns) if columns is None else columns)
    shape = model.input_shape
    if not isinstance(shape, tuple) or None in shape[1:]:
        raise ValueError("model must have one input of a known shape to take a table")
    wanted = int(np.prod(shape[1:]))
    if x.shape[1] != wanted:
        raise ValueError(f"{table.file} must have {wanted} inputs a row. Received: {x.shape[1]}")
    return x.reshape(-1, *shape[1:])


def _answers(
    model: Model, x: Any, classes: Sequence[str] | None, samples: int | None
) -> tuple[list[str], Iterable[list[Any]]]:
    """Header and rows: the answer, then what is known about it."""
    spread = None
    if samples is None:
        mean = model.predict(x)
    else:
        mean, spread = model.predict_mc(x, samples=samples)
    if mean.ndim != 2:
        raise ValueError(f"model must answer with a row of numbers. Received: shape {mean.shape}")
    if classes is not None:
        names = ["prediction", *(f"p({name})" for name in classes)]
        chosen = [[classes[i]] for i in mean.argmax(axis=1)]
        extra = [] if spread is None else [entropy(mean)[:, None]]
        names += [] if spread is None else ["entropy"]
    else:
        several = mean.shape[1] > 1
        names = [f"prediction {i}" if several else "prediction" for i in range(mean.shape[1])]
        if spread is not None:
            names += [f"std {i}" if several else "std" for i in range(mean.shape[1])]
        chosen, extra = [[] for _ in mean], [] if spread is None else [spread]
    numbers = np.concatenate([mean, *extra], axis=1)
    rows = ([*first, *map(_short, row)] for first, row in zip(chosen, numbers, strict=True))
    return names, rows


def _short(value: float) -> str:
    return f"{value:.7g}"
