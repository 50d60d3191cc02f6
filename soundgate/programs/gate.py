"""Judge one number of a report against its bound.

Reads   report/    a JSON file with the number at a dotted path
Writes  verdict/   verdict.json: metric, value, bound, threshold, passed, advisory, message

A miss is an error and a non-zero exit. So is a number that is missing, NaN or not a number: a gate
that cannot judge stays closed. A miss of an advisory gate is recorded for the reviewer instead.
"""

from __future__ import annotations

import json
import math

from soundgate.errors import GateMissed
from soundgate.gates import Bound, judge
from soundgate.step import InputPath, OutputPath, main


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
    advisory: bool = False,
    least: float = -math.inf,
    most: float = math.inf,
) -> None:
    """Pass where the metric clears its bound; fail with the metric's message where it does not."""
    judged = judge(
        report,
        Bound(
            metric=metric,
            json_path=json_path,
            threshold=threshold,
            bound=bound,
            file=file,
            message=message,
            advisory=advisory,
            least=least,
            most=most,
        ),
    )
    if not judged.passed and not advisory:
        raise GateMissed(judged.message)
    verdict.mkdir(parents=True, exist_ok=True)
    (verdict / "verdict.json").write_text(json.dumps(judged.as_json(), indent=1) + "\n", "utf-8")
    missed = "passed" if judged.passed else "missed; advisory, so the run goes on"
    print(f"{judged.message}: {missed}")


if __name__ == "__main__":
    main(gate)
