"""Layer 6: models in safetensors files: arrays, and a description as JSON. Never pickle.

Metadata: ``format`` "dropfast", ``version`` of this layout, ``model`` the description. Arrays:
``weights.<i>.<layer>.<name>`` in the order of ``model.weights``, ``optimizer.<slot>.<i>``.
docs/model-format.md describes it, `dropfast.models.files` how it is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from dropfast.arrays import Array, shape_text
from dropfast.checks import check_flag, check_path
from dropfast.configurable import deserialize, serialize
from dropfast.layers.base import Layer
from dropfast.layers.input import row_shape
from dropfast.mixed_precision import policy_of
from dropfast.models import files
from dropfast.models.describing import (
    MOST_LAYERS,
    check_keys,
    describe_graph,
    graph_from_description,
)

if TYPE_CHECKING:
    from dropfast.models.compiling import Compiled
    from dropfast.models.model import Model
    from dropfast.models.stack import Stack

# Layers in a row are written as version 1, all other graphs as version 2.
VERSION = 2
_KEYS = {"name", "seed", "dtype", "input_shape", "layers", "places"}
_GRAPH_KEYS = {"name", "seed", "dtype", "graph"}
_TRAINING = {"compile", "iterations", "epochs_done", "calls"}
_COMPILE = {"optimizer", "loss", "metrics", "weighted_metrics", "rows_per_mask"}


def describe_model(model: Stack) -> dict[str, Any]:
    """Layers and settings of a model as plain values; a layer at several places is named once."""
    if not _is_row(model):
        own = {"name": model.name, "seed": model.seed, "dtype": model.dtype_policy.name}
        return {**own, "graph": describe_graph(model.plan)}
    unique: list[Layer] = []
    places = []
    for layer in model.layers:
        at = next((i for i, known in enumerate(unique) if known is layer), len(unique))
        if at == len(unique):
            unique.append(layer)
        places.append(at)
    known = model._input_shape
    return {
        "name": model.name,
        "seed": model.seed,
        "dtype": model.dtype_policy.name,
        "input_shape": None if known is None else list(known[1:]),
        "layers": [serialize(layer) for layer in unique],
        "places": places,
    }


def _is_row(model: Stack) -> bool:
    """Whether a model is a Sequential of layers that are made of no others."""
    from dropfast.models.sequential import Sequential

    return isinstance(model, Sequential) and not any(
        getattr(layer, "composite", True) for layer in model.layers
    )


def model_from_description(
    config: Mapping[str, Any],
    custom_objects: Mapping[str, Any] | None = None,
    weights: list[Array] | None = None,
) -> Model:
    """A model from its description, with new weights or with those given.

    Raises
    ------
    ValueError
        If a key is unknown or missing, or a value doesn't fit.
    """
    from dropfast.models.model import Model
    from dropfast.models.sequential import Sequential

    if "graph" in config:
        check_keys("model config", config, _GRAPH_KEYS)
        if not isinstance(config["name"], str):
            raise ValueError(f"name must be a string. Received: name={config['name']!r}")
        graph = graph_from_description(config["graph"], custom_objects)
        return Model._of(
            graph,
            config["seed"],
            config["name"],
            policy_of(config["dtype"]),
            None if weights is None else iter(weights),
        )
    check_keys("model config", config, _KEYS)
    places, shape = config["places"], config["input_shape"]
    if not isinstance(config["layers"], list) or not isinstance(places, list):
        raise ValueError("layers and places of a model config must be lists. Received: others")
    layers = [deserialize(entry, custom_objects) for entry in config["layers"]]
    for layer in layers:
        if not isinstance(layer, Layer):
            raise ValueError(f"layers of a model config must be layers. Received: {layer!r}")
    if max(len(layers), len(places)) > MOST_LAYERS:
        raise ValueError(
            f"places of a model config must be at most {MOST_LAYERS}. "
            f"Received: {max(len(layers), len(places))}"
        )
    if not isinstance(config["name"], str):
        raise ValueError(f"name must be a string. Received: name={config['name']!r}")
    for place in places:
        if type(place) is not int or not 0 <= place < len(layers):
            raise ValueError(
                f"places of a model config must be in [0, {len(layers) - 1}]. Received: {place!r}"
            )
    stack: list[Layer] = [layers[place] for place in places]
    model = Sequential(stack, config["seed"], config["name"], policy_of(config["dtype"]))
    if shape is not None:
        # Weights of a file have the sizes of the file: a description can't claim more memory.
        model._build((None, *row_shape(shape)), None if weights is None else iter(weights))
    return model


def save(
    model: Model, filepath: files.Path, overwrite: bool, notes: Mapping[str, str] | None = None
) -> None:
    """See `Sequential.save`. Notes are metadata that reading a model ignores (`read_notes`)."""
    files.check_format(filepath)
    _ = model.plan
    with model._turn.reading:
        description = {**describe_model(model), **_training(model)}
        arrays = named_weights(model)
        if model.compiled:
            model.optimizer.settle()
            for i, slot in enumerate(model.optimizer.state):
                arrays |= {f"optimizer.{i}.{j}": array for j, array in enumerate(slot)}
        data = _to_bytes(arrays, description, notes)
    files.write(filepath, data, overwrite)


def read_notes(filepath: files.Path) -> dict[str, str]:
    """The notes that `save` was given, and the metadata of the format."""
    return read_file(filepath)[0]


def save_weights(model: Model, filepath: files.Path, overwrite: bool) -> None:
    """See `Sequential.save_weights`."""
    files.check_format(filepath)
    _ = model.plan
    with model._turn.reading:
        data = _to_bytes(named_weights(model), None)
    files.write(filepath, data, overwrite)


def named_weights(model: Stack) -> dict[str, Array]:
    """The weight arrays by their names in a file."""
    names = [
        f"{layer.name}.{weight.name}" for layer in model._leaves() for weight in layer._weights
    ]
    pairs = zip(names, model.weights, strict=True)
    return {f"weights.{i}.{name}": array for i, (name, array) in enumerate(pairs)}


def compile_config(model: Compiled) -> dict[str, Any]:
    """What `compile` was given, as plain values."""
    found = {
        "optimizer": serialize(model.optimizer),
        "loss": serialize(model._loss if model._losses is None else model._losses),
        "metrics": serialize(model._metric_names),
        "weighted_metrics": serialize(model._weighted_names),
        "rows_per_mask": model.rows_per_mask,
    }
    if model.gradient_blocks > 1:
        found["gradient_blocks"] = model.gradient_blocks
    if model._loss_weights is not None:
        found["loss_weights"] = serialize(model._loss_weights)
    return found


def _training(model: Model) -> dict[str, Any]:
    return {
        "compile": compile_config(model) if model.compiled else None,
        "iterations": model._steps_done(),
        "epochs_done": model.epochs_done,
        "calls": model.calls,
    }


def _to_bytes(
    arrays: Mapping[str, Array],
    description: Mapping[str, Any] | None,
    notes: Mapping[str, str] | None = None,
) -> bytes:
    more = dict(notes or {})
    if description is not None:
        more["model"] = json.dumps(description, allow_nan=False)
    version = VERSION if description is not None and "graph" in description else 1
    return _file(arrays, more, version)


def write_file(
    filepath: files.Path, arrays: Mapping[str, Array], metadata: Mapping[str, str]
) -> None:
    """Write arrays and texts as one file of this package's format."""
    files.write(filepath, _file(arrays, metadata, 1), overwrite=True)


def _file(arrays: Mapping[str, Array], metadata: Mapping[str, str], version: int) -> bytes:
    from safetensors.numpy import save as to_bytes

    texts = {**metadata, "format": "dropfast", "version": str(version)}
    data = to_bytes({name: np.ascontiguousarray(a) for name, a in arrays.items()}, texts)
    return _sorted_header(data)


def _sorted_header(data: bytes) -> bytes:
    """The same file with sorted metadata, whose order safetensors draws anew each time."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[end:]


def save_model(model: Model, filepath: files.Path, overwrite: bool = True) -> None:
    """Write a model; see `dropfast.Model.save`."""
    model.save(filepath, overwrite)


def load_model(
    filepath: files.Path,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
) -> Model:
    """Read a model that `Sequential.save` wrote, ready to predict and to continue training.

    Parameters
    ----------
    filepath
        The file.
    custom_objects
        Your own layers, losses and functions by name.
    compile
        Whether to read the loss, the optimizer and its state too.

    Returns
    -------
    Sequential or Model
        The model. A class of your own that defines `call` comes back as a `Model` of its graph.

    Raises
    ------
    ValueError
        If the file is damaged, of a later version, or holds no model.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import os, tempfile, numpy as np, dropfast as df
    >>> path = os.path.join(tempfile.mkdtemp(), "m.safetensors")
    >>> df.Sequential([df.layers.Input(2), df.layers.Dense(1)], seed=0).save(path)
    >>> df.load_model(path).predict(np.ones((3, 2))).shape
    (3, 1)
    """
    path = check_path("filepath", filepath)
    check_flag("compile", compile)
    if custom_objects is not None and not isinstance(custom_objects, Mapping):
        raise TypeError(f"custom_objects must be a dict. Received: {custom_objects!r}")
    metadata, arrays = read_file(path)
    if "model" not in metadata:
        raise ValueError(f"file must hold a model, not weights alone. Received: {path!r}")
    try:
        description = json.loads(metadata["model"])
        return _assemble(description, arrays, custom_objects, compile)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise ValueError(f"file {path!r} must describe a model: {error}") from error


def _assemble(
    description: Any,
    arrays: Mapping[str, Array],
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
) -> Model:
    is_graph = isinstance(description, Mapping) and "graph" in description
    keys = _GRAPH_KEYS if is_graph else _KEYS
    check_keys("the description", description, keys | _TRAINING)
    config = {name: description[name] for name in keys}
    stored = _stored_weights(arrays)
    model = model_from_description(config, custom_objects, [arrays[name] for name in stored])
    if [*named_weights(model)] != stored:
        raise ValueError(
            f"file must hold the arrays {', '.join(named_weights(model))}. "
            f"Received: {', '.join(stored) or 'none'}"
        )
    for name in ("iterations", "epochs_done", "calls"):
        if type(description[name]) is not int or not 0 <= description[name] < 2**63:
            raise ValueError(f"{name} must be an integer >= 0. Received: {description[name]!r}")
    _check_arrays(arrays, stored, model.dtype)
    model.epochs_done, model.calls = description["epochs_done"], description["calls"]
    settings = description["compile"]
    if settings is None or not compile:
        return model
    check_keys("compile", settings, _COMPILE | ({"loss_weights", "gradient_blocks"} & {*settings}))
    model.compile(**{key: deserialize(settings[key], custom_objects) for key in settings})
    optimizer = model.optimizer
    optimizer.iterations = description["iterations"]
    if any(name.startswith("optimizer.") for name in arrays):
        optimizer.build(model.trainable_weights)
        for i, slot in enumerate(optimizer.state):
            found = _in_order(arrays, [f"optimizer.{i}.{j}" for j in range(len(slot))])
            for j, (own, kept) in enumerate(zip(slot, found, strict=True)):
                if own.shape != kept.shape:
                    raise ValueError(
                        f"optimizer.{i}.{j} must have shape {shape_text(own.shape)}. "
                        f"Received: shape {shape_text(kept.shape)}"
                    )
                own[...] = kept
    return model


def _check_arrays(arrays: Mapping[str, Array], weights: list[str], dtype: str) -> None:
    """A file holds weights and optimizer state in the model's dtype and nothing else."""
    for name, array in arrays.items():
        if name not in weights and not name.startswith("optimizer."):
            raise ValueError(
                f"file must hold weights and optimizer state. Received: array {name!r}"
            )
        if array.dtype != dtype:
            raise ValueError(f"{name} must have dtype {dtype}. Received: dtype {array.dtype}")


def load_weights(model: Model, filepath: files.Path) -> None:
    """See `Sequential.load_weights`."""
    own = named_weights(model) if model.built else {}
    _, arrays = read_file(filepath)
    _ = model.plan
    stored = _stored_weights(arrays)
    if len(stored) != len(own):
        raise ValueError(f"file must hold {len(own)} weight arrays. Received: {len(stored)} arrays")
    for name in stored:
        if arrays[name].dtype.kind != "f":
            raise ValueError(f"{name} must hold floats. Received: dtype {arrays[name].dtype}")
    model.set_weights([arrays[name] for name in stored])


def _stored_weights(arrays: Mapping[str, Array]) -> list[str]:
    """Names of a file's weight arrays, in the model's order."""
    found = {}
    for name in arrays:
        kind, number, *_ = [*name.split(".", 2), ""]
        if kind == "weights" and number.isdecimal():
            found[int(number)] = name
    return [found[number] for number in sorted(found)]


def _in_order(arrays: Mapping[str, Array], names: list[str]) -> list[Array]:
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(f"file must hold the array {missing[0]!r}. Received: a file without it")
    return [arrays[name] for name in names]


def read_file(filepath: files.Path) -> tuple[dict[str, str], dict[str, Array]]:
    """Metadata and arrays of a file.

    Raises
    ------
    ValueError
        If it is damaged, of another program or of a later version.
    """
    from safetensors import SafetensorError, safe_open

    path = check_path("filepath", filepath)
    if not os.path.exists(path):
        raise FileNotFoundError(f"filepath must exist. Received: filepath={path!r}")
    try:
        with files.readable(path) as name, safe_open(name, framework="np") as file:
            metadata = file.metadata() or {}
            _check_version(path, metadata)
            return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, AttributeError) as error:
        keras = "; from_keras reads files of Keras" if files.is_keras(path) else ""
        raise ValueError(
            f"filepath must be a whole safetensors file{keras}. Received: {path!r} ({error})"
        ) from error


def _check_version(path: str, metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != "dropfast":
        raise ValueError(
            f"file must be written by dropfast. Received: {path!r}, of another program"
        )
    version = metadata.get("version", "")
    if not version.isdecimal() or int(version) < 1:
        raise ValueError(f"version of {path!r} must be a number. Received: {version!r}")
    if int(version) > VERSION:
        raise ValueError(
            f"version of {path!r} must be at most {VERSION}: a later dropfast wrote it. "
            f"Received: version {version}"
        )
