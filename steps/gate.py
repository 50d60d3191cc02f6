"""Judge one number of a report against its bound.

Reads   report/    a JSON file with the number at a dotted path
Writes  verdict/   verdict.json: metric, value, bound, threshold, passed, message

A miss is an error and a non-zero exit. So is a number that is missing, NaN or not a number: a gate
that cannot judge stays closed.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from soundgate.errors import GateMissed
from soundgate.step import InputPath, OutputPath, main

if TYPE_CHECKING:
    from pathlib import Path


def gate(
    report: InputPath,
    verdict: OutputPath,
    *,
    metric: str,
    json_path: str,
    threshold: float,
    bound: str = "at_least",
    file: str = "evaluation.json",
    message: str = "",
) -> None:
    """Pass where the metric clears its bound; fail with the metric's message where it does not."""
    sign = {"at_least": ">=", "at_most": "<="}[bound]
    value = _read(report / file, json_path, metric)
    passed = value >= threshold if bound == "at_least" else value <= threshold
    verdict.mkdir(parents=True, exist_ok=True)
    said = f"{metric} {value} {sign} {threshold}"
    if not passed:
        miss = message or f"{metric} misses its bound: not {sign}"
        raise GateMissed(f"{miss} {threshold} ({metric} is {value})")
    record = {
        "metric": metric,
        "value": value,
        "bound": bound,
        "threshold": threshold,
        "passed": passed,
        "message": said,
    }
    (verdict / "verdict.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    print(f"{said}: passed")


def _read(path: Path, json_path: str, metric: str) -> float:
    """Return a finite number from a JSON file, or say why there is none."""
    cannot = f"the gate on {metric} cannot be judged: {path.name}"
    try:
        place: Any = json.loads(path.read_text("utf-8"), parse_int=float)
    except FileNotFoundError:
        raise GateMissed(f"{cannot} is missing from the report") from None
    except ValueError as error:
        raise GateMissed(f"{cannot} is not JSON ({error})") from error
    for part in json_path.split("."):
        if not isinstance(place, dict) or part not in place:
            raise GateMissed(f"{cannot} has no {json_path}")
        place = place[part]
    if not isinstance(place, float) or not math.isfinite(place):
        raise GateMissed(f"{cannot} has {json_path} = {place!r}, which is not a finite number")
    return place


if __name__ == "__main__":
    main(gate)
