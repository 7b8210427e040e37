"""Layer 6: which format the end of a file's name promises."""

from __future__ import annotations

import os
from typing import Any

from dropfast.checks import check_path

Path = str | bytes | os.PathLike[Any]

_KERAS = (".keras", ".h5", ".hdf5")
# What a file of another format is written by, by the end of its name.
_OTHERS = {
    **dict.fromkeys(_KERAS, "no file of Keras is written; from_keras reads them"),
    **dict.fromkeys((".pt", ".pth"), "torch.save(model.to_torch().state_dict(), path) writes it"),
    ".onnx": "model.export(path) writes it",
    ".json": "model.to_json() is the description without weights",
    **dict.fromkeys((".npz", ".npy"), "numpy.savez(path, *model.get_weights()) writes it"),
    **dict.fromkeys((".pkl", ".pickle"), "pickle.dump(model, file) writes it"),
    ".joblib": "joblib.dump(model, path) writes it",
    **dict.fromkeys((".tflite", ".pb", ".ckpt"), "no file of TensorFlow is written"),
}


def check_format(filepath: Path) -> None:
    """Refuse a name that promises a format of others.

    Raises
    ------
    ValueError
        If it does; the message says what writes that format.
    """
    suffix = os.path.splitext(check_path("filepath", filepath))[1].lower()
    if suffix in _OTHERS:
        raise ValueError(
            "filepath must end in .safetensors, which is what is written, or in nothing that "
            f"promises another format. Received: filepath={os.fspath(filepath)!r} "
            f"({_OTHERS[suffix]})"
        )


def is_keras(path: str) -> bool:
    """Whether a name promises a file of Keras."""
    return path.lower().endswith(_KERAS)
