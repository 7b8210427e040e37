"""Layer 7: `fit` in several processes: the same bits on any number of them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from dropfast import _core
from dropfast.callbacks import History
from dropfast.distributed.communication import MPI, Line, WorkersError
from dropfast.models.fitting import Fitting
from dropfast.training.blocks import Communicator

# Rows of the data that are compared between processes.
_COMPARED_ROWS = 64


def fit(
    model: Fitting, x: Any, y: Any = None, comm: Communicator | None = None, **settings: Any
) -> History:
    """Train a model that every process has, each computing its blocks of every batch.

    The bits of weights, losses and files are the same for any number of processes, one included:
    they depend on ``compile(gradient_blocks=B)`` alone. Each process calls this with the same model
    and data. Of a memory map it reads in training only the rows of its blocks.

    Parameters
    ----------
    model
        Compiled with at least as many `gradient_blocks` as there are processes.
    x, y
        As `Sequential.fit`.
    comm
        The other processes; None for those of MPI.
    **settings
        Handed to `Sequential.fit`. Callbacks act in every process: those that decide (such as
        EarlyStopping) must be given to all, those that write files to rank 0 alone.

    Returns
    -------
    History
        The same in every process.

    Raises
    ------
    ValueError
        If there are more processes than blocks.
    WorkersError
        If the processes hold different things, or another one raises, ends, or doesn't answer
        within the communicator's timeout. Weights are as far as they were trained: go on from the
        last file, with any number of processes.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> from dropfast import distributed
    >>> model = df.Sequential([df.layers.Dense(1)], seed=0)
    >>> model.compile("sgd", "mse", gradient_blocks=4)
    >>> x, [alone] = np.ones((32, 2)), distributed.Pipes.star(1)
    >>> history = distributed.fit(model, x, x[:, :1], alone, epochs=2, verbose=0)
    >>> len(history.history["loss"])
    2
    """
    line = Line(MPI() if comm is None else comm)
    try:
        if model.gradient_blocks < line.size:
            raise ValueError(
                f"gradient_blocks must be at least the number of processes, {line.size}. "
                f"Received: gradient_blocks={model.gradient_blocks}"
            )
        _agree(_described(model, x, y, settings), line)
        model._comm, model._stepper = line, None
        if line.rank:
            settings["verbose"] = 0
        return model.fit(x, y, **settings)
    except WorkersError:
        raise
    except BaseException as error:
        line.fail(error)
        raise
    finally:
        model._comm, model._stepper = None, None


def _agree(own: dict[str, str], line: Line) -> None:
    """Refuse to begin where processes hold different things."""
    told = [json.loads(bytes(frame)) for frame in line.exchange(json.dumps(own).encode())]
    for what, value in told[0].items():
        others = [rank for rank, one in enumerate(told) if one.get(what) != value]
        if others:
            rank = others[0]
            raise WorkersError(
                f"processes must have the same {what}. Received: {value} in rank 0, "
                f"{told[rank].get(what)} in rank {rank}"
            )


def _described(model: Fitting, x: Any, y: Any, settings: dict[str, Any]) -> dict[str, str]:
    """What must be the same in every process, in short."""
    optimizer = model.optimizer
    state = [array for slot in optimizer.state for array in slot]
    known = ("batch_size", "epochs", "shuffle", "initial_epoch", "steps_per_epoch")
    return {
        "version of dropfast": _core.__version__,
        "model": _digest(repr(model.layers)),
        "seed": str(model.seed),
        "compile settings": _digest(repr((optimizer, model.loss, model.gradient_blocks))),
        "weights": _digest(*(model.weights if model.built else ())),
        "optimizer state": _digest(str(optimizer.iterations), *state),
        "epochs done": str(model.epochs_done),
        "settings": repr({name: settings.get(name) for name in known}),
        "x": _data(x),
        "y": _data(y),
    }


def _data(array: Any) -> str:
    """Shape, type and some rows of an array; of other kinds of data only the kind."""
    if not hasattr(array, "shape") or not hasattr(array, "dtype") or not len(array.shape):
        return type(array).__name__
    rows = len(array)
    step = max(rows // _COMPARED_ROWS, 1)
    return f"{array.dtype}{array.shape} {_digest(np.asarray(array[::step]))}"


def _digest(*parts: Any) -> str:
    found = hashlib.blake2b(digest_size=8)
    for part in parts:
        data = part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes()
        found.update(data)
    return found.hexdigest()
