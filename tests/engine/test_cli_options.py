"""Commands and options: what they are called, and what is said of a wrong one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from soundgate.cli import COMMANDS


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


def test_the_version_is_printed(toy):
    from importlib.metadata import version

    ended = toy.module("soundgate", "--version")
    assert (ended.returncode, ended.stdout) == (0, f"soundgate {version('soundgate')}\n")


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
