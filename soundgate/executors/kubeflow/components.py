"""What a task is as a KFP component: one container, its inputs, its outputs. Plain data, no kfp."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from soundgate.arguments import spell
from soundgate.errors import DefinitionError
from soundgate.executors.base import OpenArgument, argument_words
from soundgate.executors.kubeflow.literals import Reference, in_json, replaced_part
from soundgate.executors.kubeflow.pods import environment_of, pod_of
from soundgate.task import File, Output, Resources, Task

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from soundgate.executors.kubeflow.profile import Profile

TYPES = {int: "Integer", float: "Float", str: "String"}
MODELS = ("model", "exported")
"""Outputs of these names are models; every other one is a data set."""
METRICS, CONFUSION = "metrics", "confusion"
"""Endings of the artifacts that show a judged report's figures and its confusion matrix."""
JOB_ID = "{{$.pipeline_job_uuid}}"
COMMIT = "commit"
"""The pipeline input that holds the commit."""
RUN = "run_id"
"""The component's input that holds the id of the run; KFP fills it in."""
PLACE_STEP = "steps.place"
PLACING = Resources(memory_gb=0.5, hours=0.1)
LONGEST_TEXT_BYTES = 90 * 1024
"""Linux takes 128 KiB a word; Base64 and the launcher's own words have to fit besides."""


@dataclass(frozen=True, slots=True)
class Component:
    """One container of the definition."""

    name: str
    """As KFP knows the task."""
    text: Mapping[str, Any]
    """KFP's component format."""
    resources: Resources
    pod: Mapping[str, Any] = field(default_factory=dict)
    """What Kubernetes is told about it."""
    display_name: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Input of the component to input of the pipeline."""
    artifacts: Mapping[str, Output | File] = field(default_factory=dict)
    """Input of the component to what is read."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """Input of the component to what KFP fills in when the run starts."""


@dataclass(slots=True)
class _Inputs:
    """The inputs of a component while its words are put together."""

    task: str
    artifacts: dict[str, Output | File] = field(default_factory=dict)
    parameters: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Input to (pipeline input, type)."""

    def name_artifacts(self, task: Task, by_path: Collection[File]) -> None:
        """Name the inputs after the arguments; those of a list are numbered from 1."""
        for name, items in task.inputs.items():
            read = [item for item in items if item not in by_path]
            for number, item in enumerate(read, 1):
                label = name if len(items) == 1 else f"{name}_{number}"
                if item not in self.artifacts.values():
                    self.artifacts[self._free(label)] = item

    def artifact(self, item: Output | File) -> Reference:
        """Where KFP puts an artifact."""
        name = next(name for name, held in self.artifacts.items() if held == item)
        where = f"{{{{$.inputs.artifacts['{name}'].path}}}}"
        if isinstance(item, File) and item.text is not None:
            where += f"/{item.name}"
        return Reference(where)

    def parameter(self, pipeline_input: str, kind: str) -> Reference:
        """The value of a pipeline's input."""
        name = next((n for n, (p, _) in self.parameters.items() if p == pipeline_input), None)
        if name is None:
            name = self._free(pipeline_input.lower())
            self.parameters[name] = (pipeline_input, kind)
        return Reference(f"{{{{$.inputs.parameters['{name}']}}}}")

    def _free(self, label: str) -> str:
        label = label.lower()
        while label in self.artifacts or label in self.parameters:
            label = f"{label}_value"
        return label


def engine_names(names: Sequence[str], taken: Collection[str] = ()) -> dict[str, str]:
    """Return each task's name in KFP: lower case, letters, digits and dashes, no name twice."""
    found: dict[str, str] = {}
    used = set(taken)
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "task"
        number, label = 1, plain
        while label in used:
            number += 1
            label = f"{plain}-{number}"
        used.add(label)
        found[name] = label
    return found


def type_of(item: Output | File) -> str:
    """Return the artifact type of what a task wrote or a host submitted."""
    return "Model" if isinstance(item, Output) and item.name in MODELS else "Dataset"


@dataclass(frozen=True, slots=True)
class Frame:
    """What the components of a definition have in common."""

    pipeline: str
    profile: Profile
    opened: Mapping[str, Any]
    """The pipeline's inputs, with their values."""
    by_path: Mapping[File, str]
    """Files that lie in a folder that pods see, and the pipeline's input with their path."""


def task_component(task: Task, name: str, frame: Frame, *, judged: Collection[str]) -> Component:
    """Return a task as a component.

    Args:
        task: the task.
        name: its name in KFP.
        frame: the site, the pipeline's inputs.
        judged: outputs that a gate judges: their figures are shown.

    Raises:
        DefinitionError: Kubeflow cannot run it, or would change one of its arguments.
    """
    profile, by_path, opened = frame.profile, frame.by_path, frame.opened
    needs = fitted(task, profile)
    inputs = _Inputs(task.name)
    inputs.name_artifacts(task, by_path)

    def place(item: Output | File) -> str:
        if isinstance(item, File) and item in by_path:
            return inputs.parameter(by_path[item], "String")
        return inputs.artifact(item)

    words = argument_words(
        task,
        place=place,
        output=_output,
        checkpoint=_checkpoint(task, name, profile),
        opened=opened,
    )
    arguments = [*_words(task, words, inputs, opened)]
    constants: dict[str, str] = {}
    if task.names_run:
        constants = {RUN: JOB_ID}
        commit = inputs.parameter(COMMIT, "String")
        arguments += [f"--context=run={{{{$.inputs.parameters['{RUN}']}}}}"]
        arguments += [f"--context=commit={commit}"]
    typed = [f"{output}_{kind}" for output in judged for kind in (METRICS, CONFUSION)]
    if typed:
        arguments.append("--context=executor_input={{$}}")
    text: dict[str, Any] = {
        "name": name,
        "inputs": [
            *({"name": n, "type": type_of(item)} for n, item in inputs.artifacts.items()),
            *({"name": n, "type": kind} for n, (_, kind) in inputs.parameters.items()),
            *({"name": n, "type": "String"} for n in constants),
        ],
        "outputs": [
            *({"name": n.lower(), "type": type_of(task[n])} for n in task.outputs),
            *({"name": f"{n.lower()}_{METRICS}", "type": "Metrics"} for n in judged),
            *(
                {"name": f"{n.lower()}_{CONFUSION}", "type": "ClassificationMetrics"}
                for n in judged
            ),
        ],
        "implementation": {"container": _container(profile, needs, task.module, arguments)},
    }
    text["implementation"]["container"]["env"] = environment_of(
        task, frame.pipeline, needs, profile
    )
    return Component(
        name=name,
        text=text,
        resources=needs,
        pod=pod_of(task, needs, profile),
        display_name=task.display_name or task.name,
        parameters={n: p for n, (p, _) in inputs.parameters.items()},
        artifacts=inputs.artifacts,
        constants=constants,
    )


def place_component(file: File, name: str, profile: Profile, *, pipeline: str) -> Component:
    """Return the component that writes a text known when the pipeline was declared.

    Raises:
        DefinitionError: the text is longer than a container's argument may be.
    """
    text = file.text or ""
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > LONGEST_TEXT_BYTES:
        raise DefinitionError(
            f"{file.name}: {len(data)} bytes of text, a Kubeflow task takes {LONGEST_TEXT_BYTES}: "
            "write it to a file and pass file(PATH)"
        )
    if changed := replaced_part(file.name):
        raise DefinitionError(f"file {file.name!r}: Kubeflow would replace {changed!r}: rename it")
    encoded = replaced_part(text) is not None or "\0" in text
    words = [f"--name={file.name}"]
    words.append(f"--text={base64.b64encode(data).decode() if encoded else text}")
    words += ["--encoded=true"] if encoded else []
    words += ["--placed", _output("placed")]
    container = _container(profile, PLACING, PLACE_STEP, words)
    container["env"] = environment_of(None, pipeline, PLACING, profile)
    return Component(
        name=name,
        text={
            "name": name,
            "outputs": [{"name": "placed", "type": "Dataset"}],
            "implementation": {"container": container},
        },
        resources=PLACING,
        pod=pod_of(None, PLACING, profile),
        display_name=f"place {file.name}",
    )


def fitted(task: Task, profile: Profile) -> Resources:
    """Return what a task asks for: at most what a node has, so that a small site runs everything.

    Raises:
        DefinitionError: it asks for several nodes.
    """
    needs, pool = task.resources, profile.pool(task.resources.gpus)
    if needs.nodes > 1:
        raise DefinitionError(
            f"task {task.name!r} asks for {needs.nodes} nodes; a Kubeflow task is one pod on one "
            "node: lower Resources(nodes=), or run it on another executor"
        )
    return Resources(
        cpus=min(needs.cpus, pool.max_cpus or needs.cpus),
        memory_gb=min(needs.memory_gb, pool.max_memory_gb or needs.memory_gb),
        gpus=needs.gpus if pool.max_gpus is None else min(needs.gpus, pool.max_gpus),
        hours=needs.hours,
    )


def _output(name: str) -> Reference:
    return Reference(f"{{{{$.outputs.artifacts['{name.lower()}'].path}}}}")


def _container(
    profile: Profile, needs: Resources, module: str, arguments: Sequence[str]
) -> dict[str, Any]:
    return {
        "image": profile.pool(needs.gpus).image or profile.image,
        "command": ["python", "-m", module],
        # plain str: the YAML writer knows no subclasses
        "args": [str(word) for word in arguments],
    }


def _checkpoint(task: Task, name: str, profile: Profile) -> str:
    """Return a folder that only tasks of the same declaration use; empty where there is none.

    No run's id is in it: it would be part of KFP's cache key. A training passes over the checkpoint
    of another one, which it knows by its fingerprint.
    """
    if profile.checkpoints is None:
        return ""
    shown = [f"{n}={v!s}" for n, v in sorted(task.arguments.items())]
    digest = hashlib.sha256("\n".join([task.module, *shown]).encode()).hexdigest()[:16]
    return f"{profile.checkpoints.rstrip('/')}/{name}/{digest}"


def _words(
    task: Task,
    words: Sequence[str | OpenArgument],
    inputs: _Inputs,
    opened: Mapping[str, Any],
) -> list[str]:
    """Turn the words after ``python -m MODULE`` into the container's arguments."""
    lists = {spell(v) for v in task.arguments.values() if isinstance(v, list)}
    found: list[str] = []
    for word in words[3:]:
        if isinstance(word, OpenArgument):
            kind = next(t for k, t in TYPES.items() if isinstance(opened[word.parameter], k))
            found.append(f"{word.flag}={inputs.parameter(word.parameter, kind)}")
        elif isinstance(word, Reference):
            found.append(word)
        elif changed := replaced_part(word):
            if word not in lists:
                raise DefinitionError(
                    f"task {task.name!r}: Kubeflow would replace {changed!r} in the argument "
                    f"{word[:60]!r}: write it otherwise, or pass it in a file"
                )
            found.append(in_json(word))
        else:
            found.append(word)
    return found
