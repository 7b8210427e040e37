"""Layer 6: a model drawn by Graphviz, where that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from dropfast.arrays import shape_text

if TYPE_CHECKING:
    from dropfast.models import Model


def model_to_dot(
    model: Model,
    show_shapes: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
) -> str:
    r"""The model's layers in Graphviz' language.

    Parameters
    ----------
    model
        A built model.
    show_shapes
        Whether boxes tell the shapes of inputs and outputs.
    show_layer_names
        Whether boxes tell the layers' names.
    rankdir
        "TB" from top to bottom, "LR" from left to right.

    Returns
    -------
    str

    Examples
    --------
    >>> import dropfast as df
    >>> model = df.Sequential([df.layers.Input(2), df.layers.Dense(1, name="out")], seed=0)
    >>> print(df.utils.model_to_dot(model))
    digraph "sequential" {
      rankdir=TB; node [shape=box, fontname="sans-serif"];
      n0 [label="out\nDense"];
    }
    """
    lines = [f"digraph {_quoted(model.name)} {{"]
    lines.append(f'  rankdir={rankdir}; node [shape=box, fontname="sans-serif"];')
    inputs = model.plan.inputs
    for i, tensor in enumerate(model.plan.graph.sources if inputs > 1 else ()):
        lines.append(f"  {_node(i, inputs)} [label={_quoted(tensor.name)}];")
    for place in model.plan.places:
        parts = [type(place.layer).__name__]
        if show_layer_names:
            parts.insert(0, place.layer.name)
        if show_shapes:
            parts.append(f"{shape_text(place.input_shape)} to {shape_text(place.output_shape)}")
        lines.append(f"  n{place.index} [label={_quoted(chr(10).join(parts))}];")
        for source in place.sources:
            if source >= inputs or inputs > 1:
                lines.append(f"  {_node(source, inputs)} -> n{place.index};")
    return "\n".join([*lines, "}"])


def _node(value: int, inputs: int) -> str:
    """The box that a value comes from."""
    return f"n{value - inputs}" if value >= inputs else f"x{value}"


def _quoted(text: str) -> str:
    safe = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{safe}"'


def plot_model(
    model: Model,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Path:
    """Draw a model into a picture, by Graphviz' program ``dot``.

    Parameters
    ----------
    model
        A built model.
    to_file
        Where to; the suffix says the format (png, svg, pdf; .dot needs no Graphviz).
    show_shapes, show_layer_names, rankdir
        As `model_to_dot`.
    dpi
        Dots an inch.
    show_dtype, expand_nested, show_layer_activations, show_trainable
        For compatibility, without effect.

    Returns
    -------
    Path
        The picture's.

    Raises
    ------
    RuntimeError
        If ``dot`` is not installed.

    Examples
    --------
    >>> import os, tempfile, dropfast as df
    >>> model = df.Sequential([df.layers.Input(2), df.layers.Dense(1)], seed=0)
    >>> path = os.path.join(tempfile.mkdtemp(), "model.dot")
    >>> df.utils.plot_model(model, path).read_text()[:7]
    'digraph'
    """
    path = Path(to_file)
    text = model_to_dot(model, show_shapes, show_layer_names, rankdir)
    if path.suffix == ".dot":
        path.write_text(text)
        return path
    program = shutil.which("dot")
    if program is None:
        raise RuntimeError(
            "plot_model needs Graphviz: install the program dot, or give to_file the suffix .dot. "
            "Received: no dot on the PATH"
        )
    arguments = [program, f"-T{path.suffix[1:] or 'png'}", f"-Gdpi={dpi}", "-o", str(path)]
    subprocess.run(arguments, input=text, text=True, check=True)
    return path
