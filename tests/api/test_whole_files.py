"""Model files: whole or not at all, with the old one's permissions; the files of every version."""

from __future__ import annotations

import os
import pathlib
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

import dropfast as df

L = df.layers
DATA = pathlib.Path(__file__).parent / "data"
posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX system")


def model():
    made = df.Sequential([L.Input(3), L.Dense(2, "relu"), L.Dropout(0.5), L.Dense(1)], seed=0)
    made.compile("adam", "mse")
    return made


KILLED = """
import sys, dropfast as df
made = df.Sequential([df.layers.Input(400), df.layers.Dense(400)], seed=0)
print("ready", flush=True)
while True:
    made.save(sys.argv[1])
"""


@posix
def test_what_a_killed_save_leaves_is_gone_after_the_next(tmp_path):
    path, other = tmp_path / "m.safetensors", tmp_path / "n.safetensors.0123abcd.part"
    other.write_bytes(b"another file's")
    for number in range(5):
        command = [sys.executable, "-c", KILLED, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b"ready\n"
            time.sleep(0.004 * number)
            child.send_signal(signal.SIGKILL)
        if path.exists():
            df.load_model(path)
    (tmp_path / "m.safetensors.01234567.part").write_bytes(b"stale")
    model().save(path)
    assert sorted(tmp_path.iterdir()) == [path, other]
    assert df.load_model(path).count_params() == model().count_params()


@posix
def test_a_part_that_somebody_writes_is_left_alone(tmp_path):
    import fcntl

    path, part = tmp_path / "m.safetensors", tmp_path / "m.safetensors.01234567.part"
    with open(part, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        model().save(path)
        assert part.exists()
    model().save(path)
    assert not part.exists()


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_permissions_and_symbolic_links_are_kept(tmp_path, mode):
    path, link, far = tmp_path / "m", tmp_path / "link", tmp_path / "far"
    model().save(path)
    path.chmod(mode)
    link.symlink_to(path.name)
    far.symlink_to("new")
    for name in (path, link):
        model().save(name)
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert link.is_symlink()
    assert not path.is_symlink()
    model().save(far)
    assert far.is_symlink()
    assert (tmp_path / "new").is_file()
    df.load_model(far)


@posix
def test_a_new_file_has_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        model().save(tmp_path / "m")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "m").stat().st_mode) == 0o640


@posix
@pytest.mark.parametrize("name", [b"plain", "é".encode(), b"\xff\xfe", "a path"])
def test_names_as_bytes_strings_and_paths(tmp_path, name):
    path = os.path.join(os.fsencode(tmp_path), os.fsencode(name))
    made = model()
    for kind in (path, os.fsdecode(path), pathlib.Path(os.fsdecode(path))):
        made.save(kind)
        made.save_weights(kind)
        made.load_weights(kind)
        made.save(kind)
        again = df.load_model(kind)
        assert all(map(np.array_equal, made.weights, again.weights))
        with pytest.raises(FileExistsError, match=r"\Afilepath must not exist. Received: filepath"):
            made.save(kind, overwrite=False)


@posix
def test_no_overwriting_is_decided_when_the_file_is_placed(tmp_path, monkeypatch):
    path = tmp_path / "m"
    exists = os.path.exists
    monkeypatch.setattr(
        os.path, "exists", lambda name: False if str(name) == str(path) else exists(name)
    )
    path.write_bytes(b"somebody was quicker")
    with pytest.raises(FileExistsError):
        model().save(path, overwrite=False)
    assert path.read_bytes() == b"somebody was quicker"
    assert [*tmp_path.iterdir()] == [path]


def test_a_save_that_fails_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "m"
    model().save(path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        model().save(path)
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]


@posix
def test_a_pipe_is_written_as_it_is():
    reader, writer = os.pipe()
    model().save(f"/dev/fd/{writer}")
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        assert b'"format":"dropfast"' in file.read().replace(b" ", b"")


@pytest.mark.parametrize("path", sorted(DATA.glob("model-v*.safetensors")), ids=lambda p: p.name)
def test_files_of_every_version_are_read(path):
    """Written by the version that introduced the layout; see docs/model-format.md."""
    found = df.load_model(path)
    assert found.optimizer.iterations == 3
    assert found.epochs_done == 1
    kernel = found.weights[0]
    assert kernel.shape == (3, 2)
    assert kernel.dtype == np.float32
    x = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
    expected = np.load(path.with_suffix(".npy"))
    assert np.array_equal(found.predict(x), expected[:4])
    found.fit(x, x[:, :1], epochs=2, initial_epoch=1, batch_size=2, verbose=0)
    assert np.array_equal(found.predict(x), expected[4:])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("m.keras", "from_keras"),
        ("m.weights.h5", "from_keras"),
        ("M.H5", "from_keras"),
        ("m.onnx", r"model\.export"),
        ("m.pt", r"model\.to_torch"),
        (b"m.pkl", r"pickle\.dump"),
        ("m.joblib", r"joblib\.dump"),
        ("m.npz", r"numpy\.savez"),
    ],
)
def test_names_that_promise_another_format_are_refused(tmp_path, monkeypatch, name, hint):
    monkeypatch.chdir(tmp_path)
    for write in (model().save, model().save_weights):
        with pytest.raises(ValueError, match=f"must end in .safetensors.*{hint}"):
            write(name)
    assert not list(tmp_path.iterdir())


def test_a_file_of_keras_is_read_by_another_function(tmp_path):
    (tmp_path / "m.keras").write_bytes(b"PK")
    for read in (df.load_model, model().load_weights):
        with pytest.raises(ValueError, match="from_keras reads"):
            read(tmp_path / "m.keras")
