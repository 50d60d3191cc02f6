"""What a reviewer looks at: a row for each candidate, or everything about one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from soundgate.errors import SoundgateError, nearest
from soundgate.registry.candidates.registration import TAGS, candidates_of
from soundgate.registry.review import evidence
from soundgate.registry.review.decisions import candidate_of, last_on, release_of, status_of
from soundgate.registry.review.release import CHAMPION
from soundgate.registry.review.session import another_record, moved_by_others, unfinished
from soundgate.registry.versions.changes import Changes, changes
from soundgate.registry.versions.figures import incomparable, metrics_in
from soundgate.registry.versions.lookup import all_versions, find, model_names

if TYPE_CHECKING:
    from soundgate.gates import Verdict
    from soundgate.registry.review.decisions import Entry
    from soundgate.registry.review.session import ReviewSession
    from soundgate.registry.versions.figures import Figure
    from soundgate.registry.versions.lookup import Version


@dataclass(frozen=True)
class Row:
    """One candidate, as the list shows it."""

    version: str
    status: str
    gates: dict[str, str]
    headline: list[Figure]
    """The figures of its report that come first."""
    created_at: str
    age_s: float
    run: str
    decided_by: str
    decided_at: str
    comment: str
    released: str | None
    """Version of the model that it was released as."""
    champion: bool


@dataclass(frozen=True)
class Overview:
    """All candidates of a model; ``notes`` are what is not as it should be."""

    model: str
    registry: str
    champion: str | None
    candidates: list[Row]
    more: int
    """How many are not shown."""
    notes: list[str]


@dataclass(frozen=True)
class CandidateDetails:
    """Everything about one candidate."""

    candidate: Row
    model: str
    uri: str
    tags: dict[str, str]
    doubts: list[str]
    """Why it is not released without an override."""
    verdicts: list[Verdict]
    metrics: dict[str, float]
    champion: str | None
    champion_candidate: str | None
    champion_metrics: dict[str, float]
    incomparable: str
    """Why candidate's and champion's metrics must not be subtracted; empty where they may be."""
    changes: Changes
    """What its release would change for users of the champion."""
    report: str
    decisions: list[Entry]
    """On this candidate and on what was released of it, oldest first, with what became of each."""
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        """What ``review-model show --output json`` prints."""
        fields = asdict(self)
        entries = [(entry["decision"], entry["outcome"]) for entry in fields["decisions"]]
        flat = [{**decision, "outcome": outcome} for decision, outcome in entries]
        verdicts = [verdict.as_json() for verdict in self.verdicts]
        return {**fields, "decisions": flat, "verdicts": verdicts}


def overview(session: ReviewSession, limit: int) -> Overview:
    """Look at all candidates: those to be reviewed first, the newest first.

    Raises:
        RegistryError: there is no such model, or MLflow refused or failed.
        StoreError: the record of decisions is damaged, or the store failed.
    """
    session.registry.require()
    announced = session.announced()
    entries = session.log.entries()
    name = candidates_of(session.model)
    found = all_versions(session.registry, name)
    champion = find(session.registry, session.model, CHAMPION)
    rows = [_row(version, entries, champion) for version in found]
    rows.sort(key=lambda row: row.status != "pending")
    notes = [*_notes(announced, entries, champion), *filter(None, [session.registry.moved()])]
    if not found:
        suffix = candidates_of("")
        names = [model for model in model_names(session.registry) if model.endswith(suffix)]
        known = [model.removesuffix(suffix) for model in names]
        notes.append(f"model {session.model!r} has no candidate yet{nearest(session.model, known)}")
    return Overview(
        model=session.model,
        registry=session.registry.uri,
        champion=champion.version if champion else None,
        candidates=rows[:limit],
        more=max(0, len(rows) - limit),
        notes=notes,
    )


def candidate_details(session: ReviewSession, which: str) -> CandidateDetails:
    """Look at one candidate, a number, an alias or the run of ``<model>-candidates``.

    Raises:
        RegistryError: there is no such candidate, or MLflow refused or failed.
        StoreError: the record of decisions is damaged, or the store failed.
    """
    announced = session.announced()
    entries = session.log.entries()
    version = evidence.get_candidate(session.registry, session.model, which)
    champion = find(session.registry, session.model, CHAMPION)
    notes = _notes(announced, entries, champion)
    try:
        report = evidence.report_address(session.registry, version)
        evidence.check(session.registry, version)
    except SoundgateError as error:
        report = version.tags.get("report.path", "")
        notes.append(str(error))
    row = _row(version, entries, champion)
    return CandidateDetails(
        candidate=row,
        model=session.model,
        uri=version.uri,
        tags={key: version.tags[key] for key in sorted(version.tags) if key in _PROVENANCE},
        doubts=evidence.doubts(version),
        verdicts=evidence.verdicts(version),
        metrics=metrics_in(version.tags),
        champion=champion.version if champion else None,
        champion_candidate=candidate_of(champion.version, entries) if champion else None,
        champion_metrics=metrics_in(champion.tags) if champion else {},
        incomparable=incomparable(version.tags, champion.tags) if champion else "",
        changes=Changes() if row.champion else changes(version, champion),
        report=report,
        decisions=[entry for entry in entries if _concerns(entry, version.version, entries)],
        notes=notes,
    )


_PROVENANCE = {*TAGS.values(), "dataset.name", "dataset.licence", "model.digest", "report.digest"}


def _row(version: Version, entries: list[Entry], champion: Version | None) -> Row:
    last = last_on(version.version, entries)
    release = release_of(version.version, entries)
    released = release.outcome.released if release and release.outcome else None
    return Row(
        version=version.version,
        status=status_of(version.version, entries),
        gates=evidence.gates(version),
        headline=evidence.headline(version),
        created_at=version.created_at,
        age_s=round(
            (datetime.now(UTC) - datetime.fromisoformat(version.created_at)).total_seconds()
        ),
        run=version.tags.get(TAGS["run"], ""),
        decided_by=last.decision.by if last else "",
        decided_at=last.decision.at if last else "",
        comment=last.decision.comment if last else "",
        released=released,
        champion=champion is not None and released == champion.version,
    )


def _concerns(entry: Entry, candidate: str, entries: list[Entry]) -> bool:
    """Whether a decision is on a candidate, or moved a version that was made from it."""
    moved = (entry.decision.target, entry.decision.expected_champion)
    back = entry.decision.verdict == "rollback" and any(
        version is not None and candidate_of(version, entries) == candidate for version in moved
    )
    return back or entry.decision.candidate == candidate


def _notes(announced: str, entries: list[Entry], champion: Version | None) -> list[str]:
    found = [*unfinished(entries), another_record(announced, entries)]
    if all(entry.outcome for entry in entries):
        found.append(moved_by_others(champion, entries))
    return [note for note in found if note]
