"""The rendered definition against what SageMaker's own SDK (v3) compiles of the same steps.

The SDK is 755 MB and an extra of its own (``pip install 'soundgate[sagemaker]'``); without it the
tests skip. ``SOUNDGATE_SDK_PYTHON`` names an interpreter of another environment that has it.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sagemaker_toy import IMAGE, ROLE

from soundgate import invocation, runs
from soundgate.executors.base import Options
from soundgate.executors.sagemaker import profile
from soundgate.executors.sagemaker.rendering.definition import render
from soundgate.executors.sagemaker.validation import definition as validation

TWIN = Path(__file__).with_name("sdk_twin.py")
DEFAULTS = {"S3DataDistributionType": "FullyReplicated", "S3CompressionType": "None"}
"""What the SDK writes of every input of a Processing job, although it is the service's default."""


def python_with_sdk():
    """An interpreter that has the SDK: this one, or the one SOUNDGATE_SDK_PYTHON names."""
    named = os.environ.get("SOUNDGATE_SDK_PYTHON")
    if named:
        return named
    try:
        importlib.metadata.version("sagemaker")
    except importlib.metadata.PackageNotFoundError:
        return None
    return sys.executable


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The AED pipeline as rendered, and as the SDK compiles it."""
    python = python_with_sdk()
    if python is None:
        pytest.skip("the SageMaker SDK is not installed (pip install 'soundgate[sagemaker]')")
    folder = tmp_path_factory.mktemp("sdk")
    site = folder / "site.yaml"
    text = (
        f"bucket: artifacts\nimage_uri: {IMAGE}\npipeline_role_arn: {ROLE}\njob_role_arn: {ROLE}\n"
    )
    site.write_text(text, "utf-8")
    asked = invocation.Invocation(module="pipelines.aed", assignments=("dataset=ESC-10",))
    pipeline, _ = invocation.declare(asked, folder)
    run = runs.Run(folder, "aed", "RUN-ID")
    rendered = render(pipeline, run, profile.load(Options(profile=str(site)))).definition
    done = subprocess.run(
        [python, "-W", "ignore", str(TWIN)],
        input=json.dumps(rendered),
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return rendered, json.loads(done.stdout)


def by_name(definition):
    """Every step by name; of a condition, its branches as names."""
    found = {}

    def add(steps):
        for step in steps:
            arguments = dict(step["Arguments"])
            for branch in ("IfSteps", "ElseSteps"):
                if branch in arguments:
                    add(arguments[branch])
                    arguments[branch] = sorted(inner["Name"] for inner in arguments[branch])
            found[step["Name"]] = {**step, "Arguments": arguments}

    add(definition["Steps"])
    return found


def plain(value):
    """A value without empty fields, which the SDK writes, and with numbers as numbers."""
    if isinstance(value, dict):
        kept = {name: plain(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in (None, {}, [])}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def test_the_same_steps_with_the_same_edges(pair):
    ours, theirs = map(by_name, pair)
    assert sorted(ours) == sorted(theirs)
    for name, step in ours.items():
        twin = theirs[name]
        assert twin["Type"] == step["Type"]
        assert sorted(twin.get("DependsOn", [])) == sorted(step.get("DependsOn", []))
        for field in ("CacheConfig", "PropertyFiles", "DisplayName", "RetryPolicies"):
            assert plain(twin.get(field)) == plain(step.get(field)), (name, field)


def test_the_same_parameters(pair):
    ours, theirs = (
        {each["Name"]: each for each in definition["Parameters"]} for definition in pair
    )
    assert ours == theirs


def test_the_same_arguments_of_every_job(pair):
    ours, theirs = map(by_name, pair)
    for name, step in ours.items():
        if step["Type"] not in ("Processing", "Training"):
            continue
        expected, found = plain(step["Arguments"]), plain(theirs[name]["Arguments"])
        for each in found.get("ProcessingInputs", []):
            assert {field: each["S3Input"].pop(field) for field in DEFAULTS} == DEFAULTS
        if step["Type"] == "Training":
            # the SDK's trainer takes no parameter for the role, and no command: it sends a script
            # of its own into the container
            del expected["RoleArn"], found["RoleArn"]
            command = expected["AlgorithmSpecification"]
            del command["ContainerEntrypoint"], command["ContainerArguments"]
        assert found == expected, name


def test_the_same_conditions_and_messages(pair):
    ours, theirs = map(by_name, pair)
    for name, step in ours.items():
        if step["Type"] in ("Condition", "Fail"):
            assert theirs[name]["Arguments"] == step["Arguments"], name


def test_the_same_model_package(pair):
    ours, theirs = map(by_name, pair)
    expected = plain(ours["register-package"]["Arguments"])
    found = plain(theirs["register-package"]["Arguments"])
    # the SDK gives every container the variables of its own images
    for container in found["InferenceSpecification"]["Containers"]:
        container.pop("Environment", None)
    assert found == expected


def test_what_the_sdk_compiles_passes_the_same_checks(pair):
    _, theirs = pair
    validation.check(theirs)
