"""Training in several processes of this machine: the same bits, and errors in every one."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import scale_workers as workers

import dropfast as df
from dropfast import distributed


def in_threads(function, size, *arguments, timeout=20.0):
    """What each of some threads returns, each with its communicator."""
    lines, found = distributed.Pipes.star(size, timeout), [None] * size

    def call(rank):
        found[rank] = function(lines[rank], *arguments)
        lines[rank].close()

    threads = [threading.Thread(target=call, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return found


@pytest.mark.parametrize("blocks", [4, 5, 8])
def test_files_are_equal_for_any_number_of_processes(blocks, tmp_path):
    found = [
        pair for size in (1, 2, 3, 4) for pair in in_threads(workers.train, size, tmp_path, blocks)
    ]
    assert len({digest for digest, _ in found}) == 1
    assert all(history == found[0][1] for _, history in found)


def test_memory_maps_are_read_by_blocks(tmp_path):
    np.save(tmp_path / "x.npy", workers.data()[0])
    [(plain, _)] = in_threads(workers.train, 1, tmp_path)
    for digest, _ in in_threads(workers.train, 3, tmp_path, 4, 3, True):
        assert digest == plain


def test_a_fit_without_processes_is_the_same():
    x, y = workers.data()
    alone, shared = workers.model(), workers.model()
    alone.fit(x, y, batch_size=32, epochs=2, verbose=0)
    [line] = distributed.Pipes.star(1)
    distributed.fit(shared, x, y, line, batch_size=32, epochs=2, verbose=0)
    assert all(map(np.array_equal, alone.get_weights(), shared.get_weights()))


def test_new_processes_train_to_the_same_file(tmp_path):
    [(whole, _)] = in_threads(workers.train, 1, tmp_path)
    [(digest, _), _] = distributed.run(workers.train, 2, str(tmp_path), timeout=60.0)
    assert digest == whole


def resume(comm, path):
    x, y = workers.data()
    made = df.load_model(path)
    distributed.fit(made, x, y, comm, batch_size=32, epochs=2, verbose=0)
    return made.get_weights()


def test_a_process_that_ends_stops_the_others_and_a_file_goes_on(tmp_path):
    with pytest.raises(distributed.WorkersError, match="rank 2: ended without a result"):
        distributed.run(workers.fail, 3, "end", str(tmp_path), timeout=60.0)
    x, y = workers.data()
    whole = workers.model()
    whole.fit(x, y, batch_size=32, epochs=3, verbose=0)
    assert df.load_model(tmp_path / "last.dropfast").epochs_done == 1
    for weights in in_threads(resume, 2, tmp_path / "last.dropfast"):
        assert all(map(np.array_equal, weights, whole.get_weights()))


def test_an_error_of_one_is_told_to_all(tmp_path):
    found = in_threads(workers.fail, 3, "raise", tmp_path)
    assert found[2] == "RuntimeError: no more"
    assert found[0] == found[1] == "WorkersError: rank 2: RuntimeError: no more"


@pytest.mark.parametrize("what", ["x", "rows", "weights"])
def test_processes_with_different_things_are_named(what):
    words = {"rows": "x"}.get(what, what)
    for text in in_threads(workers.differ, 3, what):
        assert text.startswith(f"WorkersError: processes must have the same {words}. Received: ")


def test_more_processes_than_blocks_are_refused_in_each():
    for text in in_threads(workers.differ, 3, "blocks"):
        assert text == (
            "ValueError: gradient_blocks must be at least the number of processes, 3. "
            "Received: gradient_blocks=2"
        )


def test_a_process_that_does_not_answer_is_given_up():
    def late(line):
        if line.rank == 1:
            return "silent"
        with pytest.raises(distributed.WorkersError, match=r"rank 1 has (not answered|ended)"):
            line.exchange(b"")
        return "given up"

    assert in_threads(late, 2, timeout=0.3) == ["given up", "silent"]


def test_results_of_calls_come_in_the_order_of_ranks():
    with pytest.raises(distributed.WorkersError, match="rank 0: TypeError"):
        distributed.run(workers.differ, 2)
