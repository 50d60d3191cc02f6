"""The stand-in for the API server, by the real client: it submits, waits, fails, terminates."""

import time
import warnings

import ir_samples
import pytest
from ir_samples import compiled, dsl, shell_task
from kfp import Client
from kfp_server_api import ApiException
from stub_api import KubeflowApi
from urllib3.exceptions import HTTPError

pytestmark = pytest.mark.emulator("stub_api", "ir_runner")


@pytest.fixture
def client(kubeflow_api):
    return connect(kubeflow_api)


def connect(api, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the client says how young it is
        made = Client(host=api.url, **options)
    made._run_api.api_client.configuration.retries = False
    return made


@pytest.fixture
def submit(client, tmp_path):
    """Send a pipeline's function; returns the id of the run."""

    def do(function, arguments=None, **options):
        package = tmp_path / "package.yaml"
        package.write_text(compiled(function))
        return client.create_run_from_pipeline_package(
            str(package), arguments=arguments, experiment_name="sounds", **options
        ).run_id

    return do


def states(run):
    return {task.display_name: task.state for task in run.run_details.task_details}


def echo(word: str = "hello"):
    ir_samples.say(word=word)


def test_a_run_is_taken_executed_and_waited_for(kubeflow_api, client, submit):
    run_id = submit(echo, {"word": "there"}, run_name="first")
    run = client.wait_for_run_completion(run_id, timeout=30, sleep_duration=0.05)
    assert (run.state, run.display_name) == ("SUCCEEDED", "first")
    assert run.finished_at >= run.created_at
    assert states(client.get_run(run_id)) == dict.fromkeys(
        ("say-driver", "say", "executor"), "SUCCEEDED"
    )
    sent = next(r for r in kubeflow_api.requests if (r.method, r.path[-5:]) == ("POST", "/runs"))
    assert sent.body["runtime_config"]["parameters"] == {"word": "there"}
    node = client.get_run(run_id).run_details.task_details[-1]
    path = f"/apis/v1alpha1/runs/{run_id}/nodes/{node.pod_name}/log"
    answer = client._run_api.api_client.call_api(
        path, "GET", _preload_content=False, _return_http_data_only=True
    )
    assert answer.data == b"there\n"


def test_a_result_from_the_cache_is_told_by_a_skipped_executor(kubeflow_api, client, submit):
    kubeflow_api.wait(submit(echo))
    second = submit(echo)
    kubeflow_api.wait(second)
    expected = {"say-driver": "SUCCEEDED", "say": "SUCCEEDED", "executor": "SKIPPED"}
    assert states(client.get_run(second)) == expected


def test_a_failure_is_told_of_the_pod_and_every_attempt_has_one(kubeflow_api, client, submit):
    def broken():
        task = ir_samples.fail(code=3).set_env_variable("REASON", "/dev/termination-log")
        ir_samples.say(word="behind").after(task.set_retry(num_retries=1))

    run_id = submit(broken)
    assert kubeflow_api.wait(run_id)["state"] == "FAILED"
    run = client.get_run(run_id)
    assert states(run) == {
        "fail-driver": "SUCCEEDED",
        "fail": "FAILED",
        "executor": "FAILED",
        "executor(0)": "FAILED",
        "executor(1)": "FAILED",
        "say-driver": "SKIPPED",
        "say": "SKIPPED",
    }
    nodes = {task.display_name: task for task in run.run_details.task_details}
    assert nodes["executor(1)"].error.message == "Error (exit code 1): no such sound"
    assert nodes["fail"].error.message == "child 'fail/executor' failed"
    assert [c.task_id for c in nodes["executor"].child_tasks] == [
        *("fail/executor(0)", "fail/executor(1)")
    ]


def test_inputs_that_cannot_be_resolved_fail_the_driver(kubeflow_api, client, submit):
    def untold(words: list):
        with dsl.ParallelFor(words) as word:
            ir_samples.say(word=word.text)

    run_id = submit(untold, {"words": [{"other": 1}]})
    assert kubeflow_api.wait(run_id)["state"] == "FAILED"
    nodes = {t.display_name: t for t in client.get_run(run_id).run_details.task_details}
    assert (nodes["say-driver"].state, nodes["say"].state) == ("FAILED", "SKIPPED")
    assert "text" in nodes["say-driver"].error.message


def test_a_run_is_terminated(kubeflow_api, client, submit):
    def long():
        shell_task("sleep 60")

    run_id = submit(long)
    while client.get_run(run_id).state != "RUNNING":
        time.sleep(0.02)
    client.terminate_run(run_id)
    assert kubeflow_api.wait(run_id, 20)["state"] == "CANCELED"
    with pytest.raises(ApiException, match="cannot be terminated: CANCELED"):
        client.terminate_run(run_id)


def test_a_retried_run_does_again_only_what_failed(kubeflow_api, client, submit, tmp_path):
    def flaky():
        first = shell_task(f"echo x >> {tmp_path}/first")
        shell_task(f"test -e {tmp_path}/mended").after(first)

    run_id = submit(flaky)
    assert kubeflow_api.wait(run_id)["state"] == "FAILED"
    (tmp_path / "mended").touch()
    client._run_api.run_service_retry_run(run_id=run_id)
    assert kubeflow_api.wait(run_id)["state"] == "SUCCEEDED"
    assert (tmp_path / "first").read_text() == "x\n"


def test_runs_are_listed_page_by_page(client, submit, kubeflow_api):
    ids = [submit(echo, run_name=f"r{k}") for k in range(3)]
    first = client.list_runs(page_size=2)
    rest = client.list_runs(page_size=2, page_token=first.next_page_token)
    assert [r.run_id for r in first.runs + rest.runs] == ids[::-1]
    assert (first.total_size, rest.next_page_token) == (3, None)
    assert len(kubeflow_api.experiments) == 1


def test_arguments_that_the_pipeline_does_not_have_are_refused(submit, kubeflow_api):
    with pytest.raises(ApiException, match="the pipeline has no parameter speed") as refused:
        submit(echo, {"speed": 1})
    assert refused.value.status == 400
    assert not kubeflow_api.runs


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_fault_meets_as_many_requests_as_it_is_set_for(kubeflow_api, client, submit, status):
    run_id = submit(echo)
    kubeflow_api.fail("GET", "/runs/", status=status, times=2, message="namespace sounds")
    for _ in range(2):
        with pytest.raises(ApiException, match="namespace sounds") as refused:
            client.get_run(run_id)
        assert refused.value.status == status
    assert client.get_run(run_id).run_id == run_id


def test_a_server_may_be_slow_or_hang_up(kubeflow_api, client, submit):
    run_id = submit(echo)
    kubeflow_api.slow("GET", "/runs/", seconds=0.4)
    began = time.monotonic()
    client.get_run(run_id)
    assert time.monotonic() - began >= 0.4
    kubeflow_api.drop("GET", "/runs/", times=10)
    with pytest.raises(HTTPError):
        client.get_run(run_id)


def test_a_token_is_asked_for(tmp_path, cluster):
    with KubeflowApi(tmp_path / "k", cluster, token="secret") as api:
        assert connect(api, existing_token="secret").get_kfp_healthz().multi_user is False
        with pytest.raises(ApiException, match="Unauthenticated"):
            connect(api, existing_token="other", namespace="sounds").list_runs()
