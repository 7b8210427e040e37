"""Products of operands rounded to bfloat16: the bits of the definition, shapes, layouts, errors."""

from __future__ import annotations

import numpy as np
import pytest

from dropfast import _core, reference

SHAPES = [(1, 1, 1), (3, 0, 2), (2, 1, 5), (17, 33, 31), (40, 130, 70), (13, 515, 35)]


def numbers(shape, seed=0, scale=1.0):
    values = np.random.default_rng(seed).standard_normal(shape)
    return (values * scale).astype(np.float32)


def same(x, y):
    """Equal bits, NaN made one."""
    x, y = (np.where(np.isnan(a), np.float32(np.nan), a).view(np.uint32) for a in (x, y))
    return np.array_equal(x, y)


@pytest.mark.parametrize("scale", [1.0, 1e-19, 3e18])
@pytest.mark.parametrize("shape", SHAPES)
def test_bits_are_those_of_the_reference(shape, scale):
    m, k, n = shape
    a, b = numbers((m, k), 1, scale), numbers((k, n), 2, scale)
    expected = reference.matmul_bfloat16(a, b)
    assert same(_core.matmul_bfloat16(a, b), expected)
    assert same(_core.matmul_bfloat16(np.asfortranarray(a), np.asfortranarray(b)), expected)
    out = np.full((n, m), np.nan, np.float32).T
    assert _core.matmul_bfloat16(a, b, out) is out
    assert same(out, expected)


def test_special_values():
    special = np.float32([0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 1e-40, 1.2e-38, 3e38, 1e-20])
    a, b = np.meshgrid(special, special)
    a = np.stack([a.ravel(), np.roll(a.ravel(), 5)], axis=1)
    b = np.stack([b.ravel(), np.roll(b.ravel(), 3)], axis=0)
    assert same(_core.matmul_bfloat16(a, b), reference.matmul_bfloat16(a, b))


def test_rounding():
    words = np.random.default_rng(0).integers(0, 2**32, 200_000, np.uint32)
    edges = np.uint32([0, 0x8000_0000, 1, 0x7F_FFFF, 0x80_0000, 0x3F80_8000, 0x3F81_8000,
                       0x7F7F_FFFF, 0x7F80_0000, 0x7F80_0001, 0xFFFF_FFFF])  # fmt: skip
    x = np.concatenate([edges, words]).view(np.float32)
    found = _core.round_bfloat16(x)
    assert same(found, reference.round_bfloat16(x))
    assert same(_core.round_bfloat16(found), found)
    assert not (found.view(np.uint32)[~np.isnan(found)] & 0xFFFF).any()
    strided = x[: len(x) // 2 * 2].reshape(2, -1).T
    assert same(_core.round_bfloat16(strided), _core.round_bfloat16(strided.copy()))


def test_threads_do_not_change_bits():
    a, b = numbers((130, 700)), numbers((700, 290), 1)
    before = _core.get_num_threads()
    found = []
    for threads in (1, 2, 3):
        _core.set_num_threads(threads)
        found.append(_core.matmul_bfloat16(a, b))
    _core.set_num_threads(before)
    assert same(found[0], found[1])
    assert same(found[0], found[2])


@pytest.mark.parametrize(
    ("a", "b", "out", "error", "message"),
    [
        (np.ones((2, 3)), np.ones((3, 2)), None, TypeError, "a must be an array of float32"),
        (numbers((2, 3)), np.ones((3, 2)), None, TypeError, "b must be an array of float32"),
        (numbers((2, 3)), numbers((2, 3)), None, ValueError, "b must have 3 rows. Received"),
        (numbers(3), numbers((2, 3)), None, ValueError, "a must have 2 dimensions"),
        (numbers((2, 3)), numbers((3, 2)), np.ones((2, 2)), ValueError, "out must be an array"),
    ],
)
def test_bad_calls(a, b, out, error, message):
    with pytest.raises(error, match=message):
        _core.matmul_bfloat16(a, b, out)


def test_out_may_not_overlap():
    a = numbers((4, 4))
    with pytest.raises(ValueError, match="out must not overlap a"):
        _core.matmul_bfloat16(a, numbers((4, 4), 1), a)
