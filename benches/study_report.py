"""Tables and pictures of the study of row groups, from its results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from dropfast.plot.canvas import COLOURS, tidy
from study_row_groups import BATCH, RATES, Results, Setting

# The given accuracy that settings are timed by is what all but whole batches reach, less this.
MARGIN = 0.002


def report(results: Results, settings: Sequence[Setting], options: Any) -> None:
    """Do what the command says."""
    if options.command == "tables":
        print(tables(results, settings, options.epochs))
        return
    options.pictures.mkdir(parents=True, exist_ok=True)
    draw_final(results, settings, options.epochs, options.pictures / "row_groups.png")
    if any(record["kind"] == "time" for record in results.records):
        draw_time(results, settings, options.epochs, options.pictures / "row_groups_time.png")


def tables(results: Results, settings: Sequence[Setting], epochs: int) -> str:
    """One table an architecture."""
    parts = []
    for architecture in dict.fromkeys(setting.architecture for setting in settings):
        own = [setting for setting in settings if setting.architecture == architecture]
        own = [setting for setting in own if results.finals(setting, epochs)]
        goals = {rate: goal(results, own, rate, epochs) for rate in (0.0, *RATES)}
        lines = [
            f"### {architecture}, {epochs} epochs",
            "",
            "| hidden rate | rows a mask | learning rate | test accuracy, % | s an epoch "
            "| s to a given accuracy | s in all | one row a mask in as many seconds, % |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        lines += [row(results, setting, epochs, goals[setting.rate]) for setting in own]
        given = [f"{g:.1%} at rate {r}" for r, g in goals.items() if r and not math.isnan(g)]
        parts.append("\n".join([*lines, "", f"The given accuracy: {', '.join(given)}."]))
    return "\n\n".join(parts)


def row(results: Results, setting: Setting, epochs: int, wanted: float) -> str:
    seconds = results.epoch_seconds(setting)
    values = [
        f"{setting.rate or 'none'}",
        f"{setting.rows if setting.rate else '–'}",
        f"{results.learning_rate(setting)}",
        spread(results.finals(setting, epochs)),
        number(seconds, ".3f"),
        number(reached(results, setting, epochs, wanted) * seconds, ".1f"),
        number(epochs * seconds, ".1f"),
        number(100 * same_time(results, setting, epochs), ".2f"),
    ]
    return f"| {' | '.join(values)} |"


def budgets(results: Results, setting: Setting) -> dict[int, float]:
    """Epochs that the learning rate was let fall over: final accuracy, mean over seeds."""
    found: dict[int, list[float]] = {}
    for record in results.of("test", setting):
        found.setdefault(record["epochs"], []).append(record["accuracy"][-1])
    return {epochs: float(np.mean(found[epochs])) for epochs in sorted(found)}


def same_time(results: Results, setting: Setting, epochs: int) -> float:
    """What one row a mask reaches in as many seconds, between runs of different lengths."""
    one = replace(setting, rows=1)
    lengths = budgets(results, one)
    share = results.epoch_seconds(setting) / results.epoch_seconds(one)
    if setting.rows == 1 or math.isnan(share) or not min(lengths) <= share * epochs <= epochs:
        return math.nan
    return float(np.interp(share * epochs, list(lengths), list(lengths.values())))


def number(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)


def spread(finals: Sequence[Sequence[float]]) -> str:
    """Mean and standard deviation over seeds of the last epoch's accuracy."""
    last = 100 * np.array([accuracies[-1] for accuracies in finals])
    deviation = f" ± {last.std(ddof=1):.2f}" if len(last) > 1 else ""
    return f"{last.mean():.2f}{deviation}"


def goal(results: Results, settings: Sequence[Setting], rate: float, epochs: int) -> float:
    """An accuracy that every setting of this rate reaches, but perhaps one mask a batch."""
    best = [
        np.mean(results.finals(setting, epochs), axis=0).max()
        for setting in settings
        if setting.rate == rate and setting.rows < BATCH
    ]
    return math.floor((min(best) - MARGIN) * 1000) / 1000 if best else math.nan


def reached(results: Results, setting: Setting, epochs: int, wanted: float) -> float:
    """Epochs until the mean over seeds is as high."""
    mean = np.mean(results.finals(setting, epochs), axis=0)
    return float(np.argmax(mean >= wanted) + 1) if (mean >= wanted).any() else math.nan


def groups(settings: Sequence[Setting]) -> dict[tuple[str, float], list[Setting]]:
    """Settings that differ in rows a mask only."""
    found: dict[tuple[str, float], list[Setting]] = {}
    for setting in settings:
        if setting.rate:
            found.setdefault((setting.architecture, setting.rate), []).append(setting)
    return found


def draw_final(results: Results, settings: Sequence[Setting], epochs: int, path: Path) -> None:
    """Final accuracy over rows a mask: every seed a dot, means joined."""
    figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
    for colour, ((architecture, rate), own) in zip(COLOURS, groups(settings).items(), strict=False):
        own = [setting for setting in own if results.finals(setting, epochs)]
        finals = [[each[-1] for each in results.finals(setting, epochs)] for setting in own]
        for setting, values in zip(own, finals, strict=True):
            ax.plot([setting.rows] * len(values), values, ".", color=colour)
        means = [np.mean(values) for values in finals]
        label = f"{architecture}, rate {rate}"
        ax.plot([setting.rows for setting in own], means, color=colour, label=label)
    ax.set_xscale("log", base=2)
    shown = sorted({setting.rows for setting in settings})
    ax.set_xticks(shown, list(map(str, shown)))
    tidy(ax, "rows that share a mask", "test accuracy")
    ax.set_title(f"Fashion-MNIST, {epochs} epochs, learning rate tuned for each point")
    ax.legend(frameon=False)
    figure.savefig(path, dpi=120)


def draw_time(results: Results, settings: Sequence[Setting], epochs: int, path: Path) -> None:
    """Mean accuracy by the seconds of training, a panel for each network and rate."""
    timed = [s for s in settings if not math.isnan(results.epoch_seconds(s))]
    chosen = groups(timed)
    lines = -(-len(chosen) // 2)
    figure, axes = plt.subplots(
        lines, 2, figsize=(11, 4 * lines), layout="constrained", squeeze=False
    )
    for ax in axes.flat[len(chosen) :]:
        ax.set_visible(False)
    for ax, ((architecture, rate), own) in zip(axes.flat, chosen.items(), strict=False):
        for colour, setting in zip(COLOURS, own, strict=False):
            seconds = results.epoch_seconds(setting)
            finals = results.finals(setting, epochs)
            mean = np.mean(finals, axis=0)
            at = seconds * np.arange(1, len(mean) + 1)
            ax.plot(at, mean, color=colour, linewidth=1, label=f"{setting.rows}")
            lengths = budgets(results, setting)
            ends = [seconds * length for length in lengths]
            ax.plot(ends, list(lengths.values()), "o", color=colour)
        lowest = min(results.finals(own[-1], epochs)[0][-1], 0.86)
        tidy(ax, "seconds of training", "test accuracy")
        ax.set_ylim(bottom=lowest - 0.02)
        ax.set_title(f"{architecture}, rate {rate}")
        ax.legend(frameon=False, title="rows a mask", loc="lower right")
    figure.suptitle(
        "A dot ends a run; one row a mask had runs of several lengths, the learning rate falling "
        "to 0 in each"
    )
    figure.savefig(path, dpi=120)
