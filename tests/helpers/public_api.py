"""One example of every public class, found in the package itself."""

import inspect

import numpy as np

import dropfast as df
from dropfast.attributes import parameters
from dropfast.configurable import _registry

# What constructors need; each name means the same in all classes.
ARGUMENTS = {
    "rate": 0.5,
    "units": 3,
    "shape": (4,),
    "activation": "tanh",
    "stddev": 0.1,
    "scale": 0.5,
    "value": 0.25,
    "start": 0,
    "end": 0.5,
    "over": 4,
    "until": 2,
    "initial_learning_rate": 0.1,
    "decay_steps": 10,
    "first_decay_steps": 10,
    "decay_rate": 0.5,
    "recall": 0.5,
    "precision": 0.5,
    "specificity": 0.5,
    "sensitivity": 0.5,
    "input_dim": 5,
    "output_dim": 2,
    "target_shape": (4,),
    "dims": (2, 1),
    "n": 3,
    "boundaries": [2, 4],
    "values": [0.1, 0.05, 0.01],
}
SPECIAL = {
    "metric.Call": {"function": lambda true, pred: abs(pred - true).mean(axis=-1)},
    "activation.Call": {"function": np.tanh},
    "layer.Lambda": {"function": np.tanh},
    "schedule.Call": {"function": lambda epoch: 0.25},
    "activation.Function": {"name": "elu"},
}
SHAPES = [(8, 4), (8, 5, 4), (8, 3, 3, 4), (8, 2, 3, 3, 4)]


# Importing the model imports every room that classes are registered from.
_ = df.Sequential, df.callbacks

CLASSES = {}
for _name, _cls in sorted(_registry.items()):
    # Which adapters are imported depends on the tests that ran before.
    if _cls.__module__.startswith(("dropfast.sklearn", "dropfast.tabular", "dropfast.torch")):
        continue
    CLASSES.setdefault(_name.partition(".")[0], []).append(_cls)


# Layers that merge several tensors have tests of their own.
CLASSES["layer"] = [cls for cls in CLASSES["layer"] if not cls.merges]


def arguments(cls):
    """Constructor arguments that make an example of a class, or of the one it is derived from."""
    known = next(c for c in cls.__mro__ if c in _registry.values())
    name = next(name for name, c in _registry.items() if c is known)
    needed = {
        key
        for key, parameter in parameters(known).items()
        if parameter.default is inspect.Parameter.empty
    }
    return {key: SPECIAL.get(name, ARGUMENTS).get(key, ARGUMENTS.get(key)) for key in needed}


def example(cls, **more):
    return cls(**{**arguments(cls), **more})


def fitting_input(cls):
    """Rows that a layer takes."""
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        x = rng.uniform(0.1, 1.0, shape).astype(np.float32)
        # Categories are whole numbers.
        x = np.floor(4 * x) if cls.__name__.endswith("Embedding") else x
        try:
            example(cls)(x)
        except (ValueError, TypeError):
            continue
        return x
    raise AssertionError(f"no input fits {cls}")


def stack_around(layer, x):
    """Layers of a network that holds the layer."""
    wide = x.ndim > 2 or isinstance(layer, df.layers.Embedding | df.layers.RepeatVector)
    flat = [df.layers.Flatten()] if wide else []
    return [df.layers.Input(x.shape[1:]), layer, *flat, df.layers.Dense(3, name="last")]
