"""A record that was cut off, emptied or written by somebody else costs itself, and one line."""

from __future__ import annotations

import json
import shutil

import pytest

from soundgate import runs

DAMAGES = {
    "empty": lambda _: "",
    "cut": lambda text: text[: len(text) // 2],
    "list": lambda _: "[1, 2]",
    "number": lambda _: "7",
    "deep": lambda _: "[" * 100_000,
    "binary": lambda _: "\0\1\2",
    "without tasks": lambda text: changed(text, tasks=None),
    "tasks of texts": lambda text: changed(text, tasks={"a": "succeeded"}),
    "odd state": lambda text: changed(text, state="dancing"),
    "odd invocation": lambda text: changed(text, invocation={"assignments": [], "x": 1}),
    "invocation of text": lambda text: changed(text, invocation="run-pipeline"),
}


def changed(text, **values):
    return json.dumps({**json.loads(text), **values})


@pytest.fixture(scope="module")
def two_runs(new_toy):
    """A project of two runs, the second of which failed."""
    toy = new_toy()
    module = toy.pipeline("p", 't.add(work, name="a", fail=p.fail)', 'fail: str = ""\n')
    assert toy.run(module).returncode == 0
    assert toy.run(module, "--set", "fail=bug").returncode == 1
    return toy


@pytest.fixture
def project(toy, two_runs):
    """A copy of it; runs are copied in their order, which is how a toy lists them."""
    shutil.copytree(
        two_runs.folder, toy.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("runs")
    )
    for run in two_runs.runs():
        shutil.copytree(run, toy.folder / run.relative_to(two_runs.folder))
    return toy


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_costs_its_own_row(project, damage):
    good, bad = project.runs()
    path = bad / "run.json"
    path.write_text(DAMAGES[damage](path.read_text("utf-8")), "utf-8")
    listed = project.cli("list-runs", "--output", "json")
    assert listed.returncode == 0, listed.stderr
    rows = {row["run"]: row["state"] for row in json.loads(listed.stdout)}
    assert rows[good.name] == "succeeded"
    assert rows[bad.name] in ("damaged", "failed")  # of a final run the invocation is not needed
    for words in (
        ("show-run", "last"),
        ("show-logs", "last"),
        ("run-pipeline", "--resume", "last"),
    ):
        said = project.cli(*words)
        assert "Traceback" not in said.stderr
        if said.returncode:
            assert said.returncode == 2
            assert said.stderr.count("\n") == 1
    assert project.cli("show-run", good.name).returncode == 0


WHOLE = {"attempt": 1, "state": "failed", "reason": "", "outputs": {}} | {
    "exit_code": 1,
    "argv": [],
    "duration_s": 0.1,
}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "[" * 100_000, '{"format": "soundgate.task/1"}']
    + [
        json.dumps({"format": "soundgate.task/1", "task": "a", "run": "r", "key": "k"} | odd)
        for odd in (
            {"attempt": 1, "state": "succeeded", "reason": "", "outputs": {"out": "x"}},
            {"attempt": "1", "state": "succeeded", "reason": "", "outputs": {}},
            {"attempt": 1, "state": "done", "reason": "", "outputs": {}},
            {"attempt": 1, "state": "succeeded", "reason": "", "outputs": []},
            WHOLE | {"exit_code": None},
            WHOLE | {"argv": "python"},
            WHOLE | {"duration_s": "1"},
        )
    ],
)
def test_a_damaged_mark_is_no_mark(project, text):
    """The task runs again."""
    run = project.runs()[0]
    (run / "tasks" / "a" / "task.json").write_text(text, "utf-8")
    assert runs.read_mark(run / "tasks" / "a") is None
    (project.folder / "events.txt").unlink()
    assert project.run("pipelines.p").returncode == 0
    assert project.ran() == ["a"]
