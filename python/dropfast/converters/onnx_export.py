"""Layer 7: export: models and estimators as ONNX files."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from dropfast.checks import check_choice, check_flag
from dropfast.converters.onnx_builder import Builder, value
from dropfast.converters.onnx_layers import add_call
from dropfast.graph.symbolic import flatten
from dropfast.models import Model, files


def export(
    model: Any,
    filepath: files.Path,
    format: str = "onnx",
    *,
    monte_carlo: bool = False,
    overwrite: bool = True,
) -> None:
    """See `dropfast.converters.export`."""
    check_choice("format", format, ("onnx",))
    check_flag("monte_carlo", monte_carlo)
    name = os.fsdecode(filepath)
    if not name.lower().endswith(".onnx"):
        raise ValueError(f"filepath must end in .onnx. Received: filepath={name!r}")
    made = _of_model(model, monte_carlo) if isinstance(model, Model) else None
    if made is None:
        made = _of_estimator(model, monte_carlo)
    files.write(filepath, made.SerializeToString(), overwrite)


def _of_model(model: Model, monte_carlo: bool) -> Any:
    graph = model.plan.graph
    names = _input_names(graph)
    ends = _output_names(graph, set(names))
    b = Builder(model.dtype, [*names, *ends])
    results = add_model(b, model, names, monte_carlo)
    for result, name in zip(results, ends, strict=True):
        b.op("Identity", result, output=name)
    inputs = [
        value(name, b.element, source.shape[1:])
        for name, source in zip(names, graph.sources, strict=True)
    ]
    outputs = [
        value(name, b.element, result.shape[1:])
        for name, result in zip(ends, graph.results, strict=True)
    ]
    return b.model(inputs, outputs, model.name)


def add_model(b: Builder, model: Model, inputs: list[str], monte_carlo: bool) -> list[str]:
    """Add a model's layers; returns the names of its outputs."""
    graph, at = model.plan.graph, int(not monte_carlo)
    if graph.inference is not None and not monte_carlo:
        graph = graph.inference
    values = {id(source): name for source, name in zip(graph.sources, inputs, strict=True)}
    now = (model._steps_done(), model.epochs_done)
    for call in graph.calls:
        sources = [values[id(source)] for source in call.sources]
        active = call.acts[at] or call.acts[1]
        values[id(call.output)] = add_call(b, call, sources, active, call.layer.rate_at(*now))
    return [values[id(result)] for result in graph.results]


def _input_names(graph: Any) -> list[str]:
    given = [str(source.name) for source in graph.sources]
    return list(graph.inputs) if isinstance(graph.inputs, dict) else _different(given, set())


def _output_names(graph: Any, taken: set[str]) -> list[str]:
    given = [str(result.name) for result in graph.results]
    if isinstance(graph.outputs, dict) and len(flatten(graph.outputs)) == len(graph.outputs):
        given = list(graph.outputs)
    return _different(given, taken)


def _different(names: list[str], taken: set[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        free, number = name, 0
        while free in taken or free in found:
            number += 1
            free = f"{name}_{number}"
        found.append(free)
    return found


def _of_estimator(estimator: Any, monte_carlo: bool) -> Any:
    """A fitted estimator, with the scalers before it."""
    steps = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
    *before, last = [step for step in steps if step not in (None, "passthrough")] or [None]
    model = getattr(last, "model_", None)
    own = type(last).__module__.startswith("dropfast.sklearn")
    if own and model is None:
        raise ValueError(f"model must be fitted. Received: {type(last).__name__}, which is not")
    if not own or not isinstance(model, Model):
        raise TypeError(
            "model must be a dropfast model, or an estimator of dropfast.sklearn. "
            f"Received: {type(last).__name__}"
        )
    assert last is not None
    labels = getattr(last, "classes_", None)
    ends = ["prediction"] if labels is None else ["label", "probabilities"]
    b = Builder(model.dtype, ["X", *ends])
    x = "X"
    for step in before:
        x = _scaled(b, step, x)
    (y,) = add_model(b, model, [x], monte_carlo)
    features = model.input_shape[1]
    inputs = [value("X", b.element, [features])]
    if labels is None:
        units = last._decoded(np.zeros((1, model.output_shape[1]), model.dtype)).size
        if units != model.output_shape[1]:
            y = b.op("Slice", y, *(b.constant(np.array([n], np.int64)) for n in (0, units, 1)))
        b.op("Identity", y, output="prediction")
        return b.model(inputs, [value("prediction", b.element, [units])], type(last).__name__)
    return _classifier(b, last, y, inputs)


def _scaled(b: Builder, step: Any, x: str) -> str:
    if type(step).__name__ != "StandardScaler" or not hasattr(step, "scale_"):
        raise TypeError(
            "steps before the estimator must be fitted StandardScalers. "
            f"Received: {type(step).__name__}"
        )
    if step.with_mean:
        x = b.op("Sub", x, b.number(step.mean_))
    return b.op("Div", x, b.number(step.scale_)) if step.scale_ is not None else x


def _classifier(b: Builder, estimator: Any, y: str, inputs: list[Any]) -> Any:
    """Probabilities of all classes, and the most probable one."""
    from onnx import TensorProto

    labels, kind = np.asarray(estimator.classes_), estimator._kind
    if kind == "binary" and len(labels) != 2:
        raise ValueError(f"classes must be two or more. Received: {len(labels)}")
    if kind == "binary":
        both = b.op("Sub", b.number(1.0), y)
        probabilities = b.op("Concat", both, y, axis=1, output="probabilities")
    else:
        probabilities = b.op("Identity", y, output="probabilities")
    count = len(labels)
    outputs = [value("probabilities", b.element, [count])]
    if kind == "multiclass":
        index = b.op("ArgMax", probabilities, axis=1, keepdims=0)
    else:
        over = b.op("Cast", b.op("Greater", y, b.number(0.5)), to=TensorProto.INT64)
        index = over
        if kind == "binary":
            index = b.op("Reshape", over, b.constant(np.array([-1], np.int64)))
    if kind == "multilabel":
        b.op("Identity", index, output="label")
        label = value("label", TensorProto.INT64, [count])
    else:
        label = value("label", _labels(b, labels, index), [])
    return b.model(inputs, [label, *outputs], type(estimator).__name__)


def _labels(b: Builder, labels: Any, index: str) -> int:
    """Add the classes by number; returns their type."""
    from onnx import TensorProto

    if labels.dtype.kind in "OUS":
        if not all(isinstance(label, str) for label in labels.tolist()):
            raise ValueError("classes must be strings or numbers. Received: others")
        b.op("Gather", b.strings(labels.tolist()), index, axis=0, output="label")
        return int(TensorProto.STRING)
    kinds = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}
    array = labels.astype(kinds[labels.dtype.kind])
    b.op("Gather", b.constant(array), index, axis=0, output="label")
    kind = {"b": TensorProto.BOOL, "f": TensorProto.DOUBLE}.get(labels.dtype.kind)
    return int(TensorProto.INT64 if kind is None else kind)
