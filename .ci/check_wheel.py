"""Fail unless wheels are small, typed, licensed, light and for old systems, and sources whole."""

from __future__ import annotations

import email
import re
import sys
import tarfile
import zipfile
from pathlib import Path

MAX_BYTES = 3_000_000
ALLOWED_DEPENDENCIES = {"numpy", "tqdm", "safetensors"}
REQUIRED_FILES = ("dropfast/py.typed", "dropfast/_core.pyi", "LICENSE-MIT", "LICENSE-APACHE")
# The oldest glibc and musl that Rust's targets know, macOS 11 for Arm, any Windows.
PLATFORMS = r"manylinux(2014|_2_17)_\w+|musllinux_1_2_\w+|macosx_1[01]_\w+|win_(amd64|arm64)"
REQUIRED_SOURCES = (
    "Cargo.lock", "Cargo.toml", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE-MIT",
    "LICENSE-APACHE", "conftest.py", "docs/architecture.md", "docs/pictures/dropout.png",
    "examples/fashion_mnist.py", "python/dropfast/py.typed", "src/lib.rs",
    "tests/equivalence/digests.json", "tests/test_package.py",
)  # fmt: skip


def problems_of_wheel(wheel: Path) -> list[str]:
    """Everything that is wrong with the wheel, one sentence each."""
    found = []
    size = wheel.stat().st_size
    if size > MAX_BYTES:
        found.append(f"{size:,} bytes, more than {MAX_BYTES:,}")
    _, _, _, abi, platforms = wheel.stem.split("-")
    if not re.fullmatch(r"abi3|cp3\d+t", abi):
        found.append(f"neither an abi3 wheel nor one of a free-threaded Python: {abi}")
    if not all(re.fullmatch(PLATFORMS, platform) for platform in platforms.split(".")):
        found.append(f"made for newer systems than need be: {platforms}")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata_name = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(metadata_name))
    found += missing(names, REQUIRED_FILES)
    requirements = [
        line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line
    ]
    dependencies = {re.split(r"[^A-Za-z0-9_-]", line, maxsplit=1)[0] for line in requirements}
    if not dependencies <= ALLOWED_DEPENDENCIES:
        found.append(f"run-time dependencies {sorted(dependencies - ALLOWED_DEPENDENCIES)}")
    return found


def problems_of_sources(archive: Path) -> list[str]:
    """What is missing in a source distribution."""
    with tarfile.open(archive) as sources:
        return missing(sources.getnames(), REQUIRED_SOURCES)


def missing(names: list[str], required: tuple[str, ...]) -> list[str]:
    return [f"{end} is missing" for end in required if not any(n.endswith(end) for n in names)]


def main() -> None:
    given = [Path(argument) for argument in sys.argv[1:]]
    folders = [sorted(path.iterdir()) if path.is_dir() else [path] for path in given]
    failed = not any(folders)
    for path in [path for folder in folders for path in folder]:
        found = (problems_of_wheel if path.suffix == ".whl" else problems_of_sources)(path)
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {'; '.join(found) or 'good'}")
        failed |= bool(found)
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
