"""Output on streams of every kind: no error, and no characters that can't be shown."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import pytest

import dropfast as df
from dropfast import output

SCRIPT = """
import sys
import numpy as np, dropfast as df
{prepare}
name = "mod\\u00e8le \\u2500 \\u6a21"
model = df.Sequential([df.layers.Input(2), df.layers.Dense(1)], seed=0, name=name)
model.compile(df.optimizers.SGD(0.1), "mse")
model.summary()
x = np.ones((8, 2))
stop = df.callbacks.EarlyStopping(monitor="loss", patience=0, verbose=1)
for verbose in ("auto", 0, 1, 2):
    model.fit(x, x[:, :1], epochs=3, verbose=verbose, callbacks=[stop])
open({told!r}, "w").write("done")
"""
STREAMS = {
    "as it is": "",
    "stderr None": "sys.stderr = None",
    "stdout None": "sys.stdout = None",
    "stderr closed": "sys.stderr.close()",
    "stdout closed": "sys.stdout.close()",
    "both closed": "sys.stdout.close(); sys.stderr.close()",
    "no isatty": "sys.stderr = type('S', (), {'write': len, 'flush': lambda self: None})()",
    "isatty is no function": "sys.stderr = type('S', (), {'write': len, 'isatty': 5})()",
}
ENCODINGS = ["ascii", "latin-1", "cp1252", "utf-8"]


def run(tmp_path, prepare, **more):
    told = tmp_path / "told"
    told.unlink(missing_ok=True)
    script = SCRIPT.format(prepare=prepare, told=str(told))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=120, **more)
    assert told.exists(), done.stderr.decode("utf-8", "replace")[-2000:]
    return done


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings(tmp_path, encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    shown = run(tmp_path, "", env=environment).stdout.decode(encoding)
    assert ("─" in shown) == (encoding == "utf-8")
    assert ("---" in shown) == (encoding != "utf-8")
    assert 'Model "mod' in shown
    assert "early stopping" in shown


def test_the_c_locale(tmp_path):
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    run(tmp_path, "", env={k: v for k, v in environment.items() if k != "PYTHONIOENCODING"})


@pytest.mark.parametrize("kind", STREAMS)
def test_missing_and_closed_streams(tmp_path, kind):
    run(tmp_path, STREAMS[kind])


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
def test_a_pipe_whose_reader_has_left(tmp_path):
    told = tmp_path / "told"
    script = SCRIPT.format(prepare="import time; time.sleep(.2)", told=str(told))
    with subprocess.Popen(
        [sys.executable, "-u", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        child.stdout.close()
        child.stderr.close()
        child.wait(120)
    assert told.exists()


def test_printable_replaces_what_an_encoding_lacks():
    def shown(encoding):
        return output.printable("─→é模", io.TextIOWrapper(io.BytesIO(), encoding))

    assert [shown(name) for name in ("utf-8", "latin-1", "ascii")] == ["─→é模", "->é?", "->??"]
    assert output.printable("─", None) == "─"


def test_a_bar_whose_stream_breaks_ends_and_training_goes_on(monkeypatch):
    class Breaks(io.StringIO):
        count = 0

        def write(self, text):
            self.count += 1
            if self.count > 2:
                raise BrokenPipeError
            return len(text)

    monkeypatch.setattr(sys, "stderr", Breaks())
    model = df.Sequential([df.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    history = model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=3, verbose=1)
    assert history.epoch == [0, 1, 2]
