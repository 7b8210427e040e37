"""Fail unless a wheel is small, abi3, typed, licensed and light in its dependencies."""

from __future__ import annotations

import email
import re
import sys
import zipfile
from pathlib import Path

MAX_BYTES = 3_000_000
ALLOWED_DEPENDENCIES = {"numpy", "tqdm", "safetensors"}
REQUIRED_FILES = ("dropfast/py.typed", "dropfast/_core.pyi", "LICENSE-MIT", "LICENSE-APACHE")


def problems(wheel: Path) -> list[str]:
    """Everything that is wrong with the wheel, one sentence each."""
    found = []
    size = wheel.stat().st_size
    if size > MAX_BYTES:
        found.append(f"{size:,} bytes, more than {MAX_BYTES:,}")
    if "-abi3-" not in wheel.name:
        found.append("not an abi3 wheel")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata_name = next(name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(metadata_name))
    found += [
        f"{required} is missing"
        for required in REQUIRED_FILES
        if not any(name.endswith(required) for name in names)
    ]
    requirements = [
        line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line
    ]
    dependencies = {re.split(r"[^A-Za-z0-9_-]", line, maxsplit=1)[0] for line in requirements}
    if not dependencies <= ALLOWED_DEPENDENCIES:
        found.append(f"run-time dependencies {sorted(dependencies - ALLOWED_DEPENDENCIES)}")
    return found


def main() -> None:
    for path in map(Path, sys.argv[1:]):
        found = problems(path)
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, {'; '.join(found) or 'good'}")
        if found:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
