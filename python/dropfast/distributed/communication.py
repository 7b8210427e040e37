"""Layer 7: how processes exchange bytes: MPI, pipes between processes of one machine, errors."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dropfast.training.blocks import Communicator

# How long a process waits for the others, in seconds, where nothing else is said.
TIMEOUT = 300.0


class WorkersError(RuntimeError):
    """Another process raised, ended, doesn't answer, or holds something else than this one."""


class MPI:
    """The processes of an MPI communicator, by the buffers of mpi4py.

    Parameters
    ----------
    comm
        A communicator of mpi4py; None takes ``COMM_WORLD``.
    timeout
        Seconds after which a process that doesn't answer ends the run.

    Raises
    ------
    ImportError
        If mpi4py is not installed: ``pip install dropfast[mpi]``.
    """

    def __init__(self, comm: Any = None, timeout: float = TIMEOUT) -> None:
        from mpi4py import MPI as mpi

        self._comm, self._byte = mpi.COMM_WORLD if comm is None else comm, mpi.BYTE
        self.rank, self.size = int(self._comm.Get_rank()), int(self._comm.Get_size())
        self.timeout = timeout

    def exchange(self, data: bytes | memoryview) -> list[bytes]:
        """What each process gave, in the order of ranks."""
        lengths = np.zeros(self.size, np.int64)
        self._wait(self._comm.Iallgather(np.array([len(data)], np.int64), lengths))
        starts = np.concatenate([[0], np.cumsum(lengths)])
        room = np.empty(int(starts[-1]), np.uint8)
        where = (lengths.tolist(), starts[:-1].tolist())
        sent = np.frombuffer(data, np.uint8)
        self._wait(self._comm.Iallgatherv([sent, self._byte], [room, where, self._byte]))
        return [room[a:b].tobytes() for a, b in itertools.pairwise(starts)]

    def _wait(self, request: Any) -> None:
        end, spins = time.monotonic() + self.timeout, 0
        while not request.Test():
            spins += 1
            # Give the core to a process that shares it.
            time.sleep(0.0 if spins < 1000 else 5e-5)
            if time.monotonic() > end:
                raise WorkersError(
                    f"rank {self.rank} waited {self.timeout:g} s for the other processes"
                )


class Pipes:
    """Processes or threads of one machine, each joined to rank 0; `Pipes.star` makes them.

    Parameters
    ----------
    rank, size
        The number of this one, and how many there are.
    ends
        Connections: of rank 0 to all others, of others to rank 0.
    timeout
        As `MPI`.
    """

    def __init__(self, rank: int, size: int, ends: Sequence[Any], timeout: float = TIMEOUT) -> None:
        self.rank, self.size, self.timeout = rank, size, timeout
        self._ends = list(ends)

    @classmethod
    def star(cls, size: int, timeout: float = TIMEOUT) -> list[Pipes]:
        """One communicator for each of some processes, to be handed to them.

        Examples
        --------
        >>> from dropfast.distributed import Pipes
        >>> [alone] = Pipes.star(1)
        >>> alone.exchange(b"data")
        [b'data']
        """
        pairs = [multiprocessing.Pipe() for _ in range(size - 1)]
        others = [cls(i + 1, size, [end], timeout) for i, (_, end) in enumerate(pairs)]
        return [cls(0, size, [end for end, _ in pairs], timeout), *others]

    def exchange(self, data: bytes | memoryview) -> list[bytes]:
        """What each process gave, in the order of ranks."""
        if self.rank:
            return self._through_first(bytes(data))
        frames = [bytes(data)]
        try:
            for rank, end in enumerate(self._ends, 1):
                frames.append(self._receive(end, rank))
        except WorkersError as error:
            for end in self._ends:
                with contextlib.suppress(OSError):
                    end.send(str(error))
            raise
        for rank, end in enumerate(self._ends, 1):
            self._send(end, frames, rank)
        return frames

    def _through_first(self, data: bytes) -> list[bytes]:
        self._send(self._ends[0], data, 0)
        found = self._receive(self._ends[0], 0)
        if isinstance(found, str):
            raise WorkersError(found)
        return list(found)

    def _send(self, end: Any, data: Any, rank: int) -> None:
        try:
            end.send(data)
        except OSError as error:
            raise WorkersError(f"rank {rank} has ended") from error

    def _receive(self, end: Any, rank: int) -> Any:
        try:
            if not end.poll(self.timeout):
                raise WorkersError(f"rank {rank} has not answered for {self.timeout:g} s")
            return end.recv()
        except (EOFError, OSError) as error:
            raise WorkersError(f"rank {rank} has ended") from error

    def close(self) -> None:
        """Let the others know that this one has ended."""
        for end in self._ends:
            end.close()


class Line:
    """A communicator on which a process that fails can say so, and every other raises.

    Parameters
    ----------
    comm
        Who exchanges.
    """

    def __init__(self, comm: Communicator) -> None:
        self.comm, self.rank, self.size = comm, comm.rank, comm.size

    def exchange(self, data: bytes | memoryview) -> list[Any]:
        """What each process gave; a WorkersError where one of them failed."""
        # The mark comes last, so that numbers stay aligned.
        frames = self.comm.exchange(bytes(data) + b"\0")
        failed = [
            f"rank {rank}: {frame[:-1].decode()}"
            for rank, frame in enumerate(frames)
            if frame[-1:] == b"\1"
        ]
        if failed:
            raise WorkersError("; ".join(failed))
        return [memoryview(frame)[:-1] for frame in frames]

    def fail(self, error: BaseException) -> None:
        """Tell the others, who wait for this one's part of an exchange."""
        text = f"{type(error).__name__}: {error}"
        with contextlib.suppress(WorkersError):
            self.comm.exchange(text.encode(errors="replace") + b"\1")


def run(
    function: Callable[..., Any], workers: int, *arguments: Any, timeout: float = TIMEOUT
) -> list[Any]:
    """Call a function in some new processes of this machine, each with its communicator.

    Parameters
    ----------
    function
        Called with a communicator and the arguments; a module's own, so that processes find it.
    workers
        How many processes.
    *arguments
        Handed to each.
    timeout
        Seconds after which a process that doesn't answer the others ends the run.

    Returns
    -------
    list
        What each call returned, in the order of ranks.

    Raises
    ------
    WorkersError
        If one of them raises or ends.
    """
    context = multiprocessing.get_context("spawn")
    lines = Pipes.star(workers, timeout)
    results = [context.Pipe(duplex=False) for _ in lines]
    started = []
    for line, (_, end) in zip(lines, results, strict=True):
        process = context.Process(target=_call, args=(function, line, end, arguments))
        process.start()
        started.append(process)
        # What only the process holds closes when it ends, however it does.
        end.close()
        line.close()
    found: list[Any] = []
    failed: list[str] = []
    for rank, (end, _) in enumerate(results):
        try:
            good, value = end.recv()
        except EOFError:
            good, value = False, "ended without a result"
        (found if good else failed).append(value if good else f"rank {rank}: {value}")
    for process in started:
        process.join()
    if failed:
        raise WorkersError("; ".join(failed))
    return found


def _call(function: Callable[..., Any], line: Pipes, end: Any, arguments: Sequence[Any]) -> None:
    """What a process of `run` does."""
    try:
        end.send((True, function(line, *arguments)))
    except BaseException as error:
        end.send((False, f"{type(error).__name__}: {error}"))
    finally:
        line.close()
        end.close()
