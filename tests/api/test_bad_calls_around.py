"""Bad calls of files and data sets: refused by name, with what was expected."""

from __future__ import annotations

import pytest
from bad_calls import JUNK, answer, rows
from bad_calls_around import DATA_SETS, FILES

pytestmark = pytest.mark.filterwarnings("ignore")
CALLS = [*FILES, *DATA_SETS]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0].__name__)
def test_each_is_answered(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = []
    for function, arguments, name, junk, text, _ in rows([call]):
        found = answer(function, arguments, name, JUNK[junk], text)
        # A name that nothing has is no bad value.
        if found and not found.startswith(f"FileNotFoundError: {name} must exist"):
            wrong.append(f"{name}={junk}: {found}")
    assert not wrong
    assert not list(tmp_path.iterdir())
