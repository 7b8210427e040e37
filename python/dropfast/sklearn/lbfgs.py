"""Layer 7: L-BFGS through scipy on gradients of the native engine."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from dropfast import optimizers
from dropfast.arrays import Array
from dropfast.models import Sequential
from dropfast.sklearn import steps

# Activations and gradients of this many rows lie in memory at once.
_ROWS = 1 << 14


def minimize(
    estimator: Any, model: Sequential, x: Any, y: Array, weights: Array | None
) -> tuple[float, int]:
    """Train on all rows at once.

    Parameters
    ----------
    estimator
        Who holds `max_iter`, `max_fun`, `tol` and `verbose`.
    model
        Built; its weights are where the search starts, and ends.
    x, y, weights
        The rows; the mean of the weights is 1.

    Returns
    -------
    loss, iterations : float, int

    Warns
    -----
    ConvergenceWarning
        If the search ended before it settled.
    """
    # After one step from rest, the momentum of plain descent at rate 1 is the negative gradient.
    descent = optimizers.SGD(1.0, momentum=0.5)
    model.compile(descent, model.loss, rows_per_mask=model.rows_per_mask)
    descent.build(model.trainable_weights)
    arrays = model.trainable_weights
    count = x.shape[0]
    pieces = [np.arange(at, min(at + _ROWS, count)) for at in range(0, count, _ROWS)]

    def objective(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, gradient = 0.0, np.zeros_like(values)
        for rows in pieces:
            _put(arrays, values)
            for slot in descent.state[0]:
                slot[...] = 0.0
            try:
                total += steps.train(model, x, y, weights, rows, len(rows), 0)
            except FloatingPointError:
                return np.inf, gradient
            gradient -= _flat(descent.state[0]) * (len(rows) / count)
        return total / count, gradient

    found = scipy.optimize.minimize(
        objective,
        _flat(arrays),
        method="L-BFGS-B",
        jac=True,
        options={
            "maxfun": estimator.max_fun,
            "maxiter": estimator.max_iter,
            "gtol": estimator.tol,
        },
    )
    _put(arrays, found.x)
    if found.status != 0:
        warnings.warn(
            f"lbfgs failed to converge after {found.nit} iteration(s) "
            f"(status={found.status}): {found.message}. Increase max_iter or scale the data",
            ConvergenceWarning,
            stacklevel=2,
        )
    if estimator.verbose:
        print(f"Iteration {found.nit}, loss = {found.fun:.8f}")
    return float(found.fun), min(int(found.nit), estimator.max_iter)


def _flat(arrays: list[Array]) -> NDArray[np.float64]:
    return np.concatenate([array.ravel() for array in arrays]).astype(np.float64)


def _put(arrays: list[Array], values: NDArray[np.float64]) -> None:
    at = 0
    for array in arrays:
        array[...] = values[at : at + array.size].reshape(array.shape)
        at += array.size
