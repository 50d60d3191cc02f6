"""The order of tasks: what runs, is skipped, tried again, ended, or taken from the cache."""

import json
import os
import threading
import time
from pathlib import Path

import ir_runner
import ir_samples
import pytest
from ir_runner import Clock, State
from ir_samples import compiled, dsl, kubernetes, lines, shell_task

from soundgate.executors.kubeflow.profile import Profile
from soundgate.executors.kubeflow.rendering.compile import render
from soundgate.pipeline import Pipeline

pytestmark = pytest.mark.emulator("ir_runner")

SKIPPED, FAILED, SUCCEEDED = State.SKIPPED, State.FAILED, State.SUCCEEDED


@pytest.mark.parametrize(("limit", "runs"), [(2, True), (3, False)])
def test_a_condition_runs_or_skips_what_depends_on_it(execute, limit, runs):
    def p(limit: int):
        number = ir_samples.count(number=3)
        with dsl.If(number.outputs["counted"] > limit):
            told = ir_samples.say(word="more")
            ir_samples.say(word="still").after(told)

    outcome = execute(p, {"limit": limit})
    assert outcome.state == SUCCEEDED
    assert outcome.states["condition-1"] == (SUCCEEDED if runs else SKIPPED)
    assert outcome.executed == ["count", *(["condition-1/say", "condition-1/say-2"] * runs)]


@pytest.mark.parametrize("expression", ["'1' +", "inputs.parameter_values['ghost'] > 1.0", "1.0"])
def test_a_condition_that_cannot_be_evaluated_fails_and_never_skips(execute, expression):
    def p():
        number = ir_samples.count(number=3)
        with dsl.If(number.outputs["counted"] > 1):
            ir_samples.say(word="more")

    def edit(documents):
        task = documents[0]["root"]["dag"]["tasks"]["condition-1"]
        task["triggerPolicy"]["condition"] = expression

    outcome = execute(p, edit=edit)
    assert outcome.states["condition-1"] == FAILED
    assert outcome.state == FAILED


@pytest.mark.parametrize("fixed", [True, False])
def test_a_loop_runs_every_item_and_collects_what_they_give(execute, fixed):
    def p(items: list):
        listed = [{"n": 1}, {"n": 2}, {"n": 3}] if fixed else items
        with dsl.ParallelFor(listed, parallelism=2) as item:
            number = ir_samples.count(number=item.n)
        ir_samples.say(word="done").after(number)
        together(numbers=dsl.Collected(number.outputs["counted"]))

    @dsl.container_component
    def together(numbers: list):
        return ir_samples.shell('echo "$0"', numbers)

    outcome = execute(p, {"items": [{"n": 1}, {"n": 2}, {"n": 3}]})
    assert lines(outcome.tasks["together"]) == ["[1,2,3]"], outcome.report()
    loop = next(path for path in outcome.tasks if path.startswith("for-loop"))
    loop = loop.partition("[")[0]
    assert [lines(outcome.tasks[f"{loop}[{k}]/count"]) for k in range(3)] == [["1"], ["2"], ["3"]]
    assert outcome.executed.index("say") > 2


def test_a_failed_item_fails_the_loop(execute):
    def p():
        with dsl.ParallelFor([0, 1]) as code:
            ir_samples.fail(code=code)

    outcome = execute(p)
    loop = next(path for path in outcome.tasks if not path.endswith("]"))
    assert outcome.tasks[loop].reason == "1 of 2 items FAILED"
    assert outcome.state == FAILED


def test_independent_tasks_run_at_the_same_time(execute, tmp_path):
    look = f"for k in $(seq $2); do [ -e {tmp_path}/$1 ] && exit 0; sleep 0.02; done; exit 1"
    meet = f"touch {tmp_path}/$0; {look}"

    @dsl.container_component
    def wait(own: str, other: str, tries: int):
        return ir_samples.shell(meet, own, other, tries)

    def p(tries: int):
        wait(own="left", other="right", tries=tries)
        wait(own="right", other="left", tries=tries)

    assert execute(p, {"tries": 1000}).state == SUCCEEDED
    for name in ("left", "right"):
        (tmp_path / name).unlink()
    assert execute(p, {"tries": 5}, max_parallel=1).state == FAILED


def test_a_failure_stops_only_what_depends_on_it_unless_the_cluster_fails_fast(execute):
    def p():
        failed = ir_samples.fail(code=3)
        ir_samples.say(word="behind").after(failed)
        slow = shell_task("sleep 0.5")
        shell_task("true").after(slow)

    outcome = execute(p)
    assert outcome.state == FAILED
    assert outcome.states == {
        "fail": FAILED,
        "say": SKIPPED,
        "script": SUCCEEDED,
        "script-2": SUCCEEDED,
    }
    fast = execute(p, fail_fast=True)
    assert fast.tasks["script-2"].reason == "not started: fail had failed"
    assert (fast.states["script-2"], fast.states["say"]) == (SKIPPED, SKIPPED)


def test_the_reason_is_what_the_container_left_for_kubernetes(execute):
    def p():
        ir_samples.fail(code=3).set_env_variable("REASON", "/dev/termination-log")
        ir_samples.fail(code=4)

    outcome = execute(p)
    assert not Path("/dev/termination-log").exists()
    assert outcome.tasks["fail"].reason == "Error (exit code 1): no such sound"
    assert outcome.tasks["fail"].exit_code == 3
    assert outcome.tasks["fail-2"].reason == "Error (exit code 1)"


def test_an_exit_task_runs_whatever_happened_and_is_told(execute):
    @dsl.container_component
    def notify(status: dict):
        return ir_samples.shell('printf %s "$0"', status)

    def p():
        with dsl.ExitHandler(ir_samples.say(word="bye")):
            ir_samples.fail(code=1)

    outcome = execute(p)
    assert outcome.states["exit-handler-1"] == FAILED
    assert lines(outcome.tasks["say"]) == ["bye"]
    assert outcome.state == FAILED

    def told(documents):
        document = documents[0]
        task = document["root"]["dag"]["tasks"]["say"]
        task["inputs"] = {
            "parameters": {"word": {"taskFinalStatus": {"producerTask": "exit-handler-1"}}}
        }
        component = document["components"]["comp-say"]["inputDefinitions"]["parameters"]
        component["word"] = {"parameterType": "TASK_FINAL_STATUS"}

    status = json.loads(lines(execute(p, edit=told).tasks["say"])[0])
    assert (status["state"], status["pipelineTaskName"]) == ("FAILED", "exit-handler-1")


# attempts, limits, the end


class HourLater(Clock):
    """A clock of attempts that each take more than an hour."""

    def now_s(self):
        self.skipped_s += 3700
        return super().now_s()


def test_a_task_is_tried_again_with_longer_waits(execute, tmp_path):
    def p():
        text = f"echo x >> {tmp_path}/tries; test $(wc -l < {tmp_path}/tries) -gt 3"
        shell_task(text).set_retry(num_retries=5, backoff_duration="10s", backoff_factor=3.0)

    clock = Clock()
    task = execute(p, clock=clock).tasks["script"]
    assert (task.state, task.attempts) == (SUCCEEDED, 4)
    assert (task.backoffs_s, clock.skipped_s) == ([10.0, 30.0, 90.0], 130.0)
    assert [each.parent.name[0] for each in task.logs] == ["0", "1", "2", "3"]


def test_retries_end_at_a_deadline_counted_from_the_first_attempt(execute):
    def p():
        ir_samples.fail(code=1).set_retry(
            num_retries=5, backoff_duration="10s", backoff_factor=3.0, backoff_max_duration="60s"
        )

    task = execute(p).tasks["fail"]
    assert (task.state, task.attempts, task.backoffs_s) == (FAILED, 3, [10.0, 30.0])
    assert task.gave_up == "Backoff would exceed max duration limit"


def test_a_task_that_fails_after_the_deadline_is_not_tried_again(execute):
    def p():
        ir_samples.fail(code=1).set_retry(num_retries=2, backoff_max_duration="3600s")

    task = execute(p, clock=HourLater()).tasks["fail"]
    assert (task.state, task.attempts) == (FAILED, 1)
    assert task.gave_up == "Max duration limit exceeded"


def test_what_soundgate_sends_is_tried_again_after_hours(execute, tmp_path, labour):
    pipeline = Pipeline("late")
    pipeline.add(labour, name="first", fail="not yet", unless=str(tmp_path / "no"), retries=3)
    sent = str(render(pipeline, Profile(image="soundgate@sha256:0")))
    task = execute(sent, clock=HourLater()).tasks["first"]
    assert (task.attempts, task.gave_up, len(task.backoffs_s)) == (4, "", 3)


def test_without_a_deadline_kfp_passes_on_0_and_nothing_is_tried_again(execute):
    def p():
        ir_samples.fail(code=1).set_retry(num_retries=2)

    def without(documents):
        del documents[0]["root"]["dag"]["tasks"]["fail"]["retryPolicy"]["backoffMaxDuration"]

    assert execute(p, edit=without).tasks["fail"].attempts == 1


def test_tries_come_to_an_end(execute):
    def p():
        ir_samples.fail(code=1).set_retry(num_retries=2)

    task = execute(p).tasks["fail"]
    assert (task.state, task.attempts, len(task.failures)) == (FAILED, 3, 3)


def test_a_deadline_ends_the_container_and_all_it_started(execute, tmp_path):
    def p():
        text = f"sleep 60 & echo $! > {tmp_path}/child; trap '' TERM; sleep 60; sleep 60"
        kubernetes.set_timeout(shell_task(text), 1)

    began = time.monotonic()
    task = execute(p, grace_s=0.3).tasks["script"]
    assert task.reason.startswith("DeadlineExceeded")
    assert time.monotonic() - began < 10
    child = int((tmp_path / "child").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_terminated_run_ends_what_runs_and_starts_nothing(tmp_path, cluster):
    def p():
        first = shell_task(f"touch {tmp_path}/began; sleep 60")
        shell_task("true").after(first)

    ir = ir_runner.load(compiled(p))
    runner = ir_runner.Runner(ir, tmp_path / "work", cluster)
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(runner.run({})))
    thread.start()
    while not (tmp_path / "began").exists():
        time.sleep(0.01)
    runner.cancel()
    thread.join(20)
    assert outcomes[0].state == State.CANCELED
    assert set(outcomes[0].states.values()) == {State.CANCELED}


# the cache


def test_an_unchanged_run_is_taken_from_the_cache(execute):
    def p(text: str):
        made = ir_samples.write(text=text)
        ir_samples.read(made=made.outputs["made"])

    first, second = execute(p, {"text": "a"}), execute(p, {"text": "a"})
    assert set(second.states.values()) == {State.CACHED}
    assert second.executed == []
    assert second.tasks["read"].parameters == first.tasks["read"].parameters == {"text": "a"}
    assert execute(p, {"text": "b"}).executed == ["write", "read"]


def container(name):
    return lambda docs: docs[0]["deploymentSpec"]["executors"][name]["container"]


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (lambda docs: container("exec-write")(docs).update(image="other"), ["write", "read"]),
        (lambda docs: container("exec-read")(docs)["args"].append("more"), ["read"]),
        # what only the environment says does not count: a step must be told by its arguments
        (lambda docs: container("exec-write")(docs).update(env=[{"name": "A", "value": "b"}]), []),
        (lambda docs: docs[0]["pipelineInfo"].update(name="other"), ["write", "read"]),
        # a task that is never cached makes new artifacts, whatever is in them
        (
            lambda docs: docs[0]["root"]["dag"]["tasks"]["write"].update(cachingOptions={}),
            ["write", "read"],
        ),
    ],
)
def test_what_the_key_of_the_cache_holds(execute, change, again):
    def p():
        made = ir_samples.write(text="a")
        ir_samples.read(made=made.outputs["made"])

    execute(p)
    assert execute(p, edit=change).executed == again


def test_failures_are_not_cached(execute):
    def p():
        ir_samples.fail(code=1)

    execute(p)
    assert execute(p).tasks["fail"].attempts == 1
