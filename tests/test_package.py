"""The package as a whole: one version, a light import, a Makefile that documents itself."""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("native", [None, b"\x7fELF of some other system"])
@pytest.mark.parametrize("name", ["Key", "Sequential", "layers"])
def test_a_native_module_that_does_not_load_says_what_to_install(tmp_path, native, name):
    copy = tmp_path / "dropfast"
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    shutil.copytree(ROOT / "python" / "dropfast", copy, ignore=ignored)
    if native is not None:
        (copy / f"_core{importlib.machinery.EXTENSION_SUFFIXES[0]}").write_bytes(native)
    run = subprocess.run(
        [sys.executable, "-c", f"import dropfast; dropfast.{name}"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "the native module of dropfast does not load here: " in run.stderr
    assert f"{sys.executable} -m pip install --force-reinstall dropfast" in run.stderr


def test_every_make_target_has_a_help_line():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE))
    described = set(re.findall(r"^([a-z-]+):.*##", text, re.MULTILINE))
    assert phony - described <= {"data"}
    assert {"demo", "test", "lint", "bench", "wheel", "wheels", "test-arm"} <= described
