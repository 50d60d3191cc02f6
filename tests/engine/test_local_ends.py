from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time

import pytest
from toy_declarations import TWO

from soundgate.errors import ParameterError
from soundgate.executors import folders
from soundgate.executors.local import LocalExecutor
from soundgate.runs import RUN_FORMAT, Run

LONG = """
a = t.add(work, name="a", text="a")
b = t.add(work, name="b", text="b", source=a["out"], seconds=p.seconds, child=p.child)
t.add(work, name="c", text="c", source=b["out"])
"""
LONG_PARAMETERS = 'seconds: float = 0.0\nchild: str = ""\n'


@pytest.fixture
def long(toy, until):
    """Start a run that stands in ``b``, whose child process ignores SIGTERM."""
    module = toy.pipeline("long", LONG, LONG_PARAMETERS)
    process = toy.begin(module, "--set", "seconds=60", "--set", "child=stubborn")
    until(toy.children)
    return process


def pid_of(toy, task):
    return next(pid for name, _, _, pid in toy.events() if name == task)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_runner_ends_whole_process_groups(toy, long, is_alive, until, number, code):
    pids = [pid_of(toy, "b"), *toy.children()]
    assert all(is_alive(pid) for pid in pids)
    long.send_signal(number)
    out, err = long.communicate(timeout=20)
    assert long.returncode == code
    assert "Traceback" not in out + err
    until(lambda: not any(is_alive(pid) for pid in pids))
    assert toy.states() == {"a": "succeeded", "b": "cancelled", "c": "cancelled"}
    assert toy.record()["reason"] == f"stopped by {signal.Signals(number).name}"


def test_a_second_ctrl_c_waits_for_nobody(toy, until, is_alive):
    process = toy.begin(toy.pipeline("deaf", 't.add(work, name="a", fail="stubborn")'))
    until(lambda: "deaf" in [what for _, what, _, _ in toy.events()])
    process.send_signal(signal.SIGINT)
    time.sleep(0.7)
    assert process.poll() is None
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert time.monotonic() - start < 5
    assert process.returncode == 130
    assert not is_alive(pid_of(toy, "a"))


def test_killing_the_runner_ends_everything_and_the_run_can_be_resumed(toy, long, is_alive, until):
    pids = [pid_of(toy, "b"), *toy.children()]
    long.kill()
    long.communicate()
    until(lambda: not any(is_alive(pid) for pid in pids))
    run = toy.runs()[0].name
    shown = toy.cli("show-run", "last").stdout
    assert f"failed  its runner ended; continue with --resume {run}" in shown
    record = json.loads((toy.runs()[0] / "run.json").read_text("utf-8"))
    record["invocation"]["assignments"] = []
    (toy.runs()[0] / "run.json").write_text(json.dumps(record), "utf-8")
    (toy.folder / "events.txt").unlink()
    planned = toy.cli("run-pipeline", "--resume", run, "--dry-run", "--output", "json")
    actions = [p["action"] for p in json.loads(planned.stdout)["plan"]]
    assert actions == ["reuse", "run", "run"]
    ended = toy.cli("run-pipeline", "--resume", run)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert toy.ran() == ["b", "c"]
    assert len(toy.runs()) == 1


def test_killing_a_task_is_reported_as_what_it_is(toy, long):
    os.kill(pid_of(toy, "b"), signal.SIGKILL)
    out, _ = long.communicate(timeout=20)
    assert long.returncode == 1
    assert toy.record()["tasks"]["b"]["reason"] == "killed by SIGKILL (out of memory?)"
    assert toy.states() == {"a": "succeeded", "b": "failed", "c": "skipped"}
    assert "b  failed" in out


def test_resuming_a_cancelled_run_finishes_it(toy, until):
    toy.write("wait", "")
    module = toy.pipeline("long", LONG, LONG_PARAMETERS)
    process = toy.begin(module, "--set", "seconds=2")
    until(lambda: "b" in toy.ran())
    process.terminate()
    assert process.wait(timeout=20) == 143
    process.communicate()
    ended = toy.cli("run-pipeline", "--resume", "last")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert toy.ran() == ["a", "b", "b", "c"]
    assert "a  reused" in ended.stdout
    assert toy.record()["state"] == "succeeded"


def test_resuming_a_finished_run_does_nothing(toy):
    module = toy.pipeline("two", TWO.replace("0.5", "0"))
    assert toy.run(module).returncode == 0
    (toy.folder / "events.txt").unlink()
    assert toy.cli("run-pipeline", "--resume", "last").returncode == 0
    assert toy.ran() == []


def test_resuming_notices_a_result_that_was_deleted(toy):
    module = toy.pipeline("two", TWO.replace("0.5", "0"))
    assert toy.run(module, "--no-cache").returncode == 0
    (toy.runs()[0] / "tasks" / "b" / "out" / "result.txt").unlink()
    (toy.folder / "events.txt").unlink()
    assert toy.cli("run-pipeline", "--resume", "last").returncode == 0
    assert toy.ran() == ["b"]


def test_a_run_has_one_runner(toy, long, until):
    until(lambda: toy.states()["b"] == "running")
    before = (toy.runs()[0] / "run.json").read_text("utf-8")
    run = toy.runs()[0].name
    second = toy.cli("run-pipeline", "--resume", run)
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == f"run-pipeline: run {run} is being run by another process\n"
    assert json.loads(before)["tasks"]["a"] == toy.record()["tasks"]["a"]
    assert long.poll() is None


def test_a_run_goes_on_alone_and_can_be_watched_and_cancelled(toy, until, is_alive):
    module = toy.pipeline("long", LONG, LONG_PARAMETERS)
    started = toy.run(module, "--set", "seconds=60", "--no-wait")
    assert started.returncode == 0, started.stderr
    run = toy.runs()[0].name
    assert started.stdout == f"long {run} started; watch it with: show-run {run}\n"
    assert toy.cli("show-run", "last").stdout.startswith(f"long {run}  running")
    follower = toy.start("soundgate.cli", "show-logs", run, "b", "--follow")
    until(lambda: "b" in toy.ran())
    assert follower.poll() is None
    cancelled = toy.cli("cancel-run", run[:-1])
    assert (cancelled.returncode, cancelled.stdout) == (0, f"asked run {run} to stop\n")
    out, err = follower.communicate(timeout=20)
    assert (follower.returncode, err) == (0, "")
    assert out.splitlines()[0] == "wrote 2 characters"
    until(lambda: toy.record()["state"] == "cancelled")
    assert not is_alive(pid_of(toy, "b"))
    again = toy.cli("cancel-run", run)
    assert again.returncode == 2
    assert again.stderr == f"cancel-run: run {run} is not running on this machine\n"


def test_a_run_that_goes_on_alone_is_seen_running_at_once(toy):
    module = toy.pipeline("long", LONG, LONG_PARAMETERS)
    shown = toy.python(
        f"""
        from soundgate.cli import main
        main(["run-pipeline", "-n", {module!r}, "--set", "seconds=60", "--no-wait"])
        main(["show-run", "last"])
        main(["cancel-run", "last"])
        """
    )
    assert shown.stdout.splitlines()[1].endswith("  running"), shown.stdout + shown.stderr


def test_a_run_that_no_runner_holds_yet_is_pending_not_failed(tmp_path):
    run = Run(tmp_path, "p", "r")
    executor = LocalExecutor()
    record = {"format": RUN_FORMAT, "state": "pending", "reason": "", "tasks": {}}
    run.write(record)
    assert executor.poll(run)["state"] == "pending"
    with folders.lock(run):
        assert executor.poll(run)["state"] == "running"
    run.write({**record, "state": "running"})
    assert executor.poll(run)["state"] == "failed"


def test_a_run_can_be_taken_while_others_ask_who_holds_it(tmp_path):
    run = Run(tmp_path, "p", "r")
    assert folders.lock_holder(run) is None
    with folders.lock(run):
        assert folders.lock_holder(run).pid == os.getpid()
        with pytest.raises(ParameterError, match=r"^run r is being run by another process$"):
            folders.lock(run).__enter__()
    with (run.folder / ".lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as lock_holder does, for longer
        threading.Timer(0.2, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        with folders.lock(run):
            assert folders.lock_holder(run).pid == os.getpid()
    assert folders.lock_holder(run) is None


def test_following_the_log_of_a_lost_run_ends(toy, long):
    long.kill()
    long.communicate()
    assert toy.cli("show-logs", "last", "b", "--follow").returncode == 0


def test_ctrl_c_ends_following_without_a_traceback(toy, long, until):
    follower = toy.start("soundgate.cli", "show-logs", "last", "b", "--follow")
    assert follower.stdout.readline() == "wrote 2 characters\n"
    follower.send_signal(signal.SIGINT)
    assert follower.wait(timeout=20) == 130
    assert follower.communicate()[1] == ""
