"""The commands, typed as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from soundgate.cli import COMMANDS

ONE = 'a = t.add(work, name="a", text=p.text)\nt.add(work, name="b", source=a["out"])'
PARAMETERS = '''
text: str = "x"
"""What is
written."""
epochs: int = 1
config: ConfigFile = ConfigFile("user.yaml", must_exist=False)
'''


@pytest.fixture
def one(toy):
    return toy.pipeline("one", ONE, PARAMETERS)


@pytest.fixture(scope="module")
def ran(new_toy):
    """A project whose pipeline ran twice; its tests only look."""
    toy = new_toy()
    module = toy.pipeline("one", ONE, PARAMETERS)
    assert toy.run(module, "--description", "first").returncode == 0
    assert toy.run(module, "--set", "text=y").returncode == 0
    failing = toy.pipeline("bad", 't.add(work, name="a", fail="bug")')
    assert toy.run(failing).returncode == 1
    return toy


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


def test_runs_are_listed(ran):
    lines = ran.cli("list-runs").stdout.splitlines()
    names = [run.name for run in ran.runs()]
    assert [line.split()[0] for line in lines] == ["run", *sorted(names, reverse=True)]
    assert [line.split()[1] for line in lines if "failed" in line] == ["bad"]
    assert lines[0].split() == ["run", "pipeline", "executor", "state", "time", "reason"]
    assert len(ran.cli("list-runs", "one").stdout.splitlines()) == 3
    assert len(ran.cli("list-runs", "--limit", "1").stdout.splitlines()) == 2
    found = json.loads(ran.cli("list-runs", "bad", "--output", "json").stdout)
    assert [(r["run"], r["state"], r["reason"]) for r in found] == [
        (ran.runs("bad")[0].name, "failed", "a: ValueError: bug")
    ]


def test_a_run_is_shown_by_the_beginning_of_its_id(ran):
    run = ran.runs("one")[0]
    shown = ran.cli("show-run", run.name[:-1]).stdout.splitlines()
    assert shown[0] == f"one {run.name}  succeeded"
    assert shown[1].endswith(f"runs/one/{run.name}")
    assert shown[3].split() == ["task", "state", "time"]
    assert [line.split()[:2] for line in shown[4:]] == [["a", "succeeded"], ["b", "succeeded"]]
    record = json.loads(ran.cli("show-run", run.name, "--output", "json").stdout)
    assert record == json.loads((run / "run.json").read_text("utf-8"))


def test_logs_are_shown(ran):
    run = ran.runs("one")[0].name
    assert ran.cli("show-logs", run, "a").stdout == "wrote 1 characters\n"
    both = ran.cli("show-logs", run, "--follow").stdout
    assert both == "--- a\nwrote 1 characters\n--- b\nwrote 1 characters\n"
    wrong = ran.cli("show-logs", run, "c")
    assert wrong.returncode == 2
    assert wrong.stderr == f"show-logs: run {run} has no task 'c'; known: a, b\n"


def test_parameters_are_shown_with_their_meaning(ran):
    lines = ran.cli("show-parameters", "-n", "pipelines.one").stdout.splitlines()
    assert lines[0].split() == ["parameter", "type", "value", "from", "meaning"]
    assert lines[1].split(maxsplit=4) == ["text", "str", "x", "default", "What is written."]


def test_parameters_are_shown_as_a_run_would_have_them(ran):
    ran.write("user.yaml", "pipeline: {epochs: 2}\n")
    words = ("-n", "pipelines.one", "--config", "user.yaml", "--kwargs", "{'text': 'k'}")
    shown = ran.cli("show-parameters", *words, "--output", "json")
    rows = {row["parameter"]: (row["value"], row["from"]) for row in json.loads(shown.stdout)}
    assert rows == {
        "text": ("k", "--kwargs"),
        "epochs": ("2", "user.yaml"),
        "config": ("user.yaml", "--config"),
    }
    wrong = ran.cli("show-parameters", "-n", "pipelines.one", "--set", "epochs=x")
    assert (wrong.returncode, wrong.stdout) == (2, "")


@pytest.mark.parametrize("words", [["list-runs"], ["show-run", "last"], ["show-logs", "last"]])
def test_a_reader_that_closes_early_is_no_error(ran, words):
    command = f"{sys.executable} -m soundgate.cli {' '.join(words)} | head -c 1 >/dev/null"
    ended = subprocess.run(
        [
            "bash",
            "-c",
            f"for i in 1 2 3; do {command}; test ${{PIPESTATUS[0]}} = 0 || exit 9; done",
        ],
        cwd=ran.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command, capsys):
    from soundgate.cli import main

    with pytest.raises(SystemExit) as end:
        main([*command.split(), "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    about = COMMANDS[command][0].__doc__
    assert " ".join(about.split()) in " ".join(shown.split())


def test_every_program_is_a_command():
    import importlib
    import tomllib
    from pathlib import Path

    text = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    scripts = tomllib.loads(text)["project"]["scripts"]
    assert set(scripts) - {name.split()[0] for name in COMMANDS} == {"soundgate"}
    for name, target in scripts.items():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), name


def test_a_misspelt_command_is_answered():
    ended = subprocess.run(
        [sys.executable, "-m", "soundgate.cli", "list-run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("soundgate: error: argument COMMAND: invalid choice: 'list-run'")
    assert ended.stderr.count("\n") == 1


def test_a_misspelt_option_is_one_line(toy, one):
    ended = toy.run(one, "--dryrun")
    assert ended.returncode == 2
    assert ended.stderr == "soundgate: error: unrecognized arguments: --dryrun\n"


def succeeded(ran):
    return next(p.parent.name for p in sorted((ran.folder / "runs" / "one").glob("*/run.json")))


def test_outputs_are_copied_to_a_folder(ran):
    run = succeeded(ran)
    got = ran.cli("get-output", run, "a", "out", "--to", "here/it is")
    assert (got.returncode, got.stdout) == (0, "here/it is\n"), got.stderr
    assert [p.name for p in (ran.folder / "here" / "it is").iterdir()] == ["result.txt"]
    assert [p.name for p in (ran.folder / "here").iterdir()] == ["it is"]  # nothing half-made
    assert ran.cli("get-output", run, "b", "--to", "all").returncode == 0
    assert (ran.folder / "all" / "out" / "result.txt").read_text() == "x"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("c", "--to", "x"), "has no task 'c'; known: a, b"),
        (("a", "oot", "--to", "x"), "a has no output 'oot'; did you mean 'out'?"),
        (("a", "out", "--to", "steps"), "--to steps: the folder is not empty; choose another one"),
    ],
)
def test_what_cannot_be_copied_is_said(ran, words, said):
    got = ran.cli("get-output", succeeded(ran), *words)
    assert (got.returncode, got.stdout) == (2, "")
    assert said in got.stderr
    assert not (ran.folder / "x").exists()


def test_an_output_that_was_never_written_is_said(ran):
    got = ran.cli("get-output", "last", "a", "out", "--to", "x")
    assert (got.returncode, "a has not written out yet" in got.stderr) == (2, True)
    assert not (ran.folder / "x").exists()


def test_the_version_is_printed(toy):
    from importlib.metadata import version

    ended = toy.module("soundgate", "--version")
    assert (ended.returncode, ended.stdout) == (0, f"soundgate {version('soundgate')}\n")


def test_the_package_is_a_program(ran):
    assert ran.module("soundgate", "list-runs").stdout == ran.cli("list-runs").stdout


def test_runs_of_an_unknown_pipeline_are_no_empty_list(ran):
    ended = ran.cli("list-runs", "ones")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "list-runs: no pipeline 'ones'; did you mean 'one'?\n"
    ran.pipeline("fresh", "t.add(work)")
    never = ran.cli("list-runs", "fresh")  # declared, but it never ran
    assert (never.returncode, len(never.stdout.splitlines())) == (0, 1)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_option_says_what_it_does(command):
    from soundgate.arguments import Parser

    parser = Parser(prog=command)
    COMMANDS[command][1](parser)
    assert [action.dest for action in parser._actions if not action.help] == []


def test_project_templates_write_options_with_one_dash(toy, one):
    toy.write("user.yaml", "training: {}\n")
    words = (
        "-kwargs",
        '{"text": "k"}',
        "-description",
        "why",
        "-tags",
        "[{'Key': 'k', 'Value': 'v'}]",
    )
    ended = toy.run(one, *words, "--output", "json")
    assert ended.returncode == 0, ended.stderr
    asked = json.loads(ended.stdout)["invocation"]
    assert (asked["kwargs"], asked["description"]) == ({"text": "k"}, "why")
    assert asked["tags"] == [{"Key": "k", "Value": "v"}]


def test_a_role_is_assumed_by_sagemaker_alone_so_that_a_template_s_call_runs_there(toy, one):
    ended = toy.run(one, "-role-arn", "arn:aws:iam::111122223333:role/x", "--dry-run")
    assert "SageMaker decides by its cache keys" in ended.stdout, ended.stderr
    local = toy.run(one, "--role-arn", "x", "--executor", "local", "--dry-run")
    assert "never ran" in local.stdout


def test_arguments_that_mean_nothing_to_the_executor_are_named(toy, one):
    site = ("--kwargs", "{'region': 'eu-west-1', 'default_bucket': 'b', 'text': 'k'}")
    ended = toy.run(one, *site, "--executor", "local", "--role-arn", "x", "--dry-run")
    assert ended.stderr == (
        "no effect with --executor local: --role-arn, default_bucket of --kwargs, "
        "region of --kwargs\n"
    )
    assert ended.returncode == 0
    assert toy.run(one, "--kwargs", "{'text': 'k'}", "--dry-run").stderr == ""


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
