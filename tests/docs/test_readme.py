"""README and docs/performance.md say what the record says; README's links hold on an index too."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from pathlib import Path

import pytest

from dropfast.bench.record import Record

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
URL = "https://example.org/owner/dropfast"


@pytest.fixture
def writer(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benches")
    yield importlib.import_module("write_tables")
    sys.modules.pop("write_tables", None)


@pytest.fixture
def links():
    spec = importlib.util.spec_from_file_location("links", ROOT / ".ci" / "absolute_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_documents_are_made_from_the_record(writer):
    for path, text in writer.documents(Record.load(writer.newest())).items():
        assert path.read_text(encoding="utf-8") == text, f"run python {writer.__file__}"


def test_another_record_makes_other_documents(writer, monkeypatch, tmp_path):
    record = Record.load(writer.newest())
    ours = next(c for c in record.cells if c.contender == "dropfast")
    ours.values = [2 * value for value in ours.values]
    ours.why = ""
    record.machine["processor"] = "another processor"
    record.complete = False
    for path, text in writer.documents(record).items():
        assert path.read_text(encoding="utf-8") != text
        assert "another processor" in text
        assert "interrupted" in text


def steady(record):
    """The record as a quiet machine would give it."""
    for cell in record.cells:
        cell.values = [cell.median] * len(cell.values)
    return record


def test_rows_that_another_library_wins_stand_first(writer):
    record = steady(Record.load(writer.newest()))
    for cell in record.cells:
        if cell.workload.startswith("predict 1 row") and cell.contender == "NumPy":
            cell.values = [value / 1000 for value in cell.values]
    rows = writer.ratios(record).splitlines()[2:]
    assert rows[0].startswith("| predict one row")
    assert len(rows) > 2
    assert "left out" not in writer.ratios(record)


def test_ratios_of_a_busy_machine_are_not_shown(writer):
    record = steady(Record.load(writer.newest()))
    rows = [c for c in record.cells if c.workload.startswith("predict 1 row")]
    peer = next(c for c in rows if c.contender == "NumPy")
    peer.values = [peer.median * (1 + i) for i in range(5)]
    assert "| unsteady |" in writer.ratios(record)
    ours = next(c for c in rows if c.contender == "dropfast")
    ours.values = [ours.median * (1 + i) for i in range(5)]
    assert "predict one row" not in writer.ratios(record)
    assert "1 of " in writer.ratios(record).splitlines()[-1]


def test_links_are_absolute_on_the_index(links):
    text = links.absolute(README, URL, "v1.2.3")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(targets) > 20
    assert all(target.startswith("https://") for target in targets)
    for target in targets:
        kind, tag, path = target.removeprefix(f"{URL}/").split("/", 2)
        assert (kind, tag) == ("raw" if path.endswith(".png") else "blob", "v1.2.3")
        assert (ROOT / path.split("#")[0]).exists(), path


def test_projects_addresses(links):
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    settings = tomllib.loads(links.with_urls(text, URL, "v1"))
    assert settings["project"]["urls"]["Source"] == URL
    assert settings["tool"] == tomllib.loads(text)["tool"]


def test_the_index_renders_readme(links):
    markdown = pytest.importorskip("readme_renderer.markdown")
    page = markdown.render(links.absolute(README, URL, "v1"))
    assert page is not None
    assert page.count("<table>") >= 3
    assert f'src="{URL}/raw/v1/docs/pictures/comparison.png"' in page
