"""Deciding on candidates: approve, reject, roll back.

A decision is written to the record first (``decisions``) and then carried out (``release``). What
was interrupted between the two is finished, or given up, by the next command that decides.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from soundgate.errors import ParameterError, RegistryError
from soundgate.registry.review import evidence, release
from soundgate.registry.review.decisions import (
    FAILED,
    Decision,
    DecisionLog,
    Entry,
    Outcome,
    Ruling,
    candidate_of,
    last_on,
    rejected_copy,
    release_of,
    status_of,
)
from soundgate.registry.review.release import CHAMPION, PREVIOUS
from soundgate.registry.service.mlflow_errors import is_refusal, one_line
from soundgate.registry.versions.bundle import DIGEST_TAG
from soundgate.registry.versions.changes import changes
from soundgate.registry.versions.lookup import find, get, registered_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient

    from soundgate.registry.service.connection import Registry
    from soundgate.registry.versions.lookup import Version

OVERRIDE = "add --override, and say why in --comment, to release it all the same"
ACCEPT = "--accept-changes"
INTERRUPTED = "interrupted before anything was changed"


@dataclass(frozen=True)
class ReviewSession:
    """Where a reviewer decides on one model.

    ``by`` is who decides, ``account`` who signed in to the registry. ``comment`` gives the reason,
    asked for once everything else is known to be in order.
    """

    registry: Registry
    log: DecisionLog
    by: str
    account: str
    comment: Callable[[], str]

    @property
    def model(self) -> str:
        """Name of the released model."""
        return self.log.model

    def approve(self, which: str, *, override: bool = False, accept_changes: bool = False) -> Entry:
        """Release a candidate: copy it to the model, as ``champion``.

        Args:
            which: number, alias or run of a version of ``<model>-candidates``.
            override: release it although a gate was missed or it was rejected.
            accept_changes: release it although classes of the champion are lost or renamed, or it
                was not compared with the champion on the same test clips.

        Raises:
            ParameterError: it changes something for users and ``accept_changes`` is not set.
            RegistryError: there is no such candidate, it is released already, needs an override or
                was altered, somebody else decided meanwhile, or MLflow refused or failed.
        """
        entries = self.finished_entries()
        candidate = evidence.get_candidate(self.registry, self.model, which)
        champion = find(self.registry, self.model, CHAMPION)
        self._refuse_released(candidate, entries, champion)
        doubts = evidence.doubts(candidate)
        if status_of(candidate.version, entries) == "rejected":
            doubts.append(f"it was rejected ({_last(candidate.version, entries)})")
        copy = rejected_copy(candidate.version, candidate.tags.get(DIGEST_TAG, ""), entries)
        if copy is not None:
            doubts.append(f"the same model was rejected as candidate {copy}")
        if doubts and not override:
            raise RegistryError(f"{candidate.uri} is not released: {'; '.join(doubts)}; {OVERRIDE}")
        unconfirmed = changes(candidate, champion).unconfirmed
        if unconfirmed and not accept_changes:
            raise ParameterError(
                f"{candidate.uri} is not released: {'; '.join(unconfirmed)}; add {ACCEPT}, and say "
                "why in --comment, to release it all the same"
            )
        decision = self._about(candidate, "approve", champion, override=bool(doubts))
        return self._decide(len(entries), replace(decision, confirmed=unconfirmed))

    def reject(self, which: str) -> Entry:
        """Reject a candidate.

        Raises:
            RegistryError: there is no such candidate, it is rejected already or the champion,
                somebody else decided meanwhile, or MLflow refused or failed.
        """
        entries = self.finished_entries()
        candidate = evidence.get_candidate(self.registry, self.model, which)
        if status_of(candidate.version, entries) == "rejected":
            raise RegistryError(
                f"{candidate.uri} is already rejected ({_last(candidate.version, entries)})"
            )
        champion = find(self.registry, self.model, CHAMPION)
        released = release_of(candidate.version, entries)
        at = released.outcome.released if released and released.outcome else None
        if champion is not None and champion.version == at:
            raise RegistryError(
                f"{candidate.uri} is the current champion, {champion.uri}; roll back first"
            )
        return self._decide(len(entries), self._about(candidate, "reject", champion))

    def roll_back(self, to: str | None = None, *, override: bool = False) -> Entry:
        """Make ``previous``, or the version ``to``, the champion; the champion becomes previous.

        Raises:
            RegistryError: there is nothing to go back to, its candidate was rejected and there is
                no override, somebody else decided meanwhile, or MLflow refused or failed.
        """
        entries = self.finished_entries()
        champion = find(self.registry, self.model, CHAMPION)
        if to is None:
            self._require_previous(champion, entries)
        target = get(self.registry, self.model, to or PREVIOUS)
        if champion is not None and target.version == champion.version:
            raise RegistryError(f"{target.uri} is already the champion")
        came_from = candidate_of(target.version, entries)
        rejected = came_from is not None and status_of(came_from, entries) == "rejected"
        if rejected and not override:
            raise RegistryError(
                f"{target.uri} was made from candidate {came_from}, which was rejected "
                f"({_last(str(came_from), entries)}); {OVERRIDE}"
            )
        decision = self._decision(
            "rollback",
            target=target.version,
            expected_champion=champion.version if champion else None,
            override=rejected,
            model_digest=target.tags.get(DIGEST_TAG, ""),
        )
        return self._decide(len(entries), decision)

    def _require_previous(self, champion: Version | None, entries: list[Entry]) -> None:
        """Refuse to go back where no alias says to which version."""
        if champion is None:
            placed = _placed(entries)
            advice = "approve a candidate first"
            if placed is not None and find(self.registry, self.model, placed) is not None:
                advice = f"version {placed} was the last one: make it champion with --to {placed}"
            raise RegistryError(f"model {self.model!r} has no champion; {advice}")
        if find(self.registry, self.model, PREVIOUS) is None:
            raise RegistryError(
                f"{champion.uri} has no previous champion; name a version with --to"
            )

    def _refuse_released(
        self, candidate: Version, entries: list[Entry], champion: Version | None
    ) -> None:
        """Refuse to release a candidate twice; one whose release was deleted has none."""
        done = release_of(candidate.version, entries)
        if done is None or done.outcome is None or done.outcome.released is None:
            return
        if status_of(candidate.version, entries) == "rejected":
            return  # what was rejected is released anew, with an override
        released = done.outcome.released
        if find(self.registry, self.model, released) is None:
            return
        told = f"{candidate.uri} is released already, as version {released} ({done.decision.said})"
        if champion is not None and champion.version == released:
            raise RegistryError(f"{told}; it is the champion")
        raise RegistryError(f"{told}; make it champion again with rollback --to {released}")

    def finished_entries(self) -> list[Entry]:
        """Every decision, once the one that was interrupted, if any, is finished or given up."""
        # Read before the entries: one announced after they were read would seem to be missing.
        announced = self.announced()
        entries = self.log.entries()
        self._refuse_another_record(announced, entries)
        open_ones = [entry for entry in entries if entry.outcome is None]
        if not open_ones:
            return entries
        self.registry.require()
        with self.registry.writing() as client:
            for entry in open_ones:
                self._finish(client, entry.decision)
        return self.log.entries()

    def announced(self) -> str:
        """Digest of the decision that was last announced in the registry; empty where none was."""
        if not self.registry.exists:
            return ""
        with self.registry.reading() as client:
            model = registered_model(client, self.model)
        return model.tags.get(release.DECIDING_TAG, "") if model else ""

    def _refuse_another_record(self, announced: str, entries: list[Entry]) -> None:
        if told := another_record(announced, entries):
            raise RegistryError(f"{self.log.store.url}: {told}")

    def _finish(self, client: MlflowClient, decision: Decision) -> None:
        try:
            with one_line(self.registry.uri):
                if release.announced(client, decision):
                    release.carry_out(client, decision, self.log)
                    return
        except RegistryError as error:
            raise RegistryError(
                f"decision {decision.number} was interrupted ({decision.said}) and cannot be "
                f"finished now: {error}"
            ) from error
        self.log.close(Outcome(number=decision.number, state=FAILED, reason=INTERRUPTED))

    def _about(
        self,
        candidate: Version,
        verdict: Ruling,
        champion: Version | None,
        *,
        override: bool = False,
    ) -> Decision:
        """A decision on a candidate whose evidence is in order."""
        digest = evidence.check(self.registry, candidate) if verdict == "approve" else ""
        return self._decision(
            verdict,
            candidate=candidate.version,
            expected_champion=champion.version if champion else None,
            override=override,
            gates=evidence.gates(candidate),
            model_digest=candidate.tags.get(DIGEST_TAG, ""),
            report_digest=digest or candidate.tags.get("report.digest", ""),
        )

    def _decision(self, verdict: Ruling, **about: object) -> Decision:
        comment = self.comment().strip()
        if not comment:
            raise ParameterError("--comment is empty: give the reason for the decision")
        _require_text("--comment", comment, allowed="\t\r\n")
        _require_text("--reviewer", self.by)
        values = {"by": self.by, "account": self.account, "comment": comment, **about}
        return Decision(number=0, model=self.model, verdict=verdict, **values)  # type: ignore[arg-type]

    def _decide(self, seen: int, decision: Decision) -> Entry:
        """Append the decision after the ``seen`` that it was made in view of; carry it out."""
        with self.registry.writing() as client:
            entries = self.log.entries()
            # The number after what the reviewer saw: where somebody decided meanwhile it is taken,
            # and appending says so, instead of deciding in view of another state.
            after = entries[seen - 1].decision.sha256 if seen else ""
            decision = replace(decision, number=seen + 1, after=after)
            self.log.append(decision)
            return Entry(decision, self._carry_out(client, decision))

    def _carry_out(self, client: MlflowClient, decision: Decision) -> Outcome:
        try:
            with one_line(self.registry.uri):
                release.announce(client, decision)
                outcome = release.carry_out(client, decision, self.log)
        except RegistryError as error:
            # Any other failure leaves the decision open, and the next command finishes it. What is
            # refused to this account would be refused again: that is recorded as failed.
            if not is_refusal(error):
                raise
            reason = f"MLflow refused it to {self.account!r}: {error}"
            outcome = self.log.close(Outcome(number=decision.number, state=FAILED, reason=reason))
        if outcome.state == FAILED:
            raise RegistryError(
                f"nothing was changed: {outcome.reason}; recorded as failed decision "
                f"{decision.number}"
            )
        return outcome


def _require_text(option: str, text: str, allowed: str = "") -> None:
    """Refuse what would steer a terminal, forge a line of the record, or is no Unicode at all."""
    for letter in text:
        if unicodedata.category(letter) in {"Cc", "Cs"} and letter not in allowed:
            raise ParameterError(f"{option} contains the control character {letter!r}: remove it")


def another_record(announced: str, entries: list[Entry]) -> str:
    """Says that the registry knows a decision that is not among ``entries``; empty otherwise.

    ``announced`` was read before ``entries``.
    """
    if not announced or announced in {entry.decision.sha256 for entry in entries}:
        return ""
    return (
        "the record lacks the decision that the registry knows of; give the store that holds it "
        "with --store, or restore it"
    )


def unfinished(entries: list[Entry]) -> list[str]:
    """One line for each decision that was interrupted."""
    return [
        f"decision {entry.decision.number} was interrupted ({entry.decision.said}); the next "
        "approve, reject or rollback finishes it"
        for entry in entries
        if entry.outcome is None
    ]


def moved_by_others(champion: Version | None, entries: list[Entry]) -> str:
    """Says that ``champion`` is not where the record has it; empty where it is."""
    placed = _placed(entries)
    if not any(entry.applied for entry in entries):
        return ""
    if placed == (champion.version if champion else None):
        return ""
    if champion is None:
        return (
            f"no version is the champion, but the record has version {placed}: the alias was "
            "removed by other means; make a version champion with rollback --to"
        )
    return (
        f"champion is at version {champion.version}, but the record has version {placed}: moved "
        "by other means"
    )


def _placed(entries: list[Entry]) -> str | None:
    """The version that the record has as champion."""
    placed = [entry.outcome.champion for entry in entries if entry.applied and entry.outcome]
    return placed[-1] if placed else None


def _last(candidate: str, entries: list[Entry]) -> str:
    entry = last_on(candidate, entries)
    return entry.decision.said if entry else ""
