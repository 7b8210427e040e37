"""Every Python block of README and docs runs, block after block, in one namespace a document."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import keras_names
import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PEERS = ("sklearn", "torch", "h5py", "onnx", "onnxruntime")  # docs/adapters.md needs them
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def blocks(document: Path) -> list[tuple[int, str]]:
    """Line number and text of each Python block."""
    text = document.read_text(encoding="utf-8")
    return [(text.count("\n", 0, at.start()) + 2, at.group(1)) for at in BLOCK.finditer(text)]


@pytest.mark.parametrize(
    "document", [path for path in DOCUMENTS if blocks(path)], ids=lambda path: path.name
)
@pytest.mark.usefixtures("fashion_mnist_or_noise")
def test_python_blocks_run(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for line, block in blocks(document):
        # Blank lines in front make a traceback name the document's own line.
        code = compile("\n" * (line - 1) + block, str(document), "exec")
        try:
            exec(code, namespace)
        except ModuleNotFoundError as error:
            if error.name not in PEERS:
                raise
            pytest.skip(f"{error.name} is not installed")


@pytest.mark.parametrize(
    "document",
    [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"],
    ids=lambda path: path.name,
)
def test_links_lead_to_files(document):
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_table_of_keras_names_is_current():
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "keras_table.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_the_names_are_those_of_the_keras_that_is_installed():
    keras = pytest.importorskip("keras", exc_type=ImportError)
    known = json.loads(keras_names.FILE.read_text())
    if known.pop("Keras") != keras.__version__:
        pytest.skip(f"the table is of another version than {keras.__version__}")
    assert known == keras_names.names(keras)
