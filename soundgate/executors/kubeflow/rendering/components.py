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
from soundgate.executors.kubeflow.rendering.inputs import Inputs, type_of
from soundgate.executors.kubeflow.rendering.literals import (
    Reference,
    carried_bytes,
    in_json,
    replaced_part,
)
from soundgate.executors.kubeflow.rendering.pods import environment_of, pod_of
from soundgate.parameters import parameter_of
from soundgate.task import File, Output, Resources, Task

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from soundgate.executors.kubeflow.profile import Profile

TYPES = {int: "Integer", float: "Float", str: "String"}
METRICS, CONFUSION = "metrics", "confusion"
"""Endings of the artifacts that show a judged report's figures and its confusion matrix."""
JOB_ID = "{{$.pipeline_job_uuid}}"
COMMIT = "commit"
"""The pipeline input that holds the commit."""
RUN = "run_id"
"""A component's input that holds the id of the run; KFP fills it in."""
PLACE_STEP = "soundgate.programs.place"
PLACING = Resources(memory_gb=0.5, hours=0.1)
LONGEST_TEXT_BYTES = 90 * 1024
"""As Base64 it fits ``LONGEST_CONTAINER_BYTES``."""
LONGEST_CONTAINER_BYTES = 127 * 1024
"""KFP's driver gets a container's description as one argument; Linux takes 128 KiB."""


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


@dataclass(frozen=True, slots=True)
class Frame:
    """What the components of a definition have in common."""

    pipeline: str
    profile: Profile
    opened: Mapping[str, Any]
    """The pipeline's inputs, with their values."""
    by_path: Mapping[File, str]
    """Files that lie in a folder that pods see, and the pipeline's input with their path."""
    thresholds: Sequence[float] = ()
    """Of all gates, in their order."""


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
    profile = frame.profile
    needs = fitted(task, profile)
    inputs = Inputs()
    inputs.name_artifacts(task, frame.by_path)
    words = argument_words(
        task,
        location=lambda item: inputs.location(item, frame.by_path),
        output=_output,
        checkpoint=_checkpoint(task, name, profile),
        opened=frame.opened,
    )
    arguments = _words(task, words, inputs, frame.opened)
    if task.names_run:
        arguments.append(f"--context=run={inputs.constant(RUN, JOB_ID)}")
        arguments.append(f"--context=commit={inputs.parameter(COMMIT, 'String')}")
        arguments += _thresholds(inputs, frame)
    if judged:
        arguments.append("--context=executor_input={{$}}")
    container = _container(profile, needs, task.module, arguments)
    container["env"] = environment_of(task, frame.pipeline, needs, profile)
    _check_length(task, container)
    return Component(
        name=name,
        text={
            "name": name,
            "inputs": inputs.declared(),
            "outputs": _outputs(task, judged),
            "implementation": {"container": container},
        },
        resources=needs,
        pod=pod_of(task, needs, profile),
        display_name=task.display_name or task.name,
        parameters={n: p for n, (p, _) in inputs.parameters.items()},
        artifacts=inputs.artifacts,
        constants=inputs.constants,
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
            f"{file.name}: {len(data)} bytes of text, but a Kubeflow task takes at most "
            f"{LONGEST_TEXT_BYTES}: write it to a file and pass file(PATH)"
        )
    if changed := replaced_part(file.name):
        raise DefinitionError(f"file {file.name!r}: Kubeflow would expand {changed!r}: rename it")
    spelt = base64.b64encode(data).decode()
    encoded = replaced_part(text) is not None or carried_bytes(text) > LONGEST_TEXT_BYTES
    words = [f"--name={file.name}", f"--text={spelt if encoded else text}"]
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
    """Return what a task asks for, at most what a node has: a small site runs everything."""
    needs, most = task.resources, profile.gpu.max_gpus
    gpus = needs.gpus if most is None else min(needs.gpus, most)
    pool = profile.pool(gpus)
    return Resources(
        cpus=min(needs.cpus, pool.max_cpus or needs.cpus),
        memory_gb=min(needs.memory_gb, pool.max_memory_gb or needs.memory_gb),
        gpus=gpus,
        hours=needs.hours,
    )


def _outputs(task: Task, judged: Collection[str]) -> list[dict[str, str]]:
    """Return the outputs as KFP's component format has them."""
    found = [{"name": name.lower(), "type": type_of(task[name])} for name in task.outputs]
    for name in judged:
        found.append({"name": f"{name.lower()}_{METRICS}", "type": "Metrics"})
        found.append({"name": f"{name.lower()}_{CONFUSION}", "type": "ClassificationMetrics"})
    return found


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


def _check_length(task: Task, container: Mapping[str, Any]) -> None:
    """Refuse a container whose description Linux would not take as an argument."""
    size = carried_bytes(container)
    if size > LONGEST_CONTAINER_BYTES:
        longest = max(container["args"], key=len)
        raise DefinitionError(
            f"task {task.name!r}: its command has {size} bytes, but Kubeflow takes at most "
            f"{LONGEST_CONTAINER_BYTES} ({longest[:40]!r}... is the longest part): pass it in a "
            "file"
        )


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


def _thresholds(inputs: Inputs, frame: Frame) -> list[str]:
    """Tell which thresholds a run was started with: page and registry judge by those."""
    named = [parameter_of(each) for each in frame.thresholds]
    if not any(name in frame.opened for name in named):
        return []
    spelt = [
        inputs.parameter(name, TYPES[float]) if name and name in frame.opened else spell(each)
        for name, each in zip(named, frame.thresholds, strict=True)
    ]
    return [f"--context=thresholds={' '.join(spelt)}"]


def _words(
    task: Task,
    words: Sequence[str | OpenArgument],
    inputs: Inputs,
    opened: Mapping[str, Any],
) -> list[str]:
    """Turn the words after ``python -m MODULE`` into the container's arguments."""
    lists = {spell(v) for v in task.arguments.values() if isinstance(v, list)}
    found: list[str] = []
    for word in words[3:]:  # those are the container's command
        if isinstance(word, OpenArgument):
            kind = next(t for k, t in TYPES.items() if isinstance(opened[word.parameter], k))
            found.append(f"{word.flag}={inputs.parameter(word.parameter, kind)}")
        elif isinstance(word, Reference):
            found.append(word)  # KFP is meant to expand it
        elif changed := replaced_part(word):
            if word not in lists:
                # a list is JSON already, where an escaped character reads as itself
                raise DefinitionError(
                    f"task {task.name!r}: Kubeflow would expand {changed!r} in the argument "
                    f"{word[:60]!r}: write it differently, or pass it in a file"
                )
            found.append(in_json(word))
        else:
            found.append(word)
    return found
