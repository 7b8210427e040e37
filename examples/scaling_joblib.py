"""Try settings side by side on the cores of this machine.

python examples/scaling_joblib.py
"""

from __future__ import annotations

import numpy as np

import dropfast as df
from dropfast import distributed


def train(rate: float, units: int, seed: int) -> float:
    """Loss on the last rows."""
    x = np.random.default_rng(0).normal(size=(2048, 16)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    hidden = [df.layers.Dense(units, "relu"), df.layers.Dropout(rate)]
    model = df.Sequential([*hidden, df.layers.Dense(2, "softmax")], seed=seed)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x[:1536], y[:1536], epochs=2, verbose=0)
    return float(model.evaluate(x[1536:], y[1536:]))


def main() -> None:
    """Four points in two processes."""
    grid = {"rate": [0.1, 0.5], "units": [16, 64]}
    for trial in distributed.sweep(train, grid, workers=2):
        print(f"{dict(trial.settings)}: loss {trial.result:.4f}")


if __name__ == "__main__":
    main()
