"""Layer 7: from_keras: models out of Keras' files and objects, with their weights."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from typing import Any

import numpy as np

from dropfast.converters import keras_files, keras_graph
from dropfast.converters.keras_objects import compile_arguments
from dropfast.graph import connect
from dropfast.layers.base import Layer
from dropfast.models import Model, Sequential
from dropfast.random import check_seed, draw_seed

# What a damaged file makes h5py, zipfile, json and the walk through its config raise.
_FAULTS = (
    *(ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError, OSError),
    *(RuntimeError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error, struct.error),
)


def from_keras(model: Any, *, compile: bool = True, seed: int | None = None) -> Model:
    """A model out of a file that Keras saved, or of a Keras model itself, with its weights.

    Parameters
    ----------
    model
        Name of a ``.keras`` or ``.h5`` file of Keras 3 or 2, which is read with h5py (extra
        ``keras``) and without Keras; or a Sequential or functional model object.
    compile
        Whether loss, metrics and optimizer are taken over, too, where the model has them. The
        optimizer's state is not.
    seed
        Of masks and shuffling; None draws one.

    Returns
    -------
    Sequential or Model
        The model, built. Models inside it are taken apart into their layers.

    Raises
    ------
    ValueError
        If the file is damaged, or a layer, setting, loss or optimizer has no counterpart; it is
        named.
    TypeError
        If `model` is something else.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import dropfast as df
    >>> df.from_keras("network.keras")  # doctest: +SKIP
    Sequential([Dense(10, activation='softmax')], seed=...)
    """
    seed = draw_seed() if seed is None else check_seed(seed)
    if not isinstance(model, str | bytes | os.PathLike):
        return _taken_over(keras_files.of_object(model), compile, seed)
    path = os.fsdecode(model)
    if not os.path.exists(path):
        raise FileNotFoundError(f"model must be a file that exists. Received: model={path!r}")
    try:
        with keras_files.opened(path) as source:
            return _taken_over(source, compile, seed)
    except ModuleNotFoundError:
        raise
    except _FAULTS as error:
        raise ValueError(
            f"model must be a file of a Keras model that dropfast knows. Received: {path!r}: "
            f"{str(error) or type(error).__name__}"
        ) from error


def _taken_over(source: keras_files.Source, compile: bool, seed: int | None) -> Model:
    entry = source.entry
    if not keras_graph.is_model(entry):
        raise ValueError(
            "model must be a Sequential or functional model. "
            f"Received: class {entry.get('class_name')!r}"
        )
    parts, name = keras_graph.parts_for(entry), entry["config"].get("name")
    settings: dict[str, Any] = {"seed": seed, "name": name or "model"}
    if keras_graph.is_row(entry):
        found = _row(source, parts, settings)
    else:
        graph = connect(*keras_graph.functional(entry, parts))
        settings["dtype"] = _dtype(parts)
        for call in graph.calls:
            shapes: Any = [x.shape for x in call.sources]
            shape = shapes if call.layer.merges else shapes[0]
            _give_weights(call.layer, shape, source, parts, settings["dtype"])
        found = Model._of(graph, **settings)
    compiled = source.compiled if compile and isinstance(source.compiled, dict) else {}
    optimizer = compiled.get("optimizer", compiled.get("optimizer_config"))
    if optimizer is not None and compiled.get("loss") is not None:
        try:
            found.compile(**compile_arguments(compiled))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{error} (compile=False leaves loss and optimizer out)") from error
    return found


def _row(source: keras_files.Source, parts: Any, settings: dict[str, Any]) -> Model:
    row = keras_graph.row(source.entry, parts)
    settings["dtype"] = _dtype(parts)
    first: Any = (None, *keras_graph.first_shape(source.entry))
    shape = first
    for layer in row:
        given: Any = [shape] if layer.merges else shape
        _give_weights(layer, given, source, parts, settings["dtype"])
        shape = layer.compute_output_shape(given)
    found = Sequential(row, **settings)
    found.build(first)
    return found


def _dtype(parts: Any) -> str:
    if len(parts.dtypes) > 1:
        raise ValueError(f"layers must have one dtype. Received: {', '.join(sorted(parts.dtypes))}")
    return next(iter(parts.dtypes), "float32")


def _give_weights(
    layer: Layer, shape: Any, source: keras_files.Source, parts: Any, dtype: str
) -> None:
    """Build a layer with the weights that it has in Keras' model."""
    if layer.built:
        return
    # A count beside the statistics of Normalization, or a generator's state, is no weight.
    address = parts.addresses.get(id(layer))
    given = [] if address is None else source.arrays(address)
    arrays = [a for a in given if a.dtype.kind == "f"]
    waiting = iter(arrays)
    layer.build_once(shape, dtype, values=waiting)
    left = sum(1 for _ in waiting)
    if left:
        raise ValueError(
            f"weights of layer {layer.name!r} must be {len(layer.weights)} arrays. "
            f"Received: {len(arrays)}"
        )
    for weight, array in zip(layer._weights, arrays, strict=True):
        if array.dtype != weight.value.dtype and not np.array_equal(weight.value, array, True):
            raise ValueError(
                f"weights of layer {layer.name!r} must be of dtype {weight.value.dtype}. "
                f"Received: {array.dtype}"
            )
