"""The engines themselves: MPI, dask, Ray, joblib. `make test-distributed` installs them."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import scale_workers as workers

import dropfast as df
from dropfast import distributed

ROOT = pathlib.Path(__file__).parents[2]
HELPERS = ROOT / "tests" / "helpers"
mpirun = shutil.which("mpirun")


def environment():
    path = os.pathsep.join([str(ROOT / "python"), str(HELPERS)])
    return {**os.environ, "PYTHONPATH": path, "OMPI_MCA_btl_vader_single_copy_mechanism": "none"}


def under_mpi(size, *arguments):
    """Lines that processes print, sorted, and the exit code."""
    pytest.importorskip("mpi4py")
    if mpirun is None:
        pytest.skip("mpirun is not installed (Debian: openmpi-bin)")
    script = [sys.executable, str(HELPERS / "scale_workers.py"), *map(str, arguments)]
    command = [mpirun, "--allow-run-as-root", "--oversubscribe", "-n", str(size), *script]
    found = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    return sorted(line for line in found.stdout.splitlines() if line.startswith("rank")), found


def test_mpi_files_are_equal_for_any_number_of_processes(tmp_path):
    x, y = workers.data()
    alone = workers.model()
    alone.fit(x, y, batch_size=32, epochs=3, verbose=0)
    alone.save(tmp_path / "alone")
    hashes = set()
    for size in (1, 2, 3, 4):
        lines, found = under_mpi(size, "train", tmp_path)
        assert len(lines) == size, found.stderr
        hashes |= {line.split(": ")[1] for line in lines}
    import hashlib

    assert hashes == {hashlib.sha256((tmp_path / "alone").read_bytes()).hexdigest()}


def test_mpi_an_error_of_one_is_told_to_all(tmp_path):
    lines, found = under_mpi(3, "fail", "raise", tmp_path)
    assert lines == [
        "rank 0: WorkersError: rank 2: RuntimeError: no more",
        "rank 1: WorkersError: rank 2: RuntimeError: no more",
        "rank 2: RuntimeError: no more",
    ], found.stderr


def test_mpi_a_process_that_ends_ends_the_run(tmp_path):
    lines, found = under_mpi(3, "fail", "end", tmp_path)
    assert found.returncode
    assert not any("no error" in line for line in lines)
    assert df.load_model(tmp_path / "last.dropfast").epochs_done == 1


def test_mpi_different_data_are_named(tmp_path):
    lines, _ = under_mpi(2, "differ", "x")
    assert all("processes must have the same x" in line for line in lines)
    assert len(lines) == 2


@pytest.fixture(scope="module")
def cluster():
    dd = pytest.importorskip("distributed")
    with (
        dd.LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as local,
        dd.Client(local) as client,
    ):
        client.run(sys.path.insert, 0, str(HELPERS))
        yield client


def trained():
    x, y = workers.data()
    made = workers.model(1)
    made.fit(x, y, epochs=1, verbose=0)
    return made


def test_dask_blocks_equal_one_call(cluster):
    da = pytest.importorskip("dask.array")
    model, (x, _) = trained(), workers.data()
    for chunks in ((40, 6), ((1, 70, 79), (2, 4))):
        rows = da.from_array(x, chunks=chunks)
        assert np.array_equal(distributed.predict(model, rows).compute(), model.predict(x))
        for more in ({}, {"consistent": True}, {"key": df.Key(5)}):
            found = distributed.predict_mc(model, rows, samples=6, **more)
            whole = model.predict_mc(x, samples=6, **more)
            assert np.array_equal(found.mean.compute(), whole.mean)
            assert np.array_equal(found.std.compute(), whole.std)


def test_dask_frames(cluster):
    dd = pytest.importorskip("dask.dataframe")
    pd = pytest.importorskip("pandas")
    model, (x, _) = trained(), workers.data()
    frame = dd.from_pandas(pd.DataFrame(x), npartitions=4)
    assert np.array_equal(distributed.predict(model, frame).compute(), model.predict(x))
    found = distributed.predict_mc(model, frame, samples=4)
    assert np.array_equal(found.std.compute(), model.predict_mc(x, samples=4).std)


def test_dask_bad_inputs_are_named():
    da = pytest.importorskip("dask.array")
    model, (x, _) = trained(), workers.data()
    rows = da.from_array(x, chunks=(40, 6))
    unknown = rows[rows[:, 0] > 0]
    with pytest.raises(ValueError, match="x must have known chunks"):
        distributed.predict_mc(model, unknown)
    assert len(distributed.predict(model, unknown).compute()) == (x[:, 0] > 0).sum()
    with pytest.raises(ValueError, match="x must be a dask array or frame"):
        distributed.predict(model, x)
    with pytest.raises(ValueError, match="settings must be"):
        distributed.predict_mc(model, rows, quantiles=[0.5])


GRID = {"rate": [0.1, 0.5], "units": [8, 16]}


def alone(settings, seed):
    return workers.score(**settings, seed=seed)[0]


def check(trials):
    assert [dict(trial.settings) for trial in trials] == distributed.sweeping._points(GRID)
    assert len({trial.seed for trial in trials}) == 4
    for trial in trials:
        assert trial.result[0] == alone(trial.settings, trial.seed)


def test_sweeps_on_joblib(tmp_path):
    pytest.importorskip("joblib")
    done = []
    trials = distributed.sweep(
        workers.score, GRID, workers=2, progress=lambda *counts: done.append(counts)
    )
    check(trials)
    assert done == [(i, 4) for i in range(1, 5)]
    cores = distributed.sweeping._cores()
    assert {trial.result[1] for trial in trials} == {max(cores // 2, 1)}


def test_a_process_that_ended_is_repeated(tmp_path):
    pytest.importorskip("joblib")
    points = [{"folder": str(tmp_path), "rate": rate} for rate in (0.1, 0.5)]
    trials = distributed.sweep(workers.score_once_broken, points, workers=2, retries=3)
    assert [trial.result[0] for trial in trials] == [
        workers.score(trial.settings["rate"], 8, trial.seed)[0] for trial in trials
    ]


def test_a_point_that_fails_is_named():
    pytest.importorskip("joblib")
    with pytest.raises(distributed.WorkersError, match=r"'rate': 0\.1.* failed: ArithmeticError"):
        distributed.sweep(workers.broken, {"rate": [0.1]}, workers=1)
    with pytest.raises(ValueError, match="engine must be"):
        distributed.sweep(workers.broken, {"rate": [0.1]}, engine="spark")


def test_sweeps_on_dask(cluster):
    check(distributed.sweep(workers.score, GRID, engine="dask", client=cluster))


def test_searches_of_scikit_learn_on_dask(cluster):
    joblib = pytest.importorskip("joblib")
    search = pytest.importorskip("sklearn.model_selection")
    from dropfast.sklearn import DropoutMLPClassifier

    x, y = workers.data()
    make = DropoutMLPClassifier(random_state=0, max_iter=3, early_stopping=False)
    grid = {"dropout": [0.1, 0.5]}
    scores = []
    for backend in ("dask", "sequential"):
        with joblib.parallel_config(backend):
            found = search.GridSearchCV(make, grid, cv=2).fit(x, y)
        scores.append(found.cv_results_["mean_test_score"])
    assert np.array_equal(*scores)


def test_sweeps_on_ray():
    ray = pytest.importorskip("ray")
    environment_ = {"env_vars": {"PYTHONPATH": environment()["PYTHONPATH"]}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=environment_)
    try:
        check(distributed.sweep(workers.score, GRID, engine="ray"))
    finally:
        ray.shutdown()


@pytest.mark.parametrize("name", ["mpi", "joblib", "dask", "ray"])
def test_examples_run(name):
    pytest.importorskip({"mpi": "mpi4py", "dask": "distributed"}.get(name, name))
    command = [sys.executable, str(ROOT / "examples" / f"scaling_{name}.py")]
    if name == "mpi":
        if mpirun is None:
            pytest.skip("mpirun is not installed (Debian: openmpi-bin)")
        command = [mpirun, "--allow-run-as-root", "--oversubscribe", "-n", "2", *command]
    found = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "False" not in found.stdout
