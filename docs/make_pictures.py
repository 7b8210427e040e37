"""Draw the pictures of the tutorial again, by running its own code; `make docs` runs this."""

from __future__ import annotations

import os
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

DOCS = Path(__file__).parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def main() -> None:
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    folder = DOCS / "pictures"
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    namespace = {"__name__": "__main__"}
    for block in BLOCK.findall(text):
        exec(compile(block, "tutorial.md", "exec"), namespace)


if __name__ == "__main__":
    main()
