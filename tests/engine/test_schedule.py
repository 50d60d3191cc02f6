"""The order in which tasks become ready."""

from __future__ import annotations

import pytest

from soundgate.executors.running.schedule import Schedule
from soundgate.pipeline import Pipeline
from soundgate.step import InputPaths, OutputPath  # noqa: TC001 - read from annotations


def work(out: OutputPath, sources: InputPaths | None = None) -> None:
    """Do nothing."""


@pytest.fixture
def diamond() -> Pipeline:
    """Declare a, then b and c side by side, then d."""
    p = Pipeline("diamond")
    a = p.add(work, name="a")
    b = p.add(work, name="b", sources=[a["out"]])
    c = p.add(work, name="c", after=[a])
    p.add(work, name="d", sources=[b["out"]], after=[c])
    return p


def test_a_task_is_ready_once_all_it_depends_on_is_done(diamond):
    schedule = Schedule(diamond)
    tasks = diamond.tasks
    assert list(schedule.ready) == ["a"]
    schedule.start(tasks["a"])
    assert list(schedule.ready) == []
    schedule.finish(tasks["a"])
    assert list(schedule.ready) == ["b", "c"]
    schedule.start(tasks["c"])
    schedule.finish(tasks["c"])
    assert list(schedule.ready) == ["b"]
    schedule.finish(tasks["b"])  # reused: it was never started
    assert list(schedule.ready) == ["d"]


def test_a_failed_attempt_puts_the_task_back(diamond):
    schedule = Schedule(diamond)
    schedule.start(diamond.tasks["a"])
    schedule.again(diamond.tasks["a"])
    assert list(schedule.ready) == ["a"]


def test_a_failure_loses_what_depends_on_it_each_once_in_order(diamond):
    schedule = Schedule(diamond)
    assert schedule.lose(diamond.tasks["a"]) == ["b", "c", "d"]
    assert schedule.lose(diamond.tasks["c"]) == ["d"]
    assert schedule.lose(diamond.tasks["d"]) == []
