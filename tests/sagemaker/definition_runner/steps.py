"""Does what one step says, once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from definition_runner import processing, registration, shapes, training
from definition_runner.conditions import holds
from definition_runner.errors import PlatformFault, StepFailed, StepStopped
from definition_runner.expressions import Scope, evaluate
from definition_runner.job import Job, new_name

if TYPE_CHECKING:
    import threading

    from definition_runner.account import Account
    from definition_runner.record import Record

JOBS = {"Processing": processing.run, "Training": training.run}


def condition(record: Record, scope: Scope) -> None:
    """Judge a condition; all of its parts have to hold."""
    outcome = all(holds(each, scope) for each in record.step["Arguments"]["Conditions"])
    record.metadata = {"Condition": {"Outcome": str(outcome)}}
    record.properties = {"Outcome": outcome}


def fail(record: Record, scope: Scope) -> None:
    """End the execution with a message."""
    message = evaluate(record.step["Arguments"]["ErrorMessage"], scope)
    record.metadata = {"Fail": {"ErrorMessage": message}}
    raise StepFailed(message)


def register(record: Record, scope: Scope, account: Account) -> None:
    """Create a model package."""
    account.faults.attempt(record.name)
    arguments = evaluate(record.step["Arguments"], scope)
    shapes.check("RegisterModel", arguments, "")
    record.properties = registration.register(account, arguments)
    record.metadata = {"RegisterModel": {"Arn": record.properties["ModelPackageArn"]}}


def job(
    record: Record,
    arguments: dict[str, Any],
    account: Account,
    execution: str,
    halt: threading.Event,
) -> None:
    """Run a job to its end.

    Args:
        record: the step.
        arguments: of the job, without references.
        account: where it runs.
        execution: id of the execution, part of the job's name.
        halt: set when it has to stop.

    Raises:
        StepFailed: its program failed, or its arguments are refused.
        StepStopped: ``halt`` was set.
        PlatformFault: a fault was injected.
    """
    kind = record.step["Type"]
    name = new_name(execution, record.name)
    shapes.check(kind, arguments, name)
    made = Job(account, kind, record.name, name, arguments, halt, started_at=account.now())
    account.add(made)
    record.jobs.append(made)
    record.metadata = {f"{kind}Job": {"Arn": made.arn}}
    try:
        account.faults.attempt(record.name)
        JOBS[kind](made)
        made.status = "Completed"
    except StepStopped:
        made.status = "Stopped"
        raise
    except (StepFailed, PlatformFault) as error:
        made.status, made.reason = "Failed", str(error)
        raise
    finally:
        made.ended_at = account.now()
        record.properties = made.describe()
        shutil.rmtree(made.ml, ignore_errors=True)
        if account.on_log:
            account.on_log(made, made.lines)
