"""A pipeline's graph as a Mermaid flowchart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.task import Output

if TYPE_CHECKING:
    from soundgate.pipeline import Pipeline


def mermaid(pipeline: Pipeline) -> str:
    """Return the graph as a Mermaid flowchart; edges are labelled with the output passed."""
    lines = ["flowchart LR"]
    for task in pipeline.tasks.values():
        shape = ("{{", "}}") if task.gate else ("[", "]")
        lines.append(f"    {task.name}{shape[0]}{task.display_name or task.name}{shape[1]}")
    for task in pipeline.tasks.values():
        passed: dict[str, list[str]] = {name: [] for name in task.depends_on}
        for values in task.inputs.values():
            for value in values:
                if isinstance(value, Output) and value.name not in passed[value.task]:
                    passed[value.task].append(value.name)
        for upstream, names in passed.items():
            arrow = f"-- {', '.join(names)} -->" if names else "-.->"
            lines.append(f"    {upstream} {arrow} {task.name}")
    return "\n".join(lines) + "\n"
