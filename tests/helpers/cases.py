"""How many cases property tests draw: a hundredfold in `make soak`."""

import os

from hypothesis import settings

TIMES = int(os.environ.get("DROPFAST_SOAK", "1"))


def cases(count):
    """Settings of a property test; time is no error on a busy machine."""
    return settings(max_examples=count * TIMES, deadline=None)
