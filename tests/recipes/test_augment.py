"""Changes to images: what they do to each, how many they change, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import dropfast as df
from dropfast import augment


@pytest.fixture(params=[(2000, 7, 5), (2000, 7, 5, 3)], ids=["grey", "colour"])
def images(request):
    return np.random.default_rng(0).integers(1, 256, request.param, np.uint8)


def moved(images, axis, by):
    """Moved by going round, the side that came round set to 0."""
    out = np.roll(images, by, axis)
    side = [slice(None)] * images.ndim
    side[axis] = slice(0, by) if by > 0 else slice(by, None)
    out[tuple(side)] = 0
    return out


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_mirror(share, images):
    found = augment.mirror(images, df.Key(1), share)
    same = (found == images).reshape(2000, -1).all(axis=1)
    swapped = (found == images[:, :, ::-1]).reshape(2000, -1).all(axis=1)
    assert (same | swapped).all()
    assert abs(swapped.mean() - share) < 0.05
    assert found.dtype == images.dtype


@pytest.mark.parametrize("pixels", [1, 2])
def test_shift(pixels, images):
    found = augment.shift(images, df.Key(1), pixels, share=0.8)
    counts = [(found == images).reshape(2000, -1).all(axis=1).sum()]
    for axis in (1, 2):
        for by in (*range(-pixels, 0), *range(1, pixels + 1)):
            counts.append((found == moved(images, axis, by)).reshape(2000, -1).all(axis=1).sum())
    assert sum(counts) == 2000
    expected = np.array([0.2, *[0.8 / (4 * pixels)] * (4 * pixels)]) * 2000
    assert (abs(counts - expected) < 5 * np.sqrt(expected)).all()


@pytest.mark.parametrize("change", [augment.mirror, augment.shift])
def test_keys_repeat_and_the_input_stays(change, images):
    before = images.copy()
    first = change(images, df.Key(3, 4, 5))
    assert np.array_equal(first, change(images, df.Key(3, 4, 5)))
    assert not np.array_equal(first, change(images, df.Key(3, 4, 6)))
    assert np.array_equal(images, before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: augment.mirror(np.ones((3, 4)), df.Key(0)),
            r"images must have shape .* Received: shape \(3, 4\)",
        ),
        (
            lambda: augment.mirror(np.ones((3, 4, 4)), df.Key(0), share=1.5),
            r"share must be in \[0, 1\]. Received: share=1.5",
        ),
        (
            lambda: augment.shift(np.ones((3, 4, 2)), df.Key(0), pixels=2),
            "pixels must be at least 1 and below 2. Received: pixels=2",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
