"""Layer 6: images changed at random in ways that leave their label right: more data for nothing.

Every function is one of (images, key): the same key changes the same images in the same way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dropfast.arrays import Array, shape_text
from dropfast.random import Key, random_uniform

__all__ = ["mirror", "shift"]


def mirror(images: ArrayLike, key: Key, share: float = 0.5) -> Array:
    """Swap left and right in some of the images.

    Parameters
    ----------
    images
        Shape (n, height, width) or (n, height, width, channels), any dtype.
    key
        Where it is drawn which ones.
    share
        Probability of each image, in [0, 1].

    Returns
    -------
    ndarray
        A copy of the same shape and dtype.

    Raises
    ------
    ValueError
        If the shape or the share doesn't fit.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> df.augment.mirror(np.array([[[1, 2, 3]]]), df.Key(0), share=1.0).tolist()
    [[[3, 2, 1]]]
    """
    found = _images(images, share)
    chosen = random_uniform(len(found), key) < share
    found[chosen] = found[chosen][:, :, ::-1]
    return found


def shift(images: ArrayLike, key: Key, pixels: int = 1, share: float = 0.5) -> Array:
    """Move some of the images up, down, left or right; zeros come in from the side.

    Parameters
    ----------
    images
        Shape (n, height, width) or (n, height, width, channels), any dtype.
    key
        Where it is drawn which ones go where.
    pixels
        The furthest that an image moves: it goes 1 to `pixels` pixels along one axis.
    share
        Probability of each image, in [0, 1].

    Returns
    -------
    ndarray
        A copy of the same shape and dtype.

    Raises
    ------
    ValueError
        If the shape, the share or the number of pixels doesn't fit.

    Examples
    --------
    >>> import numpy as np, dropfast as df
    >>> image = np.array([[[0, 0, 0], [0, 9, 0], [0, 0, 0]]])
    >>> moved = df.augment.shift(image, df.Key(0), share=1.0)
    >>> int(moved.sum()), int(moved[0, 1, 1])
    (9, 0)
    """
    found = _images(images, share)
    if not 1 <= pixels < min(found.shape[1:3], default=1):
        raise ValueError(
            f"pixels must be at least 1 and below {min(found.shape[1:3])}. "
            f"Received: pixels={pixels!r}"
        )
    whether, where = random_uniform(2 * len(found), key).reshape(2, len(found))
    way = np.where(whether < share, np.floor(where * 4 * pixels), -1)
    for number in range(4 * pixels):
        chosen = np.flatnonzero(way == number)
        side, distance = number % 4, number // 4 + 1
        found[chosen] = _moved(found[chosen], 1 + side // 2, distance if side % 2 else -distance)
    return found


def _images(images: ArrayLike, share: float) -> Array:
    """A copy of the images; arguments that all functions share are checked."""
    found = np.array(images)
    if found.ndim not in (3, 4):
        raise ValueError(
            "images must have shape (n, height, width) or (n, height, width, channels). "
            f"Received: shape {shape_text(found.shape)}"
        )
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share must be in [0, 1]. Received: share={share!r}")
    return found


def _moved(images: Array, axis: int, by: int) -> Array:
    """Images moved along an axis."""
    moved = np.zeros_like(images)
    size = images.shape[axis]
    to, source = [slice(None)] * images.ndim, [slice(None)] * images.ndim
    to[axis] = slice(max(by, 0), size + min(by, 0))
    source[axis] = slice(max(-by, 0), size - max(by, 0))
    moved[tuple(to)] = images[tuple(source)]
    return moved
