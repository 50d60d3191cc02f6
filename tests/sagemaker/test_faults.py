"""What AWS may refuse, and what a user may forget: one line each, and nothing half made."""

# ruff: noqa: E501 - tables are read line by line

from __future__ import annotations

import json
import textwrap

import boto3
import pytest
import yaml
from sagemaker_toy import BUCKET, IMAGE, ROLE, Site, settings, toy, write_project
from submitting import submit

from soundgate import cli
from soundgate.errors import ConfigError, ExecutorError, MissingExtra, StoreError, UserError
from soundgate.executors.base import Submission
from soundgate.executors.sagemaker import doctor
from soundgate.executors.sagemaker.service import client


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def site(aws, project, tmp_path, monkeypatch):
    """An empty account; calls are tried once, so that a refusal is a refusal."""
    monkeypatch.setattr(client, "ATTEMPTS", 1)
    monkeypatch.setattr("soundgate.store.s3.ATTEMPTS", 1)
    make_bucket(aws, BUCKET)
    aws.requests.clear()
    return Site(aws, tmp_path, settings())


def make_bucket(aws, name, region=None):
    place = {"LocationConstraint": region or aws.account.region}
    s3 = boto3.client("s3", region_name=place["LocationConstraint"])
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=place)
    s3.close()


def left(site):
    """What is there now: pipelines, executions, keys of objects."""
    account = site.aws.account
    pipelines = account.sagemaker.list_pipelines()["PipelineSummaries"]
    keys = [
        entry["Key"]
        for bucket in account.s3.list_buckets()["Buckets"]
        for entry in account.s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", [])
    ]
    return [p["PipelineName"] for p in pipelines], len(site.aws.executions), keys


def refused(site, kind, pipeline=None):
    """Submit in vain; return the line, and what was left in the account."""
    run, record = site.begin(pipeline or toy())
    with pytest.raises(kind) as refusal:
        submit(site.executor(), pipeline or toy(), run, record, Submission(no_wait=True))
    line = str(refusal.value)
    assert "\n" not in line
    found = run.read()
    assert (found["state"], found["engine_id"]) == ("failed", "")
    assert found["reason"] == f"nothing was submitted: {line}"
    return line, left(site)


NOTHING = ([], 0, [])

BEFORE_ANYTHING = {
    "expired": ("DescribePipeline", "ExpiredTokenException", UserError, "credentials have expired; sign in again"),
    "expired at S3": ("HeadBucket", "400", ExecutorError, "s3:HeadBucket"),
    "unknown credentials": ("DescribePipeline", "UnrecognizedClientException", UserError, "does not know these credentials"),
    "denied look": ("DescribePipeline", "AccessDeniedException", ExecutorError, "sagemaker:DescribePipeline is denied to these credentials"),
    "throttled": ("DescribePipeline", "ThrottlingException", ExecutorError, "throttled, also after 1 attempts; try again later"),
    "region off": ("DescribePipeline", "OptInRequired", UserError, "region is not enabled"),
}  # fmt: skip
LATER = {
    "denied create": ("CreatePipeline", "AccessDeniedException", ExecutorError, "sagemaker:CreatePipeline is denied"),
    "invalid": ("CreatePipeline", "ValidationException", ExecutorError, "sagemaker:CreatePipeline: no such thing (ValidationException)"),
    "denied start": ("StartPipelineExecution", "AccessDeniedException", ExecutorError, "sagemaker:StartPipelineExecution is denied"),
    "throttled start": ("StartPipelineExecution", "ThrottlingException", ExecutorError, "throttled"),
    "limit": ("StartPipelineExecution", "ResourceLimitExceeded", ExecutorError, "ResourceLimitExceeded"),
    "expired start": ("StartPipelineExecution", "ExpiredTokenException", UserError, "sign in again"),
}  # fmt: skip


@pytest.mark.parametrize("case", BEFORE_ANYTHING)
def test_refused_before_anything_is_written(site, case):
    operation, code, kind, told = BEFORE_ANYTHING[case]
    status = int(code) if code.isdigit() else 400
    site.aws.fail(operation, code=code, status=status, times=9)
    line, found = refused(site, kind)
    assert told in line
    assert found == NOTHING
    assert not {"PutObject", "CreatePipeline"} & set(site.aws.requests)


@pytest.mark.parametrize("case", LATER)
def test_refused_later_no_pipeline_is_left(site, case):
    """Files stay: they are whole, named by their content, and spare the next attempt the way."""
    operation, code, kind, told = LATER[case]
    site.aws.fail(operation, code=code, message="no such thing", times=9)
    line, (pipelines, executions, keys) = refused(site, kind)
    assert told in line
    assert (pipelines, executions) == ([], 0)
    assert all(key.startswith("soundgate/files/") for key in keys)


def test_a_denied_upload_creates_nothing(site):
    site.aws.fail("PutObject", code="AccessDenied", status=403, times=9)
    line, found = refused(site, StoreError)
    assert "access denied" in line
    assert found == NOTHING


def test_a_denied_start_leaves_an_older_pipeline_alone(site):
    site.submit(toy(), no_wait=True)[0]
    site.aws.execution().stop()
    site.aws.execution().wait()
    site.aws.fail("StartPipelineExecution", code="AccessDeniedException", times=9)
    _, (pipelines, executions, _) = refused(site, ExecutorError)
    assert (pipelines, executions) == (["toy"], 1)


def test_a_refused_run_is_taken_up_again(site):
    site.aws.fail("StartPipelineExecution", code="ThrottlingException", times=1)
    run, record = site.begin(toy())
    with pytest.raises(ExecutorError, match="throttled"):
        submit(site.executor(), toy(), run, record, Submission(no_wait=True))
    again = submit(site.executor(), toy(), run, run.read(), Submission(no_wait=True))
    assert (again["state"], again["reason"]) == ("running", "")
    assert {task["state"] for task in again["tasks"].values()} == {"pending"}


def test_throttling_that_passes_is_not_noticed(site, monkeypatch):
    monkeypatch.setattr(client, "ATTEMPTS", 3)
    site.aws.fail("DescribePipeline", code="ThrottlingException", times=1)
    _, record = site.submit(toy(), no_wait=True)
    assert record["state"] == "running"


def test_a_missing_bucket(site):
    site.settings["bucket"] = "elsewhere"
    line, found = refused(site, UserError)
    assert line == "bucket elsewhere: does not exist; create it, or correct bucket in the profile"
    assert found == NOTHING


def test_a_bucket_of_another_region(site):
    make_bucket(site.aws, "far", "us-west-2")
    site.settings["bucket"] = "far"
    line, found = refused(site, UserError)
    assert line.startswith("bucket far: is in us-west-2, but jobs run in eu-west-1")
    assert found == NOTHING


def test_a_bucket_of_others(site):
    site.aws.fail("HeadBucket", code="403", status=403, times=9)
    line, found = refused(site, ExecutorError)
    assert "s3:HeadBucket is denied" in line
    assert found == NOTHING


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("bucket", "bucket is missing: set bucket in the profile, or --kwargs default_bucket"),
        ("image_uri", "image_uri is missing: set image_uri in the profile"),
        ("pipeline_role_arn", "the pipeline has no role: pass --role-arn"),
    ],
)
def test_a_missing_value(site, field, told):
    del site.settings[field]
    line, found = refused(site, UserError)
    assert line.startswith(told)
    assert found == NOTHING
    assert not {"DescribePipeline", "HeadBucket"} & set(site.aws.requests)


def test_no_credentials(site, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    line, found = refused(site, UserError)
    assert line.startswith("AWS: no credentials: sign in")
    assert found == NOTHING


@pytest.mark.parametrize(
    ("region", "told"),
    [
        (None, "AWS: no region: set region in the profile, AWS_REGION, or --kwargs region"),
        ("eu-wset-1", "AWS: unknown region 'eu-wset-1'; did you mean 'eu-west-1'?"),
    ],
)
def test_no_such_region(site, monkeypatch, region, told, tmp_path):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    site.settings["region"] = region
    line, found = refused(site, UserError)
    assert line == told
    assert found == NOTHING


def test_an_unknown_aws_profile(site, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    line, _ = refused(site, UserError)
    assert "nobody" in line


def test_nobody_answers(site, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    run, record = site.begin(toy())
    with pytest.raises(ExecutorError, match=r"DescribePipeline: no answer: .*check the region"):
        submit(site.executor(), toy(), run, record)
    assert left(site) == NOTHING


def test_a_definition_with_a_mistake_is_never_sent(site, monkeypatch):
    """An instance type that the table has and SageMaker has not."""
    machine = {"type": "ml.m5.huge", "cpus": 64, "memory_gb": 256}
    site.settings["processing"] = [machine]
    line, found = refused(site, UserError)
    assert line.startswith("step 'make': Arguments.ProcessingResources.ClusterConfig.InstanceType")
    assert found == NOTHING


# -- from the command line -------------------------------------------------------------------------


@pytest.fixture
def command(site, tmp_path, monkeypatch):
    """Runs a command in a project of its own; returns its exit code."""
    body = """
        from sagemaker_toy import toy

        def get_pipeline():
            return toy()
        """
    (tmp_path / "toy_module.py").write_text(textwrap.dedent(body), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SOUNDGATE_RUNS", str(tmp_path / "runs"))
    monkeypatch.delitem(__import__("sys").modules, "toy_module", raising=False)

    def run(*words):
        return cli.main([*words])

    return run


def run_words(site, *more):
    profile = str(site.profile)
    return [
        "run-pipeline",
        "-n",
        "toy_module",
        "--executor",
        "sagemaker",
        "--profile",
        profile,
        *more,
    ]


@pytest.mark.parametrize(
    ("fault", "code"),
    [("ExpiredTokenException", 2), ("AccessDeniedException", 1), ("ThrottlingException", 1)],
)
def test_one_line_and_the_right_exit_code(site, command, capsys, fault, code):
    site.aws.fail("*", code=fault, times=99)
    assert command(*run_words(site)) == code
    said = capsys.readouterr()
    assert said.err.startswith("run-pipeline: ")
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    site.aws._faults.clear()
    assert left(site) == NOTHING


def test_who_does_not_answer_is_asked_once_for_all_runs(site, command, capsys):
    """Each question in vain may take a minute."""
    for _ in range(3):
        assert command(*run_words(site, "--no-wait")) == 0
    site.aws.requests.clear()
    site.aws.fail("DescribePipelineExecution", code="ThrottlingException", times=99)
    capsys.readouterr()
    assert command("list-runs", "--output", "json") == 0
    reasons = [run["reason"] for run in json.loads(capsys.readouterr().out)]
    assert len(reasons) == 3
    assert all(reason.startswith("as last known: sagemaker:Describe") for reason in reasons)
    assert site.aws.requests.count("DescribePipelineExecution") == 1
    site.aws._stop_all()


def test_started_looked_at_and_cancelled_by_its_id(site, command, capsys):
    assert command(*run_words(site, "--no-wait")) == 0
    assert "started; watch it with: show-run" in capsys.readouterr().out
    assert command("show-run", "last") == 0
    assert "toy" in capsys.readouterr().out
    record = json.loads(next(site.folder.glob("runs/toy/*/run.json")).read_text("utf-8"))
    site.aws.execution(record["engine_id"]).stop()
    site.aws.execution(record["engine_id"]).wait()


def test_templates_keywords_and_options_reach_the_service(site, command):
    """What SageMaker's project templates pass, and nothing else: no profile."""
    keywords = {
        "region": "eu-west-1",
        "default_bucket": BUCKET,
        "role": ROLE.replace("pipeline", "job"),
        "pipeline_name": "from-template",
        "sagemaker_project_name": "sound",
        "sagemaker_project_id": "p-1",
    }
    bare = {"image_uri": IMAGE, "poll_s": 0.1}
    (site.folder / "site.yaml").write_text(yaml.safe_dump(bare), "utf-8")
    words = ["run-pipeline", "-n", "toy_module", "--executor", "sagemaker", "--no-wait"]
    words += ["--profile", str(site.folder / "site.yaml"), "--role-arn", ROLE]
    words += ["--kwargs", json.dumps(keywords), "--tags", '[{"Key": "team", "Value": "ears"}]']
    assert command(*words) == 0
    execution = site.aws.execution()
    assert execution.pipeline == "from-template"
    assert execution.given["job_role_arn"].endswith("/job")
    found = site.aws.account.sagemaker.describe_pipeline(PipelineName="from-template")
    assert found["RoleArn"] == ROLE
    tags = site.aws.account.sagemaker.list_tags(ResourceArn=found["PipelineArn"])["Tags"]
    assert {t["Key"]: t["Value"] for t in tags} == {
        "sagemaker:project-name": "sound",
        "sagemaker:project-id": "p-1",
        "team": "ears",
    }
    execution.stop()
    execution.wait()


# -- the doctor ------------------------------------------------------------------------------------


def trust(service):
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def findings(site):
    found = list(site.executor().examine(site.folder))
    assert all("\n" not in f.found + f.fix for f in found)
    return {f.what: f for f in found}


@pytest.fixture
def healthy(site):
    iam = site.aws.account.client("iam")
    for name in ("pipeline", "job"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(doctor.SERVICE))
    yield iam
    iam.close()


def test_a_healthy_account(site, healthy):
    found = findings(site)
    assert [f.what for f in found.values() if f.fix] == []
    assert found["region"].found == "eu-west-1"
    assert "account 123456789012" in found["credentials"].found
    assert found["bucket"].found == f"{BUCKET}, in eu-west-1"
    assert found["role of the jobs"].found.endswith(":role/job")


@pytest.mark.parametrize(
    ("setting", "what", "found", "fix"),
    [
        ({"bucket": "nowhere"}, "bucket", "does not exist", "create it"),
        ({"bucket": None}, "bucket", "none is named", "set bucket"),
        ({"pipeline_role_arn": None, "job_role_arn": None}, "role of the pipeline", "none", "--role-arn"),
        ({"job_role_arn": ROLE.replace("role/pipeline", "role/nobody")}, "role of the jobs", "there is none", "job_role_arn"),
        ({"job_role_arn": ROLE.replace("1234567", "7654321")}, "role of the jobs", "another account", "job_role_arn"),
        ({"image_uri": f"{IMAGE.partition('@')[0]}:v1"}, "image_uri", "a tag", "by its digest"),
        ({"image_uri": IMAGE.replace("eu-west-1", "us-east-1")}, "image_uri", "not in eu-west-1", "copy the image"),
        ({"image_uri": None}, "image_uri", "none is named", "set image_uri"),
        ({"region": "mars-1"}, "credentials", "sts:GetCallerIdentity", "sign in"),
    ],
)  # fmt: skip
def test_what_is_amiss_is_found_with_its_remedy(site, healthy, setting, what, found, fix):
    site.settings |= setting
    if "region" in setting:
        site.aws.fail("GetCallerIdentity", code="InvalidIdentityToken", times=9)
    finding = findings(site)[what]
    assert found in finding.found
    assert fix in finding.fix


def test_without_boto3_it_is_boto3_that_is_missing(site, monkeypatch):
    def absent():
        raise MissingExtra("boto3 is not installed; pip install 'soundgate[aws]'")

    monkeypatch.setattr(client, "loader", absent)
    [finding] = findings(site).values()
    assert (finding.what, finding.fix) == ("boto3", "install it")


def test_a_role_that_sagemaker_may_not_take(site, healthy):
    policy = trust("ec2.amazonaws.com")
    healthy.update_assume_role_policy(RoleName="job", PolicyDocument=policy)
    finding = findings(site)["role of the jobs"]
    assert "SageMaker may not take it" in finding.found
    assert finding.fix == "let sagemaker.amazonaws.com assume it"


def test_expired_credentials_end_the_examination(site):
    site.aws.fail("GetCallerIdentity", code="ExpiredToken", times=9)
    found = findings(site)
    assert list(found) == ["region", "credentials"]
    assert found["credentials"].fix


def test_a_profile_with_a_mistake_is_refused(site):
    site.settings["bukcet"] = "x"
    with pytest.raises(ConfigError, match="unknown field bukcet; did you mean 'bucket'"):
        site.executor()
