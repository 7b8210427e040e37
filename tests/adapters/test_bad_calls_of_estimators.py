"""Bad calls of the estimators: refused by name, by scikit-learn's checks or our own."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn")

from bad_calls import JUNK, answer, mutated, rows
from bad_calls_around import estimators

CALLS = estimators()
pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_table_is_long():
    assert sum(1 for _ in rows(CALLS)) > 1000


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0].__name__)
def test_each_is_answered(call):
    wrong = []
    for function, arguments, name, junk, _, _ in rows([call]):
        found = answer(function, arguments, name, JUNK[junk])
        # Messages about data are scikit-learn's, which speak of arrays and samples.
        if found and not (name in ("X", "y", "sample_weight") and found.startswith("doesn't")):
            wrong.append(f"{name}={junk}: {found}")
    assert not wrong


def test_mutated_calls_are_answered(capsys):
    count = 400
    parameters = [call for call in CALLS if "alpha" in call[2]]
    wrong = [
        (name, value, found)
        for function, arguments, name, value, _ in mutated(count, 5, parameters)
        if (found := answer(function, arguments, name, value))
    ]
    score = 1 - len(wrong) / count
    with capsys.disabled():
        print(f"\nbad calls of estimators drawn at random: {score:.1%} of {count} answered well")
    assert score >= 0.95, wrong[:20]
