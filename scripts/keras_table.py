"""Write the table of Keras 3's public names into docs/keras.md.

    python scripts/keras_table.py

Keras' names and arguments are those of tests/data/keras_names.json, which
tests/helpers/keras_names.py writes where Keras is installed. What this package has is read from
itself: its names, its arguments, and which of those its docstrings call without effect.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "keras.md"
NAMES = ROOT / "tests" / "data" / "keras_names.json"
BEGIN, END = "<!-- names: scripts/keras_table.py -->\n", "<!-- end of names -->\n"

# Why a name is not here: the first of these whose pattern its path matches.
REASONS = (
    (
        r"layers\..*(Conv|Pool|Crop|UpSampling|ZeroPad|Resiz|Random|Aug|Contrast|Equaliz|Solariz)",
        "images",
    ),
    (
        r"layers\..*(MixUp|CutMix|BoundingBox|Spectrogram|MaxNum)|utils\..*(img|image|audio|bounding)",
        "images",
    ),
    (
        r"layers\..*(RNN|LSTM|GRU|Bidirect|TimeDist|Masking|Wrapper)|utils\.(pad_seq|timeseries)",
        "sequences",
    ),
    (r"layers\..*(Attention|EinsumDense|ReversibleEmbedding)|config\..*flash", "attention"),
    (
        r"layers\..*(Hash|Lookup|Vectoriz|CategoryEnc|Discretiz|Pipeline)|utils\.(Feature|text_)",
        "tables",
    ),
    (r"datasets\.", "data"),
    (
        r"(Flax|Jax|TFSM|TorchModule|nnx|Orbax|Remat|remat|Stateless|stateless|state_tree)",
        "engines",
    ),
    (r"(SymbolicScope|symbolic_call|name_scope|^device|Variable$|Function$|Operation$)", "engines"),
    (r"(add_variable|add_optimizer_variables|assign|apply|update_step|scale_loss)", "engines"),
    (r"(_own_variables|build_config|get_uid|set_backend|standardize|result_type)", "engines"),
    (r"(train_step|test_step|predict_step|make_.*_function|compute_loss|compute_metrics)", "steps"),
    (r"(get_metrics_result|metrics_variables|add_loss|add_metric)", "steps"),
    (r"(dtype_policy|DTypePolicy|quanti|Quanti|_dtype$|compute_dtype|is_.*_dtype)", "dtypes"),
    (r"^ops\.", "numpy"),
    (r"(serialize|deserialize|get_registered)", "configs"),
    (r"(_mask$|masking|input_spec|InputSpec|compute_output_spec|\.path$)", "engines"),
    (r"(interactive_logging|traceback_filtering|unsafe_deser|max_epochs|max_steps)", "switches"),
    (r"(Progbar|RemoteMonitor|get_file|split_dataset|legacy|Config$|KerasFileEditor)", "others"),
    (r"\.export$", "files"),
    (r"", "rare"),
)
WHY = {
    "images": "networks for images and sounds: no layer for them here",
    "sequences": "networks for sequences: no layer for them here; see `dropfast.torch`",
    "attention": "attention: no layer for it here; see `dropfast.torch`",
    "tables": "tables of words and categories: `dropfast.tabular` and scikit-learn prepare them",
    "data": "data sets: scikit-learn and others load them",
    "engines": "of Keras' back ends: there is one engine here, and weights are NumPy's arrays",
    "steps": "steps of one's own: training is native; a class that defines one is refused",
    "dtypes": "a model computes in float32 or float64, by `dtype`",
    "numpy": "NumPy has them: `numpy.<name>`",
    "configs": "`get_config` and `from_config` do it",
    "switches": "settings of the process that nothing here reads",
    "others": "`verbose`, the standard library, scikit-learn or NumPy do it",
    "files": "no such file is written",
    "rare": "not built: few need them. The error names what there is",
}
TITLES = {"": "keras", "optimizers.schedules": "optimizers.schedules"}


def main() -> None:
    """Write the table, or with ``--check`` say whether it is current."""
    text = PAGE.read_text(encoding="utf-8")
    new = with_table(text)
    if "--check" in sys.argv:
        sys.exit(0 if new == text else "docs/keras.md is not current: run scripts/keras_table.py")
    PAGE.write_text(new, encoding="utf-8")


def with_table(text: str) -> str:
    """The page with the table as it should be."""
    head, rest = text.split(BEGIN)
    return head + BEGIN + table() + END + rest.split(END)[1]


def table() -> str:
    """All modules' tables."""
    known: dict[str, list[str] | None] = json.loads(NAMES.read_text(encoding="utf-8"))
    version = known.pop("Keras")
    assert isinstance(version, str)
    groups: dict[str, dict[str, list[str] | None]] = {}
    for path, arguments in known.items():
        groups.setdefault(path.rpartition(".")[0], {})[path] = arguments
    parts = [f"Keras {version} has {len(known)} public names, those of other modules left out.\n"]
    for group, paths in groups.items():
        parts.append(
            f"\n### `{TITLES.get(group, group)}`\n\n| names | here | remarks |\n|---|---|---|\n"
        )
        parts += rows(paths)
    return "".join(parts)


def rows(paths: dict[str, list[str] | None]) -> Iterator[str]:
    """Names that are here alike in one row, those with remarks by themselves, then the others."""
    remarks: dict[str, list[str]] = {}
    missing: dict[str, list[str]] = {}
    plain = []
    for path, arguments in paths.items():
        name = path.rpartition(".")[2]
        found, thing = look_up(path)
        if not found:
            why = next(why for pattern, why in REASONS if re.search(pattern, path))
            missing.setdefault(why, []).append(name)
            continue
        remark = about(thing, arguments)
        if remark:
            remarks.setdefault(remark, []).append(name)
        else:
            plain.append(name)
    if plain:
        yield f"| {listed(plain)} | yes | |\n"
    for remark, names in remarks.items():
        yield f"| {listed(names)} | yes | {remark} |\n"
    for why, names in missing.items():
        yield f"| {listed(names)} | refused | {WHY[why]} |\n"


def listed(names: list[str]) -> str:
    """Names for a row."""
    return ", ".join(f"`{name}`" for name in names)


def example(path: str) -> Any:
    """An object of a class: some attributes are those of objects."""
    import dropfast as df

    model = df.Sequential([df.layers.Input(2), df.layers.Dense(1)])
    callback = df.callbacks.History()
    callback.set_model(model)
    known = {
        "Model": model,
        "layers.Layer": df.layers.Dense(1),
        "optimizers.Optimizer": df.optimizers.SGD(),
        "metrics.Metric": df.metrics.Mean(),
        "callbacks.Callback": callback,
    }
    return known.get(path)


def look_up(path: str) -> tuple[bool, Any]:
    """Whether the package has a name, and what it stands for."""
    import dropfast

    owner, _, last = path.rpartition(".")
    if last in getattr(example(owner), "__dict__", {}):
        return True, None
    thing: Any = dropfast
    for name in path.split("."):
        try:
            static = inspect.isclass(thing) and inspect.getattr_static(thing, name)
            thing = static or getattr(thing, name)
        except AttributeError:
            return False, None
    return True, thing


def about(thing: Any, arguments: list[str] | None) -> str:
    """What of Keras' arguments is without effect, and what is refused."""
    if arguments is None or not callable(thing):
        return ""
    idle = without_effect(thing)
    taken = own_arguments(thing)
    remarks = []
    acts = [name for name in arguments if name in idle]
    if acts:
        remarks.append(f"without effect: {listed(acts)}")
    if taken is not None:
        lacking = [name for name in arguments if name not in taken]
        # The dtype is the model's; a function's first argument may have another name.
        lacking = [name for name in lacking if name not in ("x", "inputs", "args", "dtype")]
        if lacking:
            remarks.append(f"refused: {listed(lacking)}")
    return "; ".join(remarks)


def own_arguments(thing: Any) -> set[str] | None:
    """All arguments that something takes; None if it takes any."""
    from dropfast.attributes import parameters
    from dropfast.configurable import Configurable

    if inspect.isclass(thing) and issubclass(thing, Configurable):
        return {*parameters(thing)}
    try:
        found = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in found):
        return None
    return {p.name for p in found}


def without_effect(thing: Any) -> set[str]:
    """Arguments that a docstring, or a base class's, calls without effect."""
    found = set()
    for one in getattr(thing, "__mro__", (thing,)):
        lines = (inspect.getdoc(one) or "").splitlines()
        for at, line in enumerate(lines):
            told = " ".join(lines[at + 1 : at + 3])
            if re.fullmatch(r"[\w*, ]+", line) and re.match(r" +For compatibility", told):
                found |= set(re.findall(r"\w+", line))
    return found


if __name__ == "__main__":
    main()
