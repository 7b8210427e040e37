"""The package as a whole: one version, a light import, a Makefile that documents itself."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import dropfast as df

ROOT = Path(__file__).parents[1]


def test_version_is_that_of_cargo():
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.+)"$', manifest, re.MULTILINE).group(1)
    assert df.__version__ == importlib.metadata.version("dropfast") == version


def test_import_takes_in_no_peer():
    program = (
        "import sys, dropfast; dropfast.Sequential; "
        "print([m for m in ('torch', 'jax', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert run.stdout.strip() == "[]"


def test_every_make_target_has_a_help_line():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE))
    described = set(re.findall(r"^([a-z-]+):.*##", text, re.MULTILINE))
    assert phony - described <= {"data"}
    assert {"demo", "test", "lint", "bench", "wheel"} <= described
