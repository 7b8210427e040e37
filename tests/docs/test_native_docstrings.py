"""The examples in the native module's docstrings, which pytest does not collect by itself."""

from __future__ import annotations

import doctest

import pytest

from dropfast import _core

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def native_objects():
    """Functions, classes and their methods of the native module that have an example."""
    for name, thing in vars(_core).items():
        members = vars(thing).items() if isinstance(thing, type) else ()
        for label, item in [(name, thing), *((f"{name}.{key}", value) for key, value in members)]:
            text = getattr(item, "__doc__", None)
            if isinstance(text, str) and ">>>" in text:
                yield pytest.param(label, text, id=label)


@pytest.mark.parametrize(("name", "text"), list(native_objects()))
def test_example_runs(name, text, capsys):
    test = doctest.DocTestParser().get_doctest(text, {}, name, "_core", 0)
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test)
    assert result.failed == 0, capsys.readouterr().out
