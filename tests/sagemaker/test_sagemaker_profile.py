"""A site's profile: what goes over what, and what is refused in one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from soundgate.errors import ConfigError
from soundgate.executors.base import Options
from soundgate.executors.sagemaker.instances import PROCESSING, Instance
from soundgate.executors.sagemaker.profile import Profile, load
from soundgate.parameters import meanings

ROOT = Path(__file__).resolve().parents[2]
ROLE = "arn:aws:iam::111122223333:role/"


@pytest.fixture
def file(tmp_path):
    def write(text: str) -> Options:
        path = tmp_path / "site.yaml"
        path.write_text(text, "utf-8")
        return Options(profile=str(path))

    return write


@pytest.mark.parametrize("name", ["generic", "spot"])
def test_the_profiles_that_come_along_are_valid(name):
    found = load(Options(profile=str(ROOT / "infra" / "sagemaker" / f"{name}.yaml")))
    assert found.spot == (name == "spot")
    assert found.cache_days == 30


def test_without_a_file_there_are_defaults():
    found = load(Options())
    assert (found.prefix, found.bucket, found.processing) == ("soundgate", None, PROCESSING)


def test_the_command_line_goes_over_the_file(file):
    text = f"""
region: eu-central-1
bucket: in-the-file
pipeline_role_arn: {ROLE}in-the-file
tags: {{team: audio, usecase: birds}}
"""
    options = Options(
        profile=file(text).profile,
        keywords={
            "region": "eu-west-1",
            "default_bucket": "given",
            "role": f"{ROLE}given",
            "pipeline_name": "stm32-p-1",
            "model_package_group_name": "models",
            "sagemaker_project_name": "stm32",
            "sagemaker_project_id": "p-1",
            "usecase_name": "bats",
            "base_job_prefix": "ignored",
        },
        role_arn=f"{ROLE}pipeline",
        tags=({"Key": "team", "Value": "bats"},),
    )
    found = load(options)
    assert (found.region, found.bucket) == ("eu-west-1", "given")
    assert (found.pipeline_name, found.model_package_group) == ("stm32-p-1", "models")
    assert found.pipeline_role_arn == f"{ROLE}pipeline"
    assert found.job_role_arn == f"{ROLE}given"
    assert found.tag_list == [
        {"Key": "sagemaker:project-id", "Value": "p-1"},
        {"Key": "sagemaker:project-name", "Value": "stm32"},
        {"Key": "team", "Value": "bats"},
        {"Key": "usecase", "Value": "bats"},
    ]


def test_a_narrower_role_of_the_site_s_own_stays(file):
    options = file(f"job_role_arn: {ROLE}narrow")
    found = load(Options(profile=options.profile, keywords={"role": f"{ROLE}wide"}))
    assert found.job_role_arn == f"{ROLE}narrow"


def test_keywords_that_are_empty_change_nothing(file):
    options = file("bucket: in-the-file")
    found = load(Options(profile=options.profile, keywords={"default_bucket": "", "region": ""}))
    assert (found.bucket, found.region) == ("in-the-file", None)


def test_a_table_of_the_site_s_own(file):
    found = load(file("training: [{type: ml.x, cpus: 2, memory_gb: 4, gpus: 1}]"))
    assert found.training == (Instance(type="ml.x", cpus=2, memory_gb=4, gpus=1),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("buckt: x", "unknown field buckt; did you mean 'bucket'?"),
        ("training: [{type: ml.x, cpu: 2}]", "training.0.cpus: Field required"),
        (
            "training: [{type: ml.x, cpus: 2, memory_gb: 4, gpu: 1}]",
            "unknown field training.0.gpu; did you mean 'gpus'?",
        ),
        ("endpoint_url: nonsense", "endpoint_url: expected https://HOST"),
        ("spot_wait_factor: .inf", "spot_wait_factor: Input should be a finite number"),
        ("bucket: s3://mine", "bucket: expected the name of a bucket, without s3://"),
        ("job_role_arn: me", "job_role_arn: expected the ARN of a role"),
        ("image_uri: repo/soundgate:latest", "image_uri: can name another image later"),
        ("image_uri: host:5000/soundgate", "image_uri: can name another image later"),
        ("{spot: true, warm_pool_s: 60}", "spot and warm_pool_s cannot be combined: remove one"),
        ("subnets: [a]", "subnets and security_groups go together"),
        ("spot_wait_factor: 0.5", "spot_wait_factor: Input should be greater than or equal to 1"),
        ("prefix: /a", "prefix: expected parts of letters"),
        ("pipeline_name: a_b", "pipeline_name: expected at most 63 letters"),
        ("[1, 2]", "expected fields with values"),
        ("a: [", "is not YAML"),
        ("1: 2", "a field name is not text"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_field_and_fix(text, said, file):
    options = file(text)
    with pytest.raises(ConfigError) as error:
        load(options)
    assert str(error.value).startswith(f"--profile {options.profile}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_absent_file_is_named():
    with pytest.raises(ConfigError, match=r"--profile nowhere\.yaml: cannot be read"):
        load(Options(profile="nowhere.yaml"))


@pytest.mark.parametrize(
    "image", ["repo/soundgate@sha256:" + "0" * 64, "host:5000/soundgate:1.2.3", "r/s:v1@sha256:ab"]
)
def test_an_image_that_stays_the_same_is_taken(image):
    assert Profile(image_uri=image).image_uri == image


def documented(section: str) -> dict[str, str]:
    text = (ROOT / "docs" / "sagemaker.md").read_text("utf-8")
    body = re.split(r"^### ", text, flags=re.MULTILINE)
    (table,) = [part for part in body if part.startswith(f"{section}\n")]
    return dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("section", "kind"), [("The profile", Profile), ("`processing`, `training`", Instance)]
)
def test_the_documentation_has_every_field_and_says_what_it_means(section, kind):
    fields = {
        name: meaning.replace("``", "`")
        for name, meaning in meanings(kind).items()
        if not name.startswith("_") and name != "model_config"
    }
    assert documented(section) == fields
    assert all(fields.values())
