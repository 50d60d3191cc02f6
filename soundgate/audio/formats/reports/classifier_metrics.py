"""The metrics of a classifier's report: names, words, and the keys under which they stood first.

A classifier's report has each number twice: in the sections that its users know since version 1,
and under ``metrics``. The second is made of the first, here, for new reports and for old ones, so
that both are the same number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soundgate.audio.formats.reports.clip_results import FORMAT as CLIP_RESULTS
from soundgate.audio.formats.reports.clip_results import PREDICTIONS

if TYPE_CHECKING:
    from soundgate.audio.formats.record import JsonObject

PLACES = {
    "clip_accuracy": "multiclass_classification_metrics.clip_acc",
    "patch_accuracy": "multiclass_classification_metrics.patch_acc",
    "macro_f1": "macro_f1",
    "mean_average_precision": "multi_label_metrics.mean_average_precision",
    "micro_f1": "multi_label_metrics.micro_f1",
    "calibration_error": "calibration.ece",
    "quantized_clip_accuracy": "quantized.clip_acc",
    "quantized_patch_accuracy": "quantized.patch_acc",
    "quantized_agreement": "quantized.agreement",
    "quantized_size_bytes": "quantized.size_bytes",
}
"""Where version 1 of the format has each metric."""

COMPARED = {"clip_accuracy": "clip_acc", "patch_accuracy": "patch_acc"}
"""The metrics of a comparison, and their keys in version 1 of that format."""

_SHARE = "share of {} classified correctly"
_EXACT = "share of {} with every label given and no other"


def with_metrics(fields: JsonObject) -> JsonObject:
    """Return a classifier's report with ``metrics``, ``headline``, ``aliases`` and ``notes``."""
    found = {name: _at(fields, place) for name, place in PLACES.items()}
    found = {name: value for name, value in found.items() if value is not None}
    return {
        **fields,
        "metrics": {name: _estimate(value) for name, value in found.items()},
        "headline": headline(found, multi_label=bool(fields.get("multi_label"))),
        "aliases": {name: PLACES[name] for name in found},
        "notes": _notes(fields.get("quantized") or {}),
        "results": {"file": PREDICTIONS, "format": CLIP_RESULTS},
    }


def headline(known: JsonObject, *, multi_label: bool) -> list[JsonObject]:
    """The words of those metrics that are ``known``, the most telling first."""
    template = _EXACT if multi_label else _SHARE
    lines: list[JsonObject] = [
        {
            "metric": f"{level}_accuracy",
            "title": f"{level.title()} accuracy",
            "description": template.format(plural),
        }
        for level, plural in (("clip", "clips"), ("patch", "patches"))
    ]
    lines += [
        _line("macro_f1", "Macro F1", "mean over classes"),
        _line("mean_average_precision", "Mean average precision", "mean over classes"),
        _line("micro_f1", "Micro F1", "over all labels together"),
        _line("calibration_error", "Calibration error", "mean gap between score and accuracy"),
    ]
    for line in lines:
        quantized = f"quantized_{line['metric']}"
        line["variants"] = {"int8": quantized} if quantized in known else {}
        line["lower_is_better"] = line["metric"] == "calibration_error"
    return [line for line in lines if line["metric"] in known]


def _line(metric: str, title: str, description: str) -> JsonObject:
    return {"metric": metric, "title": title, "description": description}


def _at(fields: JsonObject, place: str) -> Any:
    value: Any = fields
    for part in place.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _estimate(value: Any) -> JsonObject:
    if not isinstance(value, dict):
        return {"value": value, "low": None, "high": None}
    return {key: value[key] for key in ("value", "low", "high")}


def _notes(quantized: JsonObject) -> list[str]:
    if not quantized:
        return []
    agreed = f"{100 * quantized['agreement']:.1f} %"
    size_bytes = quantized["size_bytes"]
    size = f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.0f} kB"
    said = f"The int8 model agrees with the float model on {agreed} of patches; its size is {size}."
    return [said]
