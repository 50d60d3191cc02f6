"""The record of decisions on a model: append-only, numbered without gaps, in the object store.

``reviews/<name>/00000001.json`` is a decision: who, when, why, on which bytes, and which version
was the champion then. Objects are created once, so that creating the next number is the
compare-and-set: of two reviewers who looked at the same state, one writes it, the other is told. A
decision names the SHA-256 of the one before (``after``): an altered or missing one is noticed.

``00000001.applied.json`` or ``00000001.failed.json`` says what became of it in the registry. A
decision without either was interrupted.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from soundgate.errors import RegistryError, StoreError
from soundgate.runs import now

if TYPE_CHECKING:
    from soundgate.store import Store

FORMAT = "soundgate.review/2"
FORMATS = ("soundgate.review/1", FORMAT)
"""Version 1 had no ``confirmed``."""
OUTCOME_FORMAT = "soundgate.review.outcome/1"
APPLIED, FAILED = "applied", "failed"
Ruling = Literal["approve", "reject", "rollback"]
"""What a reviewer can decide."""
DONE: Final[dict[Ruling, str]] = {
    "approve": "approved",
    "reject": "rejected",
    "rollback": "rolled back",
}

_NUMBER = re.compile(r"/(\d{8})\.json")
_Record = TypeVar("_Record", "Decision", "Outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision, as it is stored."""

    number: int
    model: str
    verdict: Ruling
    by: str
    account: str
    """Who signed in to the registry, or the login name."""
    comment: str
    candidate: str | None = None
    """Version of ``<model>-candidates``; None for a rollback."""
    target: str | None = None
    """Version of ``<model>`` that a rollback makes champion."""
    expected_champion: str | None = None
    """Version of ``<model>`` that was the champion when this was decided."""
    override: bool = False
    """Whether a gate was missed, or the candidate had been rejected."""
    gates: dict[str, str] = field(default_factory=dict)
    confirmed: tuple[str, ...] = ()
    """What the reviewer confirmed: classes lost or renamed, clips that were not compared."""
    model_digest: str = ""
    report_digest: str = ""
    after: str = ""
    at: str = field(default_factory=now)
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    format: str = FORMAT

    @property
    def said(self) -> str:
        """One line: who did what, when and why."""
        what = f"{DONE[self.verdict]} candidate {self.candidate}"
        if self.verdict == "rollback":
            what = f"rolled back from version {self.expected_champion} to {self.target}"
            if self.expected_champion is None:  # the alias had been removed by other means
                what = f"rolled back to version {self.target}"
        return f"{self.by} {what} at {self.at}: {self.comment.splitlines()[0]}"

    def as_bytes(self) -> bytes:
        """Return what is stored; of an older format the very bytes that its digest was made of."""
        values = asdict(self)
        if self.format != FORMAT:
            del values["confirmed"]
        return _bytes(values)

    @property
    def sha256(self) -> str:
        """Digest of what is stored."""
        return hashlib.sha256(self.as_bytes()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a decision in the registry."""

    number: int
    state: str
    """``applied`` or ``failed``."""
    reason: str = ""
    """Why it failed, or what could not be done besides."""
    released: str | None = None
    """Version of the model that an approval created."""
    champion: str | None = None
    previous: str | None = None
    at: str = field(default_factory=now)
    format: str = OUTCOME_FORMAT


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision and what became of it; None while that is not known."""

    decision: Decision
    outcome: Outcome | None

    @property
    def applied(self) -> bool:
        """Whether it took effect."""
        return self.outcome is not None and self.outcome.state == APPLIED


class DecisionLog:
    """The decisions on one model."""

    def __init__(self, store: Store, model: str) -> None:
        """Read and write below ``reviews/<model>/`` of ``store``."""
        self.store = store
        self.model = model

    def entries(self) -> list[Entry]:
        """Every decision, oldest first, each checked against the next.

        Raises:
            StoreError: one is missing, damaged or altered, or the store failed.
        """
        keys = list(self.store.list(f"reviews/{self.model}/"))
        numbers = [int(found[1]) for key in keys if (found := _NUMBER.search(key))]
        if numbers != list(range(1, len(numbers) + 1)):
            raise StoreError(
                f"{self.store.url}: the decisions on {self.model!r} have a gap: expected 1 to "
                f"{len(numbers)}, found {', '.join(map(str, numbers))}; restore the missing one"
            )
        entries: list[Entry] = []
        before = ""
        for number in numbers:
            data = self.store.read(self._key(number))
            decision = self._parse(Decision, self._key(number), data)
            if decision.after != before or decision.number != number:
                raise StoreError(
                    f"{self.store.url}: {self._key(number)!r} does not match the previous "
                    "decision; one of them was altered: restore both"
                )
            before = hashlib.sha256(data).hexdigest()
            entries.append(Entry(decision, self._outcome(number, keys)))
        return entries

    def append(self, decision: Decision) -> None:
        """Create the decision's number.

        Raises:
            RegistryError: somebody else decided meanwhile; the text says who and what.
            StoreError: the store failed.
        """
        key = self._key(decision.number)
        try:
            self.store.put(key, decision.as_bytes())
        except StoreError:
            if not self.store.exists(key):
                raise
            other = self._parse(Decision, key, self.store.read(key))
            raise RegistryError(
                f"meanwhile {other.said}; your decision changed nothing: run 'review-model list' "
                f"and decide again"
            ) from None

    def close(self, outcome: Outcome) -> Outcome:
        """Record what became of a decision; one recorded earlier stays and is returned."""
        key = self._key(outcome.number, outcome.state)
        try:
            self.store.put(key, _bytes(asdict(outcome)))
        except StoreError:
            if not self.store.exists(key):
                raise
            return self._parse(Outcome, key, self.store.read(key))
        return outcome

    def outcome(self, number: int) -> Outcome | None:
        """What became of one decision."""
        return self._outcome(number, list(self.store.list(self._key(number, ""))))

    def _outcome(self, number: int, keys: list[str]) -> Outcome | None:
        for state in (APPLIED, FAILED):  # of both, what took effect counts
            key = self._key(number, state)
            if key in keys:
                return self._parse(Outcome, key, self.store.read(key))
        return None

    def _key(self, number: int, state: str | None = None) -> str:
        stem = f"reviews/{self.model}/{number:08d}."
        return f"{stem}json" if state is None else f"{stem}{state}.json" if state else stem

    def _parse(self, kind: type[_Record], key: str, data: bytes) -> _Record:
        try:
            values = json.loads(data)
            if kind is Decision:
                values["confirmed"] = tuple(values["confirmed"] if _is_present(values) else ())
            found = kind(**{f.name: values[f.name] for f in fields(kind)})
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self.store.url}: {key!r} is not a review record: {error!r}"
            ) from error
        if isinstance(found, Decision) and found.verdict not in DONE:
            raise StoreError(
                f"{self.store.url}: {key!r} has verdict {found.verdict!r}; expected "
                f"{', '.join(DONE)}"
            )
        known = FORMATS if kind is Decision else (OUTCOME_FORMAT,)
        if found.format not in known:
            raise StoreError(
                f"{self.store.url}: {key!r} has format {found.format!r}; expected {known[-1]!r}"
            )
        return found


def _is_present(values: dict[str, Any]) -> bool:
    return bool(values["format"] == FORMAT)


def _bytes(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=1, ensure_ascii=False) + "\n").encode()


def standing(candidate: str, entries: list[Entry]) -> tuple[str, Entry | None]:
    """The status of a candidate, and the decision that gave it.

    The last decision on it that took effect counts: ``approved`` or ``rejected``. A rollback that
    withdrew its release makes it ``rolled back``, until another one restores that release.
    """
    made = {e.outcome.released: e.decision.candidate for e in entries if e.applied and e.outcome}
    restored = False
    for entry in reversed(entries):
        decision = entry.decision
        if not entry.applied:
            continue
        if decision.candidate == candidate:
            return DONE[decision.verdict], entry
        if decision.verdict == "rollback":
            if made.get(decision.target) == candidate:
                restored = True
            elif not restored and made.get(decision.expected_champion) == candidate:
                return DONE["rollback"], entry
    return "pending", None


def status_of(candidate: str, entries: list[Entry]) -> str:
    """``pending``, ``approved``, ``rejected`` or ``rolled back``."""
    return standing(candidate, entries)[0]


def rejected_copy(candidate: str, digest: str, entries: list[Entry]) -> str | None:
    """Another candidate with the same bytes whose last decision is a rejection."""
    about = [e.decision.candidate for e in entries if digest and e.decision.model_digest == digest]
    copies = {copy for copy in about if copy is not None and copy != candidate}
    rejected = [copy for copy in copies if status_of(copy, entries) == "rejected"]
    return max(rejected, key=int) if rejected else None


def last_on(candidate: str, entries: list[Entry]) -> Entry | None:
    """The decision that gave a candidate its status."""
    return standing(candidate, entries)[1]


def release_of(candidate: str, entries: list[Entry]) -> Entry | None:
    """The approval that released a candidate."""
    found = [
        e
        for e in entries
        if e.applied and e.decision.candidate == candidate and e.decision.verdict == "approve"
    ]
    return found[-1] if found else None


def approval_of(released: str | None, entries: list[Entry]) -> Decision | None:
    """The approval that made a released version; None where the record has none.

    The newest counts: MLflow begins at 1 again where the whole model was deleted.
    """
    for entry in reversed(entries):
        if entry.applied and entry.outcome and released and entry.outcome.released == released:
            return entry.decision
    return None


def candidate_of(released: str | None, entries: list[Entry]) -> str | None:
    """The candidate that a released version was made from."""
    approval = approval_of(released, entries)
    return approval.candidate if approval else None
