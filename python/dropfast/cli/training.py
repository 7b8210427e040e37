"""Layer 7: ``python -m dropfast train``: from a table to a model file that says what it expects."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dropfast import layers, optimizers
from dropfast.cli.table import Table, matrix, read
from dropfast.models import Sequential, saving

# Metadata of the model file: columns, task and classes.
NOTE = "table"
# Whole numbers with more values than this are a quantity, not labels.
MOST_LABELS = 20


@dataclass
class Problem:
    """Inputs and targets of a network.

    Attributes
    ----------
    x, y
        Rows of numbers; labels from 0 on, or values.
    columns
        Names of the inputs, or None for arrays of an .npz file.
    classes
        Names of the labels, or None for a regression.
    """

    x: NDArray[np.float64]
    y: NDArray[Any]
    columns: list[str] | None
    classes: list[str] | None


def train(given: Any) -> int:
    """Run the command."""
    check_new(given.out, given.overwrite, ".safetensors")
    table = read(given.data, not given.no_header)
    problem = _problem(table, given.target, given.drop, given.task)
    order = np.random.default_rng(given.seed).permutation(len(problem.x))
    held_out = round(given.validation * len(order))
    if len(order) - held_out < 2:
        raise ValueError(f"{given.data} must leave two rows to train on. Received: {len(order)}")
    rows, valid = order[held_out:], order[:held_out]
    _tell(given, problem, len(rows), held_out)
    offset, scale = 0.0, 1.0
    if problem.classes is None:
        offset, scale = float(problem.y[rows].mean()), float(problem.y[rows].std()) or 1.0
    y = (problem.y - offset) / scale if problem.classes is None else problem.y
    model = _network(problem, rows, given)
    interrupted = False
    try:
        model.fit(
            problem.x[rows],
            y[rows],
            batch_size=given.batch_size,
            epochs=given.epochs,
            validation_data=(problem.x[valid], y[valid]) if held_out else None,
            verbose=0 if given.quiet else "auto",
        )
    except KeyboardInterrupt:  # the weights are as far as they were trained
        interrupted = True
    if problem.classes is None:
        _unscale(model, offset, scale)
    note = {"target": given.target, "columns": problem.columns, "classes": problem.classes}
    saving.save(model, given.out, given.overwrite, {NOTE: json.dumps(note)})
    if held_out:
        print(score(problem, model.predict(problem.x[valid]), valid, rows))
    print(f"{given.out}: {model.count_params():,} parameters")
    if interrupted:
        print(f"interrupted after {model.epochs_done} of {given.epochs} epochs", file=sys.stderr)
    return 130 if interrupted else 0


def check_new(file: Path, overwrite: bool, *suffixes: str) -> None:
    """Refuse a file that can't be written, before any work is done.

    Raises
    ------
    ValueError
        If the suffix is another, the folder is missing or read-only, or the file exists.
    """
    if suffixes and file.suffix not in suffixes:
        raise ValueError(f"--out must end in {' or '.join(suffixes)}. Received: {file}")
    if not file.parent.is_dir():
        raise ValueError(f"--out must be in a folder that exists. Received: {file}")
    if file.is_dir():
        raise ValueError(f"--out must be a file. Received: the folder {file}")
    if file.exists() and not overwrite:
        raise ValueError(f"{file} exists; --overwrite replaces it")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise ValueError(f"--out must be writable. Received: {file}")


def _problem(table: Table, target: str, drop: list[str], task: str) -> Problem:
    table.need(target)
    if table.arrays is not None:
        x, columns = matrix(table), None
        cells = table.arrays[target]
        if cells.ndim == 2 and cells.shape[1] == 1:
            cells = cells[:, 0]
        if cells.ndim != 1 or len(cells) != len(x):
            raise ValueError(
                f"{table.file}: {target} must hold one value for each of the {len(x)} rows of x. "
                f"Received: shape {cells.shape}"
            )
        texts = [str(cell) for cell in cells.tolist()]
        table = Table(table.file, {target: texts}, list(range(1, len(x) + 1)))
    else:
        for name in drop:
            table.need(name)
        columns = [name for name in table.columns if name != target and name not in drop]
        if not columns:
            raise ValueError(f"{table.file} must have a column beside {target!r} to predict from")
        x = table.features(columns)
    texts = [text.strip() for text in table.columns[target]]
    if "" in texts:
        line = table.lines[texts.index("")]
        raise ValueError(f"{table.file}, line {line}: no value of the target {target!r}")
    if task == "auto":
        task = "classification" if _are_labels(texts) else "regression"
    if task == "regression":
        return Problem(x, table.numbers(target), columns, None)
    classes = sorted(set(texts), key=_by_value)
    if len(classes) < 2:
        raise ValueError(f"target {target!r} must have two classes. Received: {classes[0]!r} only")
    places = {name: i for i, name in enumerate(classes)}
    return Problem(x, np.array([places[text] for text in texts]), columns, classes)


def _are_labels(texts: list[str]) -> bool:
    """Whether a column holds names, or few different whole numbers."""
    try:
        values = {float(text) for text in texts}
    except ValueError:
        return True
    return len(values) <= MOST_LABELS and all(value == round(value) for value in values)


def _by_value(text: str) -> tuple[float, str]:
    try:
        return float(text), ""
    except ValueError:
        return float("inf"), text


def _network(problem: Problem, rows: NDArray[np.int64], given: Any) -> Sequential:
    mean, variance = problem.x[rows].mean(axis=0), problem.x[rows].var(axis=0)
    # A column that is constant in training says nothing: it must not blow up later.
    variance[variance == 0] = 1.0
    stack: list[Any] = [
        layers.Input((problem.x.shape[1],)),
        layers.Normalization(mean=mean.tolist(), variance=variance.tolist()),
    ]
    if given.input_rate:
        stack.append(layers.Dropout(given.input_rate))
    for units in given.hidden:
        stack.append(layers.Dense(units, activation="relu"))
        if given.rate:
            stack.append(layers.Dropout(given.rate))
    if problem.classes is None:
        stack.append(layers.Dense(1))
    else:
        stack.append(layers.Dense(len(problem.classes), activation="softmax"))
    model = Sequential(stack, seed=given.seed)
    labels = problem.classes is not None
    model.compile(
        optimizers.Adam(given.learning_rate),
        "sparse_categorical_crossentropy" if labels else "mse",
        metrics=["accuracy"] if labels else None,
    )
    return model


def _unscale(model: Sequential, offset: float, scale: float) -> None:
    """Let the last layer answer in the target's own units."""
    *others, kernel, bias = model.get_weights()
    model.set_weights([*others, kernel * scale, bias * scale + offset])


def _tell(given: Any, problem: Problem, rows: int, held_out: int) -> None:
    if given.quiet:
        return
    if problem.classes is None:
        what = f"regression of {given.target!r}"
    else:
        what = f"classification of {given.target!r}, {len(problem.classes)} classes"
    print(f"{what}: {problem.x.shape[1]} inputs, {rows:,} rows, {held_out:,} held out")


def score(
    problem: Problem,
    predicted: NDArray[Any],
    valid: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> str:
    """How good the network is on held-out rows, beside the best constant answer."""
    y = problem.y[valid]
    if problem.classes is None:
        error = float(np.sqrt(np.mean((predicted[:, 0] - y) ** 2)))
        constant = float(np.sqrt(np.mean((problem.y[rows].mean() - y) ** 2)))
        return f"held out: error {error:.4g} (root mean square; the mean alone: {constant:.4g})"
    right = float(np.mean(predicted.argmax(axis=1) == y))
    frequent = np.bincount(problem.y[rows]).argmax()
    guess = f"always {problem.classes[frequent]!r}: {np.mean(y == frequent):.1%}"
    return f"held out: {right:.1%} right ({guess})"
