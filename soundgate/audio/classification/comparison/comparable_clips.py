"""Selects the clips that two models can be compared on.

These are test clips with the same label in both models that the champion was not trained on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from soundgate.audio.clips.selection import OTHER
from soundgate.audio.clips.splits import TEST
from soundgate.audio.formats.model import clips_of
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.clips.manifest import Clip, Identity
    from soundgate.audio.formats.reports.clip_results import ClipResult


class Labelled(Protocol):
    """What a model says of its classes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of its outputs."""

    @property
    def multi_label(self) -> bool:
        """Whether a clip may carry several at once."""


@dataclass
class Chosen:
    """The clips that both models can be compared on, and how many cannot."""

    results: list[ClipResult] = field(default_factory=list)
    unknown_to_champion: int = 0
    unknown_to_candidate: int = 0
    champion_trained_on: int = 0

    @property
    def left_out(self) -> dict[str, int]:
        """Counts by reason, as ``comparison.json`` has them."""
        return {
            "unknown_to_champion": self.unknown_to_champion,
            "unknown_to_candidate": self.unknown_to_candidate,
            "champion_trained_on": self.champion_trained_on,
        }


def choose(
    results: Sequence[ClipResult],
    listed: Mapping[Identity, Clip],
    champion: Path,
    ours: Sequence[str],
    theirs: Sequence[str],
) -> Chosen:
    """Sort the candidate's test clips into those to compare on and those to leave out.

    Args:
        results: of the candidate on its test clips.
        listed: the manifest they are from.
        champion: the ``model/`` folder of the champion.
        ours: the candidate's classes.
        theirs: the champion's.

    Raises:
        DataError: a clip is not in the manifest, or the champion's split cannot be read.
    """
    # Its epoch was chosen by the validation clips: they are as known to it as the training ones.
    trained = clips_of(champion, lambda side: side != TEST)
    recordings = _recordings(trained, listed)
    chosen = Chosen()
    for result in results:
        clip = listed.get(result.identity)
        if clip is None:
            raise DataError(
                f"{result.path}: the report lists this clip, but the clips' manifest does not; "
                "compare with the clips of the same run"
            )
        name = _as_named_by(clip, theirs)
        if name - set(ours):
            chosen.unknown_to_candidate += 1
        elif name != set(result.truth):
            chosen.unknown_to_champion += 1
        elif result.identity in trained or clip.recording in recordings:
            chosen.champion_trained_on += 1
        else:
            chosen.results.append(result)
    return chosen


def _as_named_by(clip: Clip, classes: Sequence[str]) -> set[str]:
    """The classes a model knows the clip under; "other" where it has that one and no better."""
    known = set(clip.labels).intersection(classes)
    return known or ({OTHER} & set(classes))


def _recordings(trained: set[Identity], listed: Mapping[Identity, Clip]) -> set[tuple[str, str]]:
    """The recordings of what a model was trained on, as the manifest ``listed`` knows them.

    Of a segment that the manifest cuts otherwise it is not known which it was: all of its file are.
    """
    cut_otherwise = {path for path, *_ in trained - listed.keys()}
    return {
        clip.recording
        for key, clip in listed.items()
        if key in trained or clip.path in cut_otherwise
    }


def obstacle(chosen: Chosen, candidate: Labelled, champion: Labelled) -> str:
    """Why there is nothing to compare on; empty where there is."""
    if champion.multi_label != candidate.multi_label:
        kinds = {True: "multi-label", False: "single-label"}
        return (
            f"the champion is {kinds[champion.multi_label]}, "
            f"the candidate {kinds[candidate.multi_label]}: what counts as right differs"
        )
    if chosen.results:
        return ""
    if not set(candidate.classes) & set(champion.classes):
        return "the champion shares no class with the candidate"
    if chosen.champion_trained_on:
        return "the champion was trained on the recordings of every test clip that both know"
    return "no test clip is of a class that both models know"
