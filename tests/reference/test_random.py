"""The random stream: published answers, a byte-by-byte AES of its own, positions, permutations."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from dropfast.reference import (
    Key,
    permutation,
    random_normal,
    random_uniform,
    random_words,
)
from dropfast.reference.aes import ars

# counter, key, result: 10 rounds are the vectors of Random123; 7 rounds come from code that
# reproduces those.
PI = "243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0 082efa98 ec4e6c89"
ZERO = "00000000 00000000 00000000 00000000", "00000000 00000000 00000000 00000000"
ONES = "ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff 00000000 00000000"
ANSWERS = [
    (10, *ZERO, "8d73ee19 506401ef 13c2dbe4 0cbe9c0d"),
    (10, *PI, "a516e7d6 8357ad74 5b59b3ec 8763fff3"),
    (10, *ONES, "bb3743b1 9f635551 ecbc87fc a19478a9"),
    (7, *ZERO, "dacf61ff c45798f3 113c7eeb 101e27f3"),
    (7, *PI, "d1df87af f67d43ba 4f66afdb 393dcb2d"),
    (7, *ONES, "5e39c131 d1121a9c ba0a9803 9372482d"),
]


def lanes_of(words: str) -> tuple[int, int]:
    w = [int(word, 16) for word in words.split()]
    return w[0] | w[1] << 32, w[2] | w[3] << 32


def times(a: int, b: int) -> int:
    """GF(2^8) by polynomial long division, apart from the code under test."""
    product = 0
    for bit in range(8):
        product ^= (a << bit) * (b >> bit & 1)
    for bit in range(14, 7, -1):
        if product >> bit & 1:
            product ^= 0x11B << (bit - 8)
    return product


def s_box(a: int) -> int:
    inverse = next((b for b in range(256) if times(a, b) == 1), 0)
    out = 0x63
    for i in range(8):
        bit = sum(inverse >> ((i + j) % 8) for j in (0, 4, 5, 6, 7)) & 1
        out ^= bit << i
    return out


BOX = [s_box(a) for a in range(256)]


def slow_ars(counter: int, key: int, rounds: int) -> int:
    """FIPS 197's round byte by byte on Python integers."""
    lane = (1 << 64) - 1
    state = list((counter ^ key).to_bytes(16, "little"))
    for r in range(1, rounds + 1):
        low = (key + r * 0x9E3779B97F4A7C15) & lane
        high = ((key >> 64) + r * 0xBB67AE8584CAA73B) & lane
        shifted = [BOX[state[4 * ((c + row) % 4) + row]] for c in range(4) for row in range(4)]
        if r < rounds:
            shifted = [
                times(2, shifted[4 * c + i])
                ^ times(3, shifted[4 * c + (i + 1) % 4])
                ^ shifted[4 * c + (i + 2) % 4]
                ^ shifted[4 * c + (i + 3) % 4]
                for c in range(4)
                for i in range(4)
            ]
        round_key = (low | high << 64).to_bytes(16, "little")
        state = [a ^ b for a, b in zip(shifted, round_key, strict=True)]
    return int.from_bytes(bytes(state), "little")


@pytest.mark.parametrize(("rounds", "counter", "key", "result"), ANSWERS)
def test_known_answers(rounds: int, counter: str, key: str, result: str) -> None:
    low, high = lanes_of(counter)
    block = ars(np.array([low], np.uint64), high, lanes_of(key), rounds)[0]
    assert " ".join(f"{word:08x}" for word in block) == result


def test_tables_agree_with_bytewise_aes() -> None:
    generator = np.random.default_rng(0)
    low = generator.integers(0, 2**64, 50, dtype=np.uint64)
    key = (2**64 - 1, 0xFEDCBA9876543210)
    got = ars(low, 2**64 - 2, key)
    for block, counter in zip(got.tolist(), low.tolist(), strict=True):
        value = slow_ars(counter | (2**64 - 2) << 64, key[0] | key[1] << 64, 7)
        assert block == [value >> (32 * i) & 0xFFFFFFFF for i in range(4)]


@pytest.mark.parametrize("draw", [random_words, random_uniform, random_normal])
@pytest.mark.parametrize("offset", [0, 1, 3, 2**32 - 2, 2**34 + 5, 2**63 - 40])
def test_a_slice_is_drawn_by_its_offset(draw, offset: int) -> None:
    key = Key(5, 6, 7)
    whole = draw(40, key, offset)
    for start, size in [(0, 40), (1, 9), (2, 2), (7, 33), (5, 0)]:
        np.testing.assert_array_equal(draw(size, key, offset + start), whole[start : start + size])


def test_words_are_the_blocks_of_the_generator() -> None:
    for step in (0, 2**32 - 1, 2**32, 2**64 - 1):
        words = random_words(8, Key(3, 9, step), offset=4 * (2**32 - 1))
        for block, counter in enumerate((2**32 - 1, 2**32)):
            value = slow_ars(counter | step << 64, 3 | 9 << 64, 7)
            for i in range(4):
                assert words[4 * block + i] == value >> (32 * i) & 0xFFFFFFFF


def test_seed_stream_and_step_all_matter() -> None:
    keys = [Key(), Key(1), Key(0, 1), Key(0, 0, 1), Key(2**32), Key(0, 2**32), Key(0, 0, 2**32)]
    assert len({random_words(4, key).tobytes() for key in keys}) == len(keys)


def test_uniform_is_the_upper_53_bits() -> None:
    words = random_words(8, Key(1)).astype(object)
    expected = [(int(words[2 * i]) | int(words[2 * i + 1]) << 32) >> 11 for i in range(4)]
    assert random_uniform(4, Key(1)).tolist() == [value / 2**53 for value in expected]


def test_normal_pairs() -> None:
    words = random_words(4, Key(2)).tolist()
    got = random_normal(4, Key(2))
    for pair in range(2):
        u1 = ((words[2 * pair] >> 8) + 1) / 2**24
        u2 = (words[2 * pair + 1] >> 8) / 2**24
        radius = math.sqrt(-2 * math.log(u1))
        expected = [radius * math.cos(2 * math.pi * u2), radius * math.sin(2 * math.pi * u2)]
        np.testing.assert_array_equal(got[2 * pair : 2 * pair + 2], np.float32(expected))


def test_normal_moments() -> None:
    z = random_normal(400_000, Key(11))
    bound = 5 / math.sqrt(len(z))  # five standard errors of the mean; the others' are wider
    assert abs(z.mean()) < bound
    assert abs(z.var() - 1) < bound * math.sqrt(2)
    assert abs((z**3).mean()) < bound * math.sqrt(15)
    assert abs((z**4).mean() - 3) < bound * math.sqrt(96)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 1000])
def test_permutation_holds_every_number(n: int) -> None:
    order = permutation(n, Key(4, 2 << 48, 1))
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))


def test_permutation_by_hand() -> None:
    words = random_words(12, Key(8)).tolist()
    order = list(range(6))
    for i in range(5, -1, -1):
        word = words[2 * i] | words[2 * i + 1] << 32
        j = word * (i + 1) // 2**64
        order[i], order[j] = order[j], order[i]
    assert permutation(6, Key(8)).tolist() == order


def test_permutations_are_uniform() -> None:
    counts: dict[tuple[int, ...], int] = {}
    draws = 3000
    for step in range(draws):
        order = tuple(permutation(3, Key(1, 2 << 48, step)).tolist())
        counts[order] = counts.get(order, 0) + 1
    expected = draws / 6
    chi2 = sum((count - expected) ** 2 / expected for count in counts.values())
    assert len(counts) == 6
    assert chi2 < 25.7  # 99.99 % of chi-squared with 5 degrees of freedom


def test_key() -> None:
    key = Key(1, 2, 3)
    assert (key.at(9), key.fold_in(8)) == (Key(1, 2, 9), Key(1, 8, 3))
    assert len({key, Key(1, 2, 3), Key(np.int64(1), 2, 3)}) == 1
    assert repr(key) == "Key(seed=1, stream=2, step=3)"
    with pytest.raises(AttributeError):
        key.seed = 5  # type: ignore[misc]
    for name in ("seed", "stream", "step"):
        for bad in (-1, 2**64):
            with pytest.raises(ValueError, match=f"{name} must be in .*Received: {name}={bad}"):
                Key(**{name: bad})
        with pytest.raises(TypeError, match=f"{name} must be an integer"):
            Key(**{name: 1.5})


@pytest.mark.parametrize("draw", [random_words, random_uniform, random_normal])
def test_ranges_are_checked(draw) -> None:
    with pytest.raises(ValueError, match="n must be in"):
        draw(-1, Key())
    for offset in (-1, 2**63 - 3):
        with pytest.raises(ValueError, match="offset must be in"):
            draw(4, Key(), offset)


def test_the_reference_imports_numpy_alone() -> None:
    code = (
        "import sys, types, pathlib\n"
        "package = types.ModuleType('dropfast')\n"  # without the native module
        "package.__path__ = [str(pathlib.Path(sys.argv[1]))]\n"
        "sys.modules['dropfast'] = package\n"
        "import dropfast.reference\n"
        "heavy = {'torch', 'tensorflow', 'jax', 'scipy', 'sklearn', 'matplotlib', 'tqdm'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert 'dropfast._core' not in sys.modules\n"
    )
    import dropfast

    subprocess.run([sys.executable, "-c", code, dropfast.__path__[0]], check=True, timeout=60)
