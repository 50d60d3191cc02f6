"""Where a candidate comes from, as groups of names and values."""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from soundgate.audio.review.wording import counted, megabytes, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.audio.formats.exported import Export
    from soundgate.audio.review.evidence import Evidence

Group: TypeAlias = "tuple[str, list[tuple[str, str]]]"
"""A heading, and names with their values."""

# Long lists that the page shows in other places, or nobody reads.
_UNSHOWN = {"format", "classes", "normalization", "preprocessing", "feature_extraction"}
_LONGEST_TEXT = 300
_DIGEST_CHARACTERS = 16


def origins(evidence: Evidence) -> list[Group]:
    """Data, run, model and export; each only where it is known."""
    groups: list[tuple[str, Mapping[str, object]]] = [
        ("Data set", _data(evidence)),
        ("Run", evidence.provenance),
        ("Model", {key: v for key, v in evidence.model.items() if key not in _UNSHOWN}),
        ("Export", _export(evidence.export) if evidence.export else {}),
    ]
    return [
        (title, [(_worded(key), _shortened(value)) for key, value in group.items()])
        for title, group in groups
        if group
    ]


def title(evidence: Evidence) -> str:
    """The page's title: model, day and run of the candidate, and its data set.

    The version is not in it: the registry numbers a candidate after this page was made.
    """
    made, data = evidence.provenance, evidence.card.title or evidence.card.name
    run = made.get("run", "")
    told = [made.get("model", ""), day_of(run), f"run {run}" if run else "", data]
    return ", ".join(part for part in told if part)


def day_of(run: str) -> str:
    """The day in the id of a run, ISO 8601; empty where the id has none.

    >>> day_of("20261130-033014-960eb"), day_of("a1b2")
    ('2026-11-30', '')
    """
    try:
        return datetime.strptime(run[:9], "%Y%m%d-").date().isoformat()  # noqa: DTZ007 # a day
    except ValueError:
        return ""


def commands(evidence: Evidence) -> list[str]:
    """What approves and rejects this candidate; empty for a page that no run made."""
    model, run = evidence.provenance.get("model"), evidence.provenance.get("run")
    if not model or not run:
        return []
    return [
        f"review-model {verb} {shlex.quote(run)} --model-name {shlex.quote(model)} "
        '--comment "REASON"'
        for verb in ("approve", "reject")
    ]


def in_short(evidence: Evidence) -> list[str]:
    """The line below the page's title: architecture, classes, test."""
    report, said = evidence.report, []
    if architecture := evidence.model.get("architecture"):
        said.append(str(architecture))
    if classes := len(evidence.model.get("classes", ())) or len(report.per_class):
        said.append(counted(classes, "class"))
    if report.clips is not None:
        what = "recording" if evidence.detector else "clip"
        said.append(f"tested on {counted(report.clips, what)}")
    return said


def recipe(evidence: Evidence) -> list[Group]:
    """How the model's features are made; empty where the model does not say."""
    sections = evidence.front_end.as_json() if evidence.front_end else {}
    return [
        (_worded(section).capitalize(), [(key, _shortened(value)) for key, value in values.items()])
        for section, values in sections.items()
    ]


def _data(evidence: Evidence) -> dict[str, object]:
    card, report = evidence.card, evidence.report
    names = ("name", "title", "version", "licence", "clips", "digest", "homepage")
    known = {name: getattr(card, name) for name in names}
    facts = {name: value for name, value in known.items() if value}
    tested = []
    if report.clips is not None:
        clip, source = ("recording", "tape") if evidence.detector else ("clip", "recording")
        sources = "" if report.sources is None else f" of {counted(report.sources, source)}"
        tested.append(f"{counted(report.clips, clip)}{sources}")
    if report.split:
        tested.append(f"split {report.split}")
    return facts | ({"tested": ", ".join(tested)} if tested else {})


def _export(export: Export) -> dict[str, object]:
    """Files with sizes and digests, how they were checked, how they were quantised."""
    facts: dict[str, object] = {
        name: f"{megabytes(file.bytes)}, sha256 {file.sha256[:_DIGEST_CHARACTERS]}…"
        for name, file in export.files.items()
    }
    if checks := export.checks:
        for name, difference in checks.largest_difference.items():
            facts[f"{name} against torch"] = (
                f"largest difference {difference:.1g} of {checks.tolerance:g} allowed, "
                f"in {counted(len(checks.shapes), 'shape')}"
            )
    if quantised := export.quantization:
        if calibration := quantised.calibration:
            clips = counted(len(calibration.clips), "clip")
            facts["calibrated with"] = f"{clips}: {calibration.source}"
        settings = (quantised.model_extra or {}).items()
        facts |= {key: value for key, value in settings if isinstance(value, str)}
    return facts | ({"versions": export.versions} if export.versions else {})


def _worded(key: str) -> str:
    """A key in words; file names stay as they are."""
    return key if "." in key else key.replace("_", " ")


def _shortened(value: object) -> str:
    text = plain(value)
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
