"""An inspection in words: one line of reasons, and a table for the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from soundgate.audio.formats.datasets.inspection import Finding, Inspection

_NAMED: Final = 5
"""Examples in the line of reasons, which platforms cut after some 1,000 characters."""
_ROWS: Final = 60
"""Classes in the log's table; the page has all."""


def reasons(inspection: Inspection) -> str:
    """Why a data set is refused, in one line."""
    said = "; ".join(_reason(finding) for finding in inspection.refusals)
    return f"the data set is refused: {said} (inspection.html lists everything)"


def _reason(finding: Finding) -> str:
    shown = ", ".join(finding.examples[:_NAMED])
    more = finding.count - _NAMED
    named = f"{shown} and {more} more" if more > 0 else shown
    return f"{finding.message} or change {finding.rule} ({named})"


def table(inspection: Inspection) -> str:
    """Figures, classes and findings for a log; every refused clip is named."""
    lines: list[str] = []
    sides = sorted({side for row in inspection.classes for side in row.by_split})
    width = max((len(row.label) for row in inspection.classes), default=5)
    heads = ["clips", "seconds", *sides]
    lines.append("  ".join([f"{'class':{width}}", *(f"{head:>8}" for head in heads)]))
    for row in inspection.classes[:_ROWS]:
        counts = [
            str(row.clips),
            f"{row.seconds:.1f}",
            *(str(row.by_split.get(s, 0)) for s in sides),
        ]
        cells = [f"{count:>{max(8, len(h))}}" for count, h in zip(counts, heads, strict=True)]
        lines.append("  ".join([f"{row.label:{width}}", *cells]))
    if len(inspection.classes) > _ROWS:
        lines.append(f"... and {len(inspection.classes) - _ROWS} more classes")
    for finding in inspection.findings:
        lines.append(f"{'REFUSED' if finding.refused else 'note'}: {finding.message}")
        shown = finding.examples if finding.refused else finding.examples[:_NAMED]
        lines += [f"    {example}" for example in shown]
        if len(shown) < finding.count:
            lines.append(f"    ... and {finding.count - len(shown)} more")
    return "\n".join(lines)


def summary(inspection: Inspection) -> str:
    """Clips, length, sample rates and channels in one line."""
    rates = ", ".join(f"{n} at {rate} Hz" for rate, n in inspection.sample_rates_hz.items())
    channels = ", ".join(f"{n} of {k} channel(s)" for k, n in inspection.channels.items())
    spread = inspection.duration_s
    lengths = f", clips of {spread.low:g} to {spread.high:g} s" if spread else ""
    known = "; ".join(text for text in (rates, channels) if text)
    return (
        f"{inspection.clips} clips of {len(inspection.classes)} classes, "
        f"{inspection.seconds:.1f} s{lengths}" + (f"; {known}" if known else "")
    )
