"""Renders a pipeline as the definition of a SageMaker Pipeline: one JSON document.

Rendering neither calls AWS nor imports its libraries. The same declaration and profile give the
same bytes in every run.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from soundgate.errors import DefinitionError
from soundgate.executors.base import argument_words, open_parameters, refuse_processes
from soundgate.executors.reuse import file_digests
from soundgate.executors.sagemaker.rendering import gates, joins, names, packages
from soundgate.executors.sagemaker.rendering.expressions import Expression, processing_output
from soundgate.executors.sagemaker.rendering.job import Job
from soundgate.executors.sagemaker.rendering.locations import (
    CHECKPOINTS,
    OUTPUTS,
    PROCESSING,
    Bucket,
    Upload,
    kind_of,
)
from soundgate.executors.sagemaker.rendering.parameters import (
    BUCKET,
    COMMIT,
    FRESH,
    JOB_ROLE,
    RUN,
    Parameters,
)
from soundgate.executors.sagemaker.rendering.steps import Site, references
from soundgate.reuse.cache import Cache
from soundgate.task import LogMetric, Output

if TYPE_CHECKING:
    from soundgate.executors.sagemaker.profile import Profile
    from soundgate.pipeline import Pipeline
    from soundgate.runs import Run
    from soundgate.task import Gate, Task

__all__ = ["SageMakerRequest", "Upload", "render"]

VERSION = "2020-12-01"
Step = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SageMakerRequest:
    """What would be sent to SageMaker.

    A definition, the files it reads and the parameter values at the start.
    """

    pipeline: Pipeline
    name: str
    """Name of the pipeline in SageMaker: letters, digits and dashes."""
    definition: dict[str, Any]
    uploads: tuple[Upload, ...]
    parameters: dict[str, str | int | float]
    """Values to start an execution with, but for ``commit``, which is added at the start."""
    role_arn: str
    """Role that SageMaker assumes; empty if neither the profile nor the command line names one."""

    def __str__(self) -> str:
        """Return the definition as JSON."""
        return json.dumps(self.definition, sort_keys=True, indent=1, allow_nan=False) + "\n"


def render(
    pipeline: Pipeline, run: Run, profile: Profile, *, use_cache: bool = True
) -> SageMakerRequest:
    """Turn a pipeline into a definition. Sends nothing.

    Args:
        pipeline: the pipeline.
        run: the run; its id is a parameter value and is not part of the definition.
        profile: the site.
        use_cache: False starts it with a value that no earlier execution had.

    Raises:
        DefinitionError: SageMaker cannot run it: a limit is exceeded, or no instance type fits.
        ParameterError: a file to upload does not exist.
    """
    refuse_processes(pipeline, "SageMaker")
    parameters = Parameters(open_parameters(pipeline))
    bucket = Bucket(
        pipeline=pipeline,
        prefix=profile.prefix,
        name=parameters.site(BUCKET, profile.bucket),
        digests=file_digests(Cache(run.root), pipeline),
    )
    lowering = _Lowering(
        pipeline=pipeline,
        plan=gates.plan(pipeline),
        site=Site(
            profile=profile, parameters=parameters, bucket=bucket, metrics=_log_metrics(pipeline)
        ),
    )
    definition: Step = {
        "Version": VERSION,
        "Metadata": {},
        # if this key is absent, SageMaker creates an experiment in regions that have experiments
        "PipelineExperimentConfig": None,
        "Steps": lowering.steps(),
        "Parameters": parameters.declared,
    }
    return SageMakerRequest(
        pipeline=pipeline,
        name=profile.pipeline_name or pipeline_name(pipeline.name),
        definition=definition,
        uploads=tuple(bucket.uploads[key] for key in sorted(bucket.uploads)),
        parameters=_values(definition, run, profile, use_cache=use_cache),
        role_arn=profile.pipeline_role_arn or "",
    )


def pipeline_name(name: str) -> str:
    """Return a pipeline's name as SageMaker takes it.

    >>> pipeline_name("aed_v2-")
    'aed-v2'
    """
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")


def _values(definition: Step, run: Run, profile: Profile, *, use_cache: bool) -> dict[str, Any]:
    """Return every value, including defaults.

    Another run may change the definition before the start.
    """
    found = {p["Name"]: p.get("DefaultValue") for p in definition["Parameters"]}
    role = profile.job_role_arn or profile.pipeline_role_arn
    own = {RUN: run.id, JOB_ROLE: role, FRESH: None if use_cache else run.id, COMMIT: None}
    found |= {name: value for name, value in own.items() if name in found}
    return {name: value for name, value in found.items() if value is not None}


def _log_metrics(pipeline: Pipeline) -> dict[str, list[LogMetric]]:
    """Return the metrics to find in each task's log: its own and those its report is judged by.

    A job does not look for metrics of other jobs: they would be missing, and adding a gate would
    change the cache keys of jobs it does not concern.
    """
    found = {name: {m.name: m for m in task.log_metrics} for name, task in pipeline.tasks.items()}
    for task in pipeline.tasks.values():
        if task.gate and (metric := task.gate.metric).regex:
            found[task.gate.report.task][metric.name] = LogMetric(metric.name, metric.regex)
    return {name: list(metrics.values()) for name, metrics in found.items()}


@dataclass(slots=True, kw_only=True)
class _Lowering:
    """Translates tasks into steps, level by level."""

    pipeline: Pipeline
    plan: gates.Plan
    site: Site
    properties: gates.PropertyFiles = field(default_factory=gates.PropertyFiles)
    _packaged: dict[str, str] = field(default_factory=dict)
    """Maps a candidate to the step that registers it."""

    def steps(self) -> list[Step]:
        """Return the definition's steps, nested by gates."""
        for name in self.plan.verdicts & self.plan.conditions:
            self.site.bucket.steps[name] = self._name(name, names.VERDICT)
        floors: list[list[Step]] = [[] for _ in range(len(self.plan.blocking) + 1)]
        for task in self.pipeline.tasks.values():
            if not task.gate or (task.gate.advisory and task.name in self.plan.verdicts):
                floors[self.plan.levels[task.name]] += self._of(task)
        for level, name in enumerate(self.plan.blocking, 1):
            if name in self.plan.verdicts & self.plan.conditions:
                floors[level] += self._jobs(self.pipeline.tasks[name])
        before = floors[0]
        outer = body = [*before]
        for level, name in enumerate(self.plan.blocking, 1):
            jobs, body = self._through(self.pipeline.tasks[name], before, body)
            body += floors[level]
            before = [*jobs, *floors[level]]
        self._declare_properties(outer)
        return outer

    def _through(
        self, task: Task, before: list[Step], body: list[Step]
    ) -> tuple[list[Step], list[Step]]:
        """Append to ``body`` a gate that waits for all steps of its level.

        Returns:
            Its jobs, if it is not a condition, and the list that receives the steps of the next
            level.
        """
        assert task.gate is not None
        ends = _ends(before, task.gate.report.task)
        if task.name not in self.plan.conditions:
            jobs = self._jobs(task)
            jobs[-1] |= _depends({*ends, *jobs[-1].get("DependsOn", ())})
            body += jobs
            return jobs, body
        inside: list[Step] = []
        condition = self._condition(task.gate, task, inside)
        step = {"Name": task.name, "Type": "Condition", "Arguments": condition}
        body.append({**step, **_depends(ends)})
        return [], inside

    def _condition(self, gate: Gate, task: Task, inside: list[Step]) -> Step:
        threshold, parameters = task.arguments["threshold"], self.site.parameters
        missed = {
            "Name": self._name(task.name, names.MISSED),
            "Type": "Fail",
            "Arguments": {"ErrorMessage": gates.miss(gate, threshold, parameters)},
        }
        return {
            "Conditions": [gates.comparison(gate, threshold, self.properties, parameters)],
            "IfSteps": inside,
            "ElseSteps": [missed],
        }

    def _of(self, task: Task) -> list[Step]:
        """Return the steps of one task that is not a blocking gate."""
        if task.candidate is None:
            return self._jobs(task)
        found = self._jobs(task) if self.site.profile.mlflow_tracking_uri else []
        name = self._name(task.name, names.PACKAGE)
        step = packages.package(name, task.candidate, self.site, self.properties)
        self._packaged[task.name] = name
        waits = [task.name] if found else self._after(task)
        return [*found, {**step, **_depends(waits)}]

    def _jobs(self, task: Task) -> list[Step]:
        """Return a task's job, preceded by the jobs that gather its inputs."""
        bucket, kind = self.site.bucket, kind_of(task)
        self._check_readable(task)
        name = bucket.steps.get(task.name, task.name)

        def gathered(number: int) -> tuple[str, Expression]:
            step = self._name(task.name, f"{names.GATHER}-{number}")
            return step, processing_output(step, "gathered")

        reading = joins.read(task, kind, bucket.source, gathered)
        words = argument_words(
            task,
            location=lambda item: reading.paths[item],
            output=lambda output: f"{OUTPUTS[kind]}/{output}",
            checkpoint=CHECKPOINTS,
            opened=self.site.parameters.opened,
        )
        job = Job(
            name=name,
            kind=kind,
            words=words,
            mounts=reading.mounts,
            outputs=task.outputs,
            after=self._after(task),
            resources=task.resources,
            cached=task.reuse and not task.names_run,
            task=task,
        )
        return [self.site.step(each) for each in (*map(_gathering, reading.gatherings), job)]

    def _after(self, task: Task) -> list[str]:
        """Return the steps that a task waits for without reading their outputs."""
        read = {v.task for vs in task.inputs.values() for v in vs if isinstance(v, Output)}
        found: list[str] = []
        for name in task.after:
            if name not in read:
                found += self._finished(self.pipeline.tasks[name])
        return list(dict.fromkeys(found))

    def _finished(self, task: Task) -> list[str]:
        """Return the steps after which a task is done; steps after a condition are inside it."""
        if self.plan.is_absent(task):
            needed = [self.pipeline.tasks[name] for name in task.depends_on]
            return [step for each in needed for step in self._finished(each)]
        if task.name in self.plan.conditions:
            return []
        return [self._packaged.get(task.name, task.name)]

    def _check_readable(self, task: Task) -> None:
        for argument, items in task.inputs.items():
            for item in items:
                writer = self.pipeline.tasks[item.task] if isinstance(item, Output) else None
                if writer and writer.candidate and not self.site.profile.mlflow_tracking_uri:
                    raise DefinitionError(
                        f"task {task.name!r} reads {argument!r} of {writer.name!r}, which runs "
                        "only with an MLflow server: set mlflow_tracking_uri in the profile"
                    )

    def _name(self, task: str, added: str) -> str:
        return names.step_name(task, added, self.pipeline.tasks)

    def _declare_properties(self, steps: list[Step]) -> None:
        for step in steps:
            if declared := self.properties.of(step["Name"]):
                step["PropertyFiles"] = declared
            if step["Type"] == "Condition":
                self._declare_properties(step["Arguments"]["IfSteps"])


def _gathering(found: joins.Gathering) -> Job:
    output = f"{OUTPUTS[PROCESSING]}/gathered"
    return Job(
        name=found.step,
        kind=PROCESSING,
        words=[
            "python",
            "-m",
            "soundgate.programs.gather",
            "--parts",
            *found.parts,
            "--gathered",
            output,
        ],
        mounts=found.mounts,
        outputs=["gathered"],
    )


def _depends(steps: Any) -> Step:
    return {"DependsOn": sorted(steps)} if steps else {}


def _ends(steps: list[Step], report: str) -> list[str]:
    """Return the steps that no other step waits for, except the one that writes the report."""
    awaited = {report}
    for step in steps:
        awaited |= set(step.get("DependsOn", ()))
        awaited |= {ref.split(".")[1] for ref in references(step["Arguments"], "Steps.")}
    return [step["Name"] for step in steps if step["Name"] not in awaited]
