"""One execution of a pipeline: which step runs when, and how it ends."""

from __future__ import annotations

import copy
import secrets
import string
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from definition_runner import cache, objects, parameters, selection, steps
from definition_runner.errors import PlatformFault, Refused, StepFailed, StepStopped
from definition_runner.expressions import Scope, evaluate, walk
from definition_runner.graph import all_steps, branches, check, dependencies
from definition_runner.record import Record
from definition_runner.retries import Patience

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from definition_runner.account import Account

FAILED = "Step failure: One or multiple steps failed."
"""All that the service says of an execution that failed; the steps say why."""
ID_CHARACTERS = string.ascii_lowercase + string.digits


class Execution:
    """An execution; ``run`` it, or ``start`` it and ``wait``.

    Steps start as soon as what they wait for succeeded. When one fails no other is started, and
    those that run are stopped.
    """

    def __init__(
        self,
        account: Account,
        definition: Mapping[str, Any],
        *,
        pipeline: str = "pipeline",
        parameters_given: Mapping[str, Any] | None = None,
        max_parallel: int | None = None,
        selected: Collection[str] = (),
        source: Execution | None = None,
    ) -> None:
        """Check what the service would check before it starts anything.

        Args:
            account: where to run.
            definition: the pipeline definition, parsed.
            pipeline: its name.
            parameters_given: values of parameters, over their defaults.
            max_parallel: steps at once; None as the account says.
            selected: names of the steps to run; empty for all.
            source: the execution whose results the selected steps read.

        Raises:
            Refused: definition, parameters or selection are wrong.
        """
        check(definition)
        self.account, self.pipeline = account, pipeline
        self.definition = copy.deepcopy(dict(definition))
        self.parameters = parameters.resolve(definition, parameters_given or {})
        self.given = dict(parameters_given or {})
        self.max_parallel = max_parallel or account.max_parallel
        self.selected = tuple(selected)
        self.id = "".join(secrets.choice(ID_CHARACTERS) for _ in range(12))
        self.pipeline_arn = account.arn("pipeline", pipeline)
        self.arn = f"{self.pipeline_arn}/execution/{self.id}"
        self.display_name, self.description = f"execution-{self.id}", ""
        self.status, self.failure_reason = "Executing", ""
        self.created_at = self.modified_at = account.now()
        self.steps: dict[str, Record] = {}
        """Steps that were started, or whose earlier results are used, in that order."""
        self.source_arn = source.arn if source else ""
        if selected:
            if source is None:
                raise Refused("SelectiveExecutionConfig needs SourcePipelineExecutionArn")
            self.steps = selection.reused(self.definition, selected, source)
        self._halt = threading.Event()
        self._stop_asked = False
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        for step in all_steps(self.definition["Steps"]):
            Patience(step.get("RetryPolicies", []))

    # Driving

    def run(self) -> str:
        """Run to the end; return the final status."""
        self.start()
        return self.wait()

    def start(self) -> None:
        """Run in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=self.id, daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float | None = None) -> str:
        """Wait for the end; return the status as it then stands."""
        assert self._thread is not None
        self._thread.join(timeout_s)
        if self._error is not None:
            raise self._error
        return self.status

    def stop(self) -> None:
        """Ask it to stop: jobs get SIGTERM, later SIGKILL."""
        if self.status == "Executing":
            self.status, self._stop_asked = "Stopping", True
            self._halt.set()

    def retry(self) -> None:
        """Run what failed or was stopped again, and what waits for it; the rest stays.

        Raises:
            Refused: there is nothing to retry.
        """
        if self.status not in ("Failed", "Stopped"):
            raise Refused(f"an execution that is {self.status} cannot be retried")
        self.steps = {n: r for n, r in self.steps.items() if r.status == "Succeeded"}
        self._halt.clear()
        self._stop_asked, self.status, self.failure_reason = False, "Executing", ""
        self.start()

    def why(self) -> str:
        """Return status, reasons and logs of what failed, for a test's message."""
        failed = [r for r in self.steps.values() if r.status == "Failed"]
        told = [f"{r.name}: {r.reason}\n" + "\n".join(r.log[-30:]) for r in failed]
        return "\n".join([self.status, *told])

    @property
    def executed(self) -> list[str]:
        """The steps that were really executed, in the order of their start."""
        return [name for name, record in self.steps.items() if record.ran]

    # Scheduling

    def _run(self) -> None:
        try:
            self._schedule()
        except BaseException as error:  # noqa: BLE001 - raised again by wait()
            self._error, self.status = error, "Failed"
        finally:
            self.modified_at = self.account.now()

    def _schedule(self) -> None:
        waiting = self._first()
        running: dict[Future[Record], str] = {}
        with ThreadPoolExecutor(self.max_parallel) as pool:
            while True:
                for step in [] if self._halt.is_set() else self._ready(waiting):
                    if len(running) < self.max_parallel:
                        waiting.remove(step)
                        record = self.steps[step["Name"]] = Record(step)
                        running[pool.submit(self._step, record)] = record.name
                if not running:
                    break
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    del running[future]
                    record = future.result()
                    if record.status == "Succeeded":
                        waiting += self._opened(record)
                    else:
                        self._halt.set()
        failed = any(record.status == "Failed" for record in self.steps.values())
        if failed:
            self.failure_reason = FAILED
        final = "Failed" if failed else "Stopped" if self._stop_asked else "Succeeded"
        self.status = final

    def _first(self) -> list[dict[str, Any]]:
        if self.selected:
            return selection.open_steps(self.definition, self.selected, self.steps)
        waiting = [s for s in self.definition["Steps"] if s["Name"] not in self.steps]
        for record in list(self.steps.values()):
            waiting += [s for s in self._opened(record) if s["Name"] not in self.steps]
        return waiting

    def _ready(self, waiting: list[dict[str, Any]]) -> list[dict[str, Any]]:
        done = {name for name, record in self.steps.items() if record.status == "Succeeded"}
        return [step for step in waiting if dependencies(step) <= done]

    def _opened(self, record: Record) -> list[dict[str, Any]]:
        if record.outcome is None:
            return []
        inside = branches(record.step)[0 if record.outcome else 1]
        return [s for s in inside if not self.selected or s["Name"] in self.selected]

    # One step

    def _step(self, record: Record) -> Record:
        record.status, record.started_at = "Executing", self.account.now()
        patience = Patience(record.step.get("RetryPolicies", []))
        try:
            while True:
                record.attempts += 1
                try:
                    self._attempt(record)
                    break
                except PlatformFault as fault:
                    pause_s = patience.wait_s(fault.kind)
                    if pause_s is None:
                        raise StepFailed(str(fault)) from fault
                    if self._halt.wait(pause_s * self.account.second_s):
                        raise StepStopped(record.name) from fault
            record.status = "Succeeded"
        except StepFailed as error:
            record.status, record.reason = "Failed", str(error)
        except StepStopped:
            record.status = "Stopped"
        record.ended_at = self.account.now()
        return record

    def _attempt(self, record: Record) -> None:
        kind, scope = record.step["Type"], self._scope()
        if kind == "Condition":
            steps.condition(record, scope)
        elif kind == "Fail":
            steps.fail(record, scope)
        elif kind == "RegisterModel":
            steps.register(record, scope, self.account)
        else:
            self._job(record, evaluate(record.step["Arguments"], scope))

    def _job(self, record: Record, arguments: dict[str, Any]) -> None:
        """Run a job, unless an earlier execution has its result."""
        key = cache.key_of(record.step["Type"], arguments)
        known = self.account.cache
        if found := known.find(self.pipeline, record.step, key, self.account.now()):
            record.cached_from = found.execution_arn
            record.properties, record.metadata = found.properties, found.metadata
            return
        steps.job(record, arguments, self.account, self.id, self._halt)
        result = cache.Result(self.arn, self.account.now(), record.properties, record.metadata)
        known.keep(self.pipeline, record.step, key, result)

    # What expressions refer to

    def _scope(self) -> Scope:
        return Scope(
            parameters=self.parameters,
            variable=self._variable,
            properties=self._properties,
            report=self._report,
            content=lambda uri: objects.read(self.account.s3, uri),
            java_numbers=self.account.java_numbers,
        )

    def _variable(self, name: str) -> str:
        return {
            "PipelineName": self.pipeline,
            "PipelineArn": self.pipeline_arn,
            "PipelineExecutionId": self.id,
            "PipelineExecutionArn": self.arn,
            "StartDateTime": self.created_at.isoformat(),
            "CurrentDateTime": self.account.now().isoformat(),
        }[name]

    def _properties(self, step: str) -> dict[str, Any]:
        record = self.steps.get(step)
        if record is None or record.status != "Succeeded":
            raise StepFailed(f"ClientError: step {step} has no properties: it has not run")
        return record.properties

    def _report(self, step: str, name: str) -> bytes:
        properties = self._properties(step)
        files = self.steps[step].step["PropertyFiles"]
        file = next(each for each in files if each["PropertyFileName"] == name)
        where = f"ProcessingOutputConfig.Outputs['{file['OutputName']}'].S3Output.S3Uri"
        folder = walk(properties, where).rstrip("/")
        return objects.read(self.account.s3, f"{folder}/{file['FilePath']}")
