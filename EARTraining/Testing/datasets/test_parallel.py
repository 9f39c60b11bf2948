"""The same work in this process, in others, and on a dask cluster of separate processes."""

import hashlib
import operator
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from EARReconstructionLib.errors import EARError
from EARTrainingLib.datasets import parallel, preparation
from EARTrainingLib.datasets.parallel import WorkerLost, each
from EARTrainingLib.datasets.preparation import prepare
from EARTrainingLib.datasets.readers import read_sources
from EARTrainingLib.datasets.settings import PreparationSettings

PATIENCE_S = 60


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_once(jobs):
    assert sorted(each(operator.neg, range(7), jobs)) == list(range(-6, 1))


def test_nothing_to_do():
    assert list(each(operator.neg, [], 1)) == list(each(operator.neg, [], 2)) == []


def test_one_job_works_here_and_two_do_not():
    assert set(each(os.getpgid, [0, 0], 1)) == {os.getpgid(0)}
    assert list(each(os.getppid().__add__, [0], 1)) == [os.getppid()]


def test_a_process_that_dies():
    with pytest.raises(WorkerLost):
        list(each(os._exit, [3, 3], 2))


def test_leaving_early_stops_the_rest():
    results = each(time.sleep, [0.01, *[30.0] * 3], 2)
    begin = time.monotonic()
    next(results)
    results.close()
    assert time.monotonic() - begin < 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def cluster(tmp_path):
    """Starts a scheduler, and as many workers as are asked for, as processes of their own; returns the address."""
    started = []
    root = Path(__file__).resolve().parents[3]
    folders = os.pathsep.join(str(root / name) for name in ("EARReconstruction", "EARTraining"))
    environment = {**os.environ, "PYTHONPATH": folders, "OMP_NUM_THREADS": "1"}

    def run(*arguments, **settings):
        log = (tmp_path / f"log{len(started)}").open("w")
        command = [sys.executable, "-m", "dask", *arguments]
        started.append(subprocess.Popen(command, env={**environment, **settings}, cwd=tmp_path, stdout=log, stderr=log))

    def start(workers, **settings):
        port = free_port()
        address = f"tcp://127.0.0.1:{port}"
        run("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", **settings)
        for _ in range(workers):
            run("worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard", "--death-timeout", "60")
        return address

    yield start
    for process in started[::-1]:
        process.kill()
        process.wait(20)


def contents(folder):
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_cluster_of_two_workers_writes_the_same_data_set(cluster, trees, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # the workers run in another folder
    trees.verse(tmp_path / "verse", levels=("L1", "L2"))
    found = read_sources(["../verse"])
    settings = PreparationSettings(size=24, spacing_mm=3.0)
    prepare(found, settings, tmp_path / "here")
    address = cluster(2)

    def refused(*_):
        raise AssertionError("prepared in this process")

    monkeypatch.setattr(preparation, "prepare_scan", refused)
    monkeypatch.setattr(parallel, "PATIENCE_S", PATIENCE_S)
    told = []
    summary = prepare(found, settings, Path("../there"), scheduler=address, progress=lambda *x: told.append(x))
    assert summary.failed == 0
    assert [done for done, *_ in told] == [1, 2, 3]
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_a_worker_of_the_cluster_that_dies(cluster, monkeypatch):
    monkeypatch.setattr(parallel, "PATIENCE_S", PATIENCE_S)
    address = cluster(1, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    with pytest.raises(WorkerLost):
        list(each(os._exit, [3], 1, address))


def test_no_scheduler(monkeypatch):
    monkeypatch.setattr(parallel, "PATIENCE_S", 2)
    address = f"tcp://127.0.0.1:{free_port()}"
    for wrong in (address, "nonsense"):
        with pytest.raises(EARError, match=f"{wrong}: no dask scheduler answers there"):
            list(each(operator.neg, [1], 1, wrong))


def test_a_scheduler_without_workers(cluster, monkeypatch):
    address = cluster(0)
    deadline = time.monotonic() + PATIENCE_S
    host, port = address.removeprefix("tcp://").split(":")
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                break
        assert time.monotonic() < deadline
        time.sleep(0.1)
    monkeypatch.setattr(parallel, "PATIENCE_S", 2)
    with pytest.raises(EARError, match="it has no worker, even after 2 seconds"):
        list(each(operator.neg, [1], 1, address))
