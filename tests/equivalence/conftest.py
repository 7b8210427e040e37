"""What the equivalence tests share: thread counts that are put back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from dropfast import _core


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run with that many threads, all of them in every batch; the reference has none."""
    before = _core.get_num_threads()
    _core.set_num_threads(request.param)
    _core.force_team_sizes("full")
    yield request.param
    _core.force_team_sizes("measured")
    _core.set_num_threads(before)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)
