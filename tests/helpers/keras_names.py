"""A script: all public names of Keras and their arguments, as a JSON file for table and tests.

Run it where Keras 3 is installed, with any backend::

    python tests/helpers/keras_names.py

`scripts/keras_table.py` and the tests compare the package with the file, so they need no Keras.
"""

import inspect
import json
import pathlib

MODULES = (
    "",
    "activations",
    "backend",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "optimizers.schedules",
    "random",
    "regularizers",
    "saving",
    "utils",
)
# Classes whose methods and attributes are listed too.
CLASSES = ("Model", "layers.Layer", "optimizers.Optimizer", "metrics.Metric", "callbacks.Callback")
FILE = pathlib.Path(__file__).parent.parent / "data" / "keras_names.json"
_MODULE = type(inspect)


def arguments(thing):
    """Names of all arguments but self; None where it has none to tell."""
    if not callable(thing):
        return None
    try:
        found = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p.name for p in found if p.kind not in kinds and p.name != "self"]


def look_up(package, path):
    """What stands at a path of names, or None."""
    for name in filter(None, path.split(".")):
        package = getattr(package, name, None)
    return package


def names(package):
    """Path -> arguments, of all public names."""
    found = {}
    for path in MODULES:
        module = look_up(package, path)
        for name in sorted(dir(module)):
            thing = getattr(module, name)
            if name[0] != "_" and not isinstance(thing, _MODULE):
                found[f"{path}.{name}".lstrip(".")] = arguments(thing)
    for path in CLASSES:
        cls = look_up(package, path)
        for name in sorted(dir(cls)):
            if name[0] != "_":
                found[f"{path}.{name}"] = arguments(inspect.getattr_static(cls, name, None))
    return found


def write(package):
    """The file for the version of Keras that is installed."""
    known = {"Keras": package.__version__, **names(package)}
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in known.items())
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    import keras

    write(keras)
