"""The three buildspecs and the workflow: keys that exist, and one and the same work in all."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from account_by_hand import ROOT
from codebuild import Build, read

from infra import project
from pipeline_parameters import AedParameters
from pipelines import aed
from soundgate.audio import datasets
from soundgate.parameters import load

WORKFLOW = ROOT / ".github" / "workflows" / "train.yml"
BUILDSPECS = ("buildspec.yml", "buildspec-example.yml", "infra/containers/buildspec.yml")
SCRIPTS = ("infra/containers/install.sh", "infra/containers/publish.sh")


def workflow() -> dict:
    return yaml.safe_load(WORKFLOW.read_text("utf-8"))


def program(name: str) -> str:
    """A linter of the environment; skips where it is absent."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.mark.parametrize("name", BUILDSPECS)
def test_a_buildspec_has_documented_keys_and_runs_in_bash(name):
    spec = read(ROOT / name)
    assert spec["env"]["shell"] == "bash"
    for phase in spec["phases"].values():
        for command in [*phase["commands"], *phase.get("finally", [])]:
            if "\n" in command.strip():
                assert command.startswith("set -euo pipefail\n"), "a failure in it would exit 0"
            assert "eval" not in command.split()


def test_a_wrong_key_is_seen(tmp_path):
    text = (ROOT / "buildspec.yml").read_text("utf-8")
    (tmp_path / "b.yml").write_text(text.replace("pre_build:", "prebuild:"))
    with pytest.raises(AssertionError, match="prebuild"):
        read(tmp_path / "b.yml")


def test_the_example_is_the_buildspec_filled_in():
    spec, example = read(ROOT / "buildspec.yml"), read(ROOT / "buildspec-example.yml")
    filled = example["env"].pop("variables")
    empty = spec["env"].pop("variables")
    assert example == spec
    assert set(filled) == set(empty) == {"DATASET_NAME", "DOWNLOAD_COMMAND", "USER_CONFIG"}
    assert not any(empty.values())
    assert all(filled.values())


def test_the_example_s_values_fit_together(monkeypatch):
    monkeypatch.chdir(ROOT)
    filled = read(ROOT / "buildspec-example.yml")["env"]["variables"]
    path = project.config(filled)
    known = datasets.load(datasets.resolve(filled["DATASET_NAME"]))
    assert known.name == "ESC-50"
    assert filled["DOWNLOAD_COMMAND"] == known.download_command, "kept under another name else"
    parameters = load(AedParameters, config=Path(path), kwargs={"dataset": filled["DATASET_NAME"]})
    assert parameters.config.get("dataset.name") == filled["DATASET_NAME"]
    fetched = aed.get_pipeline(parameters).tasks["fetch"]
    assert fetched.arguments["dataset"] == "ESC-50"


def test_the_workflow_signs_in_without_a_key_and_may_do_nothing_else():
    text, flow = WORKFLOW.read_text("utf-8"), workflow()
    assert flow["permissions"] == {}
    [job] = flow["jobs"].values()
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert "secrets." not in text
    assert not re.search(r"aws-(access-key-id|secret-access-key)|AKIA[0-9A-Z]{16}", text)
    [sign_in] = [s for s in job["steps"] if "configure-aws-credentials" in s.get("uses", "")]
    assert set(sign_in["with"]) == {"aws-region", "role-duration-seconds", "role-to-assume"}
    checkout = job["steps"][0]
    assert checkout["uses"].startswith("actions/checkout@")
    assert checkout["with"] == {"persist-credentials": False}


def test_the_workflow_s_actions_are_pinned_by_commit():
    used = re.findall(r"uses: (\S+)(.*)", WORKFLOW.read_text("utf-8"))
    assert len(used) == 4
    for action, comment in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"{action}: say which version"


def test_no_value_of_the_event_is_pasted_into_a_script():
    for step in workflow()["jobs"]["train"]["steps"]:
        assert "${{" not in step.get("run", ""), "a value is handed over by env, never pasted"


def test_the_workflow_does_what_the_buildspec_does():
    [job] = workflow()["jobs"].values()
    steps = {step.get("name"): step for step in job["steps"]}
    phases = read(ROOT / "buildspec.yml")["phases"]
    assert steps["Install"]["run"] == phases["install"]["commands"][-1]
    assert steps["Check"]["run"].strip() == phases["pre_build"]["commands"][1].strip()
    assert steps["Train"]["run"].strip() == phases["build"]["commands"][0].strip()
    assert steps["Collect"]["run"].strip() == phases["build"]["finally"][0].strip()
    assert "steps.train.outcome == 'failure'" in steps["Collect"]["if"]
    assert steps["Keep"]["with"]["path"] == "/tmp/ml"
    bash = [step["shell"] for step in job["steps"] if "run" in step]
    assert bash == ["bash"] * 5
    read_by_it = set(re.findall(r'"([A-Z_]{6,})"', Path(project.__file__).read_text("utf-8")))
    made_before = {"IMAGE_URI", "TRAINING_IMAGE_URI", "SAGEMAKER_PROJECT_NAME_ID"}
    assert read_by_it - made_before <= set(job["env"])


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_finds_nothing_in_scripts(name):
    done = subprocess.run(
        [program("shellcheck"), str(ROOT / name)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_shellcheck_finds_nothing_in_commands():
    checked = program("shellcheck")
    for name in BUILDSPECS:
        for phase in read(ROOT / name)["phases"].values():
            for command in [*phase["commands"], *phase.get("finally", [])]:
                done = subprocess.run(
                    [checked, "--shell=bash", "-"],
                    input=command,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, done.stdout


def test_zizmor_finds_nothing_in_the_workflow():
    command = [program("zizmor"), "--offline", "--quiet", str(WORKFLOW)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_build_stops_where_codebuild_would(tmp_path):
    """The runner of these tests, against what the reference says of phases and shells."""
    spec = {
        "env": {"shell": "bash", "variables": {"GIVEN": "here", "OVER": "here"}},
        "phases": {
            "install": {"commands": ["export A=1; B=2", "cd /; exit 0"]},
            "pre_build": {"commands": ['test "$A:${B:-}:$GIVEN:$OVER:$PWD" = 1::here:project:/']},
            "build": {
                "commands": ["echo one; false; echo in-the-same", "false", "echo not-reached"],
                "finally": ["echo finally"],
            },
            "post_build": {"commands": ["echo after"]},
        },
        "artifacts": {"files": ["/tmp/ml/**/*"]},
    }
    done = Build(spec, tmp_path, tmp_path / "b", {"OVER": "project"})
    done.folder.mkdir()
    (done.folder / "ml" / "deep").mkdir(parents=True)
    (done.folder / "ml" / "deep" / "a.txt").touch()
    done.run()
    assert list(done.states.values()) == ["succeeded", "succeeded", "failed", "succeeded"]
    printed = [line for line in done.log.splitlines() if not line.startswith("$")]
    assert printed == ["one", "in-the-same", "finally", "after"]
    assert set(done.artifacts) == {"ml/deep/a.txt"}
    early = Build(
        {**spec, "phases": {**spec["phases"], "install": {"commands": ["false"]}}},
        tmp_path,
        tmp_path / "c",
        {},
    )
    early.folder.mkdir()
    assert early.run().states == {"install": "failed"}
