"""Fashion-MNIST: weight scaling against averaging over masks, and what calibration they give.

Trained on few images for long, so that boasting shows. Three ways to ask: a network without
dropout, one with dropout and all units, and the mean over many masks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import dropfast as df
from dropfast import plot
from dropfast.calibration import expected_calibration_error
from dropfast.datasets import fashion_mnist


def train(x: np.ndarray, y: np.ndarray, rate: float, epochs: int, seed: int) -> df.Sequential:
    """784-512-512-10 with dropout after each hidden layer; rate 0: none."""
    layers = [df.layers.Input((784,))]
    for _ in range(2):
        layers.append(df.layers.Dense(512, activation="relu"))
        layers += [df.layers.Dropout(rate)] if rate else []
    model = df.Sequential([*layers, df.layers.Dense(10, activation="softmax")], seed=seed)
    model.compile(
        optimizer=df.optimizers.SGD(0.01, momentum=0.9),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder of the picture")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    (x, y), (x_test, y_test) = fashion_mnist.load_data()
    x, x_test = (images.reshape(-1, 784).astype(np.float32) / 255 for images in (x, x_test))
    x, y = x[: options.images], y[: options.images]
    plain = train(x, y, 0.0, options.epochs, options.seed)
    dropped = train(x, y, 0.5, options.epochs, options.seed)
    chances = {
        "no dropout": plain.predict(x_test, verbose=0),
        "dropout, all units": dropped.predict(x_test, verbose=0),
        f"dropout, {options.samples} masks": dropped.predict_mc(
            x_test, samples=options.samples
        ).mean,
    }

    _, axes = plt.subplots(1, len(chances), figsize=(15, 4.5), layout="constrained")
    print(f"{'':20}  accuracy  log loss  calibration error")
    for ax, (name, predicted) in zip(axes, chances.items(), strict=True):
        accuracy = np.mean(predicted.argmax(1) == y_test)
        likelihood = np.clip(predicted[np.arange(len(y_test)), y_test], 1e-7, 1)
        error = expected_calibration_error(y_test, predicted)
        print(f"{name:20}  {accuracy:8.2%}  {-np.log(likelihood).mean():8.3f}  {error:17.3f}")
        plot.reliability_diagram(y_test, predicted, ax=ax)
        ax.set_title(f"{name}: {ax.get_title()}")
    path = options.output / "calibration.png"
    axes[0].figure.savefig(path, dpi=120)
    print(f"Picture: {path}")


if __name__ == "__main__":
    main()
