"""Where dropout helps: its gain over none against training rows, width, label noise and epochs.

`python benches/study_where.py` trains what the record lacks, and writes the picture and the table
of docs/where-dropout-helps.md. A run that was interrupted goes on where it stopped. Each pair
shares its seed: the images, the wrong labels, the initial weights and the order of the batches.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from tqdm import tqdm

import dropfast as df
from dropfast.bench.record import machine
from dropfast.datasets import fashion_mnist
from modes import both_modes

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "benches" / "records" / "where_dropout_helps.json"
PAGE = ROOT / "docs" / "where-dropout-helps.md"
BATCH = 64
RATES = (0.0, 0.2, 0.5)
# Every curve goes through this point.
CENTRE = {"rows": 5_000, "width": 128, "noise": 0.0, "steps": 2_000}
CURVES = {
    "rows": ("training images", (500, 2_000, 5_000, 20_000, 60_000)),
    "width": ("units a hidden layer", (32, 128, 512)),
    "noise": ("share of wrong labels", (0.0, 0.2, 0.4)),
    "steps": ("steps of 64 images", (500, 2_000, 8_000)),
}
# Quantiles of Student's t for 95 % intervals, by the number of pairs.
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}


def points() -> list[dict]:
    """All settings, without what two curves share."""
    found = {json.dumps(CENTRE): CENTRE}
    for axis, (_, values) in CURVES.items():
        for value in values:
            point = {**CENTRE, axis: value}
            found.setdefault(json.dumps(point), point)
    return list(found.values())


def one_run(data, point: dict, rate: float, seed: int) -> dict:
    """Train once; returns accuracy and log loss on the test images."""
    (x, y), (x_test, y_test) = data
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(x))[: point["rows"]]
    labels = y[chosen].astype(np.int64)
    wrong = rng.random(len(labels)) < point["noise"]
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, wrong.sum())) % 10
    layers = [df.layers.Input((784,))]
    for _ in range(2):
        layers.append(df.layers.Dense(point["width"], "relu"))
        if rate:
            layers.append(df.layers.Dropout(rate))
    model = df.Sequential([*layers, df.layers.Dense(10, "softmax")], seed=seed)
    decay = df.optimizers.schedules.CosineDecay(0.002, point["steps"])
    model.compile(
        df.optimizers.Adam(decay), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    a_epoch = math.ceil(len(chosen) / BATCH)
    epochs = math.ceil(point["steps"] / a_epoch)
    each = min(a_epoch, point["steps"])
    model.fit(x[chosen], labels, BATCH, epochs, verbose=0, steps_per_epoch=each)
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    return {**point, "rate": rate, "seed": seed, "accuracy": accuracy, "loss": loss}


def load() -> dict:
    if RECORD.exists():
        return json.loads(RECORD.read_text(encoding="utf-8"))
    return {"machine": {}, "runs": []}


def save(record: dict) -> None:
    lines = ",\n  ".join(json.dumps(run) for run in record["runs"])
    head = json.dumps(record["machine"])
    RECORD.write_text(f'{{"machine": {head},\n "runs": [\n  {lines}\n]}}\n', encoding="utf-8")


def key(run: dict) -> tuple:
    return tuple(run[name] for name in (*CENTRE, "rate", "seed"))


def train(record: dict, seeds: int, limit: float) -> None:
    """Train what is missing, seed after seed, for at most so many seconds."""
    done = {key(run) for run in record["runs"]}
    wanted = [
        (point, rate, seed)
        for seed in range(seeds)
        for point in points()
        for rate in RATES
        if key({**point, "rate": rate, "seed": seed}) not in done
    ]
    if not wanted:
        return
    (x, y), (x_test, y_test) = fashion_mnist.load_data()
    x, x_test = (a.reshape(-1, 784).astype(np.float32) / 255 for a in (x, x_test))
    told = machine(df.get_num_threads())
    kept = ("processor", "cores", "simd", "dropfast", "python")
    record["machine"] = {name: told[name] for name in kept}
    record["machine"]["date"] = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    end = time.monotonic() + limit
    for point, rate, seed in tqdm(wanted, desc="runs", unit="run"):
        if time.monotonic() > end:
            break
        record["runs"].append(one_run(((x, y), (x_test, y_test)), point, rate, seed))
        save(record)


def gain(record: dict, point: dict, rate: float, what: str) -> tuple[float, float, int]:
    """Mean gain over no dropout, half the width of its 95 % interval, and the number of pairs."""
    by_seed = {
        wanted: {r["seed"]: r[what] for r in record["runs"] if key(r)[:-1] == (*point, wanted)}
        for wanted in (0.0, rate)
    }
    seeds = sorted(by_seed[0.0].keys() & by_seed[rate].keys())
    sign = 1 if what == "accuracy" else -1
    gains = [sign * (by_seed[rate][seed] - by_seed[0.0][seed]) for seed in seeds]
    if len(gains) < 2:
        return (gains[0] if gains else math.nan), math.nan, len(gains)
    half = STUDENT.get(len(gains), 2.2) * statistics.stdev(gains) / len(gains) ** 0.5
    return statistics.mean(gains), half, len(gains)


def table(record: dict) -> str:
    """Gains of all points as Markdown."""
    lines = [
        "| curve | value | no dropout | gain at .2 | gain at .5 | loss saved at .2 | at .5 |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for axis, (name, values) in CURVES.items():
        for value in values:
            point = tuple({**CENTRE, axis: value}.values())
            plain = [r["accuracy"] for r in record["runs"] if key(r)[:-1] == (*point, 0.0)]
            cells = [name, f"{value:,}" if value >= 1 else f"{value:g}"]
            cells.append(f"{100 * statistics.mean(plain):.1f} %" if plain else "–")
            for what, scale, digits in (("accuracy", 100, 2), ("loss", 1, 3)):
                for rate in RATES[1:]:
                    mean, half, _ = gain(record, point, rate, what)
                    known = not math.isnan(half)
                    text = f"{scale * mean:+.{digits}f} ± {scale * half:.{digits}f}"
                    cells.append(text.replace("+-", "-").replace("-", "−") if known else "–")
            lines.append(f"| {' | '.join(cells)} |")
    pairs = [
        gain(record, tuple(point.values()), rate, "accuracy")[2]
        for point in points()
        for rate in RATES[1:]
    ]
    few, many = min(pairs), max(pairs)
    count = f"{many} pairs" if few == many else f"{few} to {many} pairs"
    told = record["machine"]
    lines += ["", f"{count} a point; {told['processor']}, {told['date']}."]
    return "\n".join(lines)


def draw(record: dict, figure) -> None:
    axes = figure.subplots(2, 4, sharey="row", squeeze=False)
    for column, (axis, (name, values)) in enumerate(CURVES.items()):
        for row, (what, scale) in enumerate((("accuracy", 100), ("loss", 1))):
            ax = axes[row][column]
            for rate, colour, marker in zip(RATES[1:], ("C0", "C1"), "os", strict=True):
                found = [
                    gain(record, tuple({**CENTRE, axis: v}.values()), rate, what) for v in values
                ]
                places = [i + (0.08 if rate == 0.5 else -0.08) for i in range(len(values))]
                mean, half = ([scale * f[i] for f in found] for i in (0, 1))
                style = {"marker": marker, "capsize": 3, "markersize": 5, "color": colour}
                ax.errorbar(places, mean, half, label=f"rate {rate}", **style)
            ax.axhline(0, color="gray", linewidth=1)
            ax.set_xticks(range(len(values)), [f"{v:,}" if v >= 1 else f"{v:g}" for v in values])
            ax.tick_params("x", labelrotation=45 if axis == "rows" else 0)
            if row:
                ax.set_xlabel(name)
        axes[0][0].set_ylabel("accuracy gained, points")
        axes[1][0].set_ylabel("log loss saved")
    axes[0][0].legend(frameon=False)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=math.inf, help="seconds of training")
    given = parser.parse_args()
    record = load()
    train(record, given.seeds, given.limit)
    both_modes(ROOT / "docs" / "pictures" / "where.png", lambda f: draw(record, f), (12, 6))
    if PAGE.exists():
        text = PAGE.read_text(encoding="utf-8")
        start, end = "<!-- table of the study -->\n", "<!-- end of the table -->"
        before, rest = text.split(start)
        PAGE.write_text(f"{before}{start}{table(record)}\n{end}{rest.split(end)[1]}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
