"""Make README fit for the package index: absolute links, and the project's addresses.

`absolute_links.py https://host/owner/name TAG`, in a checkout that is built and thrown away: in
the repository itself links stay relative, so that they hold in forks and offline.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(!?)(\[[^\]]*\])\((?!https?://|mailto:|#)([^)\s]+)\)")


def absolute(text: str, url: str, tag: str) -> str:
    """Text with links to files of the repository at a tag; pictures are linked raw."""

    def link(match: re.Match[str]) -> str:
        kind = "raw" if match[1] else "blob"
        return f"{match[1]}{match[2]}({url}/{kind}/{tag}/{match[3]})"

    return LINK.sub(link, text)


def with_urls(pyproject: str, url: str, tag: str) -> str:
    """The project's settings with its addresses."""
    urls = {
        "Source": url,
        "Documentation": f"{url}/blob/{tag}/docs/tutorial.md",
        "Changelog": f"{url}/blob/{tag}/CHANGELOG.md",
        "Issues": f"{url}/issues",
    }
    lines = "".join(f'{name} = "{address}"\n' for name, address in urls.items())
    return pyproject.replace("[tool.maturin]", f"[project.urls]\n{lines}\n[tool.maturin]", 1)


def main() -> int:
    if len(sys.argv) != 3 or not sys.argv[1].startswith("https://"):
        print("usage: absolute_links.py https://host/owner/name TAG", file=sys.stderr)
        return 2
    url, tag = sys.argv[1].rstrip("/"), sys.argv[2]
    for name, change in (("README.md", absolute), ("pyproject.toml", with_urls)):
        path = ROOT / name
        path.write_text(change(path.read_text(encoding="utf-8"), url, tag), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
