"""Fashion-MNIST: every source, in its order, and every kind of bad file."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import threading
from pathlib import Path

import numpy as np
import pytest

from dropfast.datasets import download, fashion_mnist
from dropfast.datasets.idx import IdxFile, read_idx

SHAPES = ((6, 28, 28), (6,), (2, 28, 28), (2,))


def content(shape: tuple[int, ...], seed: int = 0) -> bytes:
    """An IDX file of random bytes."""
    data = np.random.default_rng(seed).integers(0, 10, shape, dtype=np.uint8)
    return IdxFile("", shape, "").header + data.tobytes()


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A Fashion-MNIST of eight images; no source has it yet. Gives the unpacked files by name."""
    names = [file.name for file in fashion_mnist.FILES]
    unpacked = {name: content(shape) for name, shape in zip(names, SHAPES, strict=True)}
    files = tuple(
        IdxFile(name, shape, hashlib.sha256(unpacked[name]).hexdigest())
        for name, shape in zip(names, SHAPES, strict=True)
    )
    monkeypatch.setattr(fashion_mnist, "FILES", files)
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "debian")
    monkeypatch.setattr(fashion_mnist, "URLS", ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DROPFAST_DATA", raising=False)
    return unpacked


def fill(folder: Path, unpacked: dict[str, bytes], packed: bool = True) -> Path:
    """Write the files into a folder, with gzip or without."""
    folder.mkdir(parents=True)
    for name, data in unpacked.items():
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(data) if packed else data)
    return folder


def check_loaded(unpacked: dict[str, bytes]) -> None:
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    arrays = (x_train, y_train, x_test, y_test)
    assert tuple(array.shape for array in arrays) == SHAPES
    assert all(array.dtype == np.uint8 and array.flags.writeable for array in arrays)
    for array, data in zip(arrays, unpacked.values(), strict=True):
        assert data.endswith(array.tobytes())


@pytest.fixture
def server(tmp_path):
    """An HTTP server on this machine; gives its folder and its address."""
    folder = tmp_path / "served"
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class TestSources:
    @pytest.mark.parametrize("packed", [True, False])
    def test_debian_folder(self, small, packed):
        fill(fashion_mnist.DEBIAN_FOLDER, small, packed)
        check_loaded(small)

    @pytest.mark.parametrize("subfolder", ["", "fashion-mnist"])
    def test_user_folder(self, small, tmp_path, monkeypatch, subfolder):
        fill(tmp_path / "data" / subfolder, small)
        monkeypatch.setenv("DROPFAST_DATA", str(tmp_path / "data"))
        check_loaded(small)

    def test_cache(self, small):
        fill(fashion_mnist.cache_folder(), small)
        check_loaded(small)

    def test_order(self, small, tmp_path, monkeypatch):
        monkeypatch.setenv("DROPFAST_DATA", str(tmp_path / "data"))
        other = {name: data[:-1] + b"\xff" for name, data in small.items()}
        fill(fashion_mnist.cache_folder(), other)
        fill(tmp_path / "data", small)
        check_loaded(small)
        fill(fashion_mnist.DEBIAN_FOLDER, other)
        with pytest.raises(ValueError, match=r"debian.*SHA-256"):
            fashion_mnist.load_data()

    def test_download_fills_the_cache(self, small, server, monkeypatch):
        folder, url = server
        fill(folder, small)
        monkeypatch.setattr(fashion_mnist, "URLS", (url + "nothing-here/", url))
        check_loaded(small)
        cached = sorted(path.name for path in fashion_mnist.cache_folder().iterdir())
        assert cached == sorted(f"{name}.gz" for name in small)
        monkeypatch.setattr(fashion_mnist, "URLS", ())
        check_loaded(small)

    def test_download_goes_on_where_it_stopped(self, small, server, monkeypatch):
        folder, url = server
        names = list(small)
        fill(fashion_mnist.cache_folder(), {name: small[name] for name in names[:2]})
        fill(folder, {name: small[name] for name in names[2:]})
        monkeypatch.setattr(fashion_mnist, "URLS", (url,))
        check_loaded(small)

    def test_no_source_says_what_helps(self, small):
        with pytest.raises(FileNotFoundError) as error:
            fashion_mnist.load_data()
        for word in ("apt-get install dataset-fashion-mnist", "DROPFAST_DATA", "internet"):
            assert word in str(error.value)

    def test_real_data(self):
        if not fashion_mnist.DEBIAN_FOLDER.is_dir():
            pytest.skip("the Debian package dataset-fashion-mnist is not installed")
        (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
        assert x_train.shape == (60_000, 28, 28)
        assert x_test.shape == (10_000, 28, 28)
        assert np.bincount(y_train).tolist() == [6000] * 10
        assert np.bincount(y_test).tolist() == [1000] * 10
        assert len(fashion_mnist.CLASS_NAMES) == 10


class TestBadFiles:
    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (lambda data: gzip.compress(data[:-5]), "truncated: its counts"),
            (lambda data: gzip.compress(data)[:-9], "truncated: its gzip stream"),
            (lambda data: gzip.compress(data + b"\0"), "too long"),
            (lambda data: gzip.compress(b"\0\0\x0d" + data[3:]), "magic number 00000d03"),
            (lambda data: gzip.compress(data[:7] + b"\x07" + data[8:]), r"holds \(7, 28, 28\)"),
            (lambda data: gzip.compress(data[:-1] + b"\xff"), "SHA-256"),
            (lambda data: gzip.compress(data)[:30] + b"\xff" * 50, "not a sound gzip file"),
            (lambda data: data, "not a sound gzip file"),
            (lambda data: b"", "magic number"),
        ],
    )
    def test_is_named(self, small, change, problem):
        folder = fill(fashion_mnist.DEBIAN_FOLDER, small)
        name = next(iter(small))
        (folder / f"{name}.gz").write_bytes(change(small[name]))
        with pytest.raises(ValueError, match=f"{name}.gz cannot be used: {problem}"):
            fashion_mnist.load_data()

    def test_missing_file_is_named(self, small):
        folder = fill(fashion_mnist.DEBIAN_FOLDER, small)
        (folder / "t10k-labels-idx1-ubyte.gz").unlink()
        with pytest.raises(FileNotFoundError, match="has no t10k-labels-idx1-ubyte"):
            fashion_mnist.load_data()

    def test_user_folder_without_files(self, small, tmp_path, monkeypatch):
        monkeypatch.setenv("DROPFAST_DATA", str(tmp_path / "absent"))
        with pytest.raises(FileNotFoundError, match=r"DROPFAST_DATA .*Received: .*absent"):
            fashion_mnist.load_data()

    def test_bad_download_is_not_kept(self, small, server, monkeypatch):
        folder, url = server
        fill(folder, {name: data[:-1] + b"\xff" for name, data in small.items()})
        monkeypatch.setattr(fashion_mnist, "URLS", (url,))
        with pytest.raises(FileNotFoundError, match="SHA-256"):
            fashion_mnist.load_data()
        assert list(fashion_mnist.cache_folder().iterdir()) == []

    def test_endless_download_is_cut(self, small, server, monkeypatch):
        folder, url = server
        fill(folder, small)
        name = next(iter(small))
        (folder / f"{name}.gz").write_bytes(b"\0" * 100_000)
        monkeypatch.setattr(fashion_mnist, "URLS", (url,))
        with pytest.raises(FileNotFoundError, match="longer than"):
            fashion_mnist.load_data()

    def test_silent_server_times_out(self, small, monkeypatch):
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), QuietHandler) as silent:
            # Bound but never served: a connection is taken and no answer comes.
            monkeypatch.setattr(download, "TIMEOUT", 0.1)
            monkeypatch.setattr(fashion_mnist, "URLS", (f"http://127.0.0.1:{silent.server_port}/",))
            with pytest.raises(FileNotFoundError, match="timed out"):
                fashion_mnist.load_data()

    def test_unpacking_stops_at_the_expected_size(self, tmp_path):
        path = tmp_path / "bomb.gz"
        header = IdxFile("", (4,), "").header
        path.write_bytes(gzip.compress(header + b"\0" * 5_000_000))
        with pytest.raises(ValueError, match="too long"):
            read_idx(path, IdxFile("bomb", (4,), ""))
