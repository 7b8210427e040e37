"""Predict rows that lie in many places, and try settings, on a dask cluster.

    python examples/scaling_dask.py

The cluster is three processes of this machine; `Client("tcp://...")` takes another.
"""

from __future__ import annotations

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

import dropfast as df
from dropfast import distributed


def data() -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels."""
    x = np.random.default_rng(0).normal(size=(4096, 16)).astype(np.float32)
    return x, (x[:, 0] > 0).astype(np.int64)


def train(rate: float, units: int, seed: int) -> float:
    """Loss on the last rows."""
    x, y = data()
    hidden = [df.layers.Dense(units, "relu"), df.layers.Dropout(rate)]
    model = df.Sequential([*hidden, df.layers.Dense(2, "softmax")], seed=seed)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x[:3072], y[:3072], epochs=2, verbose=0)
    return float(model.evaluate(x[3072:], y[3072:]))


def main() -> None:
    """Sweep, then predict."""
    with LocalCluster(n_workers=3, threads_per_worker=1) as cluster, Client(cluster) as client:
        grid = {"rate": [0.1, 0.5], "units": [16, 64]}
        trials = distributed.sweep(train, grid, engine="dask", client=client)
        best = min(trials, key=lambda trial: trial.result)
        print(f"best: {dict(best.settings)}, loss {best.result:.4f}")

        x, y = data()
        model = df.Sequential([df.layers.Dropout(0.5), df.layers.Dense(2, "softmax")], seed=0)
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, y, epochs=1, verbose=0)
        rows = da.from_array(x, chunks=(1024, 16))
        found = distributed.predict_mc(model, rows, samples=20)
        whole = model.predict_mc(x, samples=20)
        same = np.array_equal(found.mean.compute(), whole.mean)
        print(f"blocks equal one call: {same}")


if __name__ == "__main__":
    main()
