"""Declaring and starting runs, typed as a user types it."""

from __future__ import annotations

import json

import pytest


def snapshot(folder):
    """Every file's bytes; what is only remembered to read less (``.cache``, ``*.files``) apart."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.suffix != ".files"]
    return {p: p.read_bytes() for p in files if ".cache" not in p.parts}


def test_a_dry_run_starts_nothing_and_leaves_no_run(toy, one):
    ended = toy.run(one, "--dry-run")
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[:3] == [
        "task  action  reason",
        "a     run     never ran",
        "b     run     depends on a; reused if that writes the same bytes",
    ]
    assert "python -m steps.work --out runs/one/RUN-ID/tasks/a/out" in ended.stdout
    assert toy.ran() == []
    assert snapshot(toy.folder / "runs") == {}


def test_a_dry_run_of_a_resumed_run_changes_nothing_in_it(toy, one):
    assert toy.run(one).returncode == 0
    before = snapshot(toy.folder / "runs")
    ended = toy.cli("run-pipeline", "--resume", "last", "--dry-run")
    assert ended.returncode == 0
    assert "a     reuse" in ended.stdout
    assert snapshot(toy.folder / "runs") == before


def test_a_definition_is_what_would_be_sent_always_the_same(toy, one):
    shown = toy.cli("get-pipeline-definition", "-n", one)
    assert shown.stdout.splitlines() == [
        "#!/bin/sh",
        "# runs/one/RUN-ID",
        "set -eu",
        "",
        "# a: 1 cpus, 2 GB",
        (
            "python -m steps.work --out runs/one/RUN-ID/tasks/a/out "
            "--checkpoints runs/one/RUN-ID/tasks/a/checkpoints --text x"
        ),
        "",
        "# b: 1 cpus, 2 GB; after a",
        (
            "python -m steps.work --out runs/one/RUN-ID/tasks/b/out "
            "--source runs/one/RUN-ID/tasks/a/out "
            "--checkpoints runs/one/RUN-ID/tasks/b/checkpoints"
        ),
    ]
    written = toy.cli("get-pipeline-definition", "-n", one, "-f", "definition.txt")
    assert (written.returncode, written.stdout) == (0, "")
    assert (toy.folder / "definition.txt").read_text("utf-8") == shown.stdout
    assert not (toy.folder / "runs" / "one").exists()


@pytest.mark.parametrize("command", ["run-pipeline", "get-pipeline-definition"])
def test_the_graph_is_mermaid(toy, one, command):
    ended = toy.cli(command, "-n", one, "--graph")
    assert ended.stdout == "flowchart LR\n    a[a]\n    b[b]\n    a -- out --> b\n"
    assert toy.ran() == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["-n", "pipelines.ones"],
            "no pipeline module 'pipelines.ones'; did you mean 'pipelines.one'?",
        ),
        (
            ["-n", "pipelines/one.py"],
            "no pipeline module 'pipelines/one.py'; did you mean 'pipelines.one'?",
        ),
        (["-n", "nothing"], "no pipeline module 'nothing'; known: pipelines.one"),
        (["-n", "..one"], "no pipeline module '..one'; known: pipelines.one"),
        (
            ["-n", "pipelines.one", "--tags", "5"],
            '--tags: expected [{"Key": ..., "Value": ...}], got 5',
        ),
        (
            ["-n", "pipelines.one", "--tags", '[{"K": 1}]'],
            """--tags: expected [{"Key": ..., "Value": ...}], got [{'K': 1}]""",
        ),
        (
            ["-n", "pipelines.one", "--timeout", "0"],
            "--timeout must be more than 0 seconds, got 0",
        ),
        (["-n", "steps.work"], "steps.work has no function get_pipeline(parameters)"),
        ([], "-n/--module-name is missing: name a pipeline, for example pipelines.aed"),
        (
            ["-n", "pipelines.one", "--executor", "locl"],
            "--executor locl: no such executor; did you mean 'local'?",
        ),
        (
            ["-n", "pipelines.one", "--set", "txt=1"],
            "--set txt: no such parameter; did you mean 'text'?",
        ),
        (["-n", "pipelines.one", "--set", "epochs=x"], "--set epochs: expected int, not 'x'"),
        (
            ["-n", "pipelines.one", "--kwargs", "{"],
            "--kwargs: neither JSON nor a Python literal: {",
        ),
        (
            ["-n", "pipelines.one", "--kwargs", "[1]"],
            "--kwargs: expected a mapping of names to values, got [1]",
        ),
        (["-n", "pipelines.one", "--config", "no.yaml"], "no.yaml: no such user config"),
        (["--resume", "nothing"], "no run 'nothing' in runs/"),
        (
            ["--resume", "last", "-n", "pipelines.one"],
            "--resume uses the options of the earlier run: remove the other options",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(toy, one, words, said):
    ended = toy.cli("run-pipeline", *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"run-pipeline: {said}\n"
    assert toy.ran() == []


def test_a_wrong_definition_is_one_line_and_exit_2(toy):
    ended = toy.run(toy.pipeline("wrong", 't.add(work, txt="x")'))
    assert ended.returncode == 2
    assert (
        ended.stderr == "run-pipeline: task 'work' takes no argument 'txt'; did you mean 'text'?\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_library", "1: ModuleNotFoundError: No module named 'no_such_library'"),
        ("\nfrom steps.work import wrok", "2: ImportError: cannot import name 'wrok' from "),
        ("x = (1,\ny = 2", "1: SyntaxError: '(' was never closed"),
        ("import json\njson.loads('{')", "2: JSONDecodeError: Expecting property name "),
        ("def get_pipeline():\n    return {}['a']", "2: KeyError: 'a'"),
    ],
)
def test_a_fault_of_a_pipelines_module_is_one_line_with_its_place(toy, text, said):
    toy.write("pipelines/broken.py", f"{text}\n")
    ended = toy.run("pipelines.broken")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"run-pipeline: pipelines/broken.py:{said}")
    assert ended.stderr.count("\n") == 1


DEEP = f"{'[' * 20_000}{']' * 20_000}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kwargs", DEEP], "--kwargs: neither JSON nor a Python literal: [[["),
        (["--kwargs", '{"a":' * 20_000], "--kwargs: neither JSON nor a Python literal: {"),
        (["--tags", DEEP], "--tags: neither JSON nor a Python literal: [[["),
        (["--set", f"numbers={DEEP}"], "--set numbers: expected list of int, not "),
        (["--set", f"section.key={DEEP}"], "--set section.key: its value is nested too deeply"),
        (["--config", "deep.yaml"], "deep.yaml: not YAML: it is nested too deeply"),
    ],
)
def test_what_is_nested_too_deeply_is_one_line(toy, words, said):
    toy.write("flat.yaml", "a: 1")
    toy.write("deep.yaml", f"a: {DEEP * 10}")  # libyaml's loader would overflow the stack
    parameters = "numbers: list[int] = field(default_factory=list)\nconfig: ConfigFile = "
    parameters += 'field(default_factory=lambda: ConfigFile("flat.yaml"))\n'
    module = toy.pipeline("deep", 't.add(work, name="a")', parameters)
    ended = toy.run(module, *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"run-pipeline: {said}")
    assert ended.stderr.count("\n") == 1


def test_a_pipeline_may_take_no_parameters(toy):
    toy.write(
        "pipelines/bare.py",
        """
        from soundgate.pipeline import Pipeline
        from steps.work import work

        def get_pipeline():
            t = Pipeline("bare")
            t.add(work)
            return t
        """,
    )
    assert toy.run("pipelines.bare").returncode == 0
    ended = toy.run("pipelines.bare", "--set", "x=1")
    assert ended.stderr == "run-pipeline: pipelines.bare takes no parameters\n"
    region = toy.run("pipelines.bare", "--kwargs", "{'region': 'eu-west-1', 'role': None}")
    assert region.returncode == 0, region.stderr
    toy.write("pipelines/bare.py", "def get_pipeline():\n    return 3\n")
    ended = toy.run("pipelines.bare")
    assert ended.stderr == "run-pipeline: pipelines.bare.get_pipeline returned 3\n"


def test_a_run_records_what_was_asked(toy, one):
    toy.write("user.yaml", "pipeline: {epochs: 2}\ntraining: {rate: 1}\n")
    ended = toy.run(
        one,
        *("--config", "user.yaml", "--kwargs", '{"text": "k", "epochs": 3}', "--set", "epochs=4"),
        *("--set", "training.rate=5", "--description", "why", "--output", "json"),
        *("--tags", "[{'Key': 'k', 'Value': 'v'}]"),
    )
    assert ended.returncode == 0, ended.stderr
    record = json.loads(ended.stdout)  # progress went to standard error
    assert "a  succeeded" in ended.stderr
    assert record == toy.record()
    assert record["parameters"] == {
        "text": "k",
        "epochs": 4,
        "config": {"path": "user.yaml", "overrides": [["training.rate", 5]]},
    }
    assert record["invocation"]["description"] == "why"
    assert record["invocation"]["tags"] == [{"Key": "k", "Value": "v"}]
    assert record["state"] == "succeeded"
    assert [t["state"] for t in record["tasks"].values()] == ["succeeded", "succeeded"]
    assert record["tasks"]["b"]["depends_on"] == ["a"]
    assert record["tasks"]["a"]["outputs"]["out"]["files"] == 1


def test_runs_may_lie_elsewhere(toy, one):
    ended = toy.run(one, env={"SOUNDGATE_RUNS": "else where/x"})
    assert ended.returncode == 0, ended.stderr
    assert len(list(toy.folder.glob("else where/x/one/*/tasks/b/out/result.txt"))) == 1
    assert not (toy.folder / "runs").exists()


def test_runs_cannot_lie_in_a_file(toy, one):
    (toy.folder / "taken").write_text("")
    ended = toy.run(one, env={"SOUNDGATE_RUNS": "taken"})
    assert ended.returncode == 2
    assert ended.stderr.startswith("run-pipeline: taken")
    assert ended.stderr.endswith("a file stands where a folder should: choose another folder\n")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("no/folder.txt", "--file-name no/folder.txt: folder no does not exist: create it"),
        ("runs", "runs: Is a directory: name a file in it"),
    ],
)
def test_a_definition_that_cannot_be_written_is_one_line(toy, one, file, said):
    (toy.folder / "runs").mkdir(exist_ok=True)
    ended = toy.cli("get-pipeline-definition", "-n", one, "-f", file)
    assert (ended.returncode, ended.stderr) == (2, f"get-pipeline-definition: {said}\n")


def test_a_line_break_in_the_folder_of_runs_is_refused(toy, one):
    """It would end the comment of the printed script, and what follows would be a command."""
    ended = toy.cli(
        "get-pipeline-definition", "-n", one, env={"SOUNDGATE_RUNS": "runs\ntouch stray"}
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == (
        "get-pipeline-definition: SOUNDGATE_RUNS: 'runs\\ntouch stray' holds a control character: "
        "rename it\n"
    )
