"""A pipeline as KFP's intermediate representation: YAML that the API server takes as it is.

kfp's own compiler writes it. What the pipeline hands straight to steps stays an input of the
pipeline; gates are tasks that fail; a ``map`` is unrolled; texts are written by tasks of their own;
files of the submitting host are read through importers, their addresses are inputs.
"""

from __future__ import annotations

import inspect
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from soundgate.errors import DefinitionError
from soundgate.executors.base import open_parameters, refuse_processes
from soundgate.executors.kubeflow.library import require_kfp
from soundgate.executors.kubeflow.rendering.components import (
    COMMIT,
    Component,
    Frame,
    engine_names,
    place_component,
    task_component,
)
from soundgate.executors.kubeflow.rendering.literals import replaced_part
from soundgate.executors.kubeflow.rendering.pods import mebibytes
from soundgate.executors.kubeflow.rendering.request import KubeflowRequest
from soundgate.task import File

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.executors.kubeflow.profile import Profile
    from soundgate.pipeline import Pipeline
    from soundgate.task import Output, Task

IMPORTER = "importer"
"""What kfp calls the tasks that import files."""

LARGEST = 2**53
"""Up to here double precision holds every whole number."""

NO_RETRY_DEADLINE = "3650d"
"""Longer than any run, and still a time limit that a pod can have (32-bit seconds).

Argo counts ``backoffMaxDuration`` from the start of the first attempt and tries nothing again after
it, however many attempts are left. It cannot be left out: kfp then writes one hour, and without a
value KFP's server passes 0 on, after which nothing is tried again at all.
"""


def render(pipeline: Pipeline, profile: Profile, *, use_cache: bool = True) -> KubeflowRequest:
    """Compile a pipeline.

    Args:
        pipeline: the pipeline.
        profile: the site.
        use_cache: whether results that Kubeflow has may be reused.

    Raises:
        DefinitionError: Kubeflow cannot run it, or would change one of its arguments.
        MissingExtra: kfp is not installed.
    """
    refuse_processes(pipeline, "Kubeflow")
    require_kfp()
    texts, files = _files(pipeline, profile)
    addresses = {file: name for name, file in files.items()}
    imported = profile.files is not None and profile.files.startswith("s3://")
    # kfp names importers itself, importer, importer-2 ...: a task of that name would become another
    importers = [f"{IMPORTER}-{k}" for k in range(len(files) + 1)] if imported else []
    names = engine_names(list(pipeline.tasks), {IMPORTER, *importers})
    placing = engine_names([f"place-{k}-{f.name}" for k, f in enumerate(texts, 1)], names.values())
    frame = Frame(
        pipeline.name,
        profile,
        _opened(pipeline),
        {} if imported else addresses,
        [task.gate.threshold for task in pipeline.tasks.values() if task.gate],
    )
    graph = _Graph(
        pipeline=pipeline,
        profile=profile,
        components=_components(pipeline, names, frame),
        writers={
            file: place_component(file, name, profile, pipeline=pipeline.name)
            for file, name in zip(texts, placing.values(), strict=True)
        },
        imported=addresses if imported else {},
        use_cache=use_cache,
    )
    needs_commit = any(task.names_run for task in pipeline.tasks.values())
    inputs = {**frame.opened, **({COMMIT: ""} if needs_commit else {})}
    name = engine_names([pipeline.name])[pipeline.name]
    definition = graph.compile(name, inputs, list(files))
    return KubeflowRequest(
        pipeline=pipeline,
        name=name,
        definition=definition,
        tasks=names,
        files=files,
        needs_commit=needs_commit,
    )


def _components(pipeline: Pipeline, names: Mapping[str, str], frame: Frame) -> dict[str, Component]:
    judged = {task.gate.report for task in pipeline.tasks.values() if task.gate}
    return {
        task.name: task_component(
            task,
            names[task.name],
            frame,
            judged=[name for name in task.outputs if task[name] in judged],
        )
        for task in pipeline.tasks.values()
    }


def _opened(pipeline: Pipeline) -> dict[str, Any]:
    """Return the pipeline's inputs with their values in this render.

    KFP keeps numbers in double precision; a whole number that this changes stays a constant.
    """
    opened = open_parameters(pipeline)
    for name, value in opened.items():
        if name == COMMIT:
            raise DefinitionError(
                f"parameter {name!r}: Soundgate gives Kubeflow runs an input of this name; rename "
                "it"
            )
        check_value(name, value)
    return {n: v for n, v in opened.items() if not isinstance(v, int) or abs(v) <= LARGEST}


def check_value(name: str, value: Any) -> None:
    """Refuse a value that would not arrive as it stands.

    Raises:
        DefinitionError: part of it would be replaced on its way.
    """
    changed = replaced_part(value) if isinstance(value, str) else None
    if changed:
        raise DefinitionError(
            f"parameter {name}: Kubeflow would expand {changed!r} in {value[:60]!r}: "
            "write it differently, or pass it in a file"
        )


def _files(pipeline: Pipeline, profile: Profile) -> tuple[list[File], dict[str, File]]:
    """Return the texts that are read, and the files of this host by input of the pipeline.

    Raises:
        DefinitionError: the profile names no place for files, and there are some.
    """
    texts: dict[File, None] = {}
    paths: dict[File, None] = {}
    for task in pipeline.tasks.values():
        for argument, items in task.inputs.items():
            for item in items:
                if not isinstance(item, File):
                    continue
                (paths if item.text is None else texts)[item] = None
                if item.text is None and profile.files is None:
                    raise DefinitionError(
                        f"task {task.name!r} reads {item.path} of this machine as {argument!r}, "
                        "which pods cannot see: set files: in the profile to a location for uploads"
                    )
    labels = engine_names([f"file-{k}-{file.name}" for k, file in enumerate(paths, 1)])
    inputs = {
        re.sub(r"\W", "_", label): file for label, file in zip(labels.values(), paths, strict=True)
    }
    return list(texts), inputs


@dataclass(slots=True, kw_only=True)
class _Graph:
    """The pipeline while kfp traces it."""

    pipeline: Pipeline
    profile: Profile
    components: Mapping[str, Component]
    writers: Mapping[File, Component]
    """Text to the task that writes it."""
    imported: Mapping[File, str]
    """File to the pipeline's input that holds its address."""
    use_cache: bool
    made: dict[Output | File, Any] = field(default_factory=dict)
    """What can be read, as kfp passes it on."""

    def compile(self, name: str, inputs: Mapping[str, Any], files: list[str]) -> str:
        """Return the definition; ``files`` are inputs of the pipeline without a default."""
        import yaml
        from google.protobuf import json_format
        from kfp import dsl

        def body(*channels: Any) -> None:
            self._trace(dict(zip([*files, *inputs], channels, strict=True)))

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        without = [inspect.Parameter(n, kind, annotation=str) for n in files]
        defaults = [
            inspect.Parameter(n, kind, default=plain, annotation=type(plain))
            for n, plain in ((n, _plain(value)) for n, value in inputs.items())
        ]
        # kfp reads a pipeline's inputs off a function's signature; ours are known only now
        body.__name__ = name.replace("-", "_")
        body.__signature__ = inspect.Signature([*without, *defaults])  # type: ignore[attr-defined]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = dsl.pipeline(
                name=name,
                description=self.pipeline.description or None,
                pipeline_root=self.profile.pipeline_root,
            )(body)
        documents = [json_format.MessageToDict(graph.pipeline_spec)]
        platform = json_format.MessageToDict(graph.platform_spec)
        documents += [platform] if platform else []

        def write(*, escaped: bool) -> str:
            return str(
                yaml.safe_dump_all(
                    documents,
                    sort_keys=True,
                    default_flow_style=False,
                    allow_unicode=not escaped,
                    width=100,
                )
            )

        text = write(escaped=False)
        # a line break to YAML, which reads it as "\n"
        return write(escaped=True) if "\x85" in text else text

    def _trace(self, channels: Mapping[str, Any]) -> None:
        """Make every task, then the edges along which nothing is read."""
        from kfp import dsl

        for file, component in self.writers.items():
            made = self._add(component, channels)
            made.set_caching_options(self.use_cache)  # its text is an argument, so part of the key
            self.made[file] = made.outputs["placed"]
        for file, address in self.imported.items():
            imported = dsl.importer(artifact_uri=channels[address], artifact_class=dsl.Dataset)
            self.made[file] = imported.set_display_name(f"import {file.name}").output
        added = {}
        for task in self.pipeline.tasks.values():
            made = self._add(self.components[task.name], channels)
            self._describe(made, task)
            added[task.name] = made
            for name in task.outputs:
                self.made[task[name]] = made.outputs[name.lower()]
        for task in self.pipeline.tasks.values():
            if task.after:
                added[task.name].after(*(added[name] for name in task.after))

    def _add(self, component: Component, channels: Mapping[str, Any]) -> Any:
        """Make one task of the definition."""
        import yaml
        from kfp import components

        arguments = {
            **{n: self.made[item] for n, item in component.artifacts.items()},
            **{n: channels[p] for n, p in component.parameters.items()},
            **component.constants,
        }
        loaded = components.load_component_from_text(yaml.safe_dump(dict(component.text)))
        made = loaded(**arguments).set_display_name(component.display_name)
        made.set_cpu_limit(str(component.resources.cpus))
        made.set_memory_limit(mebibytes(component.resources.memory_gb))
        if component.resources.gpus:
            made.set_accelerator_type(self.profile.accelerator)
            made.set_accelerator_limit(component.resources.gpus)
        made.platform_config["kubernetes"] = dict(component.pod)
        return made

    def _describe(self, made: Any, task: Task) -> None:
        """Say when a task's result may be reused, and how often it is tried."""
        # what was made of a run's id and reused would name the wrong run
        made.set_caching_options(self.use_cache and task.reuse and not task.names_run)
        if task.retries:
            wait_s = self.profile.retry_wait_s
            made.set_retry(
                num_retries=task.retries,
                backoff_duration=f"{wait_s}s",
                backoff_factor=2.0,
                backoff_max_duration=NO_RETRY_DEADLINE,
            )


def _plain(value: Any) -> Any:
    """Return a parameter's value without its name: kfp asks for the exact type."""
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value
