"""What a release would change for the users of a model: its classes, and how it was compared.

Gates judge a candidate by itself. That it knows fewer classes than the champion, or was never held
against it on the same clips, is no fault of the candidate's; a reviewer has to confirm it.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from soundgate.errors import printable
from soundgate.registry.versions.figures import incomparable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundgate.registry.versions.lookup import Version

CLASSES_TAG = "classes"
"""JSON list of the class names of a version, in the order of its scores."""
COMPARED_TAG = "comparison.summary"
LISTED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How a candidate was held against the champion of its run: what its comparison says."""

    version: str
    """Of the champion."""
    run_id: str = ""
    """MLflow's id of the run that trained the champion; empty where it is not recorded."""
    compared: bool
    paired: bool
    """Whether both were scored on the same clips."""
    clips: int
    """How many clips were compared."""
    left_out: int
    """How many test clips were not."""
    few: bool
    """Whether these are too few to speak for the others."""
    reason: str = ""
    """Why nothing was compared."""

    def is_with(self, champion: Version) -> bool:
        """Whether it was this champion; a model that was deleted whole counts from 1 again."""
        same_run = not self.run_id or self.run_id == champion.run_id
        return self.version == champion.version and same_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs between a candidate and the champion; empty where there is no champion."""

    lost: tuple[str, ...] = ()
    """Classes that only the champion knows."""
    gained: tuple[str, ...] = ()
    """Classes that only the candidate knows."""
    renamed: tuple[tuple[str, str], ...] = ()
    """Classes whose name differs in letter case, spaces or punctuation: champion's, candidate's."""
    compared: Compared | None = None
    """The comparison with this champion; None where there was none."""
    unconfirmed: tuple[str, ...] = ()
    """Why the release has to be confirmed; empty where nothing stands against it."""


def change_tags(classes: Sequence[str], compared: Compared | None) -> dict[str, str]:
    """The tags of a version for its classes and its comparison; none for what is not known."""
    tags = {CLASSES_TAG: json.dumps(list(classes), ensure_ascii=False)} if classes else {}
    if compared is not None:
        tags[COMPARED_TAG] = json.dumps(asdict(compared), ensure_ascii=False)
    return tags


def changes(candidate: Version, champion: Version | None) -> Changes:
    """What releasing ``candidate`` in place of ``champion`` would change."""
    if champion is None:
        return Changes()
    ours, theirs = _classes(candidate.tags), _classes(champion.tags)
    renamed = _renamed(theirs, ours) if ours and theirs else ()
    old, new = {pair[0] for pair in renamed}, {pair[1] for pair in renamed}
    known = bool(ours and theirs)
    lost = tuple(name for name in theirs if known and name not in ours and name not in old)
    gained = tuple(name for name in ours if known and name not in theirs and name not in new)
    compared = _compared(candidate.tags)
    if compared is not None and not compared.is_with(champion):
        compared = None
    return Changes(
        lost=lost,
        gained=gained,
        renamed=renamed,
        compared=compared,
        unconfirmed=tuple(
            filter(
                None,
                [
                    _unknown(ours, theirs),
                    _said(lost, "would be lost"),
                    _said([f"{before} -> {after}" for before, after in renamed], "are renamed"),
                    _comparison_doubt(compared, candidate, champion),
                ],
            )
        ),
    )


def _unknown(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Says that classes of one alone are recorded; a system without classes has none of either."""
    if bool(ours) == bool(theirs):
        return ""
    which = "champion" if ours else "candidate"
    return f"the classes of the {which} are not recorded, so none can be called kept"


def _said(names: Sequence[str], what: str) -> str:
    if not names:
        return ""
    shown = ", ".join(map(printable, names[:LISTED]))
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    verb = what.replace("are ", "is ") if len(names) == 1 else what
    return (
        f"{len(names)} class{'' if len(names) == 1 else 'es'} of the champion {verb}: {shown}{more}"
    )


def _comparison_doubt(compared: Compared | None, candidate: Version, champion: Version) -> str:
    """Why the two were not compared on the same test clips; empty where they were."""
    # A paired comparison knows more than the digests: it also leaves out what the champion learnt.
    if compared is None or not compared.paired:
        different = incomparable(candidate.tags, champion.tags)
        return f"not compared on the same test clips: {different}" if different else ""
    if not compared.compared:
        return f"not compared with the champion: {compared.reason}"
    if compared.few:
        tested = compared.clips + compared.left_out
        return f"compared with the champion on only {compared.clips} of {tested} test clips"
    return ""


def _renamed(theirs: Sequence[str], ours: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of names, champion's and candidate's, that a reader would take for the same class."""
    gained = {_letters(name): name for name in ours if name not in theirs}
    lost = {_letters(name): name for name in theirs if name not in ours}
    return tuple((name, gained[key]) for key, name in lost.items() if key and key in gained)


def _letters(name: str) -> str:
    """The letters and digits of a name without case: what ``Dog bark`` and ``dog_bark`` share."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def _classes(tags: Mapping[str, str]) -> list[str]:
    try:
        found = json.loads(tags.get(CLASSES_TAG, "[]"))
    except ValueError:
        return []
    return [str(name) for name in found] if isinstance(found, list) else []


def _compared(tags: Mapping[str, str]) -> Compared | None:
    """The comparison in the tags; one that is absent or damaged vouches for nothing."""
    try:
        found = Compared(**json.loads(tags[COMPARED_TAG]))
    except (KeyError, TypeError, ValueError):
        return None
    return found
