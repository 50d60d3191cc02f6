"""Runs on Kubeflow, from submission to their end, against a loopback API server that runs them."""

from __future__ import annotations

import json
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from submitting import submit

from soundgate.errors import ConfigError, ExecutorError, MissingExtra, ParameterError
from soundgate.executors.base import Submission
from soundgate.executors.kubeflow.service.files import upload
from soundgate.pipeline import Metric, Pipeline
from soundgate.runs import Run
from soundgate.task import File

REPORT = json.dumps(
    {
        "accuracy": {"value": 0.7},
        "confusion_matrix": {"labels": ["a", "b"], "rows": [[3, 1], [0, 4]]},
    }
)
ACCURACY = Metric(name="clip:accuracy", json_path="accuracy.value", message="clips too bad, <")


def states(record) -> dict[str, str]:
    return {name: str(task["state"]) for name, task in record["tasks"].items()}


def test_a_run_goes_through_and_its_outputs_are_fetched(
    labour, site, start, kubeflow_api, tmp_path, capsys
):
    pipeline = Pipeline("toy")
    first = pipeline.add(labour, name="first", text="Größe 'x' \"y\" -1 ")
    pipeline.add(labour, name="second", source=first["out"], names_run=True)
    run, record = start(pipeline)
    executor = site()
    record = submit(executor, pipeline, run, record)
    assert states(record) == {"first": "succeeded", "second": "succeeded"}
    assert (record["state"], record["reason"]) == ("succeeded", "")
    assert run.read() == record
    assert record["engine_id"] in kubeflow_api.runs
    assert record["duration_s"] >= 0
    assert "second  succeeded" in capsys.readouterr().out
    assert list(executor.logs(run, "first")) == ["labouring at Größe 'x' \"y\" -1 \n"]
    fetching = site(pipeline_root=f"file://{kubeflow_api.folder}/store")
    fetching.collect(run, "second", "out", tmp_path)
    assert (tmp_path / "said.txt").read_text() == "Größe 'x' \"y\" -1 "
    assert (tmp_path / "context.txt").read_text() == f"{record['engine_id']} c0ffee second"
    [sent] = [r for r in kubeflow_api.requests if (r.method, r.path[-5:]) == ("POST", "/runs")]
    assert sent.body["display_name"] == f"toy {run.id}"
    assert [e["display_name"] for e in kubeflow_api.experiments.values()] == ["toy"]


def test_a_second_run_comes_from_kubeflow_s_cache_unless_it_is_switched_off(
    labour, site, start, tmp_path
):
    pipeline = Pipeline("toy")
    first = pipeline.add(labour, name="first", text="a")
    pipeline.add(labour, name="always", source=first["out"], reuse=False)
    executor = site()
    found = []
    for use_cache in (True, True, False):
        run, record = start(pipeline)
        found.append(submit(executor, pipeline, run, record, use_cache=use_cache))
    assert [states(record)["first"] for record in found] == ["succeeded", "reused", "succeeded"]
    assert [states(record)["always"] for record in found] == ["succeeded"] * 3
    assert {record["state"] for record in found} == {"succeeded"}
    reused = Run(tmp_path / "runs", "toy", found[1]["run"])
    with pytest.raises(ExecutorError, match="'first' came from Kubeflow's cache"):
        site(pipeline_root="file:///nowhere").collect(reused, "first", "out", tmp_path)


@pytest.mark.parametrize("threshold", [0.6, 0.8])
def test_a_gate_decides_says_why_and_what_it_does_not_concern_is_done(
    labour, site, start, kubeflow_api, threshold
):
    pipeline = Pipeline("gated")
    report = pipeline.add(labour, name="evaluate", text=REPORT)
    gate = pipeline.gate(report["out"], metric=ACCURACY, at_least=threshold)
    # slower than the gate: Argo would not begin the second half of it after a miss
    page = pipeline.add(labour, name="page", source=report["out"], seconds=0.3)
    pipeline.add(labour, name="index", source=page["out"])
    pipeline.add(labour, name="register", source=page["out"], text="r", after=[gate])
    run, record = start(pipeline)
    record = submit(site(), pipeline, run, record, Submission(quiet=True))
    found = states(record)
    assert (found["evaluate"], found["page"], found["index"]) == ("succeeded",) * 3
    if threshold < 0.7:
        assert (record["state"], found["register"]) == ("succeeded", "succeeded")
    else:
        assert (record["state"], found["register"]) == ("failed", "skipped")
        assert found["gate-clip-accuracy"] == "failed"
        assert record["tasks"]["gate-clip-accuracy"]["reason"].startswith("clips too bad, < 0.8")
        assert record["tasks"]["register"]["reason"] == "gate-clip-accuracy failed"
        assert record["reason"].startswith("gate-clip-accuracy: clips too bad, < 0.8")
    made = kubeflow_api.runs[record["engine_id"]].runner.tasks["evaluate"].artifacts
    assert made["out_metrics"].metadata == {"accuracy.value": 0.7}
    assert made["out_confusion"].metadata["confusionMatrix"] == {
        "annotationSpecs": [{"displayName": "a"}, {"displayName": "b"}],
        "rows": [{"row": [3, 1]}, {"row": [0, 4]}],
    }


def test_a_failed_run_goes_on_where_it_stopped_and_a_changed_one_begins_anew(
    labour, site, start, kubeflow_api, tmp_path, capsys
):
    mended = tmp_path / "mended"

    def declare(text):
        pipeline = Pipeline("toy")
        first = pipeline.add(labour, name="first", text=text)
        second = pipeline.add(
            labour, name="second", source=first["out"], fail="no such clip", unless=str(mended)
        )
        pipeline.add(labour, name="third", source=second["out"])
        return pipeline

    pipeline, executor = declare("a"), site()
    run, record = start(pipeline)
    record = submit(executor, pipeline, run, record)
    assert states(record) == {"first": "succeeded", "second": "failed", "third": "skipped"}
    assert (record["state"], record["reason"]) == ("failed", "second: no such clip")
    assert record["tasks"]["third"]["reason"] == "second failed"
    shown = capsys.readouterr().out
    assert "--- last lines of second's log\nlabouring at a\n" in shown
    mended.touch()
    before = record["engine_id"]
    record = submit(executor, pipeline, run, run.read())
    assert (record["engine_id"], record["state"]) == (before, "succeeded")
    attempts = {n: t.attempts for n, t in kubeflow_api.runs[before].runner.tasks.items()}
    assert attempts == {"first": 0, "second": 1, "third": 1}
    changed = declare("b")
    record = submit(executor, changed, run, run.read())
    assert record["engine_id"] != before
    assert states(record) == dict.fromkeys(("first", "second", "third"), "succeeded")


def test_an_attempt_that_failed_is_repeated(labour, site, start, tmp_path):
    pipeline = Pipeline("toy")
    pipeline.add(labour, name="first", fail="not yet", unless=str(tmp_path / "there"), retries=1)
    run, record = start(pipeline)
    record = submit(site(), pipeline, run, record)
    assert (record["state"], record["tasks"]["first"]["attempt"]) == ("failed", 2)


def test_a_run_is_looked_at_and_cancelled_later(labour, site, start, kubeflow_api, until_state):
    pipeline = Pipeline("toy")
    first = pipeline.add(labour, name="first", seconds=30)
    pipeline.add(labour, name="second", source=first["out"])
    run, record = start(pipeline)
    record = submit(site(), pipeline, run, record, Submission(no_wait=True))
    assert record["state"] == "running"
    until_state(site(), run, "first", "running")
    site().cancel(run)
    kubeflow_api.wait(record["engine_id"])
    record = site().poll(run)
    assert (record["state"], record["reason"]) == ("cancelled", "cancelled by cancel-run")
    assert states(record) == {"first": "cancelled", "second": "cancelled"}
    with pytest.raises(ParameterError, match="is not running: its state is cancelled"):
        site().cancel(run)


@pytest.fixture
def until_state():
    def wait(executor, run, task, state):
        for _ in range(200):
            if executor.poll(run)["tasks"][task]["state"] == state:
                return
            time.sleep(0.05)
        raise AssertionError(executor.poll(run))

    return wait


def test_a_run_that_takes_too_long_is_ended(labour, site, start):
    pipeline = Pipeline("toy")
    pipeline.add(labour, name="first", seconds=30)
    run, record = start(pipeline)
    record = submit(site(), pipeline, run, record, Submission(timeout_s=0.5))
    assert (record["state"], record["reason"]) == ("cancelled", "the run exceeded --timeout 0.5 s")


def test_a_server_that_is_silent_for_a_while_is_asked_again(
    labour, site, start, kubeflow_api, capsys
):
    pipeline = Pipeline("toy")
    pipeline.add(labour, name="first", seconds=0.5)
    run, record = start(pipeline)

    def disturb():
        kubeflow_api.fail("GET", "/runs/", status=503, times=2, message="overloaded")
        kubeflow_api.drop("GET", "/runs/", times=4)

    threading.Timer(0.2, disturb).start()
    record = submit(site(), pipeline, run, record)
    assert (record["state"], record["reason"]) == ("succeeded", "")
    shown = capsys.readouterr().out
    assert "refused (503): overloaded" in shown
    assert "Kubeflow goes on" in shown


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"status": 401, "message": "expired"}, "refused (401): expired; name the variable"),
        ({"status": 403, "message": "no"}, "ask for the right to run pipelines in namespace team"),
        ({"status": 400, "message": "bad spec"}, "run 'toy"),
        ({"status": 500, "message": "two\nlines"}, "refused (500): two lines"),
    ],
)
def test_a_refusal_is_one_line_and_leaves_no_trace(labour, site, start, kubeflow_api, fault, told):
    pipeline = Pipeline("toy")
    pipeline.add(labour, name="first")
    run, record = start(pipeline)
    kubeflow_api.fail("POST", "/runs", **fault)
    with pytest.raises(ExecutorError) as caught:
        submit(site(namespace="team"), pipeline, run, record)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not kubeflow_api.runs
    assert not (run.folder / "kubeflow" / "run.json").exists()
    record = run.read()
    reason = f"nothing was submitted: {caught.value}"
    assert (record["state"], record["reason"]) == ("failed", reason)
    assert record["tasks"]["first"]["reason"] == "nothing was submitted"
    record = submit(site(), pipeline, run, record)  # --resume, once it is mended
    assert states(record) == {"first": "succeeded"}


def test_a_host_that_is_not_there_is_one_line_at_once(labour, site, start):
    pipeline = Pipeline("toy")
    pipeline.add(labour, name="first")
    run, record = start(pipeline)
    began = time.monotonic()
    with pytest.raises(ExecutorError) as caught:
        submit(site(host="http://127.0.0.1:9"), pipeline, run, record)
    assert str(caught.value) == (
        "http://127.0.0.1:9 does not answer ([Errno 111] Connection refused): correct host in the "
        "profile, or look at its network"
    )
    assert time.monotonic() - began < 5
    assert caught.value.exit_code == 1


def test_a_token_is_sent_and_one_that_is_absent_is_said(
    labour, site, start, kubeflow_api, monkeypatch
):
    pipeline = Pipeline("toy")
    pipeline.add(labour, name="first")
    kubeflow_api.token = "secret"
    run, record = start(pipeline)
    with pytest.raises(ConfigError, match="token_variable: KFP_TOKEN is not set"):
        submit(site(token_variable="KFP_TOKEN"), pipeline, run, record)
    monkeypatch.setenv("KFP_TOKEN", "wrong")
    with pytest.raises(ExecutorError, match="renew the token in KFP_TOKEN"):
        submit(site(token_variable="KFP_TOKEN"), pipeline, run, record)
    monkeypatch.setenv("KFP_TOKEN", "secret")
    record = submit(site(token_variable="KFP_TOKEN"), pipeline, run, record)
    assert record["state"] == "succeeded"


def test_what_would_only_fail_in_a_pod_is_refused_before(labour, site, start, kubeflow_api):
    pipeline = Pipeline("toy")
    pipeline.add(labour, name="first", environment=["MLFLOW_TRACKING_URI"])
    run, record = start(pipeline)
    with pytest.raises(ConfigError, match="task 'first' uses the model registry"):
        submit(site(), pipeline, run, record)
    with pytest.raises(ConfigError, match="CHANGE_ME: name the image"):
        submit(site(image="x:CHANGE_ME"), pipeline, run, record)
    assert not kubeflow_api.requests


def test_the_registry_s_address_goes_to_the_tasks_that_use_it(
    labour, site, start, kubeflow_api, tmp_path
):
    pipeline = Pipeline("toy")
    pipeline.add(labour, name="first", environment=["MLFLOW_TRACKING_URI"])
    pipeline.add(labour, name="other")
    run, record = start(pipeline)
    executor = site(mlflow_tracking_uri="http://mlflow:5000")
    record = submit(executor, pipeline, run, record)
    tasks = kubeflow_api.runs[record["engine_id"]].runner.tasks
    read = {n: (t.artifacts["out"].path / "registry.txt").read_text() for n, t in tasks.items()}
    assert read == {"first": "http://mlflow:5000", "other": "none"}


def test_files_of_this_machine_are_uploaded_once_and_read(
    labour, site, start, kubeflow_api, tmp_path
):
    """A folder that pods see, and the same through an importer from a bucket."""
    clips = tmp_path / "clips"
    (clips / "dogs").mkdir(parents=True)
    (clips / "dogs" / "a b.wav").write_text("woof ")
    (clips / "z.wav").write_text("zzz")
    place = tmp_path / "shared"
    shared = site(files=str(place), volumes=[{"claim": "shared", "at": str(place)}])
    kubeflow_api.platform.buckets["s3://pipelines/in"] = place  # type: ignore[index]
    bucket = site(files="s3://pipelines/in")
    for executor in (shared, bucket):
        pipeline = Pipeline("toy")
        pipeline.add(labour, name="folder", source=pipeline.file(clips))
        pipeline.add(labour, name="file", source=pipeline.file(clips / "z.wav"))
        run, record = start(pipeline)
        if executor is bucket:  # the bucket's bytes lie in the folder
            addresses = upload(pipeline, executor.render(pipeline, run).files, str(place), run.root)
            found = {n: a.replace(str(place), "s3://pipelines/in") for n, a in addresses.items()}
            executor_files = SimpleNamespace(upload=lambda *_: found)  # noqa: B023
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr("soundgate.executors.kubeflow.executor.files", executor_files)
                record = submit(executor, pipeline, run, record)
        else:
            record = submit(executor, pipeline, run, record)
        assert record["state"] == "succeeded", record["reason"]
        tasks = kubeflow_api.runs[record["engine_id"]].runner.tasks
        written = [tasks[name].artifacts["out"].path for name in ("folder", "file")]
        said = [(folder / "said.txt").read_text() for folder in written]
        assert said == ["woof zzz", "zzz"]
    assert len(list(place.glob("files/*.json"))) == 2


def test_a_folder_without_files_is_refused(tmp_path, labour):
    (tmp_path / "empty").mkdir()
    pipeline = Pipeline("toy")
    pipeline.add(labour, source=pipeline.file(tmp_path / "empty"))
    empty = {"file_1": File("empty", tmp_path / "empty")}
    with pytest.raises(Exception, match="contains no files"):
        upload(pipeline, empty, str(tmp_path / "store"), tmp_path / "runs")


def test_the_doctor_says_what_to_mend(site, kubeflow_api, tmp_path):
    found = {f.what: f for f in site(image="soundgate:latest").examine(tmp_path)}
    assert found["host"].found == f"{kubeflow_api.url}, for one user, version unknown"
    assert [f.what for f in found.values() if f.fix] == ["image", "model registry"]
    whole = {"image": f"a@sha256:{'0' * 64}", "mlflow_tracking_uri": "http://m", "experiment": "e"}
    found = {f.what: f for f in site(**whole).examine(tmp_path)}
    assert not [f for f in found.values() if f.fix]
    assert found["experiment"].found == "e, made by the first run"
    kubeflow_api.multi_user = True
    found = {f.what: f for f in site(**whole).examine(tmp_path)}
    assert found["namespace"].fix == "name the one that is yours (namespace:)"
    found = {f.what: f for f in site(host="http://127.0.0.1:9").examine(tmp_path)}
    assert "does not answer" in found["host"].found


def test_without_the_extra_it_says_what_to_install(site, start, labour, monkeypatch):
    pipeline = Pipeline("toy")
    pipeline.add(labour)
    run, _ = start(pipeline)
    monkeypatch.setitem(sys.modules, "kfp", None)
    with pytest.raises(MissingExtra, match=r"pip install 'soundgate\[kubeflow\]'"):
        site().render(pipeline, run)
