"""The executor against an AWS that really executes what it is given."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import replace

import pytest
from sagemaker_toy import BUCKET, IMAGE, ROLE, Site, settings, toy, write_project
from scripted_aws import Script, reused, tasks
from submitting import submit

from soundgate.errors import ExecutorError, ParameterError
from soundgate.executors import pace
from soundgate.executors.sagemaker import executor
from soundgate.executors.sagemaker.rendering.definition import SageMakerRequest
from soundgate.executors.sagemaker.service import client, executions, logs
from soundgate.executors.sagemaker.service.pipelines import BucketPrefix, Deployment
from soundgate.store import open_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def account(plane, project):
    """An account with a bucket; the image is the toy project. The tests share what it caches."""
    plane.reset()
    before = plane.account.image, plane.account.synchronised_s
    plane.account.image = replace(plane.account.image, project=project)
    plane.account.synchronised_s = 3600.0  # the toy training is over before
    region = {"LocationConstraint": plane.account.region}
    plane.account.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=region)
    yield plane
    plane.account.image, plane.account.synchronised_s = before


@pytest.fixture
def site(account, tmp_path, monkeypatch):
    """The account as one test uses it, quickly."""
    for name, value in account.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    account.requests.clear()
    monkeypatch.setattr(executor, "LOOK_S", 0.0)
    monkeypatch.setattr(logs, "BETWEEN_S", 0.0)
    monkeypatch.setattr(pace, "FIRST_S", 0.1)
    monkeypatch.setattr(client, "ATTEMPTS", 1)
    return Site(account, tmp_path, settings())


@pytest.fixture
def breaking(project):
    """Break a text in the image; it is whole again after the test."""
    broken = []

    def break_text(text):
        broken.append(project / f"broken-{text}")
        broken[-1].touch()
        return broken[-1]

    yield break_text
    for path in broken:
        path.unlink(missing_ok=True)


def until_over(site, run):
    """Look with a fresh executor each time, as ``show-run`` does."""
    for _ in range(200):
        record = site.executor().poll(run)
        if record["state"] != "running":
            return record
        time.sleep(0.1)
    pytest.fail("it does not end")


def until_running(site, run):
    for _ in range(200):
        if tasks(site.executor().poll(run))["last"] == "running":
            return
        time.sleep(0.05)
    pytest.fail("its last task does not start")


TASKS = ("make", "score", "fit", "gate-accuracy", "last")
JOBS = ("make", "score", "fit", "last")
DONE = dict.fromkeys(TASKS, "done")


def test_a_run_from_nothing(site, capsys):
    """Everything is looked at before anything is written, and all of it arrives."""
    site.settings["max_parallel"] = 2
    run, record = site.begin(toy())
    options = {"description": "nightly\nrun " + "x" * 500, "tags": ({"Key": "a", "Value": "b"},)}
    record = submit(site.executor(**options), toy(), run, record)
    assert (record["state"], record["reason"], tasks(record)) == ("succeeded", "", DONE)
    assert reused(record) == []
    assert run.read() == json.loads(json.dumps(record))
    execution = site.aws.execution()
    assert record["engine_id"] == execution.arn
    assert ":training-job/" in record["tasks"]["fit"]["engine_id"]
    notes = [record["tasks"][name]["note"] for name in ("fit", "last", "gate-accuracy")]
    assert notes == ["epoch 1", "made z", ""]
    assert [t["attempt"] for t in record["tasks"].values()] == [1] * 5
    assert record["duration_s"] > record["tasks"]["make"]["duration_s"] > 0
    assert "gate-accuracy  succeeded" in capsys.readouterr().out

    asked = site.aws.requests
    writes = [asked.index(n) for n in ("PutObject", "CreatePipeline", "StartPipelineExecution")]
    looks = [asked.index(n) for n in ("DescribePipeline", "HeadBucket")]
    assert writes == sorted(writes)
    assert max(looks) < min(writes)

    assert (execution.display_name, execution.max_parallel) == (run.id, 2)
    assert execution.description.startswith("nightly run xxx")
    assert len(execution.description) == 400
    assert (execution.given["image_uri"], execution.given["threshold"]) == (IMAGE, "0.5")
    assert "" not in execution.given.values()  # AWS refuses one: the default counts
    assert execution.parameters["fresh"] == ""
    found = site.aws.account.sagemaker.describe_pipeline(PipelineName="toy")
    assert found["RoleArn"] == ROLE
    tags = site.aws.account.sagemaker.list_tags(ResourceArn=found["PipelineArn"])["Tags"]
    assert {t["Key"]: t["Value"] for t in tags} == {"team": "sound", "a": "b"}


def test_an_unchanged_pipeline_is_neither_updated_nor_run_again(site):
    site.settings["max_parallel"] = 2
    _, first = site.submit(toy())
    site.aws.requests.clear()
    run, record = site.submit(toy())
    assert not {"CreatePipeline", "UpdatePipeline", "PutObject", "AddTags"} & set(site.aws.requests)
    assert tuple(reused(record)) == JOBS
    assert record["tasks"]["fit"]["reason"].startswith("unchanged since execution ")
    assert record["tasks"]["fit"]["engine_id"] == first["tasks"]["fit"]["engine_id"]
    target = run.folder / "weights"
    target.mkdir()
    site.executor().collect(run, "fit", "model", target)
    assert (target / "weights.txt").read_text("utf-8") == "weights of 2"


def test_a_changed_pipeline_is_updated_once_and_keeps_the_tags_of_others(site):
    site.submit(toy())
    sagemaker = site.aws.account.sagemaker
    arn = sagemaker.describe_pipeline(PipelineName="toy")["PipelineArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "17"}])
    site.settings["tags"] = {"team": "ears"}
    site.aws.requests.clear()
    _, record = site.submit(toy(last="y"))
    assert site.aws.requests.count("UpdatePipeline") == 1
    tags = {t["Key"]: t["Value"] for t in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    assert (tags["cost"], tags["team"]) == ("17", "ears")
    assert reused(record) == ["make", "score", "fit"]


def test_without_cache_every_task_runs_and_the_definition_stays(site):
    site.submit(toy())
    site.aws.requests.clear()
    run, record = site.submit(toy(), use_cache=False)
    assert (tasks(record), reused(record)) == (DONE, [])
    assert site.aws.execution().given["fresh"] == run.id
    assert "UpdatePipeline" not in site.aws.requests


def test_a_missed_gate_is_the_reason_of_the_run(site):
    _, record = site.submit(toy(value=0.3))
    assert record["state"] == "failed"
    assert record["reason"] == "gate-accuracy: accuracy is below 0.5"
    assert tasks(record) == {**DONE, "gate-accuracy": "failed", "last": "skipped"}
    assert record["tasks"]["last"]["reason"] == "gate-accuracy failed"


def test_a_failed_task_says_why_with_the_end_of_its_log(site, breaking, capsys):
    breaking("bad")
    run, record = site.submit(toy(text="bad"))
    assert record["reason"] == "make: clips/a.wav: not a sound"
    assert tasks(record) == {**dict.fromkeys(DONE, "skipped"), "make": "failed"}
    shown = capsys.readouterr().out
    assert "--- last lines of make's log\nmaking bad 0" in shown
    assert f"show-logs {run.id} make" in shown


def test_a_failed_training_says_why(site):
    from toysteps.fit import fit
    from toysteps.make import make

    from soundgate.pipeline import Pipeline

    t = Pipeline("broken")
    made = t.add(make, text="a")
    t.add(fit, source=made["out"], fail="loss is not finite")
    _, record = site.submit(t)
    assert record["reason"] == "fit: ValueError: loss is not finite"


def test_outputs_come_down_as_they_were_written(site, tmp_path):
    run, _ = site.submit(toy())
    for task, output, file, text in (
        ("make", "out", "deep/made.txt", "noted a"),
        ("score", "report", "evaluation.json", '{"scores": {"clip": {"value": 0.7}}}'),
        ("fit", "model", "weights.txt", "weights of 2"),
        ("last", "out", "deep/made.txt", "weights of 2z"),
    ):
        target = tmp_path / task
        target.mkdir()
        site.executor().collect(run, task, output, target)
        files = [p for p in target.rglob("*") if p.is_file()]
        assert [str(p.relative_to(target)) for p in files] == [file]
        assert files[0].read_text("utf-8") == text
    with pytest.raises(ParameterError, match="has not written verdict yet"):
        site.executor().collect(run, "gate-accuracy", "verdict", tmp_path)


def test_logs_are_read_on_from_where_they_ended(site):
    run, _ = site.submit(toy())
    looking = site.executor()
    assert list(looking.logs(run, "fit")) == ["epoch 0\n", "epoch 1\n"]
    asked = len(site.aws.requests)
    assert list(looking.logs(run, "fit")) == ["epoch 0\n", "epoch 1\n"]
    assert site.aws.requests[asked:] == ["DescribeLogStreams", "GetLogEvents"]
    assert list(looking.logs(run, "gate-accuracy")) == []
    assert "making a 0\n" in list(looking.logs(run, "make"))


def test_a_run_is_followed_from_its_record_alone(site):
    """The submitting host was closed: a new executor knows nothing but run.json."""
    run, record = site.submit(toy(seconds=0.5, last="followed"), no_wait=True)
    assert record["state"] == "running"
    assert [p.name for p in run.folder.iterdir() if p.suffix == ".json"] == ["run.json"]
    seen = site.executor().poll(run)
    assert seen["state"] == "running"
    assert tasks(until_over(site, run)) == DONE


def test_cancelled(site):
    run, _ = site.submit(toy(seconds=60), no_wait=True)
    until_running(site, run)
    site.aws.fail("StopPipelineExecution", code="ConflictException", times=1)
    site.executor().cancel(run)
    record = until_over(site, run)
    assert (record["state"], record["reason"]) == ("cancelled", "cancelled by cancel-run")
    assert tasks(record) == {**DONE, "last": "cancelled"}
    with pytest.raises(ParameterError, match="is not running: its state is cancelled"):
        site.executor().cancel(run)


def test_out_of_time(site):
    _, record = site.submit(toy(seconds=61), timeout_s=1.5)
    assert (record["state"], record["reason"]) == ("cancelled", "the run exceeded --timeout 1.5 s")
    assert record["ended_at"]


@pytest.fixture
def interruptible():
    """Ctrl-C ends this process also where a parent in the background had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupted_while_waiting_it_goes_on(site, capsys):
    run, record = site.begin(toy(seconds=2))
    slow = toy(seconds=2, last=run.id)

    def interrupt():
        while run.read()["tasks"]["make"]["state"] == "pending":
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    # A shell that runs the suite in the background has its children ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            submit(site.executor(), slow, run, record)
    finally:
        signal.signal(signal.SIGINT, before)
    shown = capsys.readouterr().out
    assert f"watch it with: show-run {run.id}" in shown
    assert f"end it with: cancel-run {run.id}" in shown
    assert until_over(site, run)["state"] == "succeeded"


def test_silence_is_borne_and_said(site, capsys):
    site.aws.fail("DescribePipelineExecution", code="ThrottlingException", times=2)
    site.aws.fail("ListPipelineExecutionSteps", code="InternalFailure", status=500, times=1)
    _, record = site.submit(toy(seconds=2, last="silence"))  # it outlasts the silence
    assert record["state"] == "succeeded"
    shown = capsys.readouterr().out
    assert shown.count("sagemaker:DescribePipelineExecution: throttled") == 1
    assert shown.count("AWS answers again") == 1


def test_credentials_that_expire_while_waiting_end_nothing(site):
    site.aws.fail("ListPipelineExecutionSteps", code="ExpiredTokenException")
    run, record = site.begin(toy())
    with pytest.raises(ParameterError, match=f"expired.*goes on: watch it with show-run {run.id}"):
        submit(site.executor(), toy(), run, record)
    assert until_over(site, run)["state"] == "succeeded"


# -- going on --------------------------------------------------------------------------------------


def test_nothing_changed_the_execution_is_retried(site, breaking, capsys):
    """What failed in the image, a full disk say, is mended; everything else is as it was."""
    broken = breaking("w")
    run, first = site.submit(toy(last="w"))
    assert tasks(first) == {**DONE, "last": "failed"}
    broken.unlink()
    site.aws.requests.clear()
    record = site.resume(toy(last="w"), run)
    assert tasks(record) == DONE
    assert record["engine_id"] == first["engine_id"]
    assert "RetryPipelineExecution" in site.aws.requests
    assert "StartPipelineExecution" not in site.aws.requests
    for name in ("make", "score", "fit"):
        assert record["tasks"][name] == first["tasks"][name]
    assert "nothing changed" in capsys.readouterr().err


def test_a_stopped_execution_is_retried(site):
    slow = toy(seconds=2, last="stopped")
    run, _ = site.submit(slow, no_wait=True)
    until_running(site, run)
    site.executor().cancel(run)
    first = until_over(site, run)
    record = site.resume(slow, run)
    assert record["engine_id"] == first["engine_id"]
    assert (record["state"], tasks(record)) == ("succeeded", DONE)


def test_a_changed_bound_runs_the_gate_and_what_is_behind_it(site, capsys):
    run, first = site.submit(toy(value=0.4))
    record = site.resume(toy(value=0.4, threshold=0.3), run)
    assert record["engine_id"] != first["engine_id"]
    execution = site.aws.execution()
    assert sorted(execution.selected) == ["gate-accuracy", "gate-accuracy-missed", "last"]
    assert set(execution.executed) <= {"gate-accuracy", "last"}
    assert (record["state"], tasks(record)) == ("succeeded", DONE)
    assert record["tasks"]["fit"] == first["tasks"]["fit"]
    assert "changed: gate-accuracy, gate-accuracy-missed, threshold; 3 steps" in (
        capsys.readouterr().err
    )


def test_a_changed_beginning_starts_anew(site, capsys):
    run, first = site.submit(toy(value=0.4))
    record = site.resume(toy(text="b", value=0.6), run)
    assert reused(record) == []
    assert record["engine_id"] != first["engine_id"]
    assert not site.aws.execution().selected
    assert tasks(record) == DONE
    assert "changed: make, score, and with it every step" in capsys.readouterr().err


def test_after_a_stop_a_changed_pipeline_starts_anew_and_reuses(site, capsys):
    run, _ = site.submit(toy(seconds=60, last="changed"), no_wait=True)
    until_running(site, run)
    site.executor().cancel(run)
    until_over(site, run)
    record = site.resume(toy(), run)
    assert not site.aws.execution().selected
    assert tasks(record) == DONE
    assert {"make", "score", "fit"} <= set(reused(record))
    assert "SageMaker's cache decides" in capsys.readouterr().err


@pytest.mark.parametrize("operation", ["RetryPipelineExecution", "StartPipelineExecution"])
def test_a_way_that_sagemaker_refuses_is_not_insisted_on(site, capsys, operation):
    """Retrying an unchanged pipeline, or running a part of a changed one."""
    run, first = site.submit(toy(value=0.35))
    site.aws.fail(operation, code="ValidationException", message="not that old", times=1)
    bound = 0.5 if operation.startswith("Retry") else 0.3
    record = site.resume(toy(value=0.35, threshold=bound), run)
    assert record["engine_id"] != first["engine_id"]
    assert not site.aws.execution().selected
    assert reused(record)[:3] == ["make", "score", "fit"]
    assert "not that old (ValidationException); everything is started anew" in (
        capsys.readouterr().err
    )


def test_an_execution_that_was_deleted_is_started_anew(site):
    run, first = site.submit(toy(value=0.35))
    run.write({**run.read(), "engine_id": f"{first['engine_id']}x"})
    record = site.resume(toy(value=0.35), run)
    assert record["engine_id"] not in (first["engine_id"], f"{first['engine_id']}x")
    assert record["state"] == "failed"


def test_whether_the_cache_was_used_is_no_change(site, breaking):
    broken = breaking("v")
    run, first = site.submit(toy(last="v"), use_cache=False)
    broken.unlink()
    record = site.resume(toy(last="v"), run)
    assert (record["state"], record["engine_id"]) == ("succeeded", first["engine_id"])


def test_what_runs_or_succeeded_is_only_looked_at(site):
    run, _ = site.submit(toy(seconds=1.5, last="watched"), no_wait=True)
    site.aws.requests.clear()
    assert tasks(site.resume(toy(seconds=1.5, last="watched"), run)) == DONE
    assert tasks(site.resume(toy(seconds=1.5, last="watched"), run)) == DONE
    assert not {"StartPipelineExecution", "RetryPipelineExecution"} & set(site.aws.requests)


def test_killed_before_the_answer_came_the_same_execution_is_found(site):
    """The request counts once: no second execution is paid for."""
    before = len(site.aws.executions)
    run, first = site.submit(toy(), no_wait=True)
    forgotten = {**run.read(), "engine_id": "", "state": "pending"}
    run.write(forgotten)
    record = site.resume(toy(), run)
    assert record["engine_id"] == first["engine_id"]
    assert len(site.aws.executions) == before + 1
    assert record["state"] == "succeeded"


# -- details ---------------------------------------------------------------------------------------


def test_a_long_definition_goes_through_the_bucket(tmp_path):
    sent = {}

    def gone(_):
        raise client.AwsRefused("Pipeline 'toy' does not exist.", "ResourceNotFound")

    aws = Script(describe_pipeline=gone, create_pipeline=sent.update)
    store = open_store(str(tmp_path))
    long = {"Steps": [{"Name": "é" * 60_000}]}
    assert len(json.dumps(long, ensure_ascii=False)) < 100_000  # characters, not bytes
    deployment = Deployment(aws, name="toy", definition=long, role_arn=ROLE)
    deployment.apply(BucketPrefix(store, BUCKET, "soundgate"))
    place = sent["PipelineDefinitionS3Location"]
    assert (place["Bucket"], "PipelineDefinition" in sent) == (BUCKET, False)
    assert place["ObjectKey"].startswith("soundgate/definitions/")
    assert json.loads(store.read(place["ObjectKey"])) == long


def test_a_plan_asks_nobody(site):
    plan = site.executor().plan(toy(), site.begin(toy())[0], use_cache=True)
    assert {each.task: each.reason.partition(":")[0] for each in plan} == {
        **dict.fromkeys(TASKS, "SageMaker decides by its cache keys"),
        "gate-accuracy": "always runs (a gate)",
    }
    assert site.aws.requests == []


def test_rendering_needs_no_aws(tmp_path, monkeypatch, project):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    here = Site(None, tmp_path, {"bucket": BUCKET})
    run, _ = here.begin(toy())
    request = here.executor().render(toy(), run)
    assert isinstance(request, SageMakerRequest)
    assert str(request) == str(here.executor().render(toy(), run))


def test_an_archive_that_would_leave_its_folder_is_refused(site, tmp_path):
    import io
    import tarfile

    run, record = site.submit(toy(text="evil"))
    job = site.aws.account.jobs[executions.short(record["tasks"]["fit"]["engine_id"])]
    uri = job.found["ModelArtifacts"]["S3ModelArtifacts"]
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        entry = tarfile.TarInfo("../outside.txt")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"evil"))
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    site.aws.account.s3.put_object(Bucket=bucket, Key=key, Body=held.getvalue())
    target = tmp_path / "in" / "model"
    target.mkdir(parents=True)
    with pytest.raises(Exception, match="cannot be unpacked"):
        site.executor().collect(run, "fit", "model", target)
    assert not list((tmp_path / "in").rglob("outside.txt"))


def test_a_run_that_never_started_has_nothing_to_cancel(site):
    run, _ = site.begin(toy())
    with pytest.raises(ParameterError, match="is not running: its state is pending"):
        site.executor().cancel(run)


def test_stopping_gives_up_in_the_end(site, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", lambda _: None)
    site.aws.fail("StopPipelineExecution", code="ConflictException", times=99)
    run, _ = site.submit(toy(seconds=1, last="conflict"), no_wait=True)
    with pytest.raises(ExecutorError, match="StopPipelineExecution"):
        site.executor().cancel(run)
    monkeypatch.undo()
    site.aws._faults.clear()
    site.aws.execution().wait()
