"""Execute a compiled pipeline: its tasks in order, in parallel where nothing forbids it."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ir_runner import inputs, values
from ir_runner.artifacts import ROOT, Artifact, Store
from ir_runner.cache import Cache
from ir_runner.conditions import ExpressionError, holds
from ir_runner.container import load_json
from ir_runner.inputs import Given, InputError, Scope, Use
from ir_runner.messages import IR, IRError, load
from ir_runner.outcome import Outcome, State, Task
from ir_runner.task import Execution

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ir_runner.platform import Platform


class Collected(list):  # type: ignore[type-arg]
    """What the items of a loop left; loops in loops are collected flat, as the backend does."""


class Runner:
    """One run of one pipeline."""

    def __init__(
        self,
        ir: IR,
        work: Path,
        platform: Platform,
        *,
        cache: Cache | None = None,
        run_id: str = "",
        pipeline_root: str = "",
        keep: Mapping[str, Task] | None = None,
    ) -> None:
        """Prepare a run; ``keep`` are tasks of an earlier attempt that are not run again."""
        self.ir = ir
        self.run_id = run_id or str(uuid.uuid4())
        self.platform = platform
        self.cache = cache or Cache()
        self.store = Store(work / "store", platform.buckets, platform.fetch, platform.put)
        self.folder = work / "runs" / self.run_id
        root = (pipeline_root or ir.spec.default_pipeline_root or ROOT).rstrip("/")
        self.store.in_place = root.startswith("/")
        self.root = f"{root}/{ir.spec.pipeline_info.name}/{self.run_id}"
        self.canceled = threading.Event()
        self.tasks: dict[str, Task] = {}
        self.keep = dict(keep or {})
        self.slots = threading.BoundedSemaphore(platform.max_parallel)
        name = ir.spec.pipeline_info.name
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.names = {
            "{{$.pipeline_job_name}}": f"{name} {now}",
            "{{$.pipeline_job_resource_name}}": f"{name}-{self.run_id[:5]}",
            "{{$.pipeline_job_uuid}}": self.run_id,
            "{{$.pipeline_job_create_time_utc}}": now,
            "{{$.pipeline_job_schedule_time_utc}}": now,
        }

    def cancel(self) -> None:
        """Terminate the run: running containers get SIGTERM, then SIGKILL."""
        self.canceled.set()

    def run(self, arguments: Mapping[str, Any]) -> Outcome:
        """Run the pipeline.

        Raises:
            IRError: an argument is missing, unknown or of another type.
        """
        scope = Scope("", self.arguments(arguments), {})
        root = self._sub_pipeline(Task("", "root", "dag"), self.ir.spec.root, scope)
        return Outcome(self.run_id, root.state, self.tasks, root.parameters, root.artifacts)

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Check a run's arguments as the API server does; fill in the defaults.

        Raises:
            IRError: an argument is missing, unknown or of another type.
        """
        root = self.ir.spec.root
        declared = root.input_definitions.parameters
        if unknown := sorted(set(given) - set(declared)):
            raise IRError(f"the pipeline has no parameter {', '.join(unknown)}")
        try:
            found = inputs.check(root, {n: values.plain(v) for n, v in given.items()})
        except InputError as error:
            raise IRError(f"pipeline {error}") from error
        return {**dict.fromkeys(declared), **inputs.defaults(root, found)}

    def _component(self, name: str) -> Any:
        if name not in self.ir.spec.components:
            raise IRError(f"there is no component {name!r}")
        return self.ir.spec.components[name]

    def _sub_pipeline(self, node: Task, component: Any, scope: Scope) -> Task:
        """Run the tasks of one DAG; the state of the whole is in the node returned."""
        tasks = dict(component.dag.tasks)
        running: dict[Future[Task], str] = {}
        with ThreadPoolExecutor(max_workers=max(1, len(tasks))) as pool:
            while tasks or running:
                ready = [n for n in sorted(tasks) if inputs.upstream(tasks[n]) <= set(scope.done)]
                for name in ready:
                    task = tasks.pop(name)
                    if (hindered := self._hindered(name, task, scope)) is None:
                        running[pool.submit(self._task, name, task, scope)] = name
                    else:
                        scope.done[name] = hindered
                if not ready and not running:
                    raise IRError(f"{scope.path or 'root'}: cannot be ordered: {sorted(tasks)}")
                finished, _ = wait(
                    running, timeout=0 if ready else None, return_when=FIRST_COMPLETED
                )
                for future in finished:
                    scope.done[running.pop(future)] = future.result()
        self._conclude(node, component, scope)
        return node

    def _hindered(self, name: str, task: Any, scope: Scope) -> Task | None:
        """Return the task as it is left when it cannot start; None where it can."""
        before = {each: scope.done[each].state for each in inputs.upstream(task)}
        failed = [n for n, each in scope.done.items() if each.state == State.FAILED]
        missing = [f"{n} {state}" for n, state in sorted(before.items()) if not state.done]
        always = inputs.runs_always(task)
        if self.canceled.is_set():
            state, reason = State.CANCELED, "the run was terminated"
        elif missing and not always:
            state, reason = State.SKIPPED, f"upstream {', '.join(missing)}"
        elif failed and self.platform.fail_fast and not always:
            state, reason = State.SKIPPED, f"not started: {failed[0]} had failed"
        else:
            return None
        left = Task(f"{scope.path}{name}", name, state=state, reason=reason)
        self.tasks[left.path] = left
        return left

    def _task(self, name: str, task: Any, scope: Scope) -> Task:
        node = Task(f"{scope.path}{name}", name, state=State.RUNNING, started_at=time.time())
        self.tasks[node.path] = node
        try:
            component = self._component(task.component_ref.name)
            run = {**self.names, "{{$.pipeline_task_name}}": name, "{{$.pipeline_task_uuid}}": name}
            given = inputs.resolve(task, component, scope, run)
            node.inputs = dict(given.parameters)
            use = Use(task, component, given, scope)
            condition = task.trigger_policy.condition
            if condition and not holds(condition, given.parameters):
                node.state, node.reason = State.SKIPPED, "its condition is false"
            elif task.WhichOneof("iterator"):
                self._loop(node, use)
            else:
                self._one(node, use)
        except (IRError, InputError, ExpressionError) as error:
            node.state, node.reason = State.FAILED, str(error)
        node.ended_at = time.time()
        return node

    def _one(self, node: Task, use: Use) -> None:
        """Run a container, an importer or a sub-pipeline once."""
        # an item of a loop is not given what the loop goes over
        whole = use.task.parameter_iterator.items.input_parameter
        component = use.component
        parameters = inputs.check(component, use.given.parameters, skip=whole)
        if component.WhichOneof("implementation") == "dag":
            node.kind = "dag"
            declared = dict.fromkeys(component.input_definitions.parameters)
            filled = {**declared, **inputs.defaults(component, parameters)}
            inner = Scope(f"{node.path}/", filled, use.given.artifacts)
            self._sub_pipeline(node, component, inner)
        elif kept := self.keep.get(node.path):
            node.state, node.reason = kept.state, "kept from the earlier attempt"
            node.parameters, node.artifacts = kept.parameters, kept.artifacts
        else:
            given = Given(parameters, use.given.artifacts)
            Execution(self, node, replace(use, given=given)).run()

    def _loop(self, node: Task, use: Use) -> None:
        node.kind = "dag"
        items, name, among = _items(use.task, use.given)

        def item(index: int) -> Task:
            own = Given(dict(use.given.parameters), dict(use.given.artifacts))
            getattr(own, among)[name] = items[index]
            return self._item(f"{node.path}[{index}]", node.name, replace(use, given=own))

        limit = use.task.iterator_policy.parallelism_limit or len(items) or 1
        with ThreadPoolExecutor(max_workers=limit) as pool:
            each = list(pool.map(item, range(len(items))))
        states = [made.state for made in each]
        worst = [s for s in (State.FAILED, State.CANCELED) if s in states]
        node.state = worst[0] if worst else State.SUCCEEDED
        if worst:
            node.reason = f"{states.count(worst[0])} of {len(items)} items {worst[0]}"
        outputs = use.component.output_definitions
        node.parameters = {
            k: _collected(i.parameters.get(k) for i in each) for k in outputs.parameters
        }
        node.artifacts = {
            k: _collected(i.artifacts.get(k) for i in each) for k in outputs.artifacts
        }

    def _item(self, path: str, name: str, use: Use) -> Task:
        node = Task(path, name, "dag", State.RUNNING, started_at=time.time())
        self.tasks[path] = node
        try:
            self._one(node, use)
        except (IRError, InputError, ExpressionError) as error:
            node.state, node.reason = State.FAILED, str(error)
        node.ended_at = time.time()
        return node

    def _conclude(self, node: Task, component: Any, scope: Scope) -> None:
        """Give a DAG its state and its outputs."""
        states = {name: task.state for name, task in scope.done.items()}
        failed = [name for name, state in states.items() if state == State.FAILED]
        if self.canceled.is_set() and State.CANCELED in states.values():
            node.state, node.reason = State.CANCELED, "the run was terminated"
        elif failed:
            node.state, node.reason = State.FAILED, f"failed: {', '.join(failed)}"
        else:
            node.state = State.SUCCEEDED
        for key, output in component.dag.outputs.parameters.items():
            chosen = list(output.value_from_oneof.parameter_selectors)
            if output.WhichOneof("kind") == "value_from_parameter":
                chosen = [output.value_from_parameter]
            pairs = [(each.producer_subtask, each.output_parameter_key) for each in chosen]
            _first(node.parameters, key, pairs, {n: t.parameters for n, t in scope.done.items()})
        for key, output in component.dag.outputs.artifacts.items():
            selectors = output.artifact_selectors
            pairs = [(each.producer_subtask, each.output_artifact_key) for each in selectors]
            _first(node.artifacts, key, pairs, {n: t.artifacts for n, t in scope.done.items()})


def _first(
    outputs: dict[str, Any], key: str, pairs: list[tuple[str, str]], made: Mapping[str, Any]
) -> None:
    """Take an output from the first of the tasks named that made it."""
    for task, name in pairs:
        if name in made.get(task, {}):
            outputs[key] = made[task][name]
            return


def _items(task: Any, given: Given) -> tuple[list[Any], str, str]:
    """Return what a loop goes over, the input an item is passed by, and that input's kind."""
    if task.WhichOneof("iterator") == "artifact_iterator":
        raise InputError("it loops over artifacts, which KFP's driver does not implement")
    spec = task.parameter_iterator
    raw = spec.items.raw
    if spec.items.WhichOneof("kind") == "input_parameter":
        raw = given.parameters.pop(spec.items.input_parameter, None)
    found = load_json(raw) if isinstance(raw, str) else raw
    if not isinstance(found, list):
        raise InputError(f"{found!r} cannot be iterated")
    return found, spec.item_input, "parameters"


def _collected(made: Any) -> Collected:
    flat = Collected()
    for each in made:
        flat.extend(each if isinstance(each, Collected) else [each])
    return flat


def run(
    text: str,
    arguments: Mapping[str, Any],
    work: Path,
    platform: Platform,
    *,
    cache: Cache | None = None,
    run_id: str = "",
    pipeline_root: str = "",
) -> Outcome:
    """Run a compiled pipeline to its end.

    Args:
        text: the YAML documents.
        arguments: values of the pipeline's inputs.
        work: a folder of this cluster's own: its object store, the folders of its runs.
        platform: the cluster.
        cache: what it remembers of earlier runs.
        run_id: made where it is empty.
        pipeline_root: where artifacts go instead of where the pipeline says; a folder: without an
            object store between tasks.

    Raises:
        IRError: the documents or the arguments are not such as a backend takes.
    """
    options = {"cache": cache, "run_id": run_id, "pipeline_root": pipeline_root}
    return Runner(load(text), work, platform, **options).run(arguments)


__all__ = ["Artifact", "Runner", "run"]
