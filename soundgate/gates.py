"""What a quality gate decides: one number of a report against its bound.

A gate is data. The task ``soundgate.programs.gate`` judges it where the run goes on or ends, and
the review page judges it again for its reader; both through ``judge``, so that they cannot
disagree.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from soundgate.errors import ParameterError, nearest
from soundgate.runs import Context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SIGNS = {"at_least": ">=", "at_most": "<="}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A number in a report, and the bound that it has to clear."""

    metric: str
    """As experiment trackers show it, ``clip:accuracy``."""
    json_path: str
    """Dotted path of the number."""
    threshold: float
    bound: str = "at_least"
    """``at_least`` or ``at_most``."""
    file: str = "evaluation.json"
    """JSON file in the report's folder."""
    message: str = ""
    """What a miss says; the threshold and the value are appended."""
    advisory: bool = False
    """Whether a miss is only recorded, for a reviewer to weigh, and the run goes on."""

    def __post_init__(self) -> None:
        """Refuse a bound of another kind, which would be taken for one of these."""
        if self.bound not in SIGNS:
            raise ParameterError(f"bound: no bound {self.bound!r}{nearest(self.bound, SIGNS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a gate says; the fields of ``verdict.json``."""

    metric: str
    value: float | None
    """None where the gate could not be judged, which is a miss."""
    bound: str
    threshold: float
    passed: bool
    advisory: bool
    message: str

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as JSON has it."""
        return asdict(self)


def judge(report: Path, gate: Bound) -> Verdict:
    """Compare a number in the folder ``report`` with its bound.

    A number that is missing, NaN or not a number misses: a gate that cannot judge stays closed.
    """
    value = _read(report / gate.file, gate)
    if isinstance(value, str):
        return _verdict(gate, None, passed=False, message=value)
    at_least = gate.bound == "at_least"
    passed = value >= gate.threshold if at_least else value <= gate.threshold
    sign = SIGNS[gate.bound]
    said = f"{gate.metric} {value} {sign} {gate.threshold}"
    if not passed:
        miss = gate.message or f"{gate.metric} misses its bound: not {sign}"
        said = f"{miss} {gate.threshold} ({gate.metric} is {value})"
    return _verdict(gate, value, passed=passed, message=said)


def judge_all(gates: Path, reports: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Judge every gate of a file that ``Pipeline.declared_gates`` made.

    Where the engine says which thresholds an execution was started with, those count.

    Args:
        gates: the file.
        reports: folders by the name of the output that the gate reads, ``{"report": folder}``.

    Returns:
        Verdicts as ``verdict.json`` has them, in the order of their declaration.
    """
    verdicts = []
    declared = json.loads(gates.read_text("utf-8"))
    started_with = map(float, Context.from_environment().thresholds.split())
    for fields, threshold in itertools.zip_longest(declared, started_with):
        if fields is None:  # a gate that was declared after the file
            break
        output = fields.pop("report")
        gate = Bound(**fields | ({} if threshold is None else {"threshold": threshold}))
        if output in reports:
            verdicts.append(judge(reports[output], gate).as_json())
        else:
            said = f"the gate on {gate.metric} cannot be judged: no report {output!r} is at hand"
            verdicts.append(_verdict(gate, None, passed=False, message=said).as_json())
    return verdicts


def _verdict(gate: Bound, value: float | None, *, passed: bool, message: str) -> Verdict:
    return Verdict(
        metric=gate.metric,
        value=value,
        bound=gate.bound,
        threshold=gate.threshold,
        passed=passed,
        advisory=gate.advisory,
        message=message,
    )


def _read(path: Path, gate: Bound) -> float | str:
    """Return a finite number from a JSON file, or why there is none, with the file's ``reason``."""
    cannot = f"the gate on {gate.metric} cannot be judged: {path.name}"
    try:
        place: Any = json.loads(path.read_text("utf-8"), parse_int=float)
    except FileNotFoundError:
        return f"{cannot} is missing from the report"
    except ValueError as error:
        return f"{cannot} is not JSON ({error})"
    reason = place.get("reason") if isinstance(place, dict) else None
    told = f" ({' '.join(reason.split())})" if isinstance(reason, str) else ""
    for part in gate.json_path.split("."):
        if not isinstance(place, dict) or part not in place:
            return f"{cannot} has no {gate.json_path}{told}"
        place = place[part]
    if not isinstance(place, float) or not math.isfinite(place):
        return f"{cannot} has {gate.json_path} = {place!r}, which is not a finite number"
    return place
