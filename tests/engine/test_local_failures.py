from __future__ import annotations

import json
import time

import pytest
from toy_declarations import FAILING, TWO


def test_a_failed_task_skips_what_follows_and_nothing_else(toy):
    ended = toy.run(toy.pipeline("failing", FAILING))
    assert ended.returncode == 1
    assert toy.states() == {
        "a": "failed",
        "b": "skipped",
        "c": "succeeded",
        "d": "skipped",
        "e": "succeeded",
    }
    record = toy.record()
    assert record["state"] == "failed"
    assert record["reason"] == "a: ValueError: bug"
    assert record["tasks"]["d"]["reason"] == "a failed"
    run = toy.runs()[0]
    lines = ended.stdout.splitlines()
    first = lines.index("--- last lines of a's log")
    assert lines[first + 1 : first + 3] == [
        "wrote 1 characters",
        "Traceback (most recent call last):",
    ]
    assert "ValueError: bug" in lines
    assert f"--- whole log: runs/failing/{run.name}/tasks/a/log.txt" in lines
    assert lines[-1] == f"continue it with: run-pipeline --resume {run.name}"
    mark = json.loads((run / "tasks" / "a" / "task.json").read_text("utf-8"))
    assert (mark["state"], mark["exit_code"]) == ("failed", 1)
    assert (run / "tasks" / "a" / "failure.txt").read_text("utf-8") == "ValueError: bug"
    assert not (run / "tasks" / "a" / "out").exists()


def test_what_several_failures_have_in_common_is_said_once(toy):
    body = """
    m = t.map(work, name="m", over={"fails": [7, 8, 9]}, text="1", fail="bug")
    t.add(work, name="join", parts=m["out"])
    """
    ended = toy.run(toy.pipeline("common", body))
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout.count("join  skipped") == 1
    assert ended.stdout.count("Traceback") == 1
    assert ended.stdout.count("--- whole log:") == 3
    assert ended.stdout.count(" ends like that of m-") == 2


def test_a_mistake_that_is_met_again_on_resume_is_said_once(toy):
    module = toy.pipeline("wrong", 't.add(work, name="a", fail="user")')
    assert toy.run(module).returncode == 1
    resumed = toy.cli("run-pipeline", "--resume", "last")
    assert resumed.returncode == 1
    assert resumed.stdout.count("clips/a.wav: not a sound") == 1


def test_resuming_runs_what_failed_and_what_followed_it(toy):
    module = toy.pipeline("failing", FAILING.replace('"bug"', '"bug", fails=1'))
    assert toy.run(module).returncode == 1
    (toy.folder / "events.txt").unlink()
    ended = toy.cli("run-pipeline", "--resume", "last")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert sorted(toy.ran()) == ["a", "b", "d"]
    assert len(toy.runs()) == 1
    assert set(toy.states().values()) == {"succeeded"}


def test_a_task_is_tried_again_as_often_as_declared(toy):
    module = toy.pipeline("again", 't.add(work, name="a", fail="bug", fails=2, retries=2)')
    ended = toy.run(module)
    assert ended.returncode == 0, ended.stdout
    assert toy.ran() == ["a", "a", "a"]
    assert ended.stdout.count("ValueError: bug; trying again") == 2
    mark = json.loads((toy.runs()[0] / "tasks" / "a" / "task.json").read_text("utf-8"))
    assert mark["attempt"] == 3
    log = (toy.runs()[0] / "tasks" / "a" / "log.txt").read_text("utf-8")
    assert log.count("ValueError: bug") == 2


@pytest.mark.parametrize(
    ("how", "reason"), [("user", "clips/a.wav: not a sound"), ("2", "exit code 2")]
)
def test_a_mistake_of_the_user_is_not_tried_again(toy, how, reason):
    module = toy.pipeline("again", f't.add(work, name="a", fail={how!r}, retries=3)')
    assert toy.run(module).returncode == 1
    assert toy.ran() == ["a"]
    assert toy.record()["tasks"]["a"]["reason"] == reason


def test_a_resumed_task_has_all_its_retries_again(toy):
    module = toy.pipeline("again", 't.add(work, name="a", fail="bug", fails=3, retries=1)')
    assert toy.run(module).returncode == 1
    assert toy.cli("run-pipeline", "--resume", "last").returncode == 0
    assert toy.ran() == ["a"] * 4


@pytest.mark.parametrize(
    ("how", "reason"),
    [("kill", "killed by SIGKILL (out of memory?)"), ("7", "exit code 7"), ("0", "ended without")],
)
def test_an_end_without_a_word_is_explained(toy, how, reason):
    assert toy.run(toy.pipeline("mute", f't.add(work, name="a", fail={how!r})')).returncode == 1
    task = toy.record()["tasks"]["a"]
    assert task["state"] == "failed"
    assert task["reason"].startswith(reason)
    mark = json.loads((toy.runs()[0] / "tasks" / "a" / "task.json").read_text("utf-8"))
    assert mark["reason"] == task["reason"]


def test_a_task_is_ended_at_its_time_limit(toy):
    module = toy.pipeline(
        "slow", 't.add(work, name="a", seconds=60, resources=Resources(hours=0.2 / 3600))'
    )
    start = time.monotonic()
    assert toy.run(module).returncode == 1
    assert time.monotonic() - start < 30
    assert toy.record()["tasks"]["a"]["reason"].startswith("exceeded its time limit of 5.5")


def test_a_run_is_ended_at_its_timeout(toy):
    ended = toy.run(toy.pipeline("two", TWO.replace("0.5", "60")), "--timeout", "0.3")
    assert ended.returncode == 143
    assert toy.record()["reason"] == "the run exceeded --timeout 0.3 s"
    assert set(toy.states().values()) == {"cancelled"}
