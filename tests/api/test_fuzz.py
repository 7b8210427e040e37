"""A little of what `tests/helpers/fuzz.py` does for hours."""

from __future__ import annotations

import pytest
from cases import TIMES
from fuzz import Fuzz


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", Fuzz.TARGETS)
def test_spoiled_input_is_answered(target, tmp_path):
    fuzz = Fuzz(1, tmp_path)
    for _ in range(200 * TIMES):
        getattr(fuzz, target)()
