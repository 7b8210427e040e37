"""Fit a noisy sine with a gap in its data, and draw where the network knows that it doesn't know.

Monte Carlo dropout (Gal and Ghahramani 2016): the spread of many passes with dropout on is an
estimate of the model's own uncertainty.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import dropfast as df
from dropfast import plot
from dropfast.datasets import noisy_sine

GAP = (1.0, 2.0)


def fit(x: np.ndarray, y: np.ndarray, rate: float, epochs: int, seed: int) -> df.Sequential:
    """A network of two hidden layers with dropout after each."""
    layers = [df.layers.Input((1,))]
    for _ in range(2):
        layers += [df.layers.Dense(256, activation="relu"), df.layers.Dropout(rate)]
    model = df.Sequential([*layers, df.layers.Dense(1)], seed=seed)
    model.compile(optimizer=df.optimizers.Adam(0.002), loss="mse")
    model.fit(x, y, batch_size=50, epochs=epochs, verbose=0)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=1500)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder of the picture")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    x, y = noisy_sine(200, noise=0.1, gap=GAP, seed=options.seed)
    model = fit(x, y, options.rate, options.epochs, options.seed)
    line = np.linspace(-5, 5, 500, dtype=np.float32)[:, None]
    mean, std = model.predict_mc(line, samples=options.samples)

    at, spread = line[:, 0], std[:, 0]
    regions = {
        "among the data": (abs(at) < 3) & ((at < GAP[0]) | (at > GAP[1])),
        "in the gap": (at > GAP[0]) & (at < GAP[1]),
        "outside": abs(at) > 4,
    }
    for name, chosen in regions.items():
        print(f"mean standard deviation {name}: {spread[chosen].mean():.3f}")
    path = options.output / "noisy_sine.png"
    plot.uncertainty_band(line, mean, std, points=(x, y)).figure.savefig(path, dpi=120)
    print(f"Picture: {path}")


if __name__ == "__main__":
    main()
