"""What masks shared by groups of rows cost in accuracy, and save in time, on Fashion-MNIST.

`run` trains what is still missing and appends a JSON line for each training run, so it can be
stopped and goes on where it was; `time` measures epochs, on a machine that does nothing else;
`tables` prints Markdown, `plot` draws. docs/row-groups.md tells what came out.

Learning rates are tuned for each setting on 10,000 held-out training images; the test images are
looked at after every epoch, but nothing is chosen by them.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import dropfast as df
from dropfast.datasets import fashion_mnist

BATCH = 128
MOMENTUM = 0.9
HELD_OUT = 10_000
ARCHITECTURES = {"784-512-512-10": (512, 512), "784-200-100-60-10": (200, 100, 60)}
# Rate before hidden layers and the last one: rate of the input.
RATES = {0.25: 0.1, 0.5: 0.2}
ROWS = (1, 8, 16, 32, BATCH)
# The middle three are tried first; the ends where the best of those lies next to one.
LEARNING_RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
TUNING_EPOCHS = 10


@dataclass(frozen=True)
class Setting:
    """A network and how it drops."""

    architecture: str
    rate: float
    rows: int

    def dropout(self, rate: float) -> df.layers.Layer:
        """The layer that drops; rows a mask are the model's."""
        return df.layers.Dropout(rate)

    def model(self, learning_rate: float, steps: int, seed: int) -> df.Sequential:
        """Compiled, with a learning rate that falls along a cosine over so many steps."""
        layers: list[df.layers.Layer] = [df.layers.Input((784,))]
        for number, units in enumerate((*ARCHITECTURES[self.architecture], 10)):
            rate = self.rate if number else RATES.get(self.rate, 0.0)
            layers += [self.dropout(rate)] if rate else []
            layers.append(df.layers.Dense(units, activation="relu" if units > 10 else "softmax"))
        model = df.Sequential(layers, seed=seed)
        decay = df.optimizers.schedules.CosineDecay(learning_rate, steps)
        model.compile(
            df.optimizers.SGD(decay, momentum=MOMENTUM),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            rows_per_mask=self.rows,
        )
        return model


@dataclass(frozen=True)
class Job:
    """One training run; the kind "tuning" leaves the test images alone."""

    kind: str
    setting: Setting
    epochs: int
    learning_rate: float
    seed: int

    def run(self) -> dict[str, Any]:
        """Accuracies after every epoch, and what is needed to know them again."""
        x, y, *held_out = data(self.kind)
        steps = self.epochs * math.ceil(len(x) / BATCH)
        model = self.setting.model(self.learning_rate, steps, self.seed)
        try:
            history = model.fit(
                x, y, BATCH, self.epochs, verbose=0, validation_data=tuple(held_out)
            )
            accuracy = history.history["val_accuracy"]
        except FloatingPointError:
            accuracy = []
        return {**self.record(), "accuracy": [round(float(value), 4) for value in accuracy]}

    def record(self) -> dict[str, Any]:
        """What tells the job from others."""
        own = {name: value for name, value in vars(self).items() if name != "setting"}
        return {**own, **asdict(self.setting)}


def data(kind: str) -> tuple[np.ndarray, ...]:
    """Images and labels to train on, then those to evaluate on."""
    (x, y), (x_test, y_test) = fashion_mnist.load_data()
    x, x_test = (images.reshape(-1, 784).astype(np.float32) / 255 for images in (x, x_test))
    if kind == "tuning":
        return x[:-HELD_OUT], y[:-HELD_OUT], x[-HELD_OUT:], y[-HELD_OUT:]
    return x, y, x_test, y_test


def setting_of(record: dict[str, Any]) -> Setting:
    return Setting(record["architecture"], record["rate"], record["rows"])


class Results:
    """The lines of a file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        lines = file.read_text().splitlines() if file.exists() else []
        self.records: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def add(self, record: dict[str, Any]) -> None:
        self.records.append(record)
        with self.file.open("a") as lines:
            lines.write(json.dumps(record) + "\n")

    def has(self, job: Job) -> bool:
        wanted = job.record().items()
        return any(wanted <= record.items() for record in map(_flat, self.records))

    def of(self, kind: str, setting: Setting) -> list[dict[str, Any]]:
        return [
            record
            for record in self.records
            if record["kind"] == kind and setting_of(record) == setting
        ]

    def tuned(self, setting: Setting) -> dict[float, float]:
        """Learning rate: accuracy on held-out images, 0 where training diverged."""
        return {
            record["learning_rate"]: (record["accuracy"] or [0.0])[-1]
            for record in self.of("tuning", setting)
        }

    def learning_rate(self, setting: Setting) -> float:
        tuned = self.tuned(setting)
        return max(tuned, key=tuned.__getitem__)

    def finals(self, setting: Setting, epochs: int) -> list[list[float]]:
        """Test accuracies by epoch, one list a seed."""
        return [
            record["accuracy"]
            for record in self.of("test", setting)
            if record["epochs"] == epochs and record["accuracy"]
        ]

    def epoch_seconds(self, setting: Setting) -> float:
        """Seconds of an epoch at best; NaN if it was not measured."""
        return min((r["seconds"] for r in self.of("time", setting)), default=math.nan)


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """What can be compared as a set of items."""
    return {name: value for name, value in record.items() if name != "accuracy"}


def untried(tuned: dict[float, float]) -> float | None:
    """The next learning rate to try; None once the best one has worse ones on both sides."""
    for rate in LEARNING_RATES[1:-1]:
        if rate not in tuned:
            return rate
    place = LEARNING_RATES.index(max(tuned, key=tuned.__getitem__))
    around = LEARNING_RATES[max(place - 1, 0) : place + 2]
    return next((rate for rate in around if rate not in tuned), None)


def missing(results: Results, settings: Sequence[Setting], options: Any) -> Iterator[Job]:
    """What is to be done, tuning first, then seed by seed."""
    for setting in settings:
        while (rate := untried(results.tuned(setting))) is not None:
            yield Job("tuning", setting, TUNING_EPOCHS, rate, seed=1000)
    for seed in range(options.seeds):
        for setting in settings:
            job = Job("test", setting, options.epochs, results.learning_rate(setting), seed)
            if not results.has(job):
                yield job


def run(results: Results, settings: Sequence[Setting], options: Any) -> None:
    """Train; `--most` bounds the number of runs of a call."""
    for done, job in enumerate(missing(results, settings, options)):
        if done == options.most:
            return
        start = time.perf_counter()
        record = job.run()
        results.add(record)
        final = record["accuracy"][-1] if record["accuracy"] else "diverged"
        print(f"{job} {final} {time.perf_counter() - start:.0f} s", flush=True)
    print("nothing left to do")


def measure(results: Results, settings: Sequence[Setting], options: Any) -> None:
    """Seconds of an epoch: the best of `--most`, after one that warms up."""
    x, y, *_ = data("test")
    for setting in settings:
        model = setting.model(0.01, 10_000, seed=0)
        seconds = []
        for _ in range(1 + (options.most or 3)):
            start = time.perf_counter()
            model.fit(x, y, BATCH, verbose=0)
            seconds.append(time.perf_counter() - start)
        results.add({"kind": "time", **asdict(setting), "seconds": round(min(seconds[1:]), 4)})
        print(setting, f"{min(seconds[1:]):.3f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("run", "time", "tables", "plot"))
    parser.add_argument("--results", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--architecture", action="append", choices=tuple(ARCHITECTURES))
    parser.add_argument("--rate", action="append", type=float, help="of hidden layers")
    parser.add_argument("--rows", action="append", type=int, help="rows a mask")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most", type=int, help="runs of a call, or epochs that are timed")
    parser.add_argument("--pictures", type=Path, help="folder that `plot` draws into")
    options = parser.parse_args()
    settings = [
        Setting(architecture, rate, rows)
        for architecture in options.architecture or ARCHITECTURES
        for rate in options.rate or (0.0, *RATES)
        for rows in ((options.rows or ROWS) if rate else (1,))
    ]
    results = Results(options.results)
    if options.command == "run":
        run(results, settings, options)
    elif options.command == "time":
        measure(results, settings, options)
    else:
        import study_report

        study_report.report(results, settings, options)


if __name__ == "__main__":
    main()
