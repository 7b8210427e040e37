"""The recipe tuned for Fashion-MNIST: validated on held-out training images, tested with --test.

With --test it trains on all 60,000 training images and evaluates the test set once.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from dropfast import recipes
from dropfast.datasets import fashion_mnist

HELD_OUT = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--test", action="store_true", help="use the test set, not held-out images")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    (x, y), (x_test, y_test) = fashion_mnist.load_data()
    x, x_test = (images.reshape(-1, 784).astype(np.float32) / 255 for images in (x, x_test))
    if not options.test:
        x, x_test, y, y_test = x[:-HELD_OUT], x[-HELD_OUT:], y[:-HELD_OUT], y[-HELD_OUT:]
    recipe = recipes.fashion_mnist(options.epochs, len(x), options.seed)
    start = time.perf_counter()
    recipe.model.fit(x, y, **recipe.fit)
    seconds = time.perf_counter() - start
    loss, accuracy = recipe.model.evaluate(x_test, y_test, verbose=0)
    name = "test" if options.test else "held-out"
    print(f"{name} loss {loss:.4f}, {name} accuracy {accuracy:.2%}, {seconds:.1f} s of training")


if __name__ == "__main__":
    main()
