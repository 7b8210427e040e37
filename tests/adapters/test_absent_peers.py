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
