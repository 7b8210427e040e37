"""`python -m dropfast` as a shell runs it: train, predict, summary, export, and what goes wrong."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import dropfast as df


def dropfast(*arguments, cwd, status=0):
    """Run a command; returns its standard output, or the error where it must fail."""
    command = [sys.executable, "-m", "dropfast", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stderr
    if status:
        assert "Traceback" not in done.stderr
        return done.stderr
    return done.stdout


def write_csv(path, header, rows):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with tables, and a model trained on each."""
    folder = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)) * [1, 100, 1e-3] + [0, 5000, 0]
    names = np.where(x[:, 0] > 0, "yes", "no")
    price = 1000 * x[:, 0] + 3 * x[:, 1] + 20_000
    header = ["a", "b", "c", "note", "bought", "price"]
    rows = [[*row, "text", name, p] for row, name, p in zip(x, names, price, strict=True)]
    write_csv(folder / "data.csv", header, rows)
    np.savez(folder / "data.npz", x=x.reshape(400, 1, 3), y=(x[:, 0] > 0).astype(int))
    common = ["--hidden", "32", "--epochs", "30", "--batch-size", "32", "--rate", "0.1"]
    told = dropfast(
        *["train", "data.csv", "--target", "bought", "--drop", "note", "--drop", "price"],
        *["--out", "labels.safetensors", *common],
        cwd=folder,
    )
    assert "classification of 'bought', 2 classes: 3 inputs, 360 rows, 40 held out" in told
    assert "held out: " in told
    dropfast(
        *["train", "data.csv", "--target", "price", "--drop", "note", "--drop", "bought"],
        *["--out", "price.safetensors", "--quiet", *common],
        cwd=folder,
    )
    return folder


def table(text):
    return list(csv.DictReader(text.splitlines()))


def test_labels_are_predicted_by_name(folder):
    rows = table(dropfast("predict", "labels.safetensors", "data.csv", cwd=folder))
    given = table((folder / "data.csv").read_text())
    right = [r["prediction"] == g["bought"] for r, g in zip(rows, given, strict=True)]
    assert np.mean(right) > 0.93
    assert float(rows[0]["p(no)"]) + float(rows[0]["p(yes)"]) == pytest.approx(1, abs=1e-5)


def test_values_come_in_the_targets_units(folder):
    rows = table(dropfast("predict", "price.safetensors", "data.csv", "--samples", 20, cwd=folder))
    given = table((folder / "data.csv").read_text())
    predicted = np.array([float(row["prediction"]) for row in rows])
    price = np.array([float(row["price"]) for row in given])
    assert np.sqrt(np.mean((predicted - price) ** 2)) < 0.35 * price.std()
    assert all(float(row["std"]) > 0 for row in rows)


def test_columns_are_found_by_name_in_any_order(folder):
    given = table((folder / "data.csv").read_text())
    write_csv(
        folder / "turned.csv",
        ["c", "new", "b", "a"],
        [[r["c"], "?", r["b"], r["a"]] for r in given],
    )
    turned = dropfast("predict", "labels.safetensors", "turned.csv", cwd=folder)
    assert turned == dropfast("predict", "labels.safetensors", "data.csv", cwd=folder)


def test_arrays(folder):
    out = ["--out", "arrays.safetensors"]
    told = dropfast("train", "data.npz", "--target", "y", *out, "--epochs", 2, cwd=folder)
    assert "classification of 'y', 2 classes: 3 inputs" in told
    dropfast("predict", "arrays.safetensors", "data.npz", "--out", "answers.csv", cwd=folder)
    assert len(table((folder / "answers.csv").read_text())) == 400


def test_a_model_file_is_any_other_model_file(folder):
    model = df.load_model(folder / "labels.safetensors")
    x = np.array([[1.0, 5000, 0], [-1, 5000, 0]])
    assert model.predict(x).argmax(axis=1).tolist() == [1, 0]
    text = dropfast("summary", "labels.safetensors", cwd=folder)
    assert "inputs: a, b, c" in text
    assert "target: bought, one of no, yes" in text


def test_export(folder):
    for name in ("w.npz", "w.safetensors", "model.json"):
        dropfast("export", "labels.safetensors", "--out", name, cwd=folder)
    model = df.load_model(folder / "labels.safetensors")
    with np.load(folder / "w.npz") as stored:
        for own, kept in zip(model.weights, stored.values(), strict=True):
            np.testing.assert_array_equal(own, kept)
    again = df.models.model_from_json((folder / "model.json").read_text())
    again.load_weights(folder / "w.safetensors")
    x = np.ones((2, 3))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_the_same_seed_gives_the_same_file(folder):
    for name in ("one", "two"):
        dropfast(
            *["train", "data.npz", "--target", "y", "--out", f"{name}.safetensors"],
            *["--epochs", 2, "--seed", 7],
            cwd=folder,
        )
    one, two = (df.load_model(folder / f"{n}.safetensors") for n in ("one", "two"))
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_info_and_help(folder):
    assert f"dropfast  {df.__version__}" in dropfast("info", cwd=folder)
    for command in ("train", "predict", "summary", "export", "bench"):
        assert "usage: python -m dropfast" in dropfast(command, "--help", cwd=folder)
    assert "suites:" in dropfast("bench", "--list", cwd=folder)


TRAIN = ["train", "data.csv", "--out", "new.safetensors", "--target"]
TEXTS = {
    "empty.csv": "",
    "header.csv": "a,b\n",
    "numbers.csv": "1,2\n3,4\n",
    "ragged.csv": "a,b\n1,2\n3\n",
    "twice.csv": "a,a\n1,2\n",
    "hole.csv": "a,b\n1,2\n,4\n3,1\n",
    "infinite.csv": "a,b\n1,2\ninf,4\n",
    "one.csv": "a,b\n1,same\n2,same\n3,same\n",
    "short.csv": "a,b\n1,2.5\n",
    "alone.csv": "b\n1\n2\n3\n",
    "hidden.csv": "a,b\n1,\n2,3\n4,5\n",
    "not.npz": "no archive",
    "not.safetensors": "no model",
}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "no.csv", "--target", "a", "--out", "n.safetensors"], "No such file"),
        ([*TRAIN, "colour"], "data.csv has no column 'colour'. It has 'a', 'b'"),
        ([*TRAIN, "bought"], "line 2, column 'note': 'text', which is no finite number"),
        ([*TRAIN, "bought", "--drop", "d"], "has no column 'd'"),
        ([*TRAIN, "note", "--task", "regression", "--drop", "bought"], "column 'note': 'text'"),
        ([*TRAIN, "bought", "--rate", "1.5"], "must be in [0, 1). Received: 1.5"),
        ([*TRAIN, "bought", "--epochs", "0"], "must be a whole number >= 1. Received: 0"),
        ([*TRAIN, "bought", "--hidden", "8,x"], "Received: x"),
        ([*TRAIN[:3], "labels.safetensors", "--target", "bought"], "--overwrite replaces it"),
        ([*TRAIN[:3], "no/folder/m.safetensors", "--target", "a"], "folder that exists"),
        ([*TRAIN[:3], "m.h5", "--target", "a"], "must end in .safetensors"),
        (["train", "data.npz", "--target", "z", "--out", "n.safetensors"], "no array 'z'"),
        (["train", "not.npz", "--target", "z", "--out", "n.safetensors"], "no .npz file"),
        *(
            (["train", name, "--target", "b", "--out", "n.safetensors"], told)
            for name, told in (
                ("empty.csv", "empty.csv is empty"),
                ("header.csv", "no rows"),
                ("numbers.csv", "--no-header"),
                ("ragged.csv", "line 3: 1 cells for 2 columns"),
                ("twice.csv", "two columns named 'a'"),
                ("hole.csv", "line 3, column 'a': an empty cell"),
                ("infinite.csv", "line 3, column 'a': 'inf'"),
                ("one.csv", "two classes. Received: 'same' only"),
                ("short.csv", "two rows to train on"),
                ("alone.csv", "a column beside 'b'"),
                ("hidden.csv", "line 2: no value of the target 'b'"),
            )
        ),
        (["predict", "no.safetensors", "data.csv"], "must exist"),
        (["predict", "not.safetensors", "data.csv"], "whole safetensors file"),
        (["predict", "labels.safetensors", "hole.csv"], "has no column 'c'"),
        (["predict", "labels.safetensors", "data.csv", "--out", "data.csv"], "--overwrite"),
        (["summary", "data.csv"], "whole safetensors file"),
        (["export", "labels.safetensors", "--out", "m.txt"], "must end in .npz"),
        (["fly"], "invalid choice: 'fly'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_said(folder, arguments, told, capsys, monkeypatch):
    from dropfast.cli import main

    monkeypatch.chdir(folder)
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    before = {path.name for path in folder.iterdir()}
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code
    assert status in (1, 2)
    assert told in capsys.readouterr().err
    assert {path.name for path in folder.iterdir()} == before


def test_errors_in_a_shell_have_no_traceback(folder):
    told = dropfast(*TRAIN, "colour", cwd=folder, status=1)
    assert told.startswith("python -m dropfast train: data.csv has no column")
    dropfast("train", cwd=folder, status=2)


def test_a_reader_that_leaves(folder):
    line = f"{sys.executable} -m dropfast predict labels.safetensors big.csv | head -1"
    rows = [["0.1", "5000", "0.0"]] * 50_000
    write_csv(folder / "big.csv", ["a", "b", "c"], rows)
    done = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.stdout == "prediction,p(no),p(yes)\n"
    assert done.stderr == ""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_interrupted_training_is_kept(folder):
    command = [sys.executable, "-m", "dropfast", "train", "data.csv", "--target", "bought"]
    command += ["--drop", "note", "--epochs", "1000000", "--out", "part.safetensors"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        while "Epoch 3/" not in running.stdout.readline():
            time.sleep(0)
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "interrupted after" in told
    assert df.load_model(folder / "part.safetensors").epochs_done >= 2


def test_notes_of_a_file_are_no_part_of_the_model(folder, tmp_path):
    from dropfast.models import saving

    notes = saving.read_notes(folder / "labels.safetensors")
    assert json.loads(notes["table"])["columns"] == ["a", "b", "c"]
    model = df.load_model(folder / "labels.safetensors")
    model.save(tmp_path / "plain.safetensors")
    assert "table" not in saving.read_notes(tmp_path / "plain.safetensors")
