"""What processes of the tests do: train, fail, end; also a script for mpirun."""

from __future__ import annotations

import hashlib
import os
import pathlib
import sys

import numpy as np

import dropfast as df
from dropfast import distributed

L = df.layers
ROWS = 150
LOSS = "sparse_categorical_crossentropy"


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 6)).astype(np.float32)
    return x, (x[:, 0] + x[:, 1] > 0).astype(np.int64)


def model(blocks=4, optimizer=None):
    layers = [L.Input(6), L.Dense(16, "relu"), L.BatchNormalization(), L.Dropout(0.5)]
    made = df.Sequential([*layers, L.Dense(2, "softmax")], seed=1)
    optimizer = optimizer or df.optimizers.Adam(0.01, global_clipnorm=0.5)
    # The second metric takes outputs, the first alone is counted.
    metrics = ["accuracy", "sparse_top_k_categorical_accuracy"][: 1 + blocks % 2]
    made.compile(optimizer, LOSS, metrics=metrics, gradient_blocks=blocks)
    return made


def train(comm, folder, blocks=4, epochs=3, mapped=False):
    """Hash of the file after some epochs; the history."""
    x, y = data()
    if mapped:
        x = np.load(pathlib.Path(folder) / "x.npy", mmap_mode="r")
    made = model(blocks)
    history = distributed.fit(made, x, y, comm, batch_size=32, epochs=epochs, verbose=0)
    path = pathlib.Path(folder) / f"model-{comm.size}-{comm.rank}-{blocks}.dropfast"
    made.save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest(), history.history


class Failing(df.callbacks.Callback):
    """Raises, ends its process, or sleeps in the second epoch, in one rank."""

    def __init__(self, way):
        super().__init__()
        self.way = way

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and self.way == "raise":
            raise RuntimeError("no more")
        if epoch == 1 and self.way == "end":
            os._exit(3)


def fail(comm, way, folder):
    """Trains two epochs, in the second of which the last rank fails; what the others see."""
    x, y = data()
    made = model()
    callbacks = [Failing(way)] if comm.rank == comm.size - 1 else []
    if comm.rank == 0:
        path = pathlib.Path(folder) / "last.dropfast"
        callbacks.append(df.callbacks.ModelCheckpoint(path))
    try:
        distributed.fit(made, x, y, comm, batch_size=32, epochs=3, verbose=0, callbacks=callbacks)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def differ(comm, what):
    """The last rank holds something else."""
    x, y = data()
    blocks, other = 4, comm.rank == comm.size - 1
    if what == "blocks":
        blocks = 2
    made = model(blocks)
    if other and what == "x":
        x = x + 1
    if other and what == "rows":
        x, y = x[:-1], y[:-1]
    if other and what == "weights":
        made.set_weights([a + 1 for a in made.get_weights()])
    if other and what == "version of dropfast":
        df._core.__dict__["__version__"] = "0.0.0"
    try:
        distributed.fit(made, x, y, comm, batch_size=32, verbose=0)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def score(rate, units, seed):
    """A point of a sweep."""
    x, y = data()
    made = df.Sequential(
        [L.Input(6), L.Dense(units, "relu"), L.Dropout(rate), L.Dense(2, "softmax")], seed=seed
    )
    made.compile("adam", LOSS)
    made.fit(x, y, epochs=2, verbose=0)
    return made.evaluate(x, y), df.get_num_threads()


def score_once_broken(folder, rate, seed):
    """The same in a process that ends the first time."""
    mark = pathlib.Path(folder) / f"tried-{rate}"
    if not mark.exists():
        mark.touch()
        os._exit(1)
    return score(rate, 8, seed)


def broken(rate, seed):
    raise ArithmeticError(f"rate {rate}")


def main():
    """Under mpirun: `train FOLDER`, `fail WAY FOLDER` or `differ WHAT`; each rank prints a line."""
    what, *arguments = sys.argv[1:]
    comm = distributed.MPI(timeout=20.0)
    found = {"train": train, "fail": fail, "differ": differ}[what](comm, *arguments)
    print(f"rank {comm.rank}: {found[0] if what == 'train' else found}", flush=True)


if __name__ == "__main__":
    main()
