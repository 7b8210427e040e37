"""Layer 6: a batch in blocks of rows, whose sums are added in one fixed binary tree.

Borders and tree depend on the number of rows and blocks alone. So a sum has the same bits whoever
computes which of its parts; several processes each own whole subtrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dropfast.arrays import Array

# Blocks from the first to before the last: a node of the tree.
Node = tuple[int, int]
# What is summed: some arrays. None stands for blocks without rows.
Parts = list[Array]


class Communicator(Protocol):
    """How the processes of a training exchange bytes.

    Attributes
    ----------
    rank, size
        The number of this process, from 0, and how many there are.
    """

    rank: int
    size: int

    def exchange(self, data: bytes | memoryview) -> list[bytes]:
        """What each process gave, in the order of ranks; every process calls it as often."""


def borders(rows: int, blocks: int) -> list[int]:
    """Where blocks begin, and where the last one ends.

    Examples
    --------
    >>> borders(10, 4)
    [0, 2, 5, 7, 10]
    """
    return [block * rows // blocks for block in range(blocks + 1)]


def middle(node: Node) -> int:
    """Where the second half of a node begins."""
    return (node[0] + node[1] + 1) // 2


def subtrees(blocks: int, first: int, last: int) -> list[Node]:
    """The fewest nodes that have the blocks from the first to before the last.

    Examples
    --------
    >>> subtrees(8, 2, 7)
    [(2, 4), (4, 6), (6, 7)]
    """

    def cut(node: Node) -> list[Node]:
        if node[1] <= first or last <= node[0]:
            return []
        if first <= node[0] and node[1] <= last:
            return [node]
        return cut((node[0], middle(node))) + cut((middle(node), node[1]))

    return cut((0, blocks)) if first < last else []


def add(a: Parts | None, b: Parts | None) -> Parts | None:
    """The sum of two nodes."""
    if a is None or b is None:
        return b if a is None else a
    return [x + y for x, y in zip(a, b, strict=True)]


def total(node: Node, known: Mapping[Node, Parts | None]) -> Parts | None:
    """The sum of a node, from those that are known below it."""
    if node in known:
        return known[node]
    half = middle(node)
    return add(total((node[0], half), known), total((half, node[1]), known))


class Share:
    """The blocks of one process, and how its sums meet those of the others.

    Parameters
    ----------
    blocks
        How many blocks a batch has.
    comm
        The other processes; None for none.
    """

    def __init__(self, blocks: int, comm: Communicator | None = None) -> None:
        self.blocks, self.comm = blocks, comm
        self.size = 1 if comm is None else comm.size
        self.rank = 0 if comm is None else comm.rank

    def own(self, rank: int | None = None) -> range:
        """The blocks of a process."""
        rank = self.rank if rank is None else rank
        return range(rank * self.blocks // self.size, (rank + 1) * self.blocks // self.size)

    def sum(self, parts: Mapping[int, Parts], rows: int, like: Sequence[Array]) -> Parts:
        """The sum over all blocks of a batch, of which this process has some.

        Parameters
        ----------
        parts
            What each of its blocks that has rows gives.
        rows
            Rows of the batch.
        like
            Arrays of the shapes and types of the parts.
        """
        own = self.own()
        leaves: dict[Node, Parts | None] = {(b, b + 1): parts.get(b) for b in own}
        nodes = subtrees(self.blocks, own.start, own.stop)
        known = {node: total(node, leaves) for node in nodes}
        if self.comm is not None and self.size > 1:
            sent = [part for node in nodes for part in known[node] or ()]
            data = b"".join(np.ascontiguousarray(part).tobytes() for part in sent)
            for rank, received in enumerate(self.comm.exchange(data)):
                if rank != self.rank:
                    known |= self._read(received, rank, rows, like)
        found = total((0, self.blocks), known)
        assert found is not None
        return found

    def _read(
        self, data: bytes, rank: int, rows: int, like: Sequence[Array]
    ) -> dict[Node, Parts | None]:
        """The nodes that another process sent."""
        ends, own, at = borders(rows, self.blocks), self.own(rank), 0
        found: dict[Node, Parts | None] = {}
        for node in subtrees(self.blocks, own.start, own.stop):
            if ends[node[0]] == ends[node[1]]:
                found[node] = None
                continue
            parts = []
            for one in like:
                part = np.frombuffer(data, one.dtype, one.size, at).reshape(one.shape)
                parts.append(part)
                at += one.nbytes
            found[node] = parts
        return found

    def gather(self, part: Array | None, rows: int, like: Array) -> Array:
        """Rows of a batch that the processes have, in order; `like` is one row."""
        if self.comm is None or self.size == 1:
            assert part is not None
            return part
        data = b"" if part is None else np.ascontiguousarray(part).tobytes()
        joined = b"".join(self.comm.exchange(data))
        found: Array = np.frombuffer(joined, like.dtype).reshape(rows, *like.shape).copy()
        return found


def passages_of(template: Sequence[Any], first_row: int) -> list[Any]:
    """Passages of a block as those of the batch, with rows from `first_row` on."""
    from dataclasses import replace

    return [replace(one, first_row=first_row, gradients={}, saved=None) for one in template]
