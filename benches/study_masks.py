"""Whether other ways to draw the masks of row groups keep more accuracy; an experiment in NumPy.

Appends a JSON line for each training run, goes on where it was stopped, then prints a table.
Learning rates are those that `study_row_groups.py` found for independent masks.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import dropfast as df
from dropfast.layers.rated import Rated
from study_report import spread
from study_row_groups import ARCHITECTURES, Job, Results, Setting

KINDS = ("independent", "balanced", "antithetic")


class GroupDropout(Rated, df.layers.Layer):
    """Dropout of which `rows` consecutive rows share a mask, drawn in one of several ways.

    "independent": every unit by itself, as `Dropout` does. "balanced": a group keeps a fixed
    number of units. "antithetic": a group keeps what its neighbour would drop at a rate of .5;
    where a batch is one group, its neighbour is the next batch.
    """

    def __init__(self, rate, rows, masks, **kwargs):
        super().__init__(**kwargs)
        self.set_rate(rate, None)
        self.rows, self.masks = rows, masks

    def forward(self, x, passage):
        if not passage.training:
            return x
        key, groups = passage.drawing_key(), -(-len(x) // self.rows)
        keep = self._draw(groups, x.shape[1], key)
        scale = x.dtype.type(1 / (1 - self.rate))
        passage.saved = np.repeat(keep * scale, self.rows, axis=0)[: len(x)]
        return x * passage.saved

    def gradient(self, grad, passage):
        return grad if passage.saved is None else grad * passage.saved

    def _draw(self, groups, features, key):
        """Which units each group keeps, [groups, features]."""
        if self.masks == "antithetic":
            first = key.step * groups
            numbers = np.arange(first, first + groups)
            pairs = {pair: self._uniform(key, pair, features) for pair in np.unique(numbers // 2)}
            drawn = [pairs[n // 2] if n % 2 else 1 - pairs[n // 2] for n in numbers]
            return np.array(drawn, np.float32) >= self.rate
        drawn = np.array([self._uniform(key, (key.step, g), features) for g in range(groups)])
        if self.masks == "independent":
            return drawn >= np.float32(self.rate)
        ranks = drawn.argsort(axis=1).argsort(axis=1)
        return ranks >= round(features * self.rate)

    @staticmethod
    def _uniform(key, number, features):
        seed = [key.seed, key.stream, *np.atleast_1d(number)]
        return np.random.default_rng(seed).random(features, np.float32)


@dataclass(frozen=True)
class MaskSetting(Setting):
    """A setting whose masks are drawn in another way."""

    masks: str = "independent"

    def dropout(self, rate):
        return GroupDropout(rate, self.rows, self.masks)


def finals(results, job):
    """Accuracies of all seeds of a job."""
    wanted = {name: value for name, value in job.record().items() if name != "seed"}
    same = [r for r in results.records if wanted.items() <= {**r, "accuracy": None}.items()]
    return [record["accuracy"] for record in same]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--tuned", type=Path, required=True, help="results of the other study")
    parser.add_argument("--architecture", default="784-200-100-60-10", choices=ARCHITECTURES)
    parser.add_argument("--rate", type=float, default=0.5)
    parser.add_argument("--rows", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most", type=int, help="runs of a call")
    options = parser.parse_args()

    results, tuned = Results(options.results), Results(options.tuned)
    jobs = []
    for rows in options.rows:
        rate = tuned.learning_rate(Setting(options.architecture, options.rate, rows))
        for masks in KINDS:
            setting = MaskSetting(options.architecture, options.rate, rows, masks)
            jobs.append(Job("test", setting, options.epochs, rate, seed=0))
    missing = [
        each
        for seed in range(options.seeds)
        for job in jobs
        if not results.has(each := Job(**{**vars(job), "seed": seed}))
    ]
    for job in missing[: options.most]:
        results.add(job.run())
    if missing[len(missing) if options.most is None else options.most :]:
        return
    print("| rows a mask | masks | test accuracy, % |\n|---:|---|---:|")
    for job in jobs:
        print(f"| {job.setting.rows} | {job.setting.masks} | {spread(finals(results, job))} |")


if __name__ == "__main__":
    main()
