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
        try:
            found = answer(function, arguments, name, JUNK[junk], text)
        except FileNotFoundError as error:
            found = "" if name in str(error) else str(error)
        if found:
            wrong.append(f"{name}={junk}: {found}")
    assert not wrong
    assert not list(tmp_path.iterdir())
