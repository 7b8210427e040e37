"""Dropout and dropout networks on CPUs, at the price of a copy.

>>> import numpy as np, dropfast as df
>>> y = df.dropout(np.ones((2, 4)), 0.5, df.Key(seed=0))
>>> model = df.Sequential([df.layers.Dropout(0.2), df.layers.Dense(10)], seed=0)

Everything is imported when it is first used, so ``import dropfast`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dropfast import _threadpoolctl

if TYPE_CHECKING:
    from dropfast import (
        activations,
        augment,
        backend,
        calibration,
        callbacks,
        config,
        constraints,
        datasets,
        functional,
        initializers,
        layers,
        losses,
        metrics,
        mixed_precision,
        models,
        ops,
        optimizers,
        plot,
        random,
        recipes,
        reference,
        regularizers,
        saving,
        schedules,
        utils,
    )
    from dropfast._core import (
        Key,
        __version__,
        activation,
        activation_backward,
        aes_level,
        alpha_dropout,
        alpha_dropout_backward,
        dense,
        dense_backward,
        dropout,
        dropout_backward,
        dropout_mask,
        gaussian_dropout,
        gaussian_dropout_backward,
        get_num_threads,
        matmul,
        set_num_threads,
        simd_level,
    )
    from dropfast.callbacks.history import History
    from dropfast.config import show_config, thread_limit, version
    from dropfast.converters import from_keras, from_sklearn, from_torch
    from dropfast.graph import KerasTensor
    from dropfast.initializers import Initializer
    from dropfast.layers import Layer
    from dropfast.layers.input import Input
    from dropfast.losses import Loss
    from dropfast.metrics import Metric
    from dropfast.models import Model, Sequential, load_model
    from dropfast.optimizers import Optimizer
    from dropfast.random import set_random_seed
    from dropfast.regularizers import Regularizer

# Name -> the module that holds it.
_NAMES = {
    **dict.fromkeys(
        (
            "Key",
            "__version__",
            "activation",
            "activation_backward",
            "aes_level",
            "alpha_dropout",
            "alpha_dropout_backward",
            "dense",
            "dense_backward",
            "dropout",
            "dropout_backward",
            "dropout_mask",
            "gaussian_dropout",
            "gaussian_dropout_backward",
            "get_num_threads",
            "matmul",
            "set_num_threads",
            "simd_level",
        ),
        "_core",
    ),
    "History": "callbacks",
    "Initializer": "initializers",
    "Input": "layers",
    "KerasTensor": "graph",
    "Layer": "layers",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
    "Sequential": "models",
    "from_keras": "converters",
    "from_sklearn": "converters",
    "from_torch": "converters",
    "load_model": "models",
    "set_random_seed": "random",
    "show_config": "config",
    "thread_limit": "config",
    "version": "config",
}
_MODULES = (
    "activations",
    "augment",
    "backend",
    "calibration",
    "callbacks",
    "config",
    "constraints",
    "converters",
    "datasets",
    "functional",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "ops",
    "optimizers",
    "plot",
    "random",
    "recipes",
    "reference",
    "regularizers",
    "saving",
    "schedules",
    "sklearn",
    "tabular",
    "torch",
    "utils",
)

__all__ = [
    "History",
    "Initializer",
    "Input",
    "KerasTensor",
    "Key",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "__version__",
    "activation",
    "activation_backward",
    "activations",
    "aes_level",
    "alpha_dropout",
    "alpha_dropout_backward",
    "augment",
    "backend",
    "calibration",
    "callbacks",
    "config",
    "constraints",
    "datasets",
    "dense",
    "dense_backward",
    "dropout",
    "dropout_backward",
    "dropout_mask",
    "from_keras",
    "from_sklearn",
    "from_torch",
    "functional",
    "gaussian_dropout",
    "gaussian_dropout_backward",
    "get_num_threads",
    "initializers",
    "layers",
    "load_model",
    "losses",
    "matmul",
    "metrics",
    "mixed_precision",
    "models",
    "ops",
    "optimizers",
    "plot",
    "random",
    "recipes",
    "reference",
    "regularizers",
    "saving",
    "schedules",
    "set_num_threads",
    "set_random_seed",
    "show_config",
    "simd_level",
    "thread_limit",
    "utils",
    "version",
]

_threadpoolctl.register_with_it()


def _load(module: str) -> Any:
    """The module; where the native one is missing or another system's, the error says so."""
    try:
        return import_module(f"dropfast.{module}")
    except ImportError as error:
        if "_core" not in str(error):
            raise
        import platform
        import sys

        system = f"{platform.system()} on {platform.machine()}, Python {platform.python_version()}"
        raise ImportError(
            f"the native module of dropfast does not load here: {error}. This is {system}; "
            f"install what fits it: {sys.executable} -m pip install --force-reinstall dropfast "
            "(or pip install . in a checkout, which needs Rust: https://rustup.rs)",
            name="dropfast._core",
        ) from error


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(_load(_NAMES[name]), name)
    elif name in _MODULES:
        value = _load(name)
    else:
        raise AttributeError(f"module 'dropfast' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
