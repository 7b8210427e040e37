"""A script: the order of arguments of Keras' classes and methods, as a JSON file for the tests.

Run it where Keras 3 is installed, with any backend::

    python tests/helpers/keras_signatures.py

The tests compare the package with the file, so that they need no Keras.
"""

import inspect
import json
import pathlib

MODULES = (
    "layers",
    "losses",
    "metrics",
    "optimizers",
    "optimizers.schedules",
    "callbacks",
    "constraints",
    "regularizers",
    "initializers",
)
METHODS = (
    "compile",
    "fit",
    "evaluate",
    "predict",
    "train_on_batch",
    "test_on_batch",
    "predict_on_batch",
    "summary",
    "save",
    "save_weights",
    "load_weights",
    "get_layer",
)
FILE = pathlib.Path(__file__).parent.parent / "data" / "keras_signatures.json"


def names(function):
    """Names of the positional arguments, in order."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return [p.name for p in found if p.kind in kinds and p.name != "self"]


def table(package, model):
    """Name -> positional arguments of all public classes, functions and methods of a model."""
    found = {}
    for path in MODULES:
        module = package
        for part in path.split("."):
            module = getattr(module, part)
        for name in sorted(dir(module)):
            thing = getattr(module, name)
            if name.startswith("_") or not (inspect.isclass(thing) or inspect.isfunction(thing)):
                continue
            found[f"{path}.{name}"] = names(thing)
    for name in METHODS:
        found[f"Model.{name}"] = names(getattr(model, name))
    return found


if __name__ == "__main__":
    import keras

    FILE.parent.mkdir(exist_ok=True)
    found = {"Keras": keras.__version__, **table(keras, keras.Model)}
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in found.items())
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
