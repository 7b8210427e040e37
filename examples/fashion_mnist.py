"""Train a small network on Fashion-MNIST with dropout and without, and draw the overfitting gap.

`make demo` runs this. It prints the test loss and accuracy beside those that the recipe's article
reports, draws both pairs of curves, and writes the fitted model to a file that it reads back.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import dropfast as df
from dropfast import plot
from dropfast.datasets import fashion_mnist

HELD_OUT = 5_000
ARTICLE_ACCURACY = 0.8812


def load():
    """Training, validation and test sets: rows of 784 float32 in [0, 1], integer labels."""
    (x, y), (x_test, y_test) = fashion_mnist.load_data()
    x, x_test = (images.reshape(-1, 784).astype(np.float32) / 255 for images in (x, x_test))
    return (x[:-HELD_OUT], y[:-HELD_OUT]), (x[-HELD_OUT:], y[-HELD_OUT:]), (x_test, y_test)


def network(rate: float, seed: int) -> df.Sequential:
    """784-200-100-60-10, dropout before every dense layer, the first included; rate 0: none."""
    layers = [df.layers.Input((784,))]
    for units in (200, 100, 60, 10):
        activation = "softmax" if units == 10 else "relu"
        layers += [df.layers.Dropout(rate)] if rate else []
        layers.append(df.layers.Dense(units, activation=activation))
    model = df.Sequential(layers, seed=seed)
    model.compile(
        optimizer=df.optimizers.SGD(0.01),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def draw(histories: dict[str, df.History], path: Path) -> None:
    """Both runs' training and validation curves, the gap between them shaded."""
    axes = plot.compare(histories)
    axes[0].figure.suptitle("Fashion-MNIST, 784-200-100-60-10, SGD(0.01), batches of 32")
    axes[0].figure.savefig(path, dpi=120)
    print(f"Curves: {path}")


def check_file(model: df.Sequential, x: np.ndarray, path: Path) -> None:
    """Write the model, read it back, and compare what the two predict."""
    model.save(path)
    same = np.array_equal(df.load_model(path).predict(x, verbose=0), model.predict(x, verbose=0))
    print(
        f"Model: {path}, {path.stat().st_size / 1e3:.0f} kB; read back, its predictions are ",
        end="",
    )
    print("the same, bit for bit." if same else "DIFFERENT.")
    if not same:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder of the results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    training, validation, test = load()
    models, histories = {}, {}
    for name, rate in (("dropout 0.2", 0.2), ("no dropout", 0.0)):
        print(f"\n{name}: {options.epochs} epochs, {len(training[0]):,} rows each")
        start = time.perf_counter()
        models[name] = network(rate, options.seed)
        histories[name] = models[name].fit(
            *training, batch_size=32, epochs=options.epochs, validation_data=validation
        )
        print(f"{time.perf_counter() - start:.1f} s in all")

    print(f"\n{'':14}  test loss  test accuracy  training accuracy (dropout off)")
    for name, model in models.items():
        loss, accuracy = model.evaluate(*test, verbose=0)
        fitted = model.evaluate(*training, verbose=0)[1]
        print(f"{name:14}  {loss:9.4f}  {accuracy:13.2%}  {fitted:17.2%}")
    print(f"{'the article':14}  {'':9}  {ARTICLE_ACCURACY:13.2%}  (of this recipe, with dropout)\n")

    draw(histories, options.output / "fashion_mnist.png")
    check_file(models["dropout 0.2"], test[0], options.output / "fashion_mnist.safetensors")


if __name__ == "__main__":
    main()
