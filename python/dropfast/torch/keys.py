"""Layer 7: places in the random stream by PyTorch's default generator, as numbers and tensors."""

from __future__ import annotations

import threading
from typing import Any

import torch

from dropfast import _core

_HIGH = 2**63 - 1
_WRAP = 2**64


class _Drawn(threading.local):
    """A number that a thread draws into, and its memory: a new tensor would take 2 µs."""

    def __init__(self) -> None:
        with torch.inference_mode(False):
            number = torch.zeros(1, dtype=torch.int64, device="cpu")
        self.draw = number.random_
        self.memory = memoryview(number.numpy())


_drawn = _Drawn()


def draw() -> int:
    """The seed of a key: the default generator moves on by one number."""
    _drawn.draw(0, _HIGH)
    number: int = _drawn.memory[0]
    return number


def draw_tensor() -> torch.Tensor:
    """As `draw`, the same number, as an operation that graphs and transforms see."""
    return torch.randint(0, _HIGH, (), dtype=torch.int64, device="cpu")


def as_tensor(key: _core.Key | int) -> torch.Tensor:
    """A key as an operator takes it: a number, or seed, stream and step in two's complement."""
    if isinstance(key, int):
        return torch.tensor(key, dtype=torch.int64, device="cpu")
    return torch.tensor(numbers(key), dtype=torch.int64, device="cpu")


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator,unused-ignore]
def numbers(key: _core.Key) -> list[int]:
    """Seed, stream and step as signed numbers of 64 bits."""
    return [signed(number) for number in (key.seed, key.stream, key.step)]


def signed(number: int) -> int:
    """The number of 64 bits that has the same bits and a sign."""
    return number - _WRAP if number > _HIGH else number


def of_tensor(key: torch.Tensor) -> _core.Key | int:
    """What `as_tensor` was given."""
    found: Any = key.tolist()
    return found if isinstance(found, int) else _core.Key(*(number % _WRAP for number in found))


def apart(seed: int, stream: int) -> tuple[int, int]:
    """Seed and stream of this process: ranks, and workers of a data loader, draw apart."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        stream = (stream + (torch.distributed.get_rank() << 32)) % _WRAP
    worker = torch.utils.data.get_worker_info()
    if worker is not None:
        # It differs for every worker and every pass over the data.
        seed = (seed + worker.seed) % _WRAP
    return seed, stream


def place(seed: int, stream: int) -> torch.Tensor:
    """Seed and stream of this process, for a graph."""
    return torch.tensor(_place(seed, stream), dtype=torch.int64, device="cpu")


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator,unused-ignore]
def _place(seed: int, stream: int) -> list[int]:
    return [signed(number) for number in apart(seed, stream)]
