"""Where a candidate comes from, as groups of names and values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from soundgate.audio.review.wording import counted, megabytes, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.audio.review.evidence import Evidence

Group: TypeAlias = "tuple[str, list[tuple[str, str]]]"
"""A heading, and names with their values."""

# Long lists that the page shows in other places, or nobody reads.
_UNSHOWN = {"format", "classes", "normalization", "preprocessing", "feature_extraction"}
_LONGEST_TEXT = 300
_DIGEST_CHARACTERS = 16


def origins(evidence: Evidence) -> list[Group]:
    """Data, run, model and export; the last only where the run exported."""
    model = evidence.model.as_json()
    groups = [
        ("Data set", _data(evidence)),
        ("Run", evidence.provenance),
        ("Model", {key: value for key, value in model.items() if key not in _UNSHOWN}),
        ("Export", _export(evidence.export)),
    ]
    return [
        (title, [(_worded(key), _shortened(value)) for key, value in group.items()])
        for title, group in groups
        if group
    ]


def recipe(evidence: Evidence) -> list[Group]:
    """How the model's features are made."""
    model = evidence.model.as_json()
    return [
        (title, [(key, _shortened(value)) for key, value in model[section].items()])
        for title, section in (
            ("Preprocessing", "preprocessing"),
            ("Feature extraction", "feature_extraction"),
        )
    ]


def _data(evidence: Evidence) -> dict[str, Any]:
    card, figures = evidence.card, evidence.figures
    names = ("name", "title", "version", "licence", "clips", "digest", "homepage")
    tested = f"{counted(figures['clips'], 'clip')} of {counted(figures['sources'], 'recording')}"
    return {key: card[key] for key in names if card.get(key)} | {
        "tested": f"{tested}, split {figures['split']}"
    }


def _export(export: Mapping[str, Any]) -> dict[str, Any]:
    """Files with sizes and digests, how they were checked, how they were quantised."""
    facts: dict[str, Any] = {}
    for name, file in _mapping(export, "files").items():
        digest = str(file.get("sha256", ""))[:_DIGEST_CHARACTERS]
        facts[name] = f"{megabytes(file['bytes'])}, sha256 {digest}…"
    checks, quantised = _mapping(export, "checks"), _mapping(export, "quantization")
    for name, difference in _mapping(checks, "largest_difference").items():
        facts[f"{name} against torch"] = (
            f"largest difference {difference:.1g} of {checks['tolerance']:g} allowed, "
            f"in {counted(len(checks['shapes']), 'shape')}"
        )
    calibration = _mapping(quantised, "calibration")
    if calibration:
        clips = counted(len(calibration["clips"]), "clip")
        facts["calibrated with"] = f"{clips}: {calibration['source']}"
    facts |= {key: value for key, value in quantised.items() if isinstance(value, str)}
    if versions := _mapping(export, "versions"):
        facts["versions"] = versions
    return facts


def _mapping(fields: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = fields.get(key)
    return value if isinstance(value, dict) else {}


def _worded(key: str) -> str:
    """A key in words; file names stay as they are."""
    return key if "." in key else key.replace("_", " ")


def _shortened(value: Any) -> str:
    text = plain(value)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
