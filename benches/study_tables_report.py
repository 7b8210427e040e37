"""Markdown tables and a picture from the results of the study of tables."""

from __future__ import annotations

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

NAMES = {
    "tabular": "TabularMLP",
    "tabular4": "TabularMLP, n_models=4",
    "tabm": "TabM (ours)",
    "mlp": "MLP (ours)",
    "sklearn": "scikit-learn's MLP",
    "boosting": "HistGradientBoosting",
    "lightgbm": "LightGBM",
    "catboost": "CatBoost",
    "realmlp": "RealMLP-TD",
    "tabm_d": "TabM-D",
}


def means(results, field):
    """(table, peer) -> mean over folds and seeds."""
    found = {}
    for r in results:
        if field in r:
            found.setdefault((r["table"], r["peer"]), []).append(r[field])
    return {key: float(np.mean(values)) for key, values in found.items()}


def paired(results, peer):
    """Normalised score and CPU seconds of a peer beside TabularMLP, over shared folds.

    A score is 0 for the worst and 1 for the best peer of a table and fold.
    """
    runs = {}
    for r in results:
        runs.setdefault((r["table"], r["fold"], r["seed"]), {})[r["peer"]] = r
    places, seconds, ratios = {}, {}, []
    for (table, *_), peers in runs.items():
        if peer not in peers:
            continue
        scores = [p["score"] for p in peers.values()]
        spread = max(scores) - min(scores)
        place = (peers[peer]["score"] - min(scores)) / spread if spread else 1.0
        places.setdefault(table, []).append(place)
        seconds.setdefault(table, []).append(peers[peer]["cpu"])
        if "tabular" in peers:
            ratios.append(peers[peer]["cpu"] / peers["tabular"]["cpu"])
    mean = np.mean([np.mean(found) for found in places.values()])
    total = np.sum([np.mean(found) for found in seconds.values()])
    return float(mean), float(total), float(np.exp(np.mean(np.log(ratios)))) if ratios else np.nan


def tables(results):
    """Scores; what the peers amount to; coverage."""
    names = list(dict.fromkeys(r["table"] for r in results))
    peers = [peer for peer in NAMES if any(r["peer"] == peer for r in results)]
    scores, seconds = means(results, "score"), means(results, "cpu")
    sizes = {r["table"]: f"{r['rows']:,} x {r['columns']}" for r in results}
    lines = ["| table | rows x columns | " + " | ".join(NAMES[p] for p in peers) + " |"]
    lines.append("|---|---|" + "---|" * len(peers))
    for name in names:
        cells = [
            f"{scores[name, p]:.3f} ({seconds[name, p]:.1f})" if (name, p) in scores else "–"
            for p in peers
        ]
        lines.append(f"| {name} | {sizes[name]} | " + " | ".join(cells) + " |")
    lines += ["", "| peer | folds | normalised score | CPU s | CPU, times TabularMLP's |"]
    lines.append("|---|---|---|---|---|")
    for peer in peers:
        place, total, ratio = paired(results, peer)
        runs = sum(r["peer"] == peer for r in results)
        lines.append(f"| {NAMES[peer]} | {runs} | {place:.2f} | {total:.1f} | {ratio:.2f} |")
    coverage, width = means(results, "coverage"), means(results, "width")
    lines += ["", "| table | estimator | coverage | classes, or width in standard deviations |"]
    lines.append("|---|---|---|---|")
    for name, peer in coverage:
        cells = f"{coverage[name, peer]:.3f} | {width[name, peer]:.2f}"
        lines.append(f"| {name} | {NAMES[peer]} | {cells} |")
    return "\n".join(lines)


def picture(results, path):
    """Normalised score against CPU seconds."""
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for peer, name in NAMES.items():
        if any(r["peer"] == peer for r in results):
            place, seconds, _ = paired(results, peer)
            axes.scatter(seconds, place)
            axes.annotate(name, (seconds, place), (4, 4), textcoords="offset points")
    axes.set(xscale="log", xlabel="CPU seconds to fit, all tables", ylabel="normalised score")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
