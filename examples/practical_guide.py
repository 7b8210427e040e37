"""What each part of the practical guide to dropout does: leave one out at a time.

The guide is appendix A of Srivastava et al. 2014: wider layers, a higher learning rate and
momentum, a bound on the weights' norm, dropout of input and hidden units. Fashion-MNIST, validated
on held-out training images; the test set is not touched.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import dropfast as df
from dropfast import recipes
from dropfast.datasets import fashion_mnist

HELD_OUT = 10_000

VARIANTS = {
    "all of it": {},
    "without wider layers": {"widen": False},
    "without higher learning rate": {"learning_rate_factor": 1.0},
    "without higher momentum": {"momentum": None},
    "without max-norm": {"max_norm": None},
    "without input dropout": {"input_rate": 0.0},
    "without hidden dropout": {"hidden_rate": 0.0},
    "hidden rate 0.25": {"hidden_rate": 0.25},
    "rate and momentum alone": {
        "widen": False,
        "max_norm": None,
        "input_rate": 0.0,
        "hidden_rate": 0.0,
    },
}


def plain_network(seed: int) -> df.Sequential:
    """784-256-256-10 as one would write it without dropout."""
    model = df.Sequential(
        [
            df.layers.Input((784,)),
            df.layers.Dense(256, activation="relu"),
            df.layers.Dense(256, activation="relu"),
            df.layers.Dense(10, activation="softmax"),
        ],
        seed=seed,
    )
    model.compile(df.optimizers.SGD(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--images", type=int, default=10_000, help="training images")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    (x, y), _ = fashion_mnist.load_data()
    x = x.reshape(-1, 784).astype(np.float32) / 255
    training = x[: options.images], y[: options.images]
    validation = x[-HELD_OUT:], y[-HELD_OUT:]

    plain = plain_network(options.seed)
    runs = {"plain network": recipes.Recipe(plain, {"epochs": options.epochs, "batch_size": 128})}
    for name, change in VARIANTS.items():
        runs[name] = recipes.practical_guide(
            plain, epochs=options.epochs, seed=options.seed, **change
        )
    print(f"| {'setting':28} | training loss | validation loss | validation accuracy | seconds |")
    print(f"|{'-' * 30}|{'-' * 14}:|{'-' * 16}:|{'-' * 20}:|{'-' * 8}:|")
    for name, recipe in runs.items():
        start = time.perf_counter()
        recipe.model.fit(*training, verbose=0, **recipe.fit)
        seconds = time.perf_counter() - start
        fitted = recipe.model.evaluate(*training, verbose=0)[0]
        loss, accuracy = recipe.model.evaluate(*validation, verbose=0)
        print(f"| {name:28} | {fitted:13.3f} | {loss:15.3f} | {accuracy:19.2%} | {seconds:7.1f} |")


if __name__ == "__main__":
    main()
