"""Looking at runs, their logs, outputs and parameters, typed as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from one_pipeline import ONE, PARAMETERS
from toy_project import Toy


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


def test_the_package_is_a_program(ran):
    assert ran.module("soundgate", "list-runs").stdout == ran.cli("list-runs").stdout


def test_runs_of_an_unknown_pipeline_are_no_empty_list(ran):
    ended = ran.cli("list-runs", "ones")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "list-runs: no pipeline 'ones'; did you mean 'one'?\n"
    ran.pipeline("fresh", "t.add(work)")
    never = ran.cli("list-runs", "fresh")  # declared, but it never ran
    assert (never.returncode, len(never.stdout.splitlines())) == (0, 1)


def test_a_project_in_a_folder_whose_name_is_no_utf_8_runs_and_is_looked_at(tmp_path):
    toy = Toy(tmp_path / "x\udcff")
    toy.pipeline("p", 't.add(work, name="a", text="x")')
    assert toy.run("pipelines.p").returncode == 0
    record = json.loads((toy.runs()[-1] / "run.json").read_text("utf-8"))
    assert record["state"] == "succeeded"
    for words in (("list-runs",), ("show-run", "last"), ("run-pipeline", "--resume", "last")):
        done = toy.cli(*words)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert "succeeded" in done.stdout
