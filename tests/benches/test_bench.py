"""`python -m dropfast.bench`: records, ratios, tables, the page, arguments, broken contenders."""

from __future__ import annotations

import json
import os

import pytest

from dropfast.bench import command, rounds, table
from dropfast.bench.page import page
from dropfast.bench.peers import LIBRARIES, installed, named
from dropfast.bench.record import Cell, Record, machine
from dropfast.bench.workloads import SUITES, WORKLOADS


def cell(contender, values, workload="dropout forward, 2^12 float32, rate 0.5", **more):
    return Cell("kernels", workload, "ns/element", contender, list(values), **more)


@pytest.fixture
def record():
    cells = [
        cell("dropfast", [2.0, 1.0, 1.0]),
        cell("NumPy", [8.0, 4.0, 4.0]),
        cell("np.copyto", [1.0, 0.5, 0.5], limit=True),
        cell("dropfast", [3.0, 3.0, 3.0], "product 2 x 2 x 2, float32"),
        cell("NumPy", [1.0, 1.0, 1.0], "product 2 x 2 x 2, float32"),
        cell("PyTorch", [], "product 2 x 2 x 2, float32", why="ImportError: broken <tag>"),
    ]
    return Record(cells, machine(2))


def test_a_ratio_is_that_of_rounds_in_turn(record):
    slow, product = record.cells[1], record.cells[4]
    # A slow first round slows both: the ratio doesn't see it.
    assert record.ratio(slow) == 4.0
    assert record.ratio(product) == pytest.approx(1 / 3)
    assert record.noisy == ["dropout forward, 2^12 float32, rate 0.5"]


def test_what_a_peer_wins_stands_first(record):
    lines = table.text(record).splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert rows[:3] == ["kernels", record.cells[3].workload, record.cells[0].workload]
    assert any("Noisy" in line for line in lines)
    assert any("ImportError: broken" in line for line in lines)


def test_an_interrupted_record_says_so(record, tmp_path):
    record.complete = False
    record.save(tmp_path / "r.json")
    again = Record.load(tmp_path / "r.json")
    assert again == record
    assert "interrupted" in table.text(again)


def test_a_page_has_no_outside_parts(record):
    pytest.importorskip("matplotlib")
    text = page(record)
    assert "<svg" in text
    assert "prefers-color-scheme: dark" in text
    assert "broken &lt;tag&gt;" in text
    assert 'src="http' not in text


def test_two_records_side_by_side(record):
    faster = Record([cell("dropfast", [0.5, 0.5, 0.5])], record.machine)
    assert "0.50" in table.compare(record, faster)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--suite", "speed"], "suite must be one of"),
        (["--peer", "theano"], "peer must be one of"),
        (["--threads", "0"], "must be positive"),
        (["--threads", "two"], "invalid int"),
        (["--json", "no/such/folder/r.json"], "folder that exists"),
        (["--show", "no-such.json"], "No such file"),
    ],
)
def test_bad_arguments_are_named_before_anything_runs(arguments, told, capsys, monkeypatch):
    monkeypatch.setattr(command, "_run", lambda given: pytest.fail("it ran"))
    with pytest.raises(SystemExit) as end:
        command.main(arguments)
    assert end.value.code == 2
    assert told in capsys.readouterr().err


def test_a_file_that_is_no_record(tmp_path, capsys):
    file = tmp_path / "r.json"
    for content in ("{}", "[]", "no json", json.dumps({"cells": [{"x": 1}], "machine": {}})):
        file.write_text(content)
        with pytest.raises(SystemExit):
            command.main(["--show", str(file)])
        assert "record of dropfast.bench" in capsys.readouterr().err


def test_every_workload_has_a_name_of_its_own():
    names = [(workload.suite, workload.name) for workload in WORKLOADS]
    assert len(set(names)) == len(names)
    assert set(SUITES) == {suite for suite, _ in names}
    assert any(workload.quick for workload in WORKLOADS)


def test_contenders_are_known_by_their_names():
    for library in installed():
        if library in ("dropfast", "numpy"):
            for name in LIBRARIES[library][1]:
                assert named(name).name == name
    with pytest.raises(ValueError, match="contender"):
        named("theano")


def test_rounds_in_processes(monkeypatch):
    monkeypatch.setattr(rounds, "QUICK_BUDGET", 0.01)
    seen = []
    record = rounds.run(
        ["kernels"], ["numpy"], quick=True, progress=lambda *told: seen.append(told[1].name)
    )
    assert record.complete
    assert [name for _, name in record.workloads()] == seen
    for found in record.cells:
        assert not found.why
        if found.contender != "NumPy, binomial":
            assert len(found.values) >= 3
    copy = next(found for found in record.cells if found.contender == "np.copyto")
    assert copy.limit


def test_a_contender_that_breaks_leaves_the_others(monkeypatch):
    monkeypatch.setattr(rounds, "QUICK_BUDGET", 0.01)
    monkeypatch.setattr(rounds, "contenders", lambda peers: ["dropfast", "no such contender"])
    record = rounds.run(["start-up"], [], quick=True)
    assert any(found.why for found in record.cells if found.contender == "no such contender")
    assert all(found.values for found in record.cells if found.contender == "dropfast")


def test_an_interruption_keeps_the_rounds_that_were_done(monkeypatch):
    asked = []
    ask = rounds.Contender.ask

    def interrupted(self, **told):
        asked.append(told["do"])
        if asked.count("round") > 4:
            raise KeyboardInterrupt
        return ask(self, **told)

    monkeypatch.setattr(rounds.Contender, "ask", interrupted)
    monkeypatch.setattr(rounds, "QUICK_BUDGET", 0.01)
    record = rounds.run(["kernels"], ["numpy"], quick=True)
    assert not record.complete
    assert sum(len(found.values) for found in record.cells if not found.limit) >= 3
    assert "interrupted" in table.text(record)


def test_a_contender_that_dies_is_back_for_the_next_workload(monkeypatch):
    contender = rounds.Contender("dropfast", 1)
    try:
        contender._process.kill()
        contender._process.wait()
        told = {"suite": "start-up", "workload": "installed files"}
        dead = contender.ask(do="prepare", **told)
        assert dead["status"] == "failed"
        assert "process ended with" in dead["why"]
        assert contender.ask(do="prepare", **told)["status"] == "ready"
    finally:
        contender.close()


def test_a_peer_that_is_broken_at_import(monkeypatch, tmp_path):
    (tmp_path / "jax.py").write_text("raise RuntimeError('libxyz.so: wrong ELF class')")
    monkeypatch.syspath_prepend(tmp_path)
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    monkeypatch.setattr(rounds, "QUICK_BUDGET", 0.01)
    record = rounds.run(["kernels"], ["jax"], quick=True)
    broken = [found for found in record.cells if found.contender == "JAX"]
    assert broken
    assert all("wrong ELF class" in found.why for found in broken)
    assert all(found.values for found in record.cells if found.contender == "dropfast")
    assert "JAX at " in table.text(record)


def test_a_page_without_matplotlib_is_refused_before_the_run(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(command, "_run", lambda given: pytest.fail("it ran"))
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        command.main(["--html", str(tmp_path / "r.html")])
    assert "needs matplotlib" in capsys.readouterr().err


def test_a_full_disk_does_not_take_the_tables(record, capsys, monkeypatch, tmp_path):
    def full(self, file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Record, "save", full)
    monkeypatch.setattr(command, "_run", lambda given: record)
    assert command.main(["--json", str(tmp_path / "r.json")]) == 1
    told = capsys.readouterr()
    assert "| kernels" in told.out
    assert "No space left" in told.err


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path, capsys):
    tmp_path.chmod(0o500)
    with pytest.raises(SystemExit):
        command.main(["--json", str(tmp_path / "r.json")])
    assert "must be writable" in capsys.readouterr().err
