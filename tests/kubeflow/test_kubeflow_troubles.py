"""Submissions and waits that something breaks off: no run is lost, none is made twice."""

from __future__ import annotations

import json
import threading
import time

import pytest
from submitting import submit

from soundgate.errors import ExecutorError, ParameterError
from soundgate.executors.base import Submission
from soundgate.executors.kubeflow.service import watch
from soundgate.executors.kubeflow.service.client import Client
from soundgate.pipeline import Pipeline
from soundgate.runs import State

NO_WAIT = Submission(no_wait=True)
CREATE, LIST = "/v2beta1/runs$", "/v2beta1/runs$"


def toy(labour, *, text: str = "a", seconds: float = 0.0, fail: str = "") -> Pipeline:
    pipeline = Pipeline("toy")
    pipeline.add(labour, name="first", text=text, seconds=seconds, fail=fail)
    return pipeline


def until_over(executor, run) -> dict:
    for _ in range(200):
        record = executor.poll(run)
        if State(record["state"]).final:
            return record
        time.sleep(0.05)
    raise AssertionError(record)


def test_a_run_whose_making_was_not_confirmed_is_found_again(labour, site, start, kubeflow_api):
    pipeline = toy(labour)
    run, record = start(pipeline)
    kubeflow_api.lose("POST", CREATE)
    record = submit(site(), pipeline, run, record)
    assert record["state"] == "succeeded"
    assert list(kubeflow_api.runs) == [record["engine_id"]]


def test_a_run_of_which_nothing_is_known_is_asked_for_until_it_is(
    labour, site, start, kubeflow_api
):
    pipeline = toy(labour)
    run, record = start(pipeline)
    kubeflow_api.lose("POST", CREATE)
    kubeflow_api.drop("GET", LIST, times=2)
    with pytest.raises(ExecutorError, match=f"show-run {run.id} will tell"):
        submit(site(), pipeline, run, record)
    assert run.read()["state"] == "pending"
    assert until_over(site(), run)["state"] == "succeeded"
    assert run.read()["engine_id"] == next(iter(kubeflow_api.runs))


@pytest.mark.parametrize("case", ["poll", "poll, made", "resume", "resume, made"])
def test_a_submitter_that_is_killed_while_it_asks_loses_nothing(
    labour, site, start, kubeflow_api, monkeypatch, case
):
    pipeline = toy(labour)
    run, record = start(pipeline)
    create, (how, _, made) = Client.create_run, case.partition(", ")

    def killed(*words):
        if made:
            create(*words)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Client, "create_run", killed)
        with pytest.raises(SystemExit):
            submit(site(), pipeline, run, record)
    if how == "resume":
        record = submit(site(), pipeline, run, run.read())
        assert (record["state"], len(kubeflow_api.runs)) == ("succeeded", 1)
    elif made:
        assert until_over(site(), run)["state"] == "succeeded"
    else:
        record = site().poll(run)
        assert (record["state"], record["reason"]) == (
            "failed",
            "nothing was submitted: its submission was cut off",
        )


def test_a_run_that_somebody_deletes_is_over_and_can_be_run_again(
    labour, site, start, kubeflow_api
):
    pipeline = toy(labour, seconds=1.0)
    run, record = start(pipeline)
    record = submit(site(), pipeline, run, record, NO_WAIT)
    kubeflow_api.fail("GET", "/runs/", status=404, message="default backend - 404")
    kubeflow_api.faults[-1].plain = True
    with pytest.raises(ExecutorError, match="default backend"):  # a proxy knows nothing of runs
        site().poll(run)
    assert run.read()["state"] == "running"
    gone = kubeflow_api.runs.pop(record["engine_id"])
    gone.runner.cancel()
    record = site().poll(run)
    assert record["state"] == record["tasks"]["first"]["state"] == "cancelled"
    assert record["reason"] == f"somebody deleted it from {kubeflow_api.url}"
    with pytest.raises(ParameterError, match="is not running"):
        site().cancel(run)
    again = submit(site(), pipeline, run, run.read())
    assert again["state"] == "succeeded"
    assert list(kubeflow_api.runs) == [again["engine_id"]] != [gone.record["run_id"]]


def test_a_run_that_goes_on_is_not_started_a_second_time_as_another_one(
    labour, site, start, kubeflow_api
):
    pipeline = toy(labour, seconds=30)
    run, record = start(pipeline)
    submit(site(), pipeline, run, record, NO_WAIT)
    with pytest.raises(ParameterError, match="is still running with its earlier definition"):
        submit(site(), toy(labour, text="b"), run, run.read(), NO_WAIT)
    assert run.read()["state"] == "running"
    submit(site(), pipeline, run, run.read(), NO_WAIT)
    assert len(kubeflow_api.runs) == 1
    site().cancel(run)


def test_a_run_that_cannot_be_tried_again_is_made_anew_and_an_answer_that_is_lost_is_not(
    labour, site, start, kubeflow_api
):
    pipeline = toy(labour, fail="no such clip")
    run, record = start(pipeline)
    first = submit(site(), pipeline, run, record)["engine_id"]
    kubeflow_api.lose("POST", ":retry")
    assert submit(site(), pipeline, run, run.read())["engine_id"] == first
    kubeflow_api.fail("POST", ":retry", status=500, message="its workflow is gone")
    second = submit(site(), pipeline, run, run.read())["engine_id"]
    assert list(kubeflow_api.runs) == [first, second]


def test_a_refusal_to_end_what_takes_too_long_is_not_the_last_word(
    labour, site, start, kubeflow_api, capsys
):
    pipeline = toy(labour, seconds=30)
    run, record = start(pipeline)
    kubeflow_api.fail("POST", ":terminate", times=3, message="not now")
    record = submit(site(), pipeline, run, record, Submission(timeout_s=0.3))
    assert (record["state"], record["reason"]) == ("cancelled", "the run exceeded --timeout 0.3 s")
    assert capsys.readouterr().out.count("not now") == 1


def test_who_gives_up_waiting_says_that_the_run_goes_on(
    labour, site, start, kubeflow_api, monkeypatch
):
    monkeypatch.setattr(watch, "PATIENCE", 3)
    pipeline = toy(labour, seconds=1.0)
    run, record = start(pipeline)
    kubeflow_api.fail("GET", "/runs/", status=401, times=3, message="expired")
    with pytest.raises(
        ExecutorError, match=f"expired.*the run goes on: watch it with show-run {run.id}"
    ):
        submit(site(), pipeline, run, record)
    assert until_over(site(), run)["state"] == "succeeded"


def test_two_first_runs_of_a_pipeline_share_its_experiment(labour, site, start, kubeflow_api):
    pipeline, created = toy(labour), threading.Event()
    real = kubeflow_api.answer

    def answer(request):
        asked = (request.method, request.path.rpartition("/")[2]) == ("POST", "experiments")
        if asked and not created.is_set():  # somebody else is faster
            created.set()
            real(request)
        return real(request)

    kubeflow_api.answer = answer
    run, record = start(pipeline)
    assert submit(site(), pipeline, run, record)["state"] == "succeeded"
    assert len(kubeflow_api.experiments) == 1


def test_a_connection_that_breaks_is_said_in_words(labour, site, start, kubeflow_api):
    pipeline = toy(labour)
    run, record = start(pipeline)
    kubeflow_api.drop("GET", "/healthz", times=2)
    with pytest.raises(ExecutorError, match=r"does not answer \(Remote end closed connection w"):
        submit(site(), pipeline, run, record)
    assert json.loads((run.folder / "run.json").read_text())["state"] == "failed"
