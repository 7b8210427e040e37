"""MNIST comes by the same way as Fashion-MNIST; its files are told apart by their checksums."""

import gzip
import hashlib

import numpy as np
import pytest

from dropfast.datasets import fashion_mnist, mnist
from dropfast.datasets.idx import IdxFile

SHAPES = ((6, 28, 28), (6,), (2, 28, 28), (2,))


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Eight images and nothing that has them yet; gives the unpacked files by name."""
    data = {}
    files = []
    for file, shape in zip(mnist.FILES, SHAPES, strict=True):
        body = np.random.default_rng(1).integers(0, 10, shape, dtype=np.uint8).tobytes()
        data[file.name] = IdxFile("", shape, "").header + body
        files.append(IdxFile(file.name, shape, hashlib.sha256(data[file.name]).hexdigest()))
    monkeypatch.setattr(mnist, "FILES", tuple(files))
    monkeypatch.setattr(mnist, "URLS", ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DROPFAST_DATA", raising=False)
    return data


def fill(folder, data):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in data.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))


@pytest.mark.parametrize("place", ["cache", "mnist", ""])
def test_sources(small, tmp_path, monkeypatch, place):
    if place == "cache":
        fill(mnist.cache_folder(), small)
    else:
        monkeypatch.setenv("DROPFAST_DATA", str(tmp_path / "data"))
        fill(tmp_path / "data" / place, small)
    (x, y), (x_test, y_test) = mnist.load_data()
    assert tuple(a.shape for a in (x, y, x_test, y_test)) == SHAPES
    assert small["train-images-idx3-ubyte"].endswith(x.tobytes())


def test_what_is_missing_or_another_data_set_is_told(small):
    with pytest.raises(FileNotFoundError, match=r"(?s)MNIST was not found.*DROPFAST_DATA"):
        mnist.load_data()
    small["train-images-idx3-ubyte"] = small["train-images-idx3-ubyte"][:-1] + b"\xff"
    fill(mnist.cache_folder(), small)
    with pytest.raises(ValueError, match="SHA-256"):
        mnist.load_data()
    names = zip(mnist.FILES, fashion_mnist.FILES, strict=True)
    assert all(a.name == b.name and a.sha256 != b.sha256 for a, b in names)
