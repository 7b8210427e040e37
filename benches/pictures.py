"""Pictures of the benchmarks: time per element over sizes, products and training under the roof."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from dropfast.plot.canvas import COLOURS, tidy

DROPOUT_RATE = 0.5
LINES = (":", "--", "-.", (0, (1, 4)))


def _colours(names):
    """Ours and the floor stand out; the rest share the other colours."""
    fixed = {"np.copyto": "black", "dropfast": COLOURS[1], "dropfast, 1 thread": COLOURS[4]}
    others = iter([colour for colour in COLOURS if colour not in fixed.values()] + ["0.5", "0.7"])
    return {name: fixed.get(name) or next(others) for name in names}


def draw_dropout(cells, path: Path) -> None:
    """ns per element against the number of elements, both on logarithmic scales."""
    chosen = [cell for cell in cells if cell.bench == "bench_dropout"]
    chosen = [c for c in chosen if c.case[0] == DROPOUT_RATE or c.contender == "np.copyto"]
    figure, ax = plt.subplots(figsize=(8, 5), layout="constrained")
    for name, colour in _colours(dict.fromkeys(cell.contender for cell in chosen)).items():
        points = sorted((c.work, c.seconds / c.work * 1e9) for c in chosen if c.contender == name)
        style = "--" if name == "np.copyto" else "o-"
        width = 2.5 if name.startswith(("dropfast", "np.")) else 1.3
        ax.plot(*zip(*points, strict=True), style, color=colour, linewidth=width, label=name)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    tidy(ax, "elements", "ns per element")
    ax.set_title(f"Dropout forward, float32, rate {DROPOUT_RATE}")
    ax.legend(frameon=False, ncols=2)
    figure.savefig(path, dpi=120)


def draw_products(cells, peaks, path: Path) -> None:
    """GFLOP/s of each shape, under the rate of a multiply-add loop; a panel for each kind."""
    chosen = [cell for cell in cells if cell.bench == "bench_product"]
    kinds = list(dict.fromkeys(cell.case[3] for cell in chosen))
    colours = _colours(dict.fromkeys(cell.contender for cell in chosen))
    figure, axes = plt.subplots(
        len(kinds), figsize=(10, 3.4 * len(kinds)), layout="constrained", squeeze=False
    )
    for ax, kind in zip(axes.flat, kinds, strict=True):
        _draw_kind(ax, [cell for cell in chosen if cell.case[3] == kind], colours)
        for (name, peak), style in zip(peaks.items(), LINES, strict=False):
            ax.axhline(peak, color="black", linestyle=style, linewidth=1, label=name)
        ax.set_title(f"{kind}, float32")
    axes.flat[0].legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.08))
    tidy(axes.flat[-1], "operations per byte; rows × features in × features out", "GFLOP/s")
    figure.savefig(path, dpi=120)


def _draw_kind(ax, cells, colours) -> None:
    """A group of bars for each shape, those with the fewest operations per byte first."""
    shapes = sorted({cell.case[:3] for cell in cells}, key=intensity)
    width = 0.8 / len(colours)
    for number, (name, colour) in enumerate(colours.items()):
        rates = {cell.case[:3]: cell.gflops for cell in cells if cell.contender == name}
        at = [place + (number - (len(colours) - 1) / 2) * width for place in range(len(shapes))]
        ax.bar(at, [rates.get(shape, 0) for shape in shapes], width, color=colour, label=name)
    labels = [f"{intensity(shape):.0f}\n{' × '.join(map(str, shape))}" for shape in shapes]
    ax.set_xticks(range(len(shapes)), labels, fontsize=8)
    tidy(ax, "", "GFLOP/s")


def intensity(shape) -> float:
    """Operations per byte, if each number is moved once."""
    m, k, n = shape
    return 2 * m * k * n / (4 * (m * k + k * n + m * n))


def draw(cells, peaks, folder: Path) -> None:
    """Draw what there are cells for."""
    folder.mkdir(parents=True, exist_ok=True)
    benches = {cell.bench for cell in cells}
    if "bench_dropout" in benches:
        draw_dropout(cells, folder / "dropout.png")
    if "bench_product" in benches:
        draw_products(cells, peaks, folder / "products.png")
