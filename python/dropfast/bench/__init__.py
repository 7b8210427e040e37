"""Layer 7: benchmarks that a stranger can repeat: ``python -m dropfast.bench``.

Every contender is checked to give the right result before it is timed, runs in a process of its
own with the same number of threads, and takes turns with the others, so that all see the same
machine. Figures are medians of rounds with their spread; limits (a copy, a loop of multiply-adds)
are measured in the same rounds.
"""

from dropfast.bench.record import Cell, Record
from dropfast.bench.rounds import run

__all__ = ["Cell", "Record", "run"]
