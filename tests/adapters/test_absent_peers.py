"""Without its peer, an adapter says how to get it; the package itself doesn't need it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
sys.modules["{peer}"] = None
import dropfast
try:
    dropfast.{peer}
except ImportError as error:
    print(error.name, error)
"""


CONVERTING = """
import sys
sys.modules["{peer}"] = None
import dropfast
model = dropfast.Sequential([dropfast.Input(2), dropfast.layers.Dense(1)])
try:
    {call}
except ImportError as error:
    print(error.name, error)
"""


@pytest.mark.parametrize(
    ("peer", "call"),
    [
        ("torch", "dropfast.from_torch(3)"),
        ("torch", "model.to_torch()"),
        ("sklearn", "dropfast.from_sklearn(3)"),
        ("onnx", "model.export('m.onnx')"),
        ("h5py", "dropfast.from_keras(sys.executable)"),
    ],
)
def test_converters_name_the_command(peer, call):
    run = subprocess.run(
        [sys.executable, "-c", CONVERTING.format(peer=peer, call=call)],
        check=True,
        capture_output=True,
        text=True,
    )
    extra = "keras" if peer == "h5py" else peer
    assert run.stdout.startswith(f"{peer} ")
    assert run.stdout.strip().endswith(f"pip install 'dropfast[{extra}]'")


@pytest.mark.parametrize("peer", ["sklearn", "torch"])
def test_message_names_the_command(peer):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(peer=peer)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout.startswith(f"{peer} dropfast.{peer} needs ")
    assert run.stdout.strip().endswith(f"pip install 'dropfast[{peer}]'")
