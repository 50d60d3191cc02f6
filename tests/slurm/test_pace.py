"""How often the controller is asked: by time, not by the number of tasks or of those who look."""

from __future__ import annotations

import time
from itertools import pairwise
from threading import Thread

import pytest
from submitting import submit
from toy_project import Toy, wait_for

from soundgate import runs
from soundgate.executors import pace as pace_module
from soundgate.executors.base import Submission, initial_tasks
from soundgate.executors.pace import Pace
from soundgate.executors.slurm.executor import SlurmExecutor
from soundgate.pipeline import Pipeline, Resources
from soundgate.step import OutputPath  # noqa: TC001 - interfaces are read from annotations


def questions(monkeypatch, hours: float, every_s: float) -> list[float]:
    """When was asked in a run in which something happens ``every_s``; looked at twice a second."""
    now = [0.0]
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(pace_module.random, "uniform", lambda *_: 1.0)
    pace, asked_at, happens = Pace(60.0), [], every_s
    while now[0] < hours * 3600:
        asked = pace.is_due()
        asked_at += [now[0]] if asked else []
        happened = now[0] >= happens
        happens += every_s if happened else 0
        pace.went_on(asked=asked, happened=happened)
        now[0] += 0.5
    return asked_at


def test_a_busy_run_asks_hardly_more_often_than_a_quiet_one(monkeypatch):
    quiet = questions(monkeypatch, 2, 1e9)
    busy = questions(monkeypatch, 2, 0.5)
    rare = questions(monkeypatch, 2, 600)
    assert quiet[0] == busy[0] == 0
    assert 110 < len(quiet) < len(rare) < len(busy) < 260
    # whatever happens, whoever waits is asked for within a minute or a twentieth of the run's age
    for asked in (quiet, busy, rare):
        assert max(b - a for a, b in pairwise(asked)) <= 60.5
    assert sum(at < 60 for at in busy) > 2 * sum(at < 60 for at in quiet)


def make(out: OutputPath, *, number: int = 0) -> None:
    """Write something."""


def run_of(folder, count: int):
    """A run of a map and what it takes to hand it over."""
    pipeline = Pipeline("p")
    over = {"number": list(range(count))}
    pipeline.map(make, name="m", over=over, resources=Resources(hours=1))
    run = runs.Run(folder / str(count), "p", f"20261120-000000-{count:04}")
    record = {
        "format": runs.RUN_FORMAT,
        "commit": "c",
        "created_at": runs.now(),
        "ended_at": None,
        "state": "pending",
    }
    return pipeline, run, {**record, "reason": "", "tasks": initial_tasks(pipeline)}


def finish(run, names, pause_s: float) -> None:
    for name in names:
        time.sleep(pause_s)
        context = runs.Context(task=name, run=run.id, pipeline="p", attempt="1")
        values = {"state": "succeeded", "exit_code": 0, "argv": ["python"], "duration_s": 0.1}
        runs.write_mark(run.task(name), context, **values)


@pytest.fixture
def cluster(fake):
    """A Slurm on which everything runs and nothing ends."""
    fake.answers("sbatch", (0, "7\n", ""))
    fake.answers("squeue", (0, "".join(f"7_{k}|RUNNING|None\n" for k in range(400)), ""))
    return fake


@pytest.mark.parametrize("count", [4, 400])
def test_calls_of_a_run_do_not_depend_on_the_number_of_its_tasks(tmp_path, cluster, count):
    pipeline, run, record = run_of(tmp_path, count)
    executor = SlurmExecutor()
    submit(executor, pipeline, run, record, Submission(no_wait=True), use_cache=False)
    assert len(cluster.calls()) == 3  # sbatch, scontrol release, squeue
    for _ in range(2):
        assert executor.poll(run)["state"] == "running"
    assert len(cluster.calls()) == 5
    worker = Thread(target=finish, args=(run, list(pipeline.tasks), 1.5 / count))
    worker.start()
    ended = submit(executor, pipeline, run, record, use_cache=False)
    worker.join()
    assert ended["state"] == "succeeded"
    assert {task["state"] for task in ended["tasks"].values()} == {"succeeded"}
    assert 2 <= len(cluster.calls("squeue")) - 3 <= 10
    assert len(cluster.calls("sbatch")) == 1


@pytest.mark.slow
def test_whoever_follows_a_log_reads_files_often_and_asks_the_controller_rarely(tmp_path, cluster):
    toy = Toy(tmp_path)
    module = toy.pipeline("calm", 't.add(work, name="a")')
    cluster.answers("squeue", (0, "7|RUNNING|None\n", ""))
    started = toy.run(module, "--executor", "slurm", "--no-wait")
    assert started.returncode == 0, started.stderr
    run = runs.Run(toy.folder / "runs", "calm", toy.runs()[0].name)
    before = len(cluster.calls("squeue"))
    log = run.log("a")
    log.parent.mkdir(parents=True)
    log.write_text("first\nhal")
    follower = toy.start("soundgate.cli", "show-logs", run.id, "a", "--follow")
    wait_for(lambda: len(cluster.calls("squeue")) > before)
    time.sleep(3.5)
    assert len(cluster.calls("squeue")) - before <= 5
    with log.open("a") as file:
        file.write("f\nlast")
    context = runs.Context(task="a", run=run.id, pipeline="calm", attempt="1")
    values = {"state": "succeeded", "exit_code": 0, "argv": ["python"], "duration_s": 0.1}
    runs.write_mark(run.task("a"), context, **values)
    out, err = follower.communicate(timeout=3)
    assert (out, err) == ("first\nhalf\nlast", "")
    shown = toy.cli("show-logs", run.id)
    assert shown.stdout == "--- a\nfirst\nhalf\nlast"
    assert len(cluster.calls("squeue")) - before <= 6
