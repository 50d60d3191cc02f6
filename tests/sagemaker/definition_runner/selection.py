"""Selective execution: some steps run, the others' results come from an earlier execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from definition_runner.errors import Refused
from definition_runner.graph import all_steps, branches, upstream
from definition_runner.record import Record

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from definition_runner.execution import Execution

MOST = 50


def reused(
    definition: Mapping[str, Any], selected: Collection[str], source: Execution
) -> dict[str, Record]:
    """Return the records of steps that selected ones wait for and that are not selected.

    Raises:
        Refused: an unknown step, too many, a gap between two selected steps, a source that runs or
            lacks a result.
    """
    waits = upstream(definition)
    if lost := sorted(set(selected) - set(waits)):
        raise Refused(f"SelectedSteps: no steps {lost}")
    if not 0 < len(selected) <= MOST:
        raise Refused(f"SelectedSteps: {len(selected)} are not between 1 and {MOST}")
    if source.status not in ("Succeeded", "Failed"):
        raise Refused(f"the source execution is {source.status}")
    needed = set().union(*(waits[name] for name in selected)) - set(selected)
    for name in sorted(needed):
        if waits[name] & set(selected):
            raise Refused(f"SelectedSteps: {name} lies between selected steps")
    found = {}
    for step in all_steps(definition["Steps"]):
        if step["Name"] not in needed:
            continue
        earlier = source.steps.get(step["Name"])
        if earlier is None or earlier.status != "Succeeded":
            raise Refused(f"the source execution has no result of {step['Name']}")
        found[step["Name"]] = Record(
            step,
            status="Succeeded",
            metadata=earlier.metadata,
            properties=earlier.properties,
            selected_from=source.arn,
        )
    return found


def open_steps(
    definition: Mapping[str, Any], selected: Collection[str], records: Mapping[str, Record]
) -> list[dict[str, Any]]:
    """Return the selected steps that no selected condition encloses."""
    hidden = {
        inner["Name"]
        for step in all_steps(definition["Steps"])
        if step["Name"] in selected
        for branch in branches(step)
        for inner in branch
    }
    untaken = {
        inner["Name"]
        for record in records.values()
        if record.outcome is not None
        for inner in all_steps(branches(record.step)[1 if record.outcome else 0])
    }
    return [
        step
        for step in all_steps(definition["Steps"])
        if step["Name"] in selected and step["Name"] not in hidden | untaken
    ]
