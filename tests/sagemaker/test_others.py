"""What others do meanwhile: runs that start at the same moment, people at the console."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from sagemaker_toy import BUCKET, Site, settings, toy, write_project
from submitting import submit

from soundgate.errors import ExecutorError
from soundgate.executors.base import Submission
from soundgate.executors.sagemaker import executor
from soundgate.executors.sagemaker.executor import SageMakerExecutor
from soundgate.executors.sagemaker.service import artifacts, client, pipelines, watched
from soundgate.executors.sagemaker.service.client import AwsRefused
from soundgate.pipeline import File
from soundgate.store import open_store


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def site(aws, project, tmp_path, monkeypatch):
    """An empty account; what a test has started ends with it."""
    monkeypatch.setattr(client, "ATTEMPTS", 1)
    monkeypatch.setattr(executor, "LOOK_S", 0.0)
    region = {"LocationConstraint": aws.account.region}
    aws.account.image = replace(aws.account.image, project=project)
    aws.account.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=region)
    yield Site(aws, tmp_path, settings())
    aws._stop_all()


def words(execution):
    """What the first step of an execution was told."""
    first = execution.definition["Steps"][0]
    return first["Arguments"]["AppSpecification"]["ContainerArguments"]


def start(site, pipeline):
    return site.submit(pipeline, no_wait=True)


def interfere(monkeypatch, change, times=1):
    """Let ``change`` happen just before each of the next starts."""
    real, left = SageMakerExecutor._execute, [None] * times

    def late(self, *given):
        if left:
            left.pop()
            change()
        return real(self, *given)

    monkeypatch.setattr(SageMakerExecutor, "_execute", late)


def update(site, text):
    """Make a definition of another run the pipeline's."""
    request = site.executor().render(toy(text=text), site.begin(toy())[0])
    site.aws._update_pipeline(
        {"PipelineName": "toy", "PipelineDefinition": json.dumps(request.definition)}
    )


def test_a_pipeline_that_another_run_creates_at_the_same_moment(site):
    start(site, toy(text="first"))
    site.aws.fail("DescribePipeline", code="ResourceNotFound", times=2)  # so it was, just before
    _, record = start(site, toy(text="second"))
    assert record["state"] == "running"
    assert "second" in words(site.aws.execution())


def test_a_name_that_is_refused_is_not_taken_for_a_pipeline_that_is_there(site):
    site.aws.fail("CreatePipeline", code="ValidationException", message="no such role")
    with pytest.raises(ExecutorError, match="no such role"):
        start(site, toy())


@pytest.mark.parametrize("before", ["nothing", "the same", "another"])
def test_what_is_started_is_what_was_meant(site, monkeypatch, before):
    """Another run changes the pipeline between the look at it and the start."""
    if before != "nothing":
        start(site, toy(text="mine" if before == "the same" else "old"))
    known = len(site.aws.executions)
    interfere(monkeypatch, lambda: update(site, "theirs"))
    _, record = start(site, toy(text="mine"))
    mine = site.aws.execution(record["engine_id"])
    assert "mine" in words(mine)
    others = [e for e in list(site.aws.executions.values())[known:] if e is not mine]
    # a version that was made for the run is started by its number: nothing has to be ended
    assert len(others) == (0 if before == "another" else 1)
    assert all(e.status in ("Stopping", "Stopped") for e in others)


def test_an_update_that_meets_another_is_repeated(site, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda _: None)
    start(site, toy(text="old"))
    site.aws.fail("UpdatePipeline", code="ConflictException", times=2)
    assert start(site, toy(text="new"))[1]["state"] == "running"
    assert "new" in words(site.aws.execution())


def test_after_a_refusal_the_pipeline_is_made_again(site):
    """What was deleted is not taken for made because it was asked for once before."""
    site.aws.fail("StartPipelineExecution", code="ThrottlingException")
    run, record = site.begin(toy())
    with pytest.raises(ExecutorError, match="throttled"):
        submit(site.executor(), toy(), run, record, Submission(no_wait=True))
    assert site.resume(toy(), run, no_wait=True)["state"] == "running"


def test_a_definition_in_the_bucket_is_executed_and_known_again(site, monkeypatch):
    monkeypatch.setattr(pipelines, "INLINE_BYTES", 1000)
    _, record = site.submit(toy())
    assert record["state"] == "succeeded"
    keys = [e["Key"] for e in site.aws.account.s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert len([key for key in keys if key.startswith("soundgate/definitions/")]) == 1
    site.aws.requests.clear()
    start(site, toy())
    assert "UpdatePipeline" not in site.aws.requests


def delete(site, arn):
    """As in the console: what runs is stopped, then all goes with the pipeline."""
    site.aws.execution(arn).stop()
    site.aws.execution(arn).wait()
    site.aws.account.sagemaker.delete_pipeline(PipelineName="toy")
    del site.aws.executions[arn]


def test_a_pipeline_that_was_deleted_ends_its_runs(site):
    run, record = start(site, toy())
    site.executor().poll(run)
    delete(site, record["engine_id"])
    found = site.executor().poll(run)
    assert found["state"] == "failed"
    assert found["reason"].endswith("is no more: it was deleted with its pipeline")
    assert {task["state"] for task in found["tasks"].values()} <= {"cancelled", "skipped"}
    again = site.resume(toy(), run, no_wait=True)
    assert (again["state"], again["engine_id"] != record["engine_id"]) == ("running", True)


def test_who_looks_from_another_account_learns_nothing_of_a_run(site):
    run, record = start(site, toy())
    arn = record["engine_id"].replace(":123456789012:", ":999999999999:")
    run.write({**run.read(), "engine_id": arn})
    with pytest.raises(AwsRefused, match="does not exist"):
        site.executor().poll(run)
    assert run.read()["state"] == "running"


def test_what_somebody_else_ended_is_ended(site):
    run, record = start(site, toy())
    site.aws.execution().stop()
    site.aws.execution().wait()
    watched.stop(site.executor().aws, run, record, "cancelled by cancel-run")
    assert run.read()["reason"] == "cancelled by cancel-run"


def test_the_bucket_is_asked_in_the_region_of_the_profile(site, monkeypatch):
    """Whatever region the environment is for: there, a bucket of this one is refused."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_REGION", "us-east-2")
    store = artifacts.open_bucket(site.executor().aws, BUCKET)
    assert store._client.meta.region_name == "eu-west-1"
    assert open_store(f"s3://{BUCKET}")._client.meta.region_name == "us-east-2"


def test_of_a_folder_only_what_lacks_goes_up(site, tmp_path):
    folder = tmp_path / "mes données"
    (folder / "dog").mkdir(parents=True)
    for name in ("a b.wav", "dog/é.wav", "dog/c.wav"):
        (folder / name).write_text(name, "utf-8")
    store = artifacts.open_bucket(site.executor().aws, BUCKET)
    files = [("files/1/data", File("data", folder))]
    assert artifacts.upload(store, files) == 3
    site.aws.requests.clear()
    assert artifacts.upload(store, files) == 0
    assert set(site.aws.requests) == {"ListObjectsV2"}
    (folder / "dog" / "new.wav").write_text("", "utf-8")
    assert artifacts.upload(store, files) == 1
    assert "files/1/data/dog/new.wav" in list(store.list("files/"))
