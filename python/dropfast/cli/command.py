"""Layer 7: arguments of ``python -m dropfast``, and what is said when something is wrong."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dropfast.cli import training, using

Subparsers = Any  # argparse's own type is private


def parser() -> argparse.ArgumentParser:
    """The arguments, a parser for each command."""
    made = argparse.ArgumentParser(
        prog="python -m dropfast",
        description="Train a network with dropout on a table, predict with it, look at it.",
    )
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    commands.add_parser("info", help="versions, instruction set, threads, optional libraries")
    commands.add_parser("bench", help="benchmarks beside other libraries (bench --help)")
    _train(commands)
    _predict(commands)
    summary = commands.add_parser("summary", help="layers and parameters of a model file")
    summary.add_argument("model", type=Path)
    export = commands.add_parser("export", help="weights or description of a model file")
    export.add_argument("model", type=Path)
    export.add_argument(
        "--out",
        type=Path,
        required=True,
        help="weights as .npz or .safetensors, the description of the layers as .json",
    )
    export.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    return made


def _train(commands: Subparsers) -> None:
    train = commands.add_parser(
        "train",
        help="train a network on a CSV or .npz file",
        description="Train a network on the numeric columns of a CSV file, or on x and y of an "
        ".npz file. Inputs are standardised; a share of the rows is held out for validation.",
    )
    train.add_argument("data", type=Path, help="CSV with a header (.tsv: tabs), or .npz")
    train.add_argument("--target", required=True, help="column to predict; in an .npz, the array")
    train.add_argument("--out", type=Path, required=True, help="model file, .safetensors")
    train.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    train.add_argument("--task", choices=("auto", "classification", "regression"), default="auto")
    train.add_argument(
        "--drop", action="append", default=[], metavar="COLUMN", help="leave a column out"
    )
    train.add_argument("--hidden", type=_sizes, default=(256, 256), metavar="N,N", help="256,256")
    train.add_argument("--rate", type=_rate, default=0.2, help="drop rate of hidden units (0.2)")
    train.add_argument("--input-rate", type=_rate, default=0.0, help="drop rate of inputs (0)")
    train.add_argument("--epochs", type=_count, default=30, help="30")
    train.add_argument("--batch-size", type=_count, default=64, help="64")
    train.add_argument("--learning-rate", type=_positive, default=1e-3, help="of Adam (0.001)")
    train.add_argument("--validation", type=_share, default=0.1, help="share held out (0.1)")
    train.add_argument("--seed", type=_seed, default=0, help="0")
    train.add_argument("--no-header", action="store_true", help="columns are named 0, 1, 2 …")
    train.add_argument("--quiet", action="store_true", help="no progress")


def _predict(commands: Subparsers) -> None:
    predict = commands.add_parser("predict", help="predictions for the rows of a CSV or .npz file")
    predict.add_argument("model", type=Path)
    predict.add_argument("data", type=Path, help="columns are found by name; others are ignored")
    predict.add_argument("--out", type=Path, help="CSV to write; else standard output")
    predict.add_argument("--overwrite", action="store_true", help="replace --out if it exists")
    predict.add_argument(
        "--samples",
        type=_count,
        help="Monte Carlo dropout: means over so many masks, and how much they differ",
    )
    predict.add_argument("--no-header", action="store_true", help="columns are named 0, 1, 2 …")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status.

    Parameters
    ----------
    arguments
        As in a shell, without the program; None takes those of the process.

    Examples
    --------
    >>> from dropfast.cli import main
    >>> main(["info"])
    dropfast ...
    0
    """
    told = list(sys.argv[1:] if arguments is None else arguments)
    if told[:1] == ["bench"]:
        from dropfast.bench.command import main as bench

        return bench(told[1:])
    given = parser().parse_args(told)
    run: Callable[[argparse.Namespace], int] = {
        "info": using.info,
        "train": training.train,
        "predict": using.predict,
        "summary": using.summary,
        "export": using.export,
    }[given.command]
    try:
        return run(given)
    except BrokenPipeError:  # as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (ArithmeticError, MemoryError, OSError, TypeError, ValueError) as error:
        print(f"python -m dropfast {given.command}: {_message(error)}", file=sys.stderr)
        return 1


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.strerror}: {error.filename}"
    return str(error) or type(error).__name__


def _number(text: str, kind: type[float], fits: Callable[[Any], bool], what: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise argparse.ArgumentTypeError(f"must be {what}. Received: {text}")
    return value


def _count(text: str) -> int:
    count: int = _number(text, int, lambda n: n >= 1, "a whole number >= 1")
    return count


def _seed(text: str) -> int:
    seed: int = _number(text, int, lambda n: 0 <= n < 2**64, "in [0, 2**64)")
    return seed


def _rate(text: str) -> float:
    rate: float = _number(text, float, lambda p: 0 <= p < 1, "in [0, 1)")
    return rate


def _share(text: str) -> float:
    share: float = _number(text, float, lambda p: 0 <= p < 1, "in [0, 1)")
    return share


def _positive(text: str) -> float:
    value: float = _number(text, float, lambda v: 0 < v < float("inf"), "a number > 0")
    return value


def _sizes(text: str) -> tuple[int, ...]:
    """Sizes of hidden layers; an empty text is a linear model."""
    return tuple(_count(part.strip()) for part in text.split(",")) if text.strip() else ()
