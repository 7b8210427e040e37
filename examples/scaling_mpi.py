"""Train in several processes, with the bits of one.

    mpirun -n 2 python examples/scaling_mpi.py

Each process runs this file. Whatever -n is, up to the number of blocks, the file has the same hash.
`--steps` prints the time of a step, and what of it is communication.
"""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import tempfile
import time

import numpy as np

import dropfast as df
from dropfast import distributed


class Timed:
    """A communicator that counts the seconds it takes."""

    def __init__(self, comm: distributed.Communicator) -> None:
        self.comm, self.rank, self.size, self.seconds = comm, comm.rank, comm.size, 0.0

    def exchange(self, data: bytes | memoryview) -> list[bytes]:
        """What each process gave."""
        start = time.perf_counter()
        found = self.comm.exchange(data)
        self.seconds += time.perf_counter() - start
        return found


def main() -> None:
    """Train, print a hash, and with --steps times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=8)
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--steps", action="store_true")
    given = parser.parse_args()
    comm = Timed(distributed.MPI())
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4096, 128)).astype(np.float32)
    y = (x[:, :4].sum(axis=1) > 0).astype(np.int64)
    hidden = [df.layers.Dense(given.units, "relu"), df.layers.Dropout(0.5)]
    model = df.Sequential([df.Input((128,)), *hidden, df.layers.Dense(2, "softmax")], seed=0)
    model.compile("adam", "sparse_categorical_crossentropy", gradient_blocks=given.blocks)
    start = time.perf_counter()
    settings = {"batch_size": given.batch, "epochs": given.epochs, "verbose": 0}
    history = distributed.fit(model, x, y, comm, **settings)
    seconds = time.perf_counter() - start
    if comm.rank == 0:
        path = pathlib.Path(tempfile.mkdtemp()) / "model.dropfast"
        model.save(path)
        print(f"loss {history.history['loss'][-1]:.6f}, file", end=" ")
        print(hashlib.sha256(path.read_bytes()).hexdigest()[:16])
        if given.steps:
            steps = model.optimizer.iterations
            print(
                f"{comm.size} processes: {1e3 * seconds / steps:.2f} ms a step, "
                f"{1e3 * comm.seconds / steps:.2f} of them communication, "
                f"{4 * model.count_params() / 1e6:.2f} MB of gradients"
            )


if __name__ == "__main__":
    main()
