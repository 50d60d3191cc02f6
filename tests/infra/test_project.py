"""What a build's environment says, in the words of run-pipeline."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys

import pytest
import yaml
from account_by_hand import ROOT

from infra import project
from infra.settings import Settings
from soundgate.errors import ConfigError, ParameterError
from soundgate.parameters import TEMPLATE_KEYWORDS

ENVIRONMENT = {
    "SAGEMAKER_PROJECT_NAME": "sounds",
    "SAGEMAKER_PROJECT_ID": "p-7",
    "ARTIFACT_BUCKET": "a-bucket",
    "SAGEMAKER_PIPELINE_ROLE_ARN": "arn:aws:iam::111122223333:role/pipeline",
    "AWS_REGION": "eu-west-1",
    "IMAGE_URI": "image@sha256:0",
}


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_the_templates_keywords_and_nothing_that_run_pipeline_refuses():
    found = project.kwargs(ENVIRONMENT)
    assert found == {
        "usecase_name": "aed",
        "region": "eu-west-1",
        "role": "arn:aws:iam::111122223333:role/pipeline",
        "default_bucket": "a-bucket",
        "pipeline_name": "sounds-p-7",
        "model_package_group_name": "sounds-p-7",
        "base_job_prefix": "sounds-p-7",
        "sagemaker_project_name": "sounds",
        "sagemaker_project_id": "p-7",
    }
    assert set(found) <= set(TEMPLATE_KEYWORDS)


def test_a_data_set_is_named_only_where_the_environment_names_one():
    given = {**ENVIRONMENT, "DATASET_NAME": " ESC-50 ", "DOWNLOAD_COMMAND": " \n"}
    found = project.kwargs(given)
    assert found["dataset"] == "ESC-50"
    assert "download_command" not in found


def test_the_full_name_is_given_or_made_and_always_one_that_sagemaker_takes():
    assert project.full_name({**ENVIRONMENT, "SAGEMAKER_PROJECT_NAME_ID": "given-1"}) == "given-1"
    odd = {**ENVIRONMENT, "SAGEMAKER_PROJECT_NAME": "--a \"b'_\u00e9 "}
    assert project.full_name(odd) == "a-b-p-7"
    long = {**ENVIRONMENT, "SAGEMAKER_PROJECT_NAME": "x" * 62 + "-yz"}
    assert project.full_name(long) == "x" * 62


def test_the_profile_is_the_site_s_with_what_the_account_decides(tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text("spot: true\nimage_uri: older\nparameters: {epochs: 3}\n")
    found = project.profile({**ENVIRONMENT, "SITE_PROFILE": str(site)})
    assert found == {
        "spot": True,
        "image_uri": "image@sha256:0",
        "region": "eu-west-1",
        "bucket": "a-bucket",
        "pipeline_role_arn": "arn:aws:iam::111122223333:role/pipeline",
        "parameters": {"store": "s3://a-bucket", "epochs": 3},
    }
    from soundgate.executors.sagemaker.profile import Profile

    assert set(project.PROFILE_FIELDS) <= set(Profile.model_fields)


@pytest.mark.parametrize("text", ["[1]", "parameters: 3", "a: [", None])
def test_a_site_that_is_no_profile_is_refused(tmp_path, text):
    site = tmp_path / "site.yaml"
    if text is not None:
        site.write_text(text)
    with pytest.raises(ConfigError, match=r"SITE_PROFILE=.*site\.yaml"):
        project.profile({**ENVIRONMENT, "SITE_PROFILE": str(site)})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ARTIFACT_BUCKET": "", "AWS_REGION": ""}, "ARTIFACT_BUCKET, AWS_REGION: not set"),
        ({"IMAGE_URI": ""}, "IMAGE_URI: not set"),
        ({"DOWNLOAD_COMMAND": "<YOUR_DOWNLOAD_COMMAND>"}, "DOWNLOAD_COMMAND: a placeholder"),
        ({"USECASE_NAME": "aedd"}, "USECASE_NAME=aedd: no such pipeline; did you mean 'aed'"),
        ({"USER_CONFIG": "nowhere.yaml"}, "USER_CONFIG=nowhere.yaml: no such user config"),
    ],
)
def test_a_build_that_cannot_succeed_is_refused(changed, said):
    with pytest.raises((ParameterError, ConfigError)) as refused:
        project.check({**ENVIRONMENT, **changed})
    assert said in str(refused.value)


def test_a_build_that_can_says_what_it_will_do():
    named = {**ENVIRONMENT, "USECASE_NAME": "AED", "DATASET_NAME": "ESC-50"}
    where = "kept in s3://a-bucket/train/datasets/"
    assert project.check(named) == f"pipelines.aed by user_configs/aed.yaml on ESC-50, {where}"
    assert project.check(ENVIRONMENT) == (
        f"pipelines.aed by user_configs/aed.yaml on the data set of user_configs/aed.yaml, {where}"
    )
    assert project.config({"USER_CONFIG": "user_configs/aed_esc50.yaml"}).endswith("esc50.yaml")


def test_as_a_program_it_prints_json_that_its_readers_take():
    def ask(*words: str, **changed: str):
        command = [sys.executable, "-m", "infra.project", *words]
        return subprocess.run(
            command, env={**ENVIRONMENT, **changed}, capture_output=True, text=True, check=False
        )

    done = ask("profile")
    assert yaml.safe_load(done.stdout) == json.loads(done.stdout) == project.profile(ENVIRONMENT)
    unset = {name: value for name, value in ENVIRONMENT.items() if name != "AWS_REGION"}
    command = [sys.executable, "-m", "infra.project", "kwargs"]
    done = subprocess.run(command, env=unset, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "infra.project: AWS_REGION: not set\n")
    done = ask("tag")
    assert done.returncode == 2
    assert "did you mean 'tags'" in done.stderr


def test_the_readme_names_every_setting_and_variable():
    text = (ROOT / "infra" / "README.md").read_text("utf-8")
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "train.yml").read_text("utf-8"))
    wanted = {field.name for field in dataclasses.fields(Settings)}
    wanted |= {*project.NEEDED, *project.PROFILE_FIELDS.values(), *flow["jobs"]["train"]["env"]}
    assert not {name for name in wanted if f"`{name}`" not in text}
    for path in re.findall(r"`((?:\.\./|stacks/|containers/)[\w./-]+)`", text):
        assert (ROOT / "infra" / path).exists(), path
