"""Tells Kubeflow what is in a judged report, so that its console shows figures and confusions.

KFP hands a container the description of its artifacts (``ExecutorInput``) and reads, once it has
ended, ``executor_output.json`` with what became of them. For an output ``report`` that is a folder
with a JSON report, an artifact ``report_metrics`` gets its numbers under dotted names, and
``report_confusion`` its confusion matrix.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate.errors import ExecutorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

METRICS, CONFUSION = "_metrics", "_confusion"


def write(executor_input: str, outputs: Mapping[str, Path]) -> None:
    """Write ``executor_output.json`` where KFP looks for it.

    Args:
        executor_input: what KFP passed to the container, JSON.
        outputs: the task's outputs, written.

    Raises:
        ExecutorError: ``executor_input`` is not what KFP passes.
    """
    try:
        told = json.loads(executor_input)["outputs"]
        target = Path(told["outputFile"])
        declared = {
            name: dict(each["artifacts"][0]) for name, each in told.get("artifacts", {}).items()
        }
    except (ValueError, KeyError, TypeError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ExecutorError(
            f"--context executor_input: is not KFP's ExecutorInput ({reason})"
        ) from error
    found: dict[str, Any] = {}
    for output, folder in outputs.items():
        report = _report(folder)
        described = {METRICS: dict(_figures(report)), CONFUSION: _confusion(report)}
        for ending, metadata in described.items():
            name = f"{output.lower()}{ending}"
            if name in declared and metadata:
                found[name] = {"artifacts": [{**declared[name], "metadata": metadata}]}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"artifacts": found}, allow_nan=False) + "\n", "utf-8")


def _report(folder: Path) -> dict[str, Any]:
    """Return the JSON objects at the top of a folder, as one; later names win."""
    merged: dict[str, Any] = {}
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        value = json.loads(path.read_text("utf-8"))
        if isinstance(value, dict):
            merged.update(value)
    return merged


def _figures(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield every finite number with its dotted name; lists, per class say, are left out."""
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _figures(item, f"{prefix}{name}.")
        elif isinstance(item, (int, float)) and not isinstance(item, bool) and math.isfinite(item):
            yield f"{prefix}{name}", item


def _confusion(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the confusion matrix as the console draws it; rows are the truth."""
    matrix = report.get("confusion_matrix")
    if not isinstance(matrix, dict) or not {"labels", "rows"} <= matrix.keys():
        return {}
    return {
        "confusionMatrix": {
            "annotationSpecs": [{"displayName": str(label)} for label in matrix["labels"]],
            "rows": [{"row": list(row)} for row in matrix["rows"]],
        }
    }
