"""How a run on Kubeflow stands, from what the API server tells of its nodes.

A task is a node of Argo's under its name in KFP, with a driver and an ``executor`` below it: the
pod, or one pod an attempt. Failures are told of the pod, so that the reason is looked for below. An
executor that was skipped although its task succeeded means that the result came from KFP's cache.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.executors import records
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from soundgate.run_record import RunRecord, TaskRecord

DONE, FAILED, CANCELED = "SUCCEEDED", "FAILED", "CANCELED"
OVER = (DONE, FAILED, CANCELED, "SKIPPED")
"""States in which a run stays."""
TASKS = {
    "PENDING": State.PENDING,
    "RUNNING": State.RUNNING,
    "PAUSED": State.RUNNING,
    "CANCELING": State.RUNNING,
    "SUCCEEDED": State.SUCCEEDED,
    "FAILED": State.FAILED,
    "CANCELED": State.CANCELLED,
    "CACHED": State.REUSED,
}
REUSED = "Kubeflow's cache had it"
NOT_BEGUN = "not begun before the run ended"
ATTEMPT = re.compile(r"executor(\(\d+\))?")
EXITED = re.compile(r"^(main: )?Error \(exit code (?P<code>\d+)\)(: )?")
ENDINGS = {
    "OOMKilled": "killed: it used more than its memory (memory_gb of its Resources)",
    "active on the node longer than the specified deadline": "exceeded its time limit (hours)",
    "DeadlineExceeded": "exceeded its time limit (hours of its Resources)",
    "ImagePullBackOff": "its image cannot be pulled: correct image or image_pull_secrets",
    "ErrImagePull": "its image cannot be pulled: correct image or image_pull_secrets",
}
"""What Kubernetes says, in words of the pipeline."""


def update(record: RunRecord, seen: Any, names: Mapping[str, str]) -> list[str]:
    """Bring a run's record up to date; return the names of the tasks that changed.

    Args:
        record: the run's record, changed in place.
        seen: the run as the API server tells it.
        names: task to its name in KFP.
    """
    tasks = record["tasks"]
    before = {name: (task["state"], task["reason"]) for name, task in tasks.items()}
    nodes = _Nodes(seen)
    for name, task in tasks.items():
        label = names.get(name, name)
        node, driver = nodes.named(label), nodes.named(f"{label}-driver")
        if State(task["state"]).done:
            continue
        if driver is not None and str(driver.state) == FAILED:
            task.update({"state": State.FAILED, "reason": _reason([driver])})
        elif node is not None:
            _take(task, node, nodes, [tasks[n] for n in task["depends_on"] if n in tasks])
    _conclude(record, seen)
    return [n for n, task in tasks.items() if (task["state"], task["reason"]) != before[n]]


def lose(record: RunRecord, reason: str) -> list[str]:
    """End the record of a run that is there no more; return the names of the tasks that changed."""
    lost = [n for n, task in record["tasks"].items() if not State(task["state"]).final]
    for name in lost:
        record["tasks"][name].update({"state": State.CANCELLED, "reason": reason})
    records.end(record, State.CANCELLED, reason)
    return lost


def said(seen: Any) -> str:
    """Return what is unusual about a run that is not over."""
    told = {"PAUSED": "paused", "CANCELING": "is being cancelled"}
    state = str(seen.state)
    usual = (*OVER, "PENDING", "RUNNING", "None", "RUNTIME_STATE_UNSPECIFIED")
    return told.get(state, "" if state in usual else f"Kubeflow says {state}")


class _Nodes:
    """The nodes of a run, by id and by name."""

    def __init__(self, seen: Any) -> None:
        details = getattr(seen.run_details, "task_details", None) if seen.run_details else None
        self.all = list(details or [])
        self.by_id = {node.task_id: node for node in self.all if node.task_id}

    def named(self, name: str) -> Any:
        """Return the node of a task; the last one where it was tried again."""
        found = [node for node in self.all if node.display_name == name]
        return found[-1] if found else None

    def below(self, node: Any) -> Iterator[Any]:
        """Yield the nodes below one, each once."""
        waiting, seen = [node], {node.task_id}
        while waiting:
            above = waiting.pop(0)
            ids = [c.task_id or c.pod_name for c in above.child_tasks or ()]
            ids += [n.task_id for n in self.all if n.parent_task_id == above.task_id]
            for identity in dict.fromkeys(ids):
                if identity in self.by_id and identity not in seen:
                    seen.add(identity)
                    waiting.append(self.by_id[identity])
                    yield self.by_id[identity]


def _take(task: TaskRecord, node: Any, nodes: _Nodes, upstream: list[TaskRecord]) -> None:
    """Take over what a node says of its task."""
    below = list(nodes.below(node))
    pods = [n for n in below if ATTEMPT.fullmatch(n.display_name or "")]
    attempts = [n for n in pods if n.display_name != "executor"] or pods
    state = TASKS.get(str(node.state), State(task["state"]))
    if str(node.state) == "SKIPPED":
        done = all(State(t["state"]).done for t in upstream)
        state = State.REUSED if done else State.SKIPPED
    elif state == State.SUCCEEDED and pods and all(str(n.state) == "SKIPPED" for n in pods):
        state = State.REUSED
    reason = {State.REUSED: REUSED, State.FAILED: _reason([*reversed(below), node])}.get(state, "")
    if state == State.SKIPPED:
        reason = task["reason"]
    pod = attempts[-1] if attempts else node
    task.update(
        {
            "state": state,
            "reason": reason,
            "attempt": len(attempts) or task["attempt"],
            "engine_id": pod.pod_name or pod.task_id or task["engine_id"],
        }
    )
    if node.start_time and node.end_time and (state.done or state == State.FAILED):
        took_s = (node.end_time - node.start_time).total_seconds()
        task["duration_s"] = round(took_s, 3) if took_s >= 0 else None  # 1970: not set


def _reason(nodes: list[Any]) -> str:
    """Return why a task failed: the first message that says more than that a child did."""
    told = [str(n.error.message) for n in nodes if n.error is not None and n.error.message]
    told = [text for text in told if not re.fullmatch(r"child '.*' failed", text)]
    if not told:
        return "failed; Kubeflow does not say why"
    text = " ".join(told[0].split())
    for sign, words in ENDINGS.items():
        if sign in text:
            return f"{words}; Kubernetes says: {text}" if sign != text else words
    found = EXITED.match(text)
    if found is None:
        return text
    return text[found.end() :] or f"exit code {found['code']}"


def _conclude(record: RunRecord, seen: Any) -> None:
    """Set the run's own state; say what became of tasks that never began."""
    tasks, state = record["tasks"], str(seen.state)
    if state not in OVER:
        record.update({"state": State.RUNNING, "reason": said(seen)})
        return
    failed = [name for name, task in tasks.items() if task["state"] == State.FAILED]
    for task in tasks.values():
        if State(task["state"]).final and not (
            task["state"] == State.SKIPPED and not task["reason"]
        ):
            continue
        if state == DONE:
            task["state"] = State.SUCCEEDED
        elif state == CANCELED:
            task.update({"state": State.CANCELLED, "reason": "the run was cancelled"})
        else:
            behind = _behind(task, tasks, failed)
            # a failure holds back only what reads it, so here the engine ended the whole run
            reason = f"{behind} failed" if behind else NOT_BEGUN
            task.update({"state": State.SKIPPED, "reason": reason})
    done = all(State(task["state"]).done for task in tasks.values())
    told = "; ".join(f"{name}: {tasks[name]['reason']}" for name in failed)
    if state == CANCELED:
        record.update({"state": State.CANCELLED, "reason": record.get("reason") or "cancelled"})
    elif done:
        record.update({"state": State.SUCCEEDED, "reason": ""})
    else:
        error = getattr(seen.error, "message", None) if seen.error is not None else None
        record.update({"state": State.FAILED, "reason": told or error or f"Kubeflow says {state}"})
    if not record["ended_at"]:
        ended_at = _text(seen.finished_at) if seen.finished_at else runs.now()
        took_s = runs.seconds_between(record["created_at"], ended_at)
        # the two times may be by clocks of two machines
        record.update({"ended_at": ended_at, "duration_s": max(0.0, took_s)})


def _text(moment: datetime) -> str:
    """Return a time as records have it."""
    moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _behind(task: TaskRecord, tasks: Mapping[str, TaskRecord], failed: list[str]) -> str:
    """Return the failed task that one waited for, directly or not; empty where there is none."""
    waiting, seen = list(task["depends_on"]), set()
    while waiting:
        name = waiting.pop(0)
        if name in failed:
            return str(name)
        if name in tasks and name not in seen:
            seen.add(name)
            waiting += tasks[name]["depends_on"]
    return ""
