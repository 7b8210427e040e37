"""Layer 7: models from Keras, PyTorch and scikit-learn, and models for PyTorch and ONNX.

Each converter imports its peer when it is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from dropfast.converters.keras import from_keras
from dropfast.models import Model, files
from dropfast.models.sequential import Sequential as Row

__all__ = ["export", "from_keras", "from_sklearn", "from_torch", "to_torch"]


def from_torch(
    network: Any,
    input_shape: Sequence[int] | int | None = None,
    *,
    seed: int | None = None,
) -> Row:
    """A model of an nn.Sequential, with copies of its weights.

    Parameters
    ----------
    network
        Of Linear, Dropout, AlphaDropout, BatchNorm1d, LayerNorm, PReLU, Embedding, Flatten,
        Identity and activations; nested Sequentials too. Float32 or float64 on the CPU.
    input_shape
        Shape of a row; None takes it from the first module with weights. It must be given where
        rows are no vectors.
    seed
        Of masks and shuffling; None draws one.

    Returns
    -------
    Sequential
        Built, not compiled. It predicts what the network does in evaluation mode.

    Raises
    ------
    TypeError, ValueError
        If something has no counterpart, or features don't fit; it is named.

    Examples
    --------
    >>> import torch, dropfast as df  # doctest: +SKIP
    >>> df.from_torch(torch.nn.Sequential(torch.nn.Linear(4, 2)), seed=0)  # doctest: +SKIP
    Sequential([Dense(2)], seed=0)
    """
    found: Row = _of("from_torch", "torch_in", "torch")(network, input_shape, seed=seed)
    return found


def from_sklearn(estimator: Any, *, seed: int | None = None) -> Row:
    """A model of a fitted MLPClassifier or MLPRegressor, with copies of its weights.

    Parameters
    ----------
    estimator
        The network, or a Pipeline of StandardScalers and a network: these become `Normalization`
        layers.
    seed
        Of masks and shuffling; None draws one.

    Returns
    -------
    Sequential
        Built, not compiled. It predicts `predict` of a regressor, in two axes; of a classifier
        probabilities, a column for each of ``estimator.classes_``, or for the second of two alone.
        Its dtype is that of the weights.

    Raises
    ------
    TypeError, ValueError
        If it is something else, or not fitted; the step is named.

    Examples
    --------
    >>> from sklearn.neural_network import MLPRegressor  # doctest: +SKIP
    >>> fitted = MLPRegressor(solver="lbfgs", random_state=0).fit(x, y)  # doctest: +SKIP
    >>> model = df.from_sklearn(fitted)  # doctest: +SKIP
    >>> np.allclose(model.predict(x)[:, 0], fitted.predict(x))  # doctest: +SKIP
    True
    """
    found: Row = _of("from_sklearn", "sklearn", "sklearn")(estimator, seed=seed)
    return found


def export(
    model: Any,
    filepath: files.Path,
    format: str = "onnx",
    *,
    monte_carlo: bool = False,
    overwrite: bool = True,
) -> None:
    """Write a model, or an estimator of `dropfast.sklearn`, as an ONNX file.

    Parameters
    ----------
    model
        A built model; or a fitted estimator, alone or behind StandardScalers in a Pipeline. Files
        of estimators take "X" and give what `predict` and `predict_proba` do: "label" and
        "probabilities", or "prediction".
    filepath
        File to write; its name ends in ".onnx".
    format
        "onnx".
    monte_carlo
        Whether dropout acts at each run, by random numbers of the runtime's own.
    overwrite
        False makes a file that exists an error.

    Raises
    ------
    ValueError
        If a layer has no counterpart, or the name promises another format; nothing is written.
    FileExistsError
        If the file exists and must not be overwritten.

    Examples
    --------
    >>> import os, tempfile, dropfast as df
    >>> from dropfast.converters import export
    >>> model = df.Sequential([df.layers.Input(4), df.layers.Dense(2)], seed=0)
    >>> path = os.path.join(tempfile.mkdtemp(), "m.onnx")
    >>> export(model, path)  # doctest: +SKIP
    """
    write = _of("export", "onnx_export", "onnx")
    write(model, filepath, format, monte_carlo=monte_carlo, overwrite=overwrite)


def to_torch(model: Model) -> Any:
    """See `dropfast.Model.to_torch`."""
    return _of("to_torch", "torch_out", "torch")(model)


def _of(name: str, module: str, peer: str) -> Any:
    """What does it, from a module that needs a peer."""
    try:
        return getattr(import_module(f"dropfast.converters.{module}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != peer:
            raise
        raise ModuleNotFoundError(
            f"{name} needs {peer}: pip install 'dropfast[{peer}]'", name=peer
        ) from error
