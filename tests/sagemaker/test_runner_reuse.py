from __future__ import annotations

from datetime import timedelta

import pytest
from definition_runner import Cache, Refused
from gated_jobs import THRESHOLDS, gate, report
from jobs_by_hand import COPY, WRITE, get, join, output, parameter

pytestmark = [pytest.mark.emulator("definition_runner", "control_plane"), pytest.mark.slow]
CACHED = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"}}
RETRIED = [
    {
        "ExceptionType": ["SageMaker.CAPACITY_ERROR", "Step.THROTTLING"],
        "IntervalSeconds": 60,
        "BackoffRate": 2.0,
        "MaxAttempts": 2,
    }
]


# Caching and retries


def chain(world) -> tuple:
    write = world.processing(
        "write",
        WRITE,
        outputs=("out",),
        arguments=(join("--n=", get("Parameters.n"), on=""),),
        **CACHED,
    )
    copy = world.processing(
        "copy", COPY, inputs={"in": output("write", "out")}, outputs=("out",), **CACHED
    )
    train = world.training("train", "print(1)", channels={"in": output("copy", "out")}, **CACHED)
    return write, copy, train


def test_a_second_execution_repeats_nothing_and_passes_earlier_results_on(world):
    steps, n = chain(world), [parameter("n", "Integer", 1)]
    first = world.run(*steps, parameters=n)
    assert first.executed == ["write", "copy", "train"], first.why()
    second = world.run(*steps, parameters=n)
    assert (second.status, second.executed) == ("Succeeded", [])
    assert {r.cached_from for r in second.steps.values()} == {first.arn}
    assert not world.listed(second.id)
    third = world.run(*steps, parameters=n, parameters_given={"n": 2})
    assert third.executed == ["write", "copy", "train"]
    again = world.run(*steps, parameters=n)
    assert (again.executed, again.steps["write"].cached_from) == ([], first.arn)
    assert world.run(*steps, parameters=n, pipeline="other").executed == [
        *("write", "copy", "train")
    ]


def test_a_result_expires_and_a_failed_step_leaves_none(world, monkeypatch):
    steps, n = chain(world), [parameter("n", "Integer", 1)]
    flaky = world.processing("flaky", "raise SystemExit(1)", DependsOn=["copy"], **CACHED)
    world.run(*steps[:2], flaky, parameters=n)
    second = world.run(*steps[:2], flaky, parameters=n)
    assert second.executed == ["flaky"]
    now = world.account.now
    monkeypatch.setattr(world.account, "now", lambda: now() + timedelta(days=31))
    late = world.run(*steps[:2], parameters=n)
    assert late.executed == ["write", "copy"]


def test_an_execution_id_in_the_environment_spoils_every_hit(world):
    spoilt = world.processing(
        "look", "print(1)", environment={"RUN": get("Execution.PipelineExecutionId")}, **CACHED
    )
    assert [world.run(spoilt).executed for _ in range(2)] == [["look"], ["look"]]


def test_faults_of_the_platform_are_retried_programs_that_fail_are_not(world):
    faults = world.account.faults
    step = world.processing("look", "print(1)", RetryPolicies=RETRIED)
    faults.fail("look", "SageMaker.CAPACITY_ERROR", "Step.THROTTLING")
    execution = world.run(step)
    assert (execution.status, execution.steps["look"].attempts) == ("Succeeded", 3)
    assert [job.status for job in execution.steps["look"].jobs] == ["Failed", "Failed", "Completed"]
    faults.fail("look", *["SageMaker.CAPACITY_ERROR"] * 3)
    execution = world.run(step)
    assert (execution.status, execution.steps["look"].attempts) == ("Failed", 3)
    assert execution.steps["look"].reason.startswith("CapacityError: unable to provision")
    faults.fail("look", "Step.SERVICE_FAULT")  # no policy names it
    assert world.run(step).steps["look"].attempts == 1
    fails = world.processing("look", "raise SystemExit(1)", RetryPolicies=RETRIED)
    assert world.run(fails).steps["look"].attempts == 1


# Selective execution


def test_selected_steps_read_what_an_earlier_execution_left(world):
    steps, n = chain(world), [parameter("n", "Integer", 1)]
    first = world.run(*steps[:2], parameters=n)
    chosen = world.run(*steps[:2], parameters=n, selected=["copy"], source=first)
    assert (chosen.status, chosen.executed) == ("Succeeded", [])
    world.account.cache = Cache()
    chosen = world.run(*steps[:2], parameters=n, selected=["copy"], source=first)
    assert (chosen.status, chosen.executed) == ("Succeeded", ["copy"]), chosen.why()
    assert chosen.steps["write"].selected_from == first.arn
    assert world.read(f"s3://artifacts/{chosen.id}/copy/out/value.txt") == "--n=1!"


def test_selected_steps_behind_gates_open_as_their_gates_did(world):
    after = world.processing("after", "print(1)")
    steps = (report(world, '{"acc": {"value": 0.75}}'), gate("clip", [gate("patch", [after])]))
    first = world.run(*steps, parameters=THRESHOLDS)
    only = world.run(*steps, parameters=THRESHOLDS, selected=["after"], source=first)
    assert (only.status, only.executed) == ("Succeeded", ["after"])
    judged = world.run(
        *steps,
        parameters=THRESHOLDS,
        parameters_given={"patch_threshold": 0.9},
        selected=["clip", "patch", "after", "patch-missed"],
        source=first,
    )
    assert judged.executed == ["clip", "patch", "patch-missed"]


@pytest.mark.parametrize(
    ("selected", "said"),
    [
        (["write", "train"], "copy lies between selected steps"),
        (["writ"], r"no steps \['writ'\]"),
        (["train"], "the source execution has no result of copy"),
    ],
)
def test_what_cannot_be_selected_is_refused(world, selected, said):
    steps, n = chain(world), [parameter("n", "Integer", 1)]
    source = world.run(steps[0], parameters=n)
    with pytest.raises(Refused, match=said):
        world.execution(*steps, parameters=n, selected=selected, source=source)
