"""The text output of ``review-model``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.commands.output import table_lines
from soundgate.errors import printable
from soundgate.gates import SIGNS, label

if TYPE_CHECKING:
    from soundgate.gates import Verdict
    from soundgate.registry.review.decisions import Entry
    from soundgate.registry.review.overview import CandidateDetails, Overview, Row
    from soundgate.registry.versions.changes import Changes

AGES = ((86_400 * 2, 86_400, "d"), (3_600 * 2, 3_600, "h"), (120, 60, "min"), (0, 1, "s"))
COMMENT_LETTERS = 40


def overview_text(found: Overview) -> str:
    """All candidates as a table, then the champion and notes about problems."""
    title = _shared_title(found.candidates)
    head = ["version", "status", "gates", title or "headline", "age", "run", "decided"]
    rows = [_columns(row, with_title=not title) for row in found.candidates]
    lines = table_lines([head, *rows]) if rows else []
    if found.more:
        lines.append(f"and {found.more} more: --limit {len(rows) + found.more}")
    if rows:
        lines.append("")
    lines.append(f"champion: {_champion(found.model, found.champion)}")
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes)])


def _columns(row: Row, *, with_title: bool = False) -> list[str]:
    missed = [metric for metric, verdict in row.gates.items() if verdict != "pass"]
    status = row.status
    if row.released:
        as_ = f" as {row.released}" if status == "approved" else f" (version {row.released})"
        status += f"{as_}, champion" if row.champion else as_
    return [
        row.version,
        status,
        f"missed {', '.join(missed)}" if missed else "passed" if row.gates else "none",
        _headline(row, with_title=with_title),
        age(row.age_s),
        row.run,
        f"{row.decided_by}: {_short(row.comment)}" if row.decided_by else "",
    ]


def _shared_title(rows: list[Row]) -> str:
    """The title of the first headline figure; empty where candidates have different ones."""
    titles = {row.headline[0].title for row in rows if row.headline}
    return titles.pop().lower() if len(titles) == 1 else ""


def _headline(row: Row, *, with_title: bool) -> str:
    if not row.headline:
        return ""
    first = row.headline[0]
    return f"{first.title} {_number(first.value)}" if with_title else _number(first.value)


def details_text(found: CandidateDetails) -> str:
    """All information about one candidate."""
    row = found.candidate
    lines = [f"{found.uri}  {_columns(row)[1]}  {age(row.age_s)} old, run {row.run}"]
    lines += [f"report  {found.report}", ""]
    lines += table_lines([["gate", "value", "bound", "verdict", ""], *_verdicts(found.verdicts)])
    lines.append("")
    at = f"champion {found.champion}" if found.champion else "no champion yet"
    names = [*found.metrics, *(n for n in found.champion_metrics if n not in found.metrics)]
    values = [_compared(n, found.metrics.get(n), found.champion_metrics.get(n)) for n in names]
    if found.incomparable:
        lines += table_lines([["metric", "candidate", at], *(row[:3] for row in values)])
        lines.append(f"no differences: {found.incomparable}; the report compares on common clips")
    else:
        lines += table_lines([["metric", "candidate", at, "difference"], *values])
    lines += _changes(found.changes)
    lines.append("")
    lines += [f"{tag:16}  {value}" for tag, value in found.tags.items()]
    lines.append("")
    lines += [_history(entry) for entry in found.decisions] or ["no decision yet"]
    lines += [f"needs --override: {doubt}" for doubt in found.doubts]
    lines += [f"needs --accept-changes: {why}" for why in found.changes.unconfirmed]
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes)])


def _changes(found: Changes) -> list[str]:
    """What differs from the champion, a line each; ``unconfirmed`` is told at the end."""
    renamed = [f"{before} -> {after}" for before, after in found.renamed]
    named = {"lost": found.lost, "gained": found.gained, "renamed": renamed}
    lines = [
        f"classes {what:8}  {', '.join(map(printable, names))}"
        for what, names in named.items()
        if names
    ]
    if found.compared is not None and found.compared.compared and found.compared.paired:
        tested = found.compared.clips + found.compared.left_out
        lines.append(f"compared clips    {found.compared.clips} of {tested}")
    return ["", *lines] if lines else []


def _verdicts(verdicts: list[Verdict]) -> list[list[str]]:
    rows = []
    for verdict in verdicts:
        passed = "passed" if verdict.passed else "missed"
        advisory = " (advisory)" if verdict.advisory else ""
        bound = f"{SIGNS.get(verdict.bound, verdict.bound)} {_number(verdict.threshold)}"
        said = "" if verdict.passed else verdict.message
        name, value = label(verdict, verdicts), _number(verdict.value)
        rows.append([name, value, bound, passed + advisory, said])
    return rows


def _compared(name: str, candidate: float | None, champion: float | None) -> list[str]:
    known = candidate is not None and champion is not None
    difference = f"{candidate - champion:+.4g}" if known else ""  # type: ignore[operator]
    return [name, _number(candidate), _number(champion), difference]


def _history(entry: Entry) -> str:
    decision, outcome = entry.decision, entry.outcome
    released = f" as version {outcome.released}" if outcome and outcome.released else ""
    override = ", overriding" if decision.override else ""
    override += ", accepting changes" if decision.confirmed else ""
    reason = f" ({outcome.reason})" if outcome and outcome.reason else ""
    state = outcome.state if outcome else "interrupted"
    return (
        f"{decision.at}  {decision.by}  {decision.verdict}{override}, "
        f"{state}{released}{reason}: {_indented(decision.comment)}"
    )


def decision_text(entry: Entry) -> str:
    """The result of a decision in one line."""
    decision, outcome = entry.decision, entry.outcome
    model = decision.model
    if decision.verdict == "reject":
        line = f"rejected candidate {decision.candidate} of {model}"
    elif decision.verdict == "approve":
        line = f"approved candidate {decision.candidate} as {model} version"
        line += f" {outcome.released if outcome else ''}, the champion"
    else:
        line = f"rolled {model} back: version {decision.target} is the champion"
    if decision.verdict != "reject" and decision.expected_champion:
        line += f"; version {decision.expected_champion} is previous"
    note = f"\nnote: {outcome.reason}" if outcome and outcome.reason else ""
    return f"{line} (decision {decision.number}, by {decision.by}){note}"


def _champion(model: str, version: str | None) -> str:
    return f"{model} version {version}" if version else f"{model} has none yet"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _short(comment: str) -> str:
    line = " ".join(comment.split())
    return line if len(line) <= COMMENT_LETTERS else f"{line[: COMMENT_LETTERS - 1]}…"


def _indented(comment: str) -> str:
    """Indent further lines, so that none looks like another decision."""
    return "\n    ".join(comment.splitlines())


def age(seconds: float) -> str:
    """Format an age in its largest suitable unit.

    >>> age(59), age(7200), age(172800)
    ('59 s', '2 h', '2 d')
    """
    for least, unit_s, unit in AGES:
        if seconds >= least:
            return f"{seconds // unit_s:.0f} {unit}"
    return "0 s"
