"""How many threads there are: the machine's, the environment's, a block's, other tools'."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

import dropfast as df

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def python(program: str, *options: str, **variables: str) -> tuple[str, str]:
    """What a program prints to stdout and stderr, without the thread variables of the caller."""
    names = ("DROPFAST_NUM_THREADS", "OMP_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    run = subprocess.run(
        [sys.executable, *options, "-c", program],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.strip(), run.stderr


THREADS = "import dropfast as df; print(df.get_num_threads())"


@pytest.mark.parametrize("bad", ["", "  ", "many", "0", "-3", "257", "1.5", "99999999999999999999"])
def test_a_bad_variable_costs_no_import(bad):
    default = python(THREADS)[0]
    out, error = python(THREADS, DROPFAST_NUM_THREADS=bad)
    assert out == default
    message = "DROPFAST_NUM_THREADS must be an integer in [1, 256]; the default"
    assert (message in error) == bool(bad.strip())
    assert not bad.strip() or f'Received: "{bad}"' in error
    # Not even where warnings are errors.
    assert python(THREADS, "-Werror", DROPFAST_NUM_THREADS=bad)[0] == default
    out, error = python(THREADS, OMP_NUM_THREADS=bad)
    assert (out, error) == (default, "")


def test_our_variable_comes_before_openmps_which_only_lowers():
    assert python(THREADS, DROPFAST_NUM_THREADS=" 3 ", OMP_NUM_THREADS="1")[0] == "3"
    for text, expected in {"1": 1, "1,4": 1, "200": CORES, "0": CORES}.items():
        assert int(python(THREADS, OMP_NUM_THREADS=text)[0]) <= expected
    assert python(THREADS, OMP_NUM_THREADS="1")[0] == "1"
    assert python(THREADS, OMP_NUM_THREADS="1", DROPFAST_NUM_THREADS="")[0] == "1"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_affinity_is_the_default():
    first = min(os.sched_getaffinity(0))
    assert python(f"import os; os.sched_setaffinity(0, [{first}]); {THREADS}")[0] == "1"


def test_a_limit_holds_in_its_block_and_its_thread():
    before = df.get_num_threads()
    df.set_num_threads(5)
    try:
        seen = []
        with df.thread_limit(3):
            with df.thread_limit(4):
                assert df.get_num_threads() == 3
            with df.thread_limit(1):
                thread = threading.Thread(target=lambda: seen.append(df.get_num_threads()))
                thread.start()
                thread.join()
                assert df.get_num_threads() == 1
            assert df.get_num_threads() == 3
        assert (df.get_num_threads(), seen) == (5, [5])
        with pytest.raises(ZeroDivisionError), df.thread_limit(2):
            raise ZeroDivisionError
        assert df.get_num_threads() == 5
        assert df.thread_limit(2)(df.get_num_threads)() == 2
    finally:
        df.set_num_threads(before)


@pytest.mark.parametrize("n", [0, -1, 257, 2**70])
def test_limits_out_of_range_are_named(n):
    with pytest.raises((ValueError, OverflowError), match=r"n must be in \[1, 256\]"):
        df.thread_limit(n)
    with pytest.raises(TypeError, match="n must be an integer"):
        df.thread_limit(1.5)


SEES = """
info = [entry for entry in threadpoolctl.threadpool_info() if entry["user_api"] == "dropfast"]
assert len(info) == 1, info
assert info[0]["num_threads"] == df.get_num_threads()
assert info[0]["version"] == df.__version__
df.set_num_threads(3)
with threadpoolctl.threadpool_limits(1):
    assert df.get_num_threads() == 1
assert df.get_num_threads() == 3
with threadpoolctl.threadpool_limits(2, user_api="dropfast"):
    assert df.get_num_threads() == 2
with df.thread_limit(1), threadpoolctl.threadpool_limits(2):
    assert df.get_num_threads() == 1
assert df.get_num_threads() == 3
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import dropfast as df, threadpoolctl; df.get_num_threads()",
        "import threadpoolctl, dropfast as df; df.get_num_threads()",
        "import dropfast as df; df.get_num_threads(); import sklearn, threadpoolctl",
    ],
)
def test_threadpoolctl_sees_and_limits_us(imports):
    pytest.importorskip("threadpoolctl")
    python(imports + SEES)


def test_threadpoolctl_is_not_imported_and_its_absence_is_no_error():
    out, error = python(
        "import dropfast as df, sys; df.get_num_threads(); print('threadpoolctl' in sys.modules)"
    )
    assert (out, error) == ("False", "")
    hidden = "import sys; sys.path[:] = []; sys.path_importer_cache.clear()"
    attempt = "\ntry:\n import threadpoolctl\nexcept ImportError:\n print('absent')"
    assert python(f"import dropfast; {hidden}{attempt}")[0] == "absent"


def test_workers_of_joblib_take_one_thread_each():
    joblib = pytest.importorskip("joblib")
    threads = joblib.delayed(df.get_num_threads)
    variables = {name: os.environ.pop(name, None) for name in ("DROPFAST_NUM_THREADS",)}
    try:
        with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
            assert joblib.Parallel()([threads(), threads()]) == [1, 1]
    finally:
        os.environ.update({name: value for name, value in variables.items() if value is not None})
