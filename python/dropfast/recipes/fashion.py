"""Layer 6: the recipe tuned for Fashion-MNIST, on held-out training images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dropfast import augment, optimizers
from dropfast.arrays import Array, shape_text
from dropfast.callbacks import History, LambdaCallback
from dropfast.graph import SymbolicTensor
from dropfast.layers import Dense, Dropout, Flatten, Input, Layer, Rescaling
from dropfast.models import Sequential
from dropfast.random import AUGMENT, Key
from dropfast.recipes.base import Recipe

# Images that are widened to float32 at a time.
_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class FashionRecipe(Recipe):
    """A recipe that mirrors and shifts the images anew in each epoch; `fashion_mnist` makes it.

    Attributes
    ----------
    mirrored
        Whether images are mirrored, in training half of them.
    shifted
        Share of the images that are moved by a pixel in each epoch.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast import recipes
    >>> images = np.random.default_rng(0).integers(0, 256, (300, 28, 28), np.uint8)
    >>> recipe = recipes.fashion_mnist(images, epochs=1, seed=0)
    >>> history = recipe.train(images, np.arange(300) % 10, verbose=0)
    >>> recipe.predict(images).shape
    (300, 10)
    """

    mirrored: bool = True
    shifted: float = 0.65

    def changed(self, images: Array, epoch: int) -> Array:
        """The images of an epoch: half of them mirrored, a share of them moved by a pixel."""
        seed = self.model.seed
        if self.mirrored:
            images = augment.mirror(images, Key(seed, AUGMENT, epoch))
        if self.shifted:
            images = augment.shift(images, Key(seed, AUGMENT | 1, epoch), share=self.shifted)
        return images

    def train(self, x: ArrayLike, y: ArrayLike, verbose: str | int = "auto") -> History:
        """Fit the model, on other images in each epoch.

        Parameters
        ----------
        x
            Images (n, 28, 28), grey levels 0 to 255.
        y
            Labels (n,).
        verbose
            As in `Sequential.fit`.

        Returns
        -------
        History
            Losses and accuracies of the epochs, as trained: with dropout, on changed images.
        """
        images, history = np.asarray(x), History()
        one_epoch = LambdaCallback(on_epoch_end=self._stop)
        for epoch in range(self.fit["epochs"]):
            one = self.model.fit(
                self.changed(images, epoch),
                y,
                batch_size=self.fit["batch_size"],
                epochs=self.fit["epochs"],
                initial_epoch=epoch,
                callbacks=[one_epoch],
                verbose=verbose,
            )
            history.epoch += one.epoch
            for name, values in one.history.items():
                history.history.setdefault(name, []).extend(values)
        return history

    def _stop(self, epoch: int, logs: Any) -> None:
        self.model.stop_training = True

    def predict(self, x: ArrayLike) -> Array:
        """Probabilities (n, 10): the mean over each image and its mirror image."""
        images = np.asarray(x)
        outputs: Array = self.model.predict(images)
        if self.mirrored:
            outputs = (outputs + self.model.predict(images[:, :, ::-1])) / 2
        return outputs


def fashion_mnist(
    x: ArrayLike,
    epochs: int = 45,
    seed: int | None = None,
    *,
    directions: int | None = 256,
    units: tuple[int, ...] = (512, 512),
    activation: str = "gelu",
    input_rate: float = 0.05,
    hidden_rate: float = 0.2,
    mirrored: bool = True,
    shifted: float = 0.65,
) -> FashionRecipe:
    """The setting for Fashion-MNIST that was found best on held-out training images.

    A frozen first layer turns an image into its coordinates along the 256 main directions of the
    training images, the small ones stretched; behind it 512-512-10 with gelu, drop rates of 0.05
    and 0.2, Adam with a learning rate that falls from 0.002 to 0 along a cosine. Each epoch sees
    the images mirrored or moved by a pixel at random; predictions are means over an image and its
    mirror image. `examples/tuned_fashion_mnist.py` runs it: 91.39 % of the test set are right.

    Parameters
    ----------
    x
        Training images (n, 28, 28), grey levels 0 to 255; their directions are computed here.
    epochs
        Number of epochs, over which the learning rate falls.
    seed
        Seed of the model and of the changes to the images; None draws one.
    directions
        Number of directions; None leaves the layer out.
    units, activation
        Hidden layers.
    input_rate, hidden_rate
        Drop rates before the first and before the other trained layers; 0 for none.
    mirrored
        Whether images are mirrored.
    shifted
        Share of the images that are moved by a pixel in each epoch.

    Returns
    -------
    FashionRecipe
        ``recipe.train(x, y)``, then ``recipe.predict(x)``.

    Raises
    ------
    ValueError
        If `x` are no images, or another argument is outside its range.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast import recipes
    >>> images = np.random.default_rng(0).integers(0, 256, (300, 28, 28), np.uint8)
    >>> recipe = recipes.fashion_mnist(images, seed=0)
    >>> [layer.rate for layer in recipe.model.layers if layer.stochastic]
    [0.05, 0.2, 0.2]
    """
    images = np.asarray(x)
    if images.ndim != 3 or len(images) < 1:
        raise ValueError(
            f"x must have shape (n, height, width). Received: shape {shape_text(images.shape)}"
        )
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1. Received: epochs={epochs!r}")
    batch_size = 256
    layers: list[Layer | SymbolicTensor] = [Input(images.shape[1:]), Rescaling(1 / 255), Flatten()]
    if directions is not None:
        layers.append(Dense(directions, trainable=False, name="directions"))
    for size, rate in zip(units, (input_rate, *[hidden_rate] * len(units)), strict=False):
        layers += [Dropout(rate)] if rate else []
        layers.append(Dense(size, activation=activation))
    layers += [Dropout(hidden_rate)] if hidden_rate else []
    model = Sequential([*layers, Dense(10, activation="softmax")], seed=seed)
    if directions is not None:
        model.get_layer("directions").set_weights(principal_directions(images, directions))
    decay = optimizers.schedules.CosineDecay(0.002, epochs * math.ceil(len(images) / batch_size))
    model.compile(optimizers.Adam(decay), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return FashionRecipe(
        model, {"epochs": epochs, "batch_size": batch_size}, mirrored=mirrored, shifted=shifted
    )


def principal_directions(
    images: ArrayLike, count: int, whitening: float = 0.5
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel and bias of a Dense layer that turns to the main directions of the data.

    Parameters
    ----------
    images
        Shape (n, ...), grey levels 0 to 255, which the layer is to get as 0 to 1.
    count
        Number of directions, those of the largest variances.
    whitening
        0 leaves the variances as they are, 1 makes all of them equal, 0.5 takes their square
        roots. The mean square of all outputs together is 1.

    Returns
    -------
    kernel, bias
        Float32 of shapes (pixels, count) and (count,).

    Raises
    ------
    ValueError
        If there are fewer pixels than directions.

    Examples
    --------
    >>> import numpy as np
    >>> from dropfast.recipes import principal_directions
    >>> images = np.random.default_rng(0).integers(0, 256, (500, 3, 4), np.uint8)
    >>> kernel, bias = principal_directions(images, 5, whitening=1.0)
    >>> outputs = images.reshape(500, 12) / 255 @ kernel + bias
    >>> bool(np.allclose(outputs.T @ outputs / 500, np.eye(5), atol=1e-3))
    True
    """
    array = np.asarray(images)
    rows = array.reshape(len(array), -1)
    if not 1 <= count <= rows.shape[1]:
        raise ValueError(f"count must be in [1, {rows.shape[1]}]. Received: count={count!r}")
    mean = rows.mean(axis=0, dtype=np.float64) / 255
    covariance = np.zeros((rows.shape[1],) * 2)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK].astype(np.float32) / 255 - mean.astype(np.float32)
        covariance += block.T @ block
    variances, vectors = np.linalg.eigh(covariance / len(rows))
    variances, vectors = variances[: -count - 1 : -1], vectors[:, : -count - 1 : -1]
    # A direction may point either way: its largest entry is made positive.
    vectors = vectors * np.sign(vectors[abs(vectors).argmax(axis=0), np.arange(count)])
    spread = np.maximum(variances, 1e-12) ** (1.0 - whitening)
    kernel = vectors * np.maximum(variances, 1e-12) ** (-whitening / 2) / np.sqrt(spread.mean())
    return kernel.astype(np.float32), (-mean @ kernel).astype(np.float32)
