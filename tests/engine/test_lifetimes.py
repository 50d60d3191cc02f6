"""No process outlives its run, whoever is killed or stopped, and whatever a task started."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from soundgate.executors import folders, leftovers
from soundgate.runs import Run

pytestmark = pytest.mark.slow

STRAY = """
import os, subprocess, sys, time
from pathlib import Path
from soundgate.step import OutputPath, main


def stray(out: OutputPath, *, seconds: float = 0.0, forks: bool = False) -> None:
    \"\"\"Start processes that leave the task's group, one of them an orphan at once.\"\"\"
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(300)"
    orphan = f"import os\\nif os.fork() == 0:\\n    os.setsid()\\n    exec({code!r})"
    for program in (code, orphan):
        child = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True
        )
        with Path("children.txt").open("a") as file:
            file.write(child.stdout.readline().decode())
    if forks and (pid := os.fork()) == 0:
        os.setsid()
        time.sleep(300)
    elif forks:
        with Path("children.txt").open("a") as file:
            file.write(f"{pid}\\n")
    (out / "result.txt").write_text("done")
    Path("ready").touch()
    time.sleep(seconds)


if __name__ == "__main__":
    main(stray)
"""


@pytest.fixture
def strays(toy):
    """A pipeline whose task starts three processes that leave its group."""
    toy.write("steps/stray.py", STRAY)
    return toy.pipeline(
        "strays",
        'from steps.stray import stray\nt.add(stray, name="a", seconds=p.seconds, forks=True)',
        "seconds: float = 0.0\n",
    )


@pytest.fixture
def begun(toy, strays, until):
    """A run of that pipeline, whose task goes on for a minute."""
    runner = toy.begin(strays, "--set", "seconds=60")
    until((toy.folder / "ready").exists)
    return runner


def processes(toy):
    """Every process that was started for a run of the project, the runner apart."""
    return [pid for run in toy.runs() for pid in leftovers.processes_of(run.resolve())]


def children(pid):
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def guard_and_server(runner):
    """The two processes between a runner and its tasks."""
    (guard,) = children(runner.pid)
    (server,) = children(guard)
    return guard, server


@pytest.mark.parametrize("fresh", ["", "1"], ids=["forked", "fresh interpreter"])
def test_what_left_the_group_ends_with_its_task(toy, strays, is_alive, fresh):
    ended = toy.run(strays, env={"SOUNDGATE_FRESH_INTERPRETERS": fresh})
    assert ended.returncode == 0, ended.stderr
    assert len(toy.children()) == 3
    assert not any(is_alive(pid) for pid in toy.children())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_left_the_group_ends_with_the_run(toy, begun, is_alive, until, number):
    assert all(is_alive(pid) for pid in toy.children())
    begun.send_signal(number)
    begun.communicate(timeout=20)
    until(lambda: not any(is_alive(pid) for pid in toy.children()), 5)
    until(lambda: not processes(toy), 5)


@pytest.mark.parametrize("which", ["server", "both"])
def test_a_killed_runner_takes_all_with_it_though_its_helpers_are_stopped(
    toy, begun, is_alive, until, which
):
    guard, server = guard_and_server(begun)
    stopped = {"guard": [guard], "server": [server], "both": [guard, server]}[which]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    begun.kill()
    begun.wait()
    if which == "server":  # the guard ends all by itself
        until(lambda: not any(is_alive(pid) for pid in [guard, server, *toy.children()]), 5)
    (toy.folder / "pipelines/strays.py").write_text(
        (toy.folder / "pipelines/strays.py").read_text().replace("seconds=p.seconds", "seconds=0.0")
    )
    resumed = toy.cli("run-pipeline", "--resume", "last")
    assert resumed.returncode == 0, resumed.stderr
    assert not any(is_alive(pid) for pid in [guard, server, *toy.children()])


def test_killed_helpers_do_not_end_the_run(toy, until, is_alive):
    module = toy.pipeline("again", 't.add(work, name="a", seconds=1.0, retries=1)')
    runner = toy.begin(module)
    until(toy.ran)
    guard, server = guard_and_server(runner)
    os.kill(guard, signal.SIGKILL)
    out, err = runner.communicate(timeout=30)
    assert runner.returncode == 0, out + err
    assert toy.ran() == ["a", "a"]
    assert not is_alive(server)


@pytest.mark.parametrize(("end", "which"), [("timeout", "both"), ("Ctrl-C", "server")])
def test_a_stopped_helper_does_not_keep_a_run_from_ending(toy, strays, until, is_alive, which, end):
    words = ["--timeout", "4"] if end == "timeout" else []
    runner = toy.begin(strays, "--set", "seconds=60", *words)
    until((toy.folder / "ready").exists)
    guard, server = guard_and_server(runner)
    for pid in {"guard": [guard], "server": [server], "both": [guard, server]}[which]:
        os.kill(pid, signal.SIGSTOP)
    if end == "Ctrl-C":
        runner.send_signal(signal.SIGINT)
        time.sleep(0.7)
        runner.send_signal(signal.SIGINT)
    out, err = runner.communicate(timeout=45)
    assert runner.returncode == (143 if end == "timeout" else 130), out + err
    assert toy.states() == {"a": "cancelled"}
    assert not any(is_alive(pid) for pid in [guard, server, *toy.children()])


def test_a_stopped_task_is_killed_after_the_grace(toy, begun, is_alive):
    (task,) = [pid for pid in children(guard_and_server(begun)[1]) if pid not in toy.children()]
    os.kill(task, signal.SIGSTOP)
    begun.terminate()
    begun.communicate(timeout=30)
    assert begun.returncode == 143
    assert not is_alive(task)


def test_a_run_is_resumed_at_once_after_its_runner_was_killed(toy, until):
    module = toy.pipeline(
        "quick", 'a = t.add(work, name="a", text="a", seconds=p.s)', "s: float = 0.5\n"
    )
    runner = toy.begin(module)
    until(toy.ran)
    runner.kill()
    resumed = toy.cli("run-pipeline", "--resume", "last")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    starts = [(at, pid) for _, what, at, pid in toy.events() if what == "start"]
    ends = [pid for _, what, _, pid in toy.events() if what == "end"]
    assert len(starts) == 2
    assert ends == [starts[1][1]]  # the first attempt did not go on beside the second
    assert not list(toy.runs()[0].glob("tasks/a/.*"))


def test_a_run_that_a_killed_runner_left_held_says_so(tmp_path, monkeypatch):
    run = Run(tmp_path, "p", "r")
    monkeypatch.setattr(leftovers, "end", lambda folder: [4711] if folder else [])
    with folders.lock(run):
        assert str(folders.lock_holder(run)).split()[0] == str(os.getpid())
    with pytest.raises(folders.ParameterError) as refused, folders.lock(run):
        pass
    assert str(refused.value) == (
        "run r: a process of its killed runner has not ended yet; resume it later (process 4711)"
    )


def test_a_process_that_has_the_id_of_an_ended_runner_is_not_taken_for_it():
    holder = leftovers.Holder.this()
    assert holder.lives
    assert leftovers.Holder.parse(str(holder)) == holder
    assert not leftovers.Holder(holder.pid, "1", holder.host).lives
    elsewhere = leftovers.Holder(holder.pid, "1", "another-host")
    assert (elsewhere.lives, elsewhere.is_here) == (True, False)
    assert leftovers.Holder.parse("4711") is None
