"""What a quality gate decides: one number of a report against its bound.

A gate is data. The task ``soundgate.programs.gate`` judges it where the run goes on or ends, and
the review page judges it again for its reader; both through ``judge``, so that they cannot
disagree.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from soundgate.errors import ParameterError, nearest
from soundgate.runs import Context

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SIGNS = {"at_least": ">=", "at_most": "<="}
VERDICT_FORMAT = "soundgate.verdict/1"


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
    least: float = -math.inf
    """The smallest value that the metric can have."""
    most: float = math.inf
    """The largest value that it can have."""

    def __post_init__(self) -> None:
        """Refuse a bound of another kind, which would be taken for one of these."""
        if self.bound not in SIGNS:
            raise ParameterError(f"unknown bound {self.bound!r}{nearest(self.bound, SIGNS)}")


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
    low: float | None = None
    """Lower end of the interval that the report has beside the value; None where there is none."""
    high: float | None = None
    report: str = ""
    """Which report was judged, as ``task/output``; empty where that was not told."""

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as ``verdict.json`` has it."""
        return {"format": VERDICT_FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Read what ``as_json`` made; earlier files had no format, interval, report or advisory.

        Raises:
            ValueError: it is of another format, or lacks a field.
        """
        if fields.get("format", VERDICT_FORMAT) != VERDICT_FORMAT:
            raise ValueError(f"format {fields['format']!r} is not {VERDICT_FORMAT!r}")
        if not isinstance(fields.get("passed"), bool):  # "no" would count as passed
            raise ValueError("passed is neither true nor false")  # noqa: TRY004 - of a file
        known = {"advisory": False, "message": "", **fields}
        try:
            return cls(**{name: value for name, value in known.items() if name != "format"})
        except TypeError as error:
            raise ValueError(f"is no verdict: {error}") from error


def judge(report: Path, gate: Bound) -> Verdict:
    """Compare a number in the folder ``report`` with its bound.

    A number that is missing, NaN or not a number misses: a gate that cannot judge stays closed.
    """
    found = _read(report / gate.file, gate)
    if not gate.least <= gate.threshold <= gate.most:
        # some engines let a threshold be set when an execution starts, past the declaration's check
        found = (
            f"the gate on {gate.metric} cannot be judged: its threshold {gate.threshold:g} is "
            f"outside the metric's range, {gate.least:g} to {gate.most:g}"
        )
    if isinstance(found, str):
        return _verdict(gate, None, passed=False, message=found)
    value = found.value
    at_least = gate.bound == "at_least"
    passed = value >= gate.threshold if at_least else value <= gate.threshold
    sign = SIGNS[gate.bound]
    said = f"{gate.metric} {value} {sign} {gate.threshold}"
    if not passed:
        miss = gate.message or f"{gate.metric} misses its bound: not {sign}"
        said = f"{miss} {gate.threshold} ({gate.metric} is {value})"
    verdict = _verdict(gate, value, passed=passed, message=said)
    return replace(verdict, low=found.low, high=found.high)


def judge_all(gates: Path, reports: Mapping[str, Path]) -> list[Verdict]:
    """Judge every gate of a file that ``Pipeline.declared_gates`` made.

    Where the engine says which thresholds an execution was started with, those count.

    Args:
        gates: the file.
        reports: folders by the output that a gate reads, ``{"evaluate/report": folder}``, as
            ``Pipeline.judged_reports`` hands them over.

    Returns:
        Verdicts in the order of their declaration; each names its report.
    """
    verdicts = []
    declared = json.loads(gates.read_text("utf-8"))
    started_with = map(float, Context.from_environment().thresholds.split())
    for fields, threshold in itertools.zip_longest(declared, started_with):
        if fields is None:  # a gate that was declared after the file
            break
        output = fields.pop("report")
        gate = Bound(**fields | ({} if threshold is None else {"threshold": threshold}))
        name = _report_name(output, reports)
        if name in reports:
            verdict = judge(reports[name], gate)
        else:
            said = f"the gate on {gate.metric} cannot be judged: report {output!r} was not passed"
            verdict = _verdict(gate, None, passed=False, message=said)
        verdicts.append(replace(verdict, report=name))
    return verdicts


def _report_name(declared: str, reports: Mapping[str, Path]) -> str:
    """Return a declared report as ``task/output``.

    Files of before 2026-12 name the output alone, which says enough where one task wrote such.
    """
    same = [name for name in reports if name.rpartition("/")[2] == declared]
    return same[0] if declared not in reports and len(same) == 1 else declared


def label(verdict: Verdict, among: Iterable[Verdict]) -> str:
    """Return how a verdict is called beside others: its metric, and whose where that is not clear.

    >>> said = {"metric": "f1", "value": 1, "bound": "at_least", "threshold": 0, "passed": True}
    >>> desed, maestro = (Verdict.from_json({**said, "report": f"{x}/report"}) for x in "ab")
    >>> label(desed, [desed]), label(desed, [desed, maestro])
    ('f1', 'f1 of a/report')
    """
    judged = {each.report for each in among if each.metric == verdict.metric}
    return (
        f"{verdict.metric} of {verdict.report}"
        if verdict.report and len(judged) > 1
        else verdict.metric
    )


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


@dataclass(frozen=True, slots=True)
class _Number:
    """A number of a report, with the interval that stands beside it."""

    value: float
    low: float | None
    high: float | None


def _read(path: Path, gate: Bound) -> _Number | str:
    """Return a finite number from a JSON file, or why there is none, with the file's ``reason``."""
    cannot = f"the gate on {gate.metric} cannot be judged: {path.name}"
    try:
        # Whole numbers as floats: a metric of 1 is a number like 1.0, but true is none.
        found: Any = json.loads(path.read_text("utf-8"), parse_int=float)
    except FileNotFoundError:
        return f"{cannot} is missing from the report"
    except (ValueError, RecursionError) as error:
        return f"{cannot} is not JSON ({error})"
    # A comparison that was not made has no figures; its own reason tells more than their absence.
    reason = found.get("reason") if isinstance(found, dict) else None
    told = f" ({' '.join(reason.split())})" if isinstance(reason, str) else ""
    around: Any = {}
    for part in gate.json_path.split("."):
        if not isinstance(found, dict) or part not in found:
            return f"{cannot} has no {gate.json_path}{told}"
        around, found = found, found[part]
    if not isinstance(found, float) or not math.isfinite(found):
        return f"{cannot} has {gate.json_path} = {found!r}, which is not a finite number"
    return _Number(found, _finite(around.get("low")), _finite(around.get("high")))


def _finite(value: Any) -> float | None:
    return value if isinstance(value, float) and math.isfinite(value) else None
