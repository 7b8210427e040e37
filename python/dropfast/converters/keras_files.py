"""Layer 7: Keras' files and model objects as configs and arrays. Keras itself is not needed.

``.keras`` is a zip of ``config.json`` and ``model.weights.h5``; ``.h5``, of Keras 2 and 3, holds
all in attributes and groups. Sizes are checked before anything is read.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dropfast.arrays import Array
from dropfast.converters.keras_graph import Address

# A config says little about much: more than this is none.
_MOST_CONFIG = 1 << 26
# Deflate makes at most about a thousandth of its input.
_MOST_RATIO = 1 << 10


@dataclass
class Source:
    """A model of Keras' as data.

    Attributes
    ----------
    entry
        Class name and config.
    compiled
        Its compile config, or None.
    arrays
        The weights of the layer at an address, in Keras' order.
    """

    entry: Any
    compiled: Any
    arrays: Callable[[Address], list[Array]]


@contextlib.contextmanager
def opened(path: str) -> Iterator[Source]:
    """A file as a source, as long as the context lasts.

    Raises
    ------
    ValueError
        If it is neither a .keras file nor HDF5, or holds no model.
    """
    h5py = _h5py()
    with open(path, "rb") as raw:
        start = raw.read(8)
    with contextlib.ExitStack() as stack:
        if start[:4] == b"PK\x03\x04":
            archive = stack.enter_context(zipfile.ZipFile(path))
            entry = _parsed(_member(archive, "config.json", _MOST_CONFIG), "config.json")
            data = _member(archive, "model.weights.h5", 1 << 62)
            file = stack.enter_context(h5py.File(io.BytesIO(data), "r"))
            yield Source(entry, entry.get("compile_config"), _Containers(h5py, file).arrays)
        elif start == b"\x89HDF\r\n\x1a\n":
            file = stack.enter_context(h5py.File(path, "r"))
            if "model_config" not in file.attrs:
                raise ValueError("it must hold a model. Received: weights alone")
            entry = _parsed(file.attrs["model_config"], "model_config")
            compiled = None
            if "training_config" in file.attrs:
                compiled = _parsed(file.attrs["training_config"], "training_config")
            yield Source(entry, compiled, _Legacy(h5py, file["model_weights"]).arrays)
        else:
            raise ValueError("it must be a .keras or HDF5 file. Received: another format")


def of_object(model: Any) -> Source:
    """A model object of Keras' as a source.

    Raises
    ------
    TypeError
        If it is none, or a subclass whose config says nothing of its layers.
    """
    wanted = "model must be a file's name or a Sequential or functional model of Keras"
    if not all(hasattr(model, name) for name in ("to_json", "get_layer", "layers")):
        raise TypeError(f"{wanted}. Received: {type(model).__name__}")
    try:
        entry = _parsed(model.to_json(), "to_json()")
    except NotImplementedError:
        raise TypeError(f"{wanted}. Received: {type(model).__name__}, a subclass") from None
    compiled = None
    if getattr(model, "optimizer", None) is not None and hasattr(model, "get_compile_config"):
        compiled = model.get_compile_config()

    def arrays(address: Address) -> list[Array]:
        layer = model
        for name, _ in address:
            layer = layer.get_layer(name)
        return [np.asarray(array) for array in layer.get_weights()]

    return Source(entry, compiled, arrays)


def _h5py() -> Any:
    try:
        import h5py
    except ModuleNotFoundError as error:
        if error.name != "h5py":
            raise
        raise ModuleNotFoundError(
            "from_keras needs h5py to read files: pip install 'dropfast[keras]'", name="h5py"
        ) from error
    return h5py


def _parsed(text: Any, what: str) -> Any:
    found = json.loads(text)
    if not isinstance(found, Mapping):
        raise ValueError(f"{what} must be a JSON object. Received: {type(found).__name__}")
    return found


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The content of a member, unless that is many times what lies in the archive."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ValueError(f"it must hold {name}. Received: {archive.namelist()[:6]}") from None
    if info.file_size > min(most, _MOST_RATIO * (info.compress_size + 1)):
        raise ValueError(f"{name} must have an honest size. Received: {info.file_size} bytes")
    return archive.read(info)


def _array(h5py: Any, data: Any, name: str) -> Array:
    """A dataset as an array."""
    if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "fiu":
        raise ValueError(f"weights {name!r} must be an array of numbers. Received: another")
    if data.dtype.itemsize * data.size > _MOST_RATIO * (data.id.get_storage_size() + 1):
        raise ValueError(f"weights {name!r} must lie in the file. Received: shape {data.shape}")
    return np.asarray(data[()])


class _Containers:
    """Weights as ``.keras`` files nest them: ``layers/<group>/layers/<group>/vars/<number>``."""

    def __init__(self, h5py: Any, file: Any) -> None:
        self.h5py, self.file = h5py, file
        self._by_name: dict[str, dict[str, Any]] = {}

    def arrays(self, address: Address) -> list[Array]:
        """Weights of a layer; none where the file has no group for it."""
        group, path = self.file, ""
        for name, number in address:
            key = "layers" if "layers" in group else "_layer_checkpoint_dependencies"
            path = f"{path}/{key}"
            container = group.get(key)
            if container is None:
                return []
            group = self._named(path, container).get(name, container.get(number))
            if group is None:
                return []
            path = group.name
        held = group.get("vars", {})
        names = [str(i) for i in range(len(held))]
        return [_array(self.h5py, held.get(n), f"{path}/vars/{n}") for n in names]

    def _named(self, path: str, container: Any) -> dict[str, Any]:
        """Groups by the names of their layers, where the file tells them."""
        if path not in self._by_name:
            found = {}
            for group in container.values():
                held = group.get("vars") if isinstance(group, self.h5py.Group) else None
                name = None if held is None else held.attrs.get("name")
                if name is not None:
                    found[name.decode() if isinstance(name, bytes) else str(name)] = group
            self._by_name[path] = found if len(found) == len(container) else {}
        return self._by_name[path]


class _Legacy:
    """Weights as ``.h5`` files list them: by layer, and inside a model by the layer's name."""

    def __init__(self, h5py: Any, root: Any) -> None:
        self.h5py, self.root = h5py, root

    def arrays(self, address: Address) -> list[Array]:
        """Weights of a layer; none where the file has no group for it."""
        names = [name for name, _ in address]
        group = self.root.get(names[0])
        if group is None:
            return []
        held = _listed(group.attrs, "weight_names")
        if len(names) > 1:
            held = _of_layer(held, names)
        return [_array(self.h5py, group.get(weight), f"{names[0]}/{weight}") for weight in held]


def _of_layer(weights: list[str], names: list[str]) -> list[str]:
    """Which of "outer/inner/dense/kernel:0", "dense/kernel:0" and so on are of that layer.

    Scopes in front of the layer's name depend on where its model was built: the path that agrees
    with the address for longest is the one.
    """
    paths = {tuple(weight.split("/")[:-1]) for weight in weights}
    scores: dict[tuple[int, int], list[tuple[str, ...]]] = {}
    for path in paths:
        agree = 0
        for a, b in zip(reversed(path), reversed(names), strict=False):
            if a != b:
                break
            agree += 1
        if agree:
            scores.setdefault((agree, -len(path)), []).append(path)
    best = scores[max(scores)] if scores else [()]
    if len(best) > 1:
        raise ValueError(f"weights of layer {names[-1]!r} must have one path. Received: {best}")
    return [weight for weight in weights if tuple(weight.split("/")[:-1]) == best[0]]


def _listed(attributes: Any, key: str) -> list[str]:
    """A list of names, in pieces where it is a long one."""
    found = list(attributes.get(key, ()))
    piece = 0
    while f"{key}{piece}" in attributes:
        found += list(attributes[f"{key}{piece}"])
        piece += 1
    return [name.decode() if isinstance(name, bytes) else str(name) for name in found]
