"""Hooks of the site: pages made from files of the checkout, a reference page for each module."""

from __future__ import annotations

import importlib
import inspect
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
# Page -> file of the checkout that it is made from.
PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
}
MODULES = (
    "dropfast",
    "layers",
    "models",
    "optimizers",
    "schedules",
    "losses",
    "metrics",
    "callbacks",
    "activations",
    "initializers",
    "regularizers",
    "constraints",
    "random",
    "functional",
    "datasets",
    "augment",
    "recipes",
    "plot",
    "calibration",
    "utils",
    "converters",
    "sklearn",
    "tabular",
    "torch",
    "distributed",
    "bench",
    "reference",
)
GONE = "not-on-the-site"
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]*pictures/[^)]*)\.png\)")
LINK = re.compile(r"(\]\()((?!https?://|mailto:|#)[^)#\s]+)(#[^)]*)?\)")


def on_config(config):
    """Fill in the reference, and leave out pages that are not there."""
    config["nav"] = [
        {"Reference": [{name: f"api/{name}.md"} for name in _modules()]}
        if entry == {"Reference": "API"}
        else entry
        for entry in map(_existing, config["nav"])
    ]
    return config


def _existing(entry):
    """A menu entry without pages that don't exist."""
    ((title, target),) = entry.items()
    if isinstance(target, str):
        known = target == "API" or target in PAGES or (ROOT / "docs" / target).exists()
        return entry if known else None
    return {title: [kept for child in target if (kept := _existing(child))]}


def _modules():
    found = []
    for name in MODULES:
        path = ROOT / "python" / "dropfast" / ("" if name == "dropfast" else name)
        if path.is_dir() or path.with_suffix(".py").exists():
            found.append(name)
    return found


def on_files(files, config):
    """Add the pages that are made."""
    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_relinked(text, page, source)))
    for name in _modules():
        files.append(File.generated(config, f"api/{name}.md", content=_reference(name)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Lead links to files of the checkout to their pages; show pictures in light and dark."""
    if page.file.src_uri not in PAGES:
        markdown = _relinked(markdown, page.file.src_uri, f"docs/{page.file.src_uri}")

    def both(match):
        name = posixpath.join(posixpath.dirname(page.file.src_uri), f"{match[2]}-dark.png")
        if files.get_file_from_path(posixpath.normpath(name)) is None:
            return match[0]
        light, dark = (f"![{match[1]}]({match[2]}{mode}.png)" for mode in ("", "-dark"))
        return f"{light}{{.light}}{dark}{{.dark}}"

    return PICTURE.sub(both, markdown)


def _relinked(text, page, source):
    """Text of a file of the checkout, with links as the page needs them."""
    made_of = {file: name for name, file in PAGES.items()}

    def link(match):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[2]))
        if target.startswith("docs/"):
            there = target.removeprefix("docs/")
        elif target in made_of:
            there = made_of[target]
        else:
            return f"{match[1]}#{GONE})"
        relative = posixpath.relpath(there, posixpath.dirname(page) or ".")
        return f"{match[1]}{relative}{match[3] or ''})"

    text = LINK.sub(link, text)
    # What has no page, such as a folder of examples, is named and not linked.
    return re.sub(rf"\[([^\]]*)\]\(#{GONE}\)", r"\1", text)


def _reference(name):
    """A page of directives for mkdocstrings: what a module lists, one after the other."""
    module = "dropfast" if name == "dropfast" else f"dropfast.{name}"
    try:
        room = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("dropfast"):
            raise
        return f"# {module}\n\nNot shown here: this site was built without {error.name}.\n"
    about = re.sub(r"^Layer \d: (\w)", lambda m: m[1].upper(), inspect.cleandoc(room.__doc__ or ""))
    lines = [f"# {module}", "", _prose(about), ""]
    shown = {}
    for label in sorted(getattr(room, "__all__", ()), key=str.lower):
        thing = getattr(room, label)
        if inspect.ismodule(thing) or not callable(thing):
            continue
        if id(thing) in shown:  # a second name
            lines += [f"`{label}` is another name of `{shown[id(thing)]}`.", ""]
            continue
        shown[id(thing)] = label
        lines += [f"::: {module}.{label}"]
        options = {"toc_label": f'"{label}"', "filters": _filters(name, label)}
        if name in ("models", "sklearn", "tabular") or label in ("Model", "Sequential"):
            options["inherited_members"] = "true"
        lines += ["    options:", *(f"      {key}: {value}" for key, value in options.items()), ""]
    return "\n".join(lines)


def _filters(name, label):
    """What is not shown: private names, and what only the package itself or new layers need."""
    hidden = ["_"]
    if name == "layers" and label != "Layer":
        hidden += ["forward", "gradient", "native", "merge", "split", "build", "kernel_"]
        hidden += ["compute_output_shape", "stands_for"]
    if name == "models" or label in ("Model", "Sequential"):
        hidden += ["plan", "engine", "trainer", "training_obstacle", "feed_metrics", "penalty"]
        hidden += ["compiled", "stands_for"]
    return str([f"!^{start}" for start in hidden])


def _prose(docstring):
    """A module's docstring as Markdown: examples become blocks of code."""
    lines, inside = [], False
    for line in docstring.splitlines():
        code = line.startswith(">>>") or (inside and line.strip() != "")
        if code and not inside:
            lines += ["", "```python"]
        if inside and not code:
            lines += ["```", ""]
        inside = code
        lines.append(line)
    if inside:
        lines.append("```")
    return re.sub(r"(?<!`)``([^`]+)``(?!`)", r"`\1`", "\n".join(lines))
