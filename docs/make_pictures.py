"""Draw the pictures of the tutorial again, by running its own code; `make docs` runs this.

Each is saved twice: `name.png`, and `name-dark.png` for the dark mode of the site.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

matplotlib.use("Agg")
sys.path.insert(0, str(Path(__file__).parents[1] / "benches"))
from modes import darken

DOCS = Path(__file__).parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def main() -> None:
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    folder = DOCS / "pictures"
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    save = Figure.savefig

    def save_both(figure: Figure, name: str) -> None:
        save(figure, name, dpi=100)
        darken(figure)
        save(figure, name.replace(".png", "-dark.png"), dpi=100)

    Figure.savefig = save_both
    namespace = {"__name__": "__main__"}
    for block in BLOCK.findall(text):
        exec(compile(block, "tutorial.md", "exec"), namespace)


if __name__ == "__main__":
    main()
