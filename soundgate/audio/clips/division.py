"""Which labels of a multi-label data set are learnt, and which of its clips on which side.

Sides that the data set or the user gives stand. What is missing is divided off the training clips,
whole recordings at a time and with labels spread evenly: the test is one fold of several, the
validation a share of the rest.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.splits import TEST, TRAINING, assign, make_folds
from soundgate.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.audio.clips.manifest import Clip

QUICK_CLIPS: Final = 100
"""About how many clips ``quick`` leaves."""
LEAST_CLIPS: Final = 2
"""Clips of a label that a fraction leaves in each split, where it has so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """How clips are divided where nothing else says."""

    validation_split: float = 0.2
    """Share of the training clips of each label that becomes validation, 0 to 1."""
    n_folds: int = 5
    """Folds that are made to hold one out as the test."""
    test_fold: int = 1
    """The one that is held out, from 1."""
    seed: int = 120
    """Seed of the folds, the validation share and the fraction."""
    fraction: float = 1.0
    """Share of the clips of each split that is used, above 0 to 1."""
    quick: bool = False
    """Whether no more than about :data:`QUICK_CLIPS` clips are used."""


def choose_labels(clips: Sequence[Clip], wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """The labels that are learnt: those of ``wanted`` in its order, or all that a clip has, sorted.

    Raises:
        ConfigError: no clip has one of ``wanted``.
        DataError: no clip has any label.
    """
    known = sorted({label for clip in clips for label in clip.labels})
    if not known:
        raise DataError("no clip has a label: nothing can be learnt; check the tables of labels")
    for label in wanted:
        if label not in known:
            raise ConfigError(f"labels: no clip is labelled {label!r}{nearest(label, known)}")
    return tuple(dict.fromkeys(wanted)) or tuple(known)


def restrict(clip: Clip, labels: Sequence[str]) -> Clip:
    """The clip with those of its labels, and of what was looked for in it, that are learnt."""
    judged = clip.judged
    if judged is not None:
        judged = {label: judged[label] for label in labels if label in judged}
    return replace(
        clip, labels=tuple(label for label in labels if label in clip.labels), judged=judged
    )


def divide(clips: Sequence[Clip], division: Division) -> list[Clip]:
    """The clips that are used, in their order, each with its split.

    Raises:
        DataError: a recording lies on two sides, there are fewer recordings than folds, or a label
            has no clip left to train on.
    """
    rows = [clip if clip.split else replace(clip, split=TRAINING) for clip in clips]
    if rows and all(clip.split != TEST for clip in rows):
        rows = _hold_out(rows, division)
    splits = assign(
        rows,
        test_fold=division.test_fold,
        validation_split=division.validation_split,
        seed=division.seed,
    )
    rows = [replace(clip, split=split) for clip, split in zip(rows, splits, strict=True)]
    fraction = division.fraction
    if division.quick:
        fraction = min(fraction, QUICK_CLIPS / max(len(rows), 1))
    return rows if fraction >= 1 else _some(rows, fraction, division.seed)


def _hold_out(rows: Sequence[Clip], division: Division) -> list[Clip]:
    """Turn one fold of the training clips into the test."""
    trained = [clip for clip in rows if clip.split == TRAINING]
    if all(clip.fold is not None for clip in trained):
        folds = [clip.fold or 0 for clip in trained]
    else:
        folds = make_folds(trained, division.n_folds, division.seed)
    if division.test_fold not in folds:
        known = ", ".join(map(str, sorted(set(folds))))
        raise DataError(f"test_fold: fold {division.test_fold} has no clips; known folds: {known}")
    of = dict(zip((clip.identity for clip in trained), folds, strict=True))
    return [
        replace(clip, split=TEST) if of.get(clip.identity) == division.test_fold else clip
        for clip in rows
    ]


def _some(rows: Sequence[Clip], fraction: float, seed: int) -> list[Clip]:
    """About ``fraction`` of the clips of each split and label, whole recordings at a time."""
    groups: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    total: Counter[tuple[str, str]] = Counter()
    for index, clip in enumerate(rows):
        side = str(clip.split)
        groups[side, ":".join(clip.recording)].append(index)
        total.update((side, label) for label in clip.labels or ("",))

    def rank(key: tuple[str, str]) -> bytes:
        return hashlib.sha256(f"{seed}:fraction:{key[1]}".encode()).digest()

    kept: list[int] = []
    taken: Counter[tuple[str, str]] = Counter()
    for key in sorted(groups, key=rank):
        held = Counter((key[0], label) for i in groups[key] for label in rows[i].labels or ("",))
        short = sum(
            min(max(fraction * total[each] - taken[each], 0), count) for each, count in held.items()
        )
        rare = any(taken[each] < min(LEAST_CLIPS, total[each]) for each in held if each[1])
        if rare or short * 2 >= held.total():
            taken += held
            kept += groups[key]
    return [rows[index] for index in sorted(kept)]
