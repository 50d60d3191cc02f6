"""The local executor with real processes: order, failures, signals, resuming."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import threading
import time

import pytest

from soundgate.errors import ParameterError
from soundgate.executors import folders
from soundgate.executors.local import LocalExecutor
from soundgate.runs import RUN_FORMAT, Run

TWO = 't.add(work, name="a", seconds=0.5)\nt.add(work, name="b", seconds=0.5)'


def spans(toy):
    """Task to (start, end)."""
    found = {}
    for task, what, at, _ in toy.events():
        found.setdefault(task, {})[what] = at
    return {task: (span["start"], span.get("end")) for task, span in found.items()}


def overlap(toy, one, two):
    return max(spans(toy)[one][0], spans(toy)[two][0]) < min(spans(toy)[one][1], spans(toy)[two][1])


RUN_ON = """
import json, sys
from soundgate import invocation, runs
from soundgate.executors import reuse
from soundgate.executors.running import runner
from soundgate.executors.running.work import Work
from soundgate.reuse.cache import Cache
from soundgate.executors.local import LocalExecutor
from soundgate.executors.running.hosts import ThisMachine
from soundgate.executors.records import KeptRecord
from soundgate.executors.running.machine import Machine
from soundgate.invocation import Invocation
from pathlib import Path

def run(module, **of):
    asked = Invocation(module=module)
    pipeline, values = invocation.declare(asked, Path("runs"))
    run = runs.Run(Path("runs"), pipeline.name, runs.new_run_id(Path("runs")))
    record = invocation.new_record(asked, pipeline, values, run)
    commands = {each.task: each.argv for each in LocalExecutor().render(pipeline, run).commands}
    digests = reuse.file_digests(Cache(run.root), pipeline)
    work = Work(pipeline=pipeline, run=run, commands=commands, digests=digests)
    host = ThisMachine(Machine(gpus=(), **of))
    with runner.Runner(work, KeptRecord(record, run.write), host) as found:
        return found.execute()
"""


def run_on(toy, module, **machine):
    ended = toy.python(f"{RUN_ON}\nprint(run({module!r}, **{machine!r})['state'])")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()[-1]


def test_independent_tasks_run_side_by_side(toy):
    assert run_on(toy, toy.pipeline("two", TWO), cpus=2, memory_gb=8) == "succeeded"
    assert overlap(toy, "a", "b")


@pytest.mark.parametrize("machine", [{"cpus": 1, "memory_gb": 8}, {"cpus": 2, "memory_gb": 3}])
def test_but_not_beyond_the_machine(toy, machine):
    assert run_on(toy, toy.pipeline("two", TWO), **machine) == "succeeded"
    assert not overlap(toy, "a", "b")


def test_a_task_starts_after_everything_it_depends_on(toy):
    module = toy.pipeline(
        "graph",
        """
        a = t.add(work, name="a", text="a", seconds=0.1)
        b = t.add(work, name="b", text="b", source=a["out"])
        c = t.add(work, name="c", text="c", source=a["out"], seconds=0.2)
        d = t.add(work, name="d", text="d", after=[c])
        t.add(work, name="e", text="e", parts=[c["out"], b["out"]], after=[d])
        """,
    )
    ended = toy.run(module)
    assert ended.returncode == 0, ended.stderr
    when = spans(toy)
    for before, after in ["ab", "ac", "cd", "de", "be", "ce"]:
        assert when[before][1] <= when[after][0]
    result = toy.runs()[0] / "tasks" / "e" / "out" / "result.txt"
    assert result.read_text("utf-8") == "ecaba"


def test_a_task_gets_its_cores_and_where_it_stands(toy):
    toy.write(
        "steps/tells.py",
        """
        import json, os
        from soundgate.step import OutputPath, cache_folder, cpus, main

        def tells(out: OutputPath) -> None:
            names = [n for n in os.environ if n.startswith("SOUNDGATE_")] + ["OMP_NUM_THREADS"]
            values = {name: os.environ[name] for name in names}
            (out / "x").write_text(json.dumps([values, cpus(), str(cache_folder("x"))]))

        if __name__ == "__main__":
            main(tells)
        """,
    )
    module = toy.pipeline("tell", "from steps.tells import tells\nt.add(tells)")
    assert run_on(toy, module, cpus=7, memory_gb=8) == "succeeded"
    run = toy.runs()[0]
    values, cpus, cache = json.loads((run / "tasks" / "tells" / "out" / "x").read_text("utf-8"))
    assert (values["OMP_NUM_THREADS"], values["SOUNDGATE_CPUS"], cpus) == ("1", "1", 1)
    assert values["SOUNDGATE_TASK_FOLDER"] == str(run / "tasks" / "tells")
    assert values["SOUNDGATE_RUN"] == run.name
    assert cache == str(toy.folder / "runs" / ".cache" / "x")


FAILING = """
a = t.add(work, name="a", text="a", fail="bug")
b = t.add(work, name="b", source=a["out"])
c = t.add(work, name="c", text="c", seconds=0.3)
t.add(work, name="d", text="d", source=c["out"], after=[b])
t.add(work, name="e", text="e", source=c["out"])
"""


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


def test_two_runs_at_once_do_not_disturb_each_other(toy):
    module = toy.pipeline("two", TWO.replace("0.5", "0.3"))
    processes = [toy.begin(module) for _ in range(2)]
    said = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert [set(toy.states(n).values()) <= {"succeeded", "reused"} for n in (0, 1)] == [True, True]
    assert toy.runs()[0] != toy.runs()[1]
    toy.run(module)
    assert set(toy.states().values()) == {"reused"}


ODD = {
    "s": "-n 'a' \"b\" $HOME `d` \\ %s * ü音\n\tend",
    "ss": ["", "-a", "[", '"', "\n", "ü", "a b"],
    "f": -1e-05,
    "i": -7,
    "b": True,
    "ints": [1, -2],
    "floats": [1e-05],
    "bools": [True, False],
}


@pytest.mark.parametrize("fresh", ["", "1"])
def test_odd_arguments_arrive_intact(toy, fresh):
    toy.write("odd 'name' ü/x", "x")
    module = toy.pipeline("odd", f"t.add(spell, source=t.file(\"odd 'name' ü\"), **{ODD!r})")
    ended = toy.run(module, env={"SOUNDGATE_FRESH_INTERPRETERS": fresh})
    assert ended.returncode == 0, ended.stderr
    written = toy.runs()[0] / "tasks" / "spell" / "out" / "values.json"
    found = json.loads(written.read_text("utf-8"))
    assert {name: found[name] for name in ODD} == ODD
    assert found["source"] == "odd 'name' ü"


def test_the_request_is_a_script_that_does_the_same_by_hand(toy):
    import subprocess
    import sys

    body = f"a = t.add(spell, **{ODD!r})\nt.add(work, source=a['out'], text='-x')"
    module = toy.pipeline("odd", body)
    shown = toy.run(module, "--dry-run", "--output", "json").stdout
    script = json.loads(shown)["request"]
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"  # noqa: PTH120
    subprocess.run(
        ["sh", "-c", script], cwd=toy.folder, check=True, capture_output=True, env={"PATH": path}
    )
    by_hand = next(toy.folder.glob("runs/odd/*/tasks/spell/out/values.json")).read_text("utf-8")
    assert toy.run(module).returncode == 0
    assert toy.runs()[0].joinpath("tasks/spell/out/values.json").read_text("utf-8") == by_hand
    assert toy.runs()[0].joinpath("request.txt").read_text("utf-8").splitlines()[1:] != []


@pytest.mark.parametrize("fresh", ["", "1"])
def test_fresh_interpreters_do_the_same(toy, fresh):
    ended = toy.run(toy.pipeline("failing", FAILING), env={"SOUNDGATE_FRESH_INTERPRETERS": fresh})
    assert ended.returncode == 1
    assert list(toy.states().values()) == ["failed", "skipped", "succeeded", "skipped", "succeeded"]
    assert toy.record()["reason"] == "a: ValueError: bug"


def test_a_missing_input_is_one_line_before_anything_runs(toy):
    module = toy.pipeline("absent", 't.add(work)\nt.add(work, name="b", source=t.file("no.txt"))')
    ended = toy.run(module)
    assert ended.returncode == 2
    assert ended.stderr == (
        "run-pipeline: no.txt: no such file or folder; task 'b' reads it as 'source': "
        "correct the path\n"
    )
    assert toy.ran() == toy.runs() == []


def test_inputs_made_at_submit_lie_in_the_run(toy):
    toy.write("user.yaml", "a: {x: ü}\nb: 1\n")
    module = toy.pipeline(
        "config",
        't.add(work, source=p.config.only("a"))',
        'config: ConfigFile = ConfigFile("user.yaml")\n',
    )
    assert toy.run(module).returncode == 0
    result = toy.runs()[0] / "tasks" / "work" / "out" / "result.txt"
    assert result.read_text("utf-8") == "a:\n  x: ü\n"
    (toy.folder / "events.txt").unlink()
    toy.write("user.yaml", "a: {x: ü}\nb: 2\n")
    assert toy.run(module).returncode == 0
    assert toy.ran() == []


COUNT = """
from soundgate.reuse import cache, sources
from soundgate.executors import reuse
counts = {"decisions": 0, "records": 0, "takes": 0}

def counted(owner, name, key):
    real = getattr(owner, name)
    def wrapper(*args, **kwargs):
        counts[key] += 1
        return real(*args, **kwargs)
    setattr(owner, name, wrapper)

counted(reuse, "decide", "decisions")
counted(runs.Run, "write", "records")
counted(Machine, "take", "takes")
record = run("pipelines.fan", cpus=2, memory_gb=64)
assert record["state"] == "succeeded", record
assert len(record["tasks"]) == N + 1
print(json.dumps(counts))
"""


def test_a_fan_out_takes_work_in_proportion_to_its_size(toy):
    toy.write(
        "steps/nothing.py",
        """
        from soundgate.step import OutputPath, main

        def nothing(out: OutputPath, *, n: int) -> None:
            pass

        if __name__ == "__main__":
            main(nothing)
        """,
    )
    counts = {}
    for n in (100, 200):
        toy.pipeline(
            "fan",
            f"""
            from steps.nothing import nothing
            each = t.map(nothing, over={{"n": list(range({n}))}})
            t.add(work, parts=each["out"])
            """,
        )
        ended = toy.python(f"{RUN_ON}\nN = {n}\n{COUNT}")
        assert ended.returncode == 0, ended.stderr
        counts[n] = json.loads(ended.stdout.splitlines()[-1])
    assert counts[100]["decisions"] == 101
    assert counts[200]["decisions"] == 201
    assert counts[200]["records"] < 2.5 * counts[100]["records"] + 10
    assert counts[200]["takes"] < 4 * 201
