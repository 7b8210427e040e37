"""What training shows: on terminals of several widths, in files, in notebooks."""

import json
import os
import re
import subprocess
import sys
import types

import numpy as np
import pytest

import dropfast as df
from dropfast import progress

SCRIPT = """
import numpy as np, dropfast as df
rng = np.random.default_rng(0)
x, y = rng.normal(size=(3000, 20)).astype("float32"), rng.integers(0, 4, 3000)
model = df.Sequential([df.layers.Dense(8, "relu"), df.layers.Dense(4, "softmax")], seed=0)
model.compile("adam", "sparse_categorical_crossentropy", metrics={metrics})
model.fit(x, y, epochs={epochs}, validation_split=0.2, {more})
"""
ITEM = re.compile(r"(?:val_)?\w+:? \d+\.\d{4}(?![\d])")


def on_terminal(columns, metrics="['accuracy']", epochs=3, more=""):
    """The lines that stay on a terminal."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    mine, theirs = pty.openpty()
    size = np.array([24, columns, 0, 0], np.uint16).tobytes()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    script = SCRIPT.format(metrics=metrics, epochs=epochs, more=more)
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    ) as running:
        os.close(theirs)
        written = b""
        while True:
            try:
                part = os.read(mine, 1 << 16)
            except OSError:
                break
            if not part:
                break
            written += part
    os.close(mine)
    assert running.returncode == 0, written.decode()
    # A line is what was written last from its beginning on.
    lines = written.decode().replace("\r\n", "\n").split("\n")
    return [line.split("\r")[-1] for line in lines[:-1]]


def test_each_epoch_ends_with_one_whole_line_at_80_columns():
    lines = on_terminal(80, epochs=10)
    assert len(lines) == 10
    for number, line in enumerate(lines, 1):
        assert len(line) < 80
        assert line.startswith(f"Epoch {number}/10")
        names = [item.split(" ")[0].rstrip(":") for item in ITEM.findall(line)]
        assert names == ["loss", "accuracy", "val_loss", "val_accuracy"]


@pytest.mark.parametrize("columns", [40, 200])
def test_other_widths_break_between_values_only(columns):
    lines = on_terminal(columns, epochs=2)
    assert all(len(line) < columns for line in lines)
    assert len(ITEM.findall(" ".join(lines))) == 8
    assert sum(line.startswith("Epoch") for line in lines) == 2
    assert columns < 200 or "rows/s" in lines[0]


def test_one_line_where_that_is_asked_for():
    lines = on_terminal(40, epochs=2, more="verbose=2")
    assert len(lines) == 2
    assert all("rows/s" in line and "val_accuracy: " in line for line in lines)
    assert on_terminal(80, epochs=2, more="verbose=0") == []


def test_names_that_are_too_long_stay_whole():
    name = "an_accuracy_whose_name_is_longer_than_a_line_of_a_narrow_terminal"
    made = f"[df.metrics.SparseCategoricalAccuracy(name='{name}'), 'accuracy']"
    lines = on_terminal(40, made, epochs=1)
    assert len(ITEM.findall(" ".join(lines))) == 6
    assert sum(line.strip().startswith(name) for line in lines) == 1
    assert max(len(line) for line in lines if name not in line) < 40


def test_files_get_whole_lines():
    script = SCRIPT.format(metrics="['accuracy']", epochs=2, more="")
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = ran.stdout.splitlines()
    assert ran.stderr == ""
    assert [line.count("rows/s") for line in lines] == [1, 1]
    assert all(len(ITEM.findall(line)) == 4 for line in lines)


def test_lines_of_every_width():
    logs = {"loss": 0.5, "accuracy": 0.25, "val_loss": 1e-5}
    for width in range(10, 120):
        text = progress.line("Epoch 1/5", "1,000 rows/s", 2.0, logs, width)
        assert all(len(part) <= max(width, 24) for part in text.split("\n"))
        found = re.findall(r"(\w+):? (\d\.\d{4}(?:e-05)?)", text)
        assert found == [("loss", "0.5000"), ("accuracy", "0.2500"), ("val_loss", "1.0000e-05")]


def test_many_epochs_fit_too():
    logs = dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), 0.5)
    found = progress.line("Epoch 100/100", "1,000 rows/s", 20.0, logs, 79)
    assert found == "100/100: loss 0.5000, accuracy 0.5000, val_loss 0.5000, val_accuracy 0.5000"


def test_a_bar_knows_how_many_rows_an_epoch_has():
    seen = []
    note = df.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append((note.params["rows"], note.params["steps"]))
    )
    x = np.ones((70, 2))
    model = df.Sequential([df.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1], verbose=0, callbacks=[note])
    model.fit(x, x[:, :1], steps_per_epoch=2, verbose=0, callbacks=[note])
    assert seen == [(70, 3), (64, 2)]


class Kernel:
    """What a notebook offers: outputs that may be changed later."""

    def __init__(self):
        self.outputs = []

    def display(self, bundle, raw, display_id):
        assert raw
        assert display_id
        self.outputs.append(bundle)
        place = len(self.outputs) - 1
        return types.SimpleNamespace(
            update=lambda bundle, raw: self.outputs.__setitem__(place, bundle)
        )


def test_notebooks_keep_the_epochs(monkeypatch):
    kernel = Kernel()
    shell = types.SimpleNamespace(kernel=kernel)
    package = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(
        sys.modules, "IPython.display", types.SimpleNamespace(display=kernel.display)
    )
    x = np.ones((70, 2))
    model = df.Sequential([df.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1], epochs=5, verbose=1, validation_data=(x, x[:, :1]))
    assert len(kernel.outputs) == 1
    lines = kernel.outputs[0]["text/plain"].splitlines()
    assert [line.split(" - ")[0] for line in lines] == [f"Epoch {i}/5" for i in range(1, 6)]
    assert all("val_loss: " in line for line in lines)


def test_a_saved_notebook_shows_the_epochs():
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    script = SCRIPT.format(metrics="['accuracy']", epochs=4, more="")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(script)])
    nbclient.NotebookClient(book, timeout=120).execute()
    saved = json.loads(nbformat.writes(book))
    outputs = saved["cells"][0]["outputs"]
    shown = "".join("".join(part.get("data", {}).get("text/plain", "")) for part in outputs)
    assert [line.split(" - ")[0] for line in shown.splitlines()][:4] == [
        f"Epoch {i}/4" for i in range(1, 5)
    ]
    assert "val_accuracy: " in shown
