"""One task that is not a pipeline of its own: a container with its attempts, or an importer."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from ir_runner import cache, container, inputs, platform, values
from ir_runner.artifacts import Artifact
from ir_runner.container import AttemptError, CanceledError, Limits, Sandbox
from ir_runner.messages import IRError
from ir_runner.outcome import State, Task

if TYPE_CHECKING:
    from ir_runner.inputs import Use
    from ir_runner.runner import Runner


class Execution:
    """Runs one task and writes what came of it into its node."""

    def __init__(self, run: Runner, node: Task, use: Use) -> None:
        """Prepare; what it is given has passed the component's type checks."""
        self.of = run
        self.node = node
        self.task, self.component = use.task, use.component
        self.given, self.scope = use.given, use.scope
        component, given = use.component, use.given
        self.parameters = inputs.defaults(component, given.parameters)

    def run(self) -> None:
        """Run it.

        Raises:
            IRError: there is nothing to run.
        """
        label = self.component.executor_label
        if label not in self.of.ir.executors:
            raise IRError(f"there is no executor {label!r}")
        executor = self.of.ir.executors[label]
        kind = executor.WhichOneof("spec")
        if kind == "importer":
            self._import(executor.importer)
        elif kind == "container":
            self._cached_or_run(executor.container)
        else:
            raise IRError(f"executor {label!r} is a {kind}, which no backend of KFP runs")

    def _import(self, spec: Any) -> None:
        self.node.kind = "importer"
        uri = values.of_message(spec.artifact_uri.constant)
        if spec.artifact_uri.WhichOneof("value") == "runtime_parameter":
            uri = self.parameters[spec.artifact_uri.runtime_parameter]
        kind = spec.type_schema
        schema, known = kind.schema_title or kind.instance_schema, self.of.cache
        metadata = {n: values.of_message(v) for n, v in spec.metadata.fields.items()}
        found = known.imported(uri, schema, metadata, again=spec.reimport)
        if found is None:
            path = self.of.store.path(uri)
            found = Artifact(known.new_id(), uri, schema, kind.schema_version, metadata, path)
            known.keep_import(found)
        name = next(iter(self.component.output_definitions.artifacts), "artifact")
        self.node.artifacts, self.node.state = {name: found}, State.SUCCEEDED

    def _cached_or_run(self, spec: Any) -> None:
        key = self.task.caching_options.cache_key or cache.key(
            self.of.ir.spec.pipeline_info.name,
            self.component,
            spec,
            self.given.parameters,
            self.given.artifacts,
            self._claims(),
        )
        enabled = self.task.caching_options.enable_cache
        found = self.of.cache.find(key) if enabled else None
        if found is not None:
            self.node.parameters, self.node.artifacts = (
                dict(found.parameters),
                dict(found.artifacts),
            )
            self.node.state = State.CACHED
            return
        with self.of.slots:
            self._attempts(spec)
        if enabled and self.node.state == State.SUCCEEDED:
            self.of.cache.keep(key, cache.Result(self.node.parameters, self.node.artifacts))

    def _claims(self) -> list[str]:
        """Return what names the volumes that the pod mounts."""
        configuration = self._configuration()
        return [str(mount) for mount in configuration.pvc_mount] if configuration else []

    def _attempts(self, spec: Any) -> None:
        """Try as often as the retry policy says, and as long as its deadline allows."""
        policy, node, clock = self.task.retry_policy, self.node, self.of.platform.clock
        node.retries = policy.max_retry_count
        first_s = clock.now_s()
        for attempt in range(policy.max_retry_count + 1):
            if attempt and not self._wait(policy, attempt, first_s):
                return
            if self.of.canceled.is_set():
                node.state, node.reason = State.CANCELED, "the run was terminated"
                return
            try:
                self._attempt(spec, attempt)
            except CanceledError:
                node.state, node.reason = State.CANCELED, "the run was terminated"
                return
            except AttemptError as error:
                node.state, node.reason = State.FAILED, str(error)
                node.failures.append(node.reason)
                if not error.again:
                    return
            else:
                node.state, node.reason = State.SUCCEEDED, ""
                return

    def _wait(self, policy: Any, attempt: int, first_s: float) -> bool:
        """Wait before another attempt; False where Argo would not try again.

        Argo takes ``maxDuration`` for a deadline counted from the start of the first attempt, not
        for the longest wait; KFP's server passes on 0 where the definition has none.
        """
        clock = self.of.platform.clock
        wait_s = _seconds(policy.backoff_duration) * (policy.backoff_factor or 1.0) ** (attempt - 1)
        deadline_s = first_s + _seconds(policy.backoff_max_duration)
        if clock.now_s() > deadline_s:
            self.node.gave_up = "Max duration limit exceeded"
            return False
        if clock.now_s() + wait_s > deadline_s:
            self.node.gave_up = "Backoff would exceed max duration limit"
            return False
        self.node.backoffs_s.append(wait_s)
        clock.sleep(wait_s)
        return True

    def _attempt(self, spec: Any, attempt: int) -> None:
        node, cluster = self.node, self.of.platform
        name = re.sub(r"[^A-Za-z0-9.-]+", "-", node.path)
        salt = f"{attempt}-{uuid.uuid4().hex[:8]}"
        sandbox = Sandbox(
            self.of.folder / name / salt,
            self.of.store,
            self.component,
            self.given.artifacts,
            self._outputs(salt),
            root=self._root(salt),
            new_id=self.of.cache.new_id,
        )
        node.logs.append(sandbox.folder / "log.txt")
        node.attempts += 1
        try:
            sandbox.prepare()
            node.image = container.placeholders.replace(spec.image, sandbox.known(self.parameters))
            node.argv = container.argument_vector(sandbox, spec, self.parameters)
            node.environment = self._environment(sandbox, spec, name)
            limits = Limits(self._deadline_s(), cluster.grace_s, self.of.canceled)
            status = container.execute(
                node.argv, node.environment, cluster.project, node.logs[-1], limits
            )
            node.exit_code = status
            if status:
                raise AttemptError(container.reason(sandbox))
            node.parameters, node.artifacts = sandbox.collect()
        finally:
            sandbox.close()

    def _outputs(self, salt: str) -> dict[str, Artifact]:
        made = {}
        for key, spec in self.component.output_definitions.artifacts.items():
            uri = f"{self._root(salt)}/{key}"
            kind = spec.artifact_type
            metadata = {n: values.of_message(v) for n, v in spec.metadata.fields.items()}
            schema = kind.schema_title or kind.instance_schema
            made[key] = Artifact(self.of.cache.new_id(), uri, schema, kind.schema_version, metadata)
        return made

    def _root(self, salt: str) -> str:
        return f"{self.of.root}/{self.task.task_info.name or self.node.name}/{salt}"

    def _configuration(self) -> Any:
        return self.of.ir.kubernetes.get(self.component.executor_label)

    def _value(self, spec: Any) -> Any:
        """Resolve what the Kubernetes configuration reads of the pipeline around this task."""
        return inputs.parameter(self.node.name, spec, self.scope, self.of.names)

    def _deadline_s(self) -> float:
        configuration = self._configuration()
        return float(configuration.active_deadline_seconds) if configuration is not None else 0.0

    def _environment(self, sandbox: Sandbox, spec: Any, name: str) -> dict[str, str]:
        cluster, run_id = self.of.platform, self.of.run_id
        fields = {
            "metadata.name": name,
            "metadata.namespace": cluster.namespace,
            "metadata.labels['pipeline/runid']": run_id,
        }
        try:
            own = platform.environment(cluster, self._configuration(), self._value, fields)
        except (platform.PodError, inputs.InputError) as error:
            raise AttemptError(str(error), again=False) from error
        given = {each.name: each.value for each in spec.env} | own
        return container.environment(
            sandbox, cluster.path, given, platform.pod(cluster, run_id, name)
        )


def _seconds(duration: Any) -> float:
    return duration.seconds + duration.nanos / 1e9
