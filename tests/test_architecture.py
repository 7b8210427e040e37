"""The table of rooms in docs/architecture.md names every room, and imports only go up in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "python" / "dropfast"


def _table() -> list[str]:
    """The rooms in the order of the table, as paths from the root of the project."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", text, re.MULTILINE)
    assert [int(layer) for layer, _ in rows] == sorted(int(layer) for layer, _ in rows)
    return [path.rstrip("/") for _, rooms in rows for path in re.findall(r"`([^`]+)`", rooms)]


def _rust_rooms() -> list[str]:
    """Rust rooms in the order of the table, by their module names."""
    return [Path(room).stem for room in _table() if room.startswith("src/")]


def _rust_imports(source: str) -> set[str]:
    """Rooms that a file names: `crate::gemm`, `crate::{simd, gemm::tile}`."""
    code = re.sub(r"//.*", "", source)
    found = set(re.findall(r"\bcrate::([a-z_]+)", code))
    for group in re.findall(r"\bcrate::\{(.*?)\};", code, re.DOTALL):
        flat = re.sub(r"\{[^{}]*\}", "", group)
        found |= {part.strip().split("::")[0] for part in flat.split(",") if part.strip()}
    return found


def _modules() -> dict[str, Path]:
    """Module name -> file, of the Python package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = list(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imports(path: Path) -> set[str]:
    """Modules that a file imports when it is imported itself; not those for types alone."""
    found: set[str] = set()
    waiting: list[ast.stmt] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.If):
            for_types = "TYPE_CHECKING" in ast.unparse(node.test)
            waiting += node.orelse if for_types else [*node.body, *node.orelse]
        elif isinstance(node, ast.Try):
            waiting += [*node.body, *node.orelse, *node.finalbody]
            waiting += [line for handler in node.handlers for line in handler.body]
    return found


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _python_layer(path: Path) -> int:
    """The layer that a file's first line names."""
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    match = re.match(r'"""Layer (\d)', first)
    return 6 if match is None else int(match[1])


def test_every_rust_room_is_in_the_table():
    rooms = {path.stem for path in (ROOT / "src").iterdir()} - {"lib"}
    assert rooms == set(_rust_rooms())


def test_every_python_package_is_in_the_table():
    listed = {Path(room).stem for room in _table() if room.startswith(("python/", "tests/"))}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages - listed == set()


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.rs")), ids=_relative)
def test_rust_imports_go_up_in_the_table(path):
    rooms = _rust_rooms()
    room = path.relative_to(ROOT / "src").parts[0].removesuffix(".rs")
    if room == "lib":
        return
    allowed = rooms[: rooms.index(room) + 1]
    assert _rust_imports(path.read_text(encoding="utf-8")) & set(rooms) <= set(allowed)


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.rs")), ids=_relative)
def test_rust_files_name_their_layer(path):
    if path.stem in ("lib", "tests", "tables") or "tests" in path.parts:
        return
    assert re.match(r"//! Layer \d", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", sorted(_modules()))
def test_python_imports_go_down(module):
    modules = _modules()
    own = _python_layer(modules[module])
    for name in _imports(modules[module]):
        if name in modules and name != "dropfast":
            assert _python_layer(modules[name]) <= own, name


@pytest.mark.parametrize("module", sorted(_modules()))
def test_python_files_name_their_layer(module):
    first = _modules()[module].read_text(encoding="utf-8").split("\n", 1)[0]
    assert module == "dropfast" or re.match(r'"""Layer [67]', first), first
