"""Predict a Ray data set in batches, each row with the masks of its number; sweep on Ray.

python examples/scaling_ray.py
"""

from __future__ import annotations

import numpy as np
import ray

import dropfast as df
from dropfast import distributed


class Predictor:
    """A stateful function for `map_batches`: the model is unpickled once a process."""

    def __init__(self, model: df.Sequential) -> None:
        self.model = model

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Mean and spread of a batch whose column `id` numbers its rows."""
        first = int(batch["id"][0])
        found = self.model.predict_mc(batch["x"], samples=20, first_row=first)
        return {"id": batch["id"], "mean": found.mean, "std": found.std}


def score(rate: float, seed: int) -> float:
    """A point of a sweep."""
    return rate + seed % 2


def main() -> None:
    """Predict, compare, sweep."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    x = np.random.default_rng(0).normal(size=(1024, 8)).astype(np.float32)
    model = df.Sequential([df.layers.Dropout(0.5), df.layers.Dense(2)], seed=0)
    model.build((None, 8))
    rows = ray.data.from_numpy(np.arange(1024)).rename_columns({"data": "id"})
    rows = rows.zip(ray.data.from_numpy(x).rename_columns({"data": "x"}))
    found = rows.map_batches(
        Predictor, fn_constructor_args=(model,), batch_size=256, concurrency=2
    ).take_all()
    mean = np.stack([row["mean"] for row in sorted(found, key=lambda row: row["id"])])
    whole = model.predict_mc(x, samples=20).mean
    print(f"batches equal one call: {np.array_equal(mean, whole)}")
    print(len(distributed.sweep(score, {"rate": [0.1, 0.5]}, engine="ray")), "points")


if __name__ == "__main__":
    main()
