"""How the KFP API lists what it knows: tasks as nodes of an Argo workflow, times, filters."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from ir_runner import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ir_runner import Task

NEVER = "1970-01-01T00:00:00Z"


def nodes(run_id: str, task: Task) -> list[dict[str, Any]]:
    """Return a task as the nodes of a workflow that a real server lists.

    A failure is told of the pod, and of the driver where the inputs cannot be resolved; a task that
    is not begun because another failed has no node.
    """
    if task.reason.startswith("not started"):
        return []
    parent = {"parent_task_id": task.path.rpartition("/")[0]} if "/" in task.path else {}
    state = "SUCCEEDED" if task.state == State.CACHED else str(task.state)
    undriven = task.state == State.FAILED and task.kind != "dag" and not task.failures
    driven = {"state": "FAILED" if undriven else "SUCCEEDED" if task.started_at else "SKIPPED"}
    if undriven:
        driven |= _error(task.reason)
        state = "SKIPPED"
    driver = _node(run_id, task, "-driver", f"{task.name}-driver", **driven, **parent)
    own = _node(run_id, task, "", task.name, state=state, **parent)
    if task.kind == "dag" or not (task.attempts or task.state == State.CACHED):
        return [driver, own]
    below = _pods(run_id, task, state)
    own["child_tasks"] = [{"task_id": below[0]["task_id"]}]
    if task.state == State.FAILED:
        own |= _error(f"child '{below[0]['task_id']}' failed")
    return [driver, own, *below]


def _pods(run_id: str, task: Task, state: str) -> list[dict[str, Any]]:
    """Return the node of a task's pod; where it may be tried again, one more for each attempt."""
    ran = "SKIPPED" if task.state == State.CACHED else state
    reasons = dict(enumerate(task.failures))
    parent = {"parent_task_id": task.path or "root"}
    last = max(0, task.attempts - 1)
    pod = {"pod_name": pod_name(task, last)} if task.attempts else {}
    told = _error(reasons[last]) if last in reasons and state == "FAILED" else {}
    if not task.retries:
        return [_node(run_id, task, "/executor", "executor", state=ran, **parent, **pod, **told)]
    top = _node(run_id, task, "/executor", "executor", state=ran, **parent, **told)
    found = [top]
    for number in range(task.attempts):
        failed = number in reasons
        found.append(
            _node(
                run_id,
                task,
                f"/executor({number})",
                f"executor({number})",
                state="FAILED" if failed else ran,
                parent_task_id=top["task_id"],
                pod_name=pod_name(task, number),
                **(_error(reasons[number]) if failed else {}),
            )
        )
    top["child_tasks"] = [{"task_id": each["task_id"]} for each in found[1:]]
    return found


def pod_name(task: Task, attempt: int) -> str:
    """Return the name of the pod of an attempt."""
    return f"{task.path.replace('/', '-')}-impl-{attempt}"


def _error(message: str) -> dict[str, Any]:
    return {"error": {"code": 2, "message": message}}


def _node(run_id: str, task: Task, suffix: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "task_id": f"{task.path}{suffix}",
        "display_name": name,
        "create_time": timestamp(task.started_at),
        "start_time": timestamp(task.started_at),
        "end_time": timestamp(task.ended_at) if task.ended_at else NEVER,
        **more,
    }


def equal_to(records: Any, query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Apply the equality predicates of a filter."""
    found = list(records)
    for each in json.loads(query.get("filter") or "{}").get("predicates", []):
        value = each.get("stringValue", each.get("string_value"))
        found = [record for record in found if record.get(each["key"]) == value]
    return found


def timestamp(seconds: float | None = None) -> str:
    """Return a time as the API writes it; now where none is given."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
