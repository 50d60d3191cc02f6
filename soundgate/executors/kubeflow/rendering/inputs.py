"""The inputs of a component, while its command is put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soundgate.executors.kubeflow.rendering.literals import Reference
from soundgate.task import File, Output

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from soundgate.task import Task

MODELS = ("model", "exported")
"""Outputs of these names are models; every other one is a data set."""


def type_of(item: Output | File) -> str:
    """Return the artifact type of what a task wrote or a host submitted."""
    return "Model" if isinstance(item, Output) and item.name in MODELS else "Dataset"


@dataclass(slots=True)
class Inputs:
    """Artifacts, values of the pipeline's inputs, and what KFP fills in when a run starts."""

    artifacts: dict[str, Output | File] = field(default_factory=dict)
    parameters: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Input to (pipeline's input, type)."""
    constants: dict[str, str] = field(default_factory=dict)
    labels: dict[File, str] = field(default_factory=dict)
    """File that is read by its path, to the argument that reads it."""

    def name_artifacts(self, task: Task, by_path: Collection[File]) -> None:
        """Name the inputs after the arguments; those of a list are numbered from 1."""
        for name, items in task.inputs.items():
            for number, item in enumerate(items, 1):
                if isinstance(item, File) and item in by_path:
                    self.labels.setdefault(item, name if len(items) == 1 else f"{name}_{number}")
            read = [item for item in items if item not in by_path]
            for number, item in enumerate(read, 1):
                label = name if len(items) == 1 else f"{name}_{number}"
                if item not in self.artifacts.values():
                    self.artifacts[self._free(label)] = item

    def location(self, item: Output | File, by_path: Mapping[File, str]) -> Reference:
        """Return where a task finds what it reads."""
        if isinstance(item, File) and item in by_path:
            return self.parameter(by_path[item], "String", self.labels[item])
        name = next(name for name, held in self.artifacts.items() if held == item)
        where = f"{{{{$.inputs.artifacts['{name}'].path}}}}"
        if isinstance(item, File) and item.text is not None:
            where += f"/{item.name}"
        return Reference(where)

    def parameter(self, pipeline_input: str, kind: str, label: str = "") -> Reference:
        """Return the value of a pipeline's input.

        Args:
            pipeline_input: its name.
            kind: its type, as KFP calls it.
            label: what the component calls it; the same where omitted. KFP caches by that name, so
                it must not change with what other tasks read.
        """
        name = next((n for n, (p, _) in self.parameters.items() if p == pipeline_input), None)
        if name is None:
            name = self._free(label or pipeline_input)
            self.parameters[name] = (pipeline_input, kind)
        return _value(name)

    def constant(self, label: str, value: str) -> Reference:
        """Return what KFP makes of ``value`` when a run starts; it does so in inputs alone."""
        name = self._free(label)
        self.constants[name] = value
        return _value(name)

    def declared(self) -> list[dict[str, str]]:
        """Return the inputs as KFP's component format has them."""
        return [
            *({"name": n, "type": type_of(item)} for n, item in self.artifacts.items()),
            *({"name": n, "type": kind} for n, (_, kind) in self.parameters.items()),
            *({"name": n, "type": "String"} for n in self.constants),
        ]

    def _free(self, label: str) -> str:
        label = label.lower()  # as kfp would have it
        while label in {*self.artifacts, *self.parameters, *self.constants}:
            label = f"{label}_value"
        return label


def _value(name: str) -> Reference:
    return Reference(f"{{{{$.inputs.parameters['{name}']}}}}")
