"""The recipe tuned for Fashion-MNIST: validated on held-out training images, tested with --test.

With --test it trains on all 60,000 training images and evaluates the test set once. --without
leaves a part of the recipe out, to see what it does.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import dropfast as df
from dropfast import recipes
from dropfast.datasets import fashion_mnist

HELD_OUT = 10_000

PARTS = {
    "dropout": {"input_rate": 0.0, "hidden_rate": 0.0},
    "mirror": {"mirrored": False},
    "shift": {"shifted": 0.0},
    "directions": {"directions": None},
    "gelu": {"activation": "relu"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--test", action="store_true", help="use the test set, not held-out images")
    parser.add_argument("--without", choices=PARTS, help="leave a part out")
    parser.add_argument("--epochs", type=int, default=45)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    (x, y), (x_test, y_test) = fashion_mnist.load_data()
    if not options.test:
        x, x_test, y, y_test = x[:-HELD_OUT], x[-HELD_OUT:], y[:-HELD_OUT], y[-HELD_OUT:]
    start = time.perf_counter()
    recipe = recipes.fashion_mnist(
        x, options.epochs, options.seed, **PARTS.get(options.without, {})
    )
    history = recipe.train(x, y, verbose=2)
    seconds = time.perf_counter() - start

    right = np.mean(recipe.predict(x_test).argmax(axis=1) == y_test)
    alone = np.mean(recipe.model.predict(x_test).argmax(axis=1) == y_test)
    name = "test" if options.test else "held-out"
    print(f"threads {df.get_num_threads()}, seed {options.seed}, {len(history.epoch)} epochs")
    print(f"training, directions and changes to the images included: {seconds:.1f} s")
    print(f"{name} accuracy {right:.2%}; without the mirror images {alone:.2%}")


if __name__ == "__main__":
    main()
