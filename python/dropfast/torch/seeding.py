"""Layer 7: modules with a place of their own in the random stream, counted call by call."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch

from dropfast._core import Key
from dropfast.torch import keys


class Seeded:
    """Where the masks of a module come from.

    Without a seed of its own a module draws a key from PyTorch's default generator in each
    training call, so `torch.manual_seed`, `torch.random.fork_rng` and activation checkpointing
    work as they do with PyTorch's own dropout. With one, mask number `step` is drawn at
    ``Key(seed, stream, step)``, and `step` moves on by one: reproducible whatever else draws.

    These three are plain attributes, not part of `state_dict`, which stays that of PyTorch's
    modules; to resume a run with seeds, set `step`. They are copied and pickled with the module.
    """

    # What modules have that became ours without a seed.
    seed: int | None = None
    stream: int = 0
    _masks: torch.Tensor | None = None

    def seed_with(self, seed: int | None, stream: int = 0) -> None:
        """Set seed and stream, and start counting masks anew.

        Raises
        ------
        ValueError
            If one is outside [0, 2**64).
        """
        Key(0 if seed is None else seed, stream)
        self.seed, self.stream = seed, stream
        # A tensor, so that a compiled graph can count on; its memory is read without PyTorch.
        self._masks = None if seed is None else torch.zeros(1, dtype=torch.int64, device="cpu")

    @property
    def step(self) -> int:
        """Number of masks so far, where there is a seed."""
        return 0 if self._masks is None else int(self._masks.numpy()[0])

    @step.setter
    def step(self, step: int) -> None:
        if self._masks is not None:
            self._masks.numpy()[0] = step

    def key(self) -> Any:
        """Where the next mask is drawn: a key, in a graph a tensor, without a seed None."""
        if self.seed is None or self._masks is None:
            return None
        if torch.compiler.is_compiling():
            return torch.cat([keys.place(self.seed, self.stream), self._masks])
        if torch._C._current_graph_task_id() != -1:
            raise RuntimeError(
                "a module with a seed can't be called while gradients are computed, as activation "
                "checkpointing does: the call would count as a step, with another mask. Leave the "
                f"seed out there. Received: {self!r}"
            )
        seed, stream = keys.apart(self.seed, self.stream)
        return Key(seed, stream, self.step)

    def count(self) -> None:
        """One more mask was drawn."""
        if self._masks is not None:
            if torch.compiler.is_compiling():
                self._masks.add_(1)
            else:
                self._masks.numpy()[0] += 1


class _Current(threading.local):
    module: Seeded | None = None


_current = _Current()


@contextlib.contextmanager
def drawing_for(module: Seeded) -> Iterator[None]:
    """Dropout in here that is a number draws at the places of `module`."""
    before = _current.module
    _current.module = module
    try:
        yield
    finally:
        _current.module = before


def current() -> Seeded | None:
    """The module whose forward pass this thread is in."""
    return _current.module
