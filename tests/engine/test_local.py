"""The local executor with real processes: order, failures, signals, resuming."""

from __future__ import annotations

import json
import os

import pytest
from toy_declarations import FAILING, TWO


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
