"""Which clips of a data set are used, under which classes and in which fold."""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from soundgate.audio.clips.identical import joint_sources
from soundgate.audio.clips.manifest import Clip, read_manifest
from soundgate.audio.clips.splits import make_folds
from soundgate.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from soundgate.audio.config.sections.data import Dataset

OTHER = "other"
"""The class of all sounds outside ``dataset.class_names``."""


@dataclass(frozen=True, slots=True)
class Member:
    """A clip that is used."""

    labels: tuple[str, ...]
    fold: int
    source: str | None
    """Where clips of the same bytes are one recording: its name; None: as the manifest says."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is used of a manifest: 8 bytes a clip, so that the clips themselves can be streamed."""

    classes: tuple[str, ...]
    """All classes, sorted."""
    count: int
    """Number of clips that are used."""
    label_sets: tuple[tuple[str, ...], ...]
    """The combinations of labels that occur."""
    which: array[int]
    """For every row of the manifest the index of its combination; -1: the row is not used."""
    folds: array[int]
    """For every row its fold, from 1."""
    sources: Mapping[int, str | None]
    """By the number of the row, where the same bytes make several recordings one."""

    def members(self) -> Iterator[Member | None]:
        """For every row of the manifest how it is used; None: it is not."""
        for number, (which, fold) in enumerate(zip(self.which, self.folds, strict=True)):
            source = self.sources.get(number)
            yield None if which < 0 else Member(self.label_sets[which], fold, source)


def choose(clips: Path, dataset: Dataset) -> Selection:
    """Choose the clips of ``clips/manifest.jsonl`` that ``dataset`` asks for.

    Clips of classes outside ``class_names`` are dropped, or, with ``use_garbage_class``, a sample
    of each such class is labelled "other". Folds are made where the data set brings none.

    Raises:
        ConfigError: ``class_names`` names a class that no clip has.
        DataError: no clip is left, or one carries several labels without ``multi_label``.
    """
    known = {label for clip in read_manifest(clips) for label in clip.labels}
    for name in dataset.class_names:
        if name not in known:
            raise ConfigError(
                f"dataset.class_names: no clip is labelled {name!r}{nearest(name, sorted(known))}"
            )
    inside = frozenset(dataset.class_names) or known
    classes = set(inside) | ({OTHER} if dataset.use_garbage_class else set())
    garbage = _garbage(clips, inside, dataset) if dataset.use_garbage_class else frozenset()
    label_sets: dict[tuple[str, ...], int] = {}
    which, folds = array("i"), array("i")
    used: dict[int, Clip] = {}
    for number, clip in enumerate(read_manifest(clips)):
        labels = _labels(clip, inside, dataset, other=number in garbage)
        which.append(label_sets.setdefault(labels, len(label_sets)) if labels else -1)
        folds.append(clip.fold or 0)
        if labels:
            used[number] = replace(clip, labels=labels, events=())
    if not used:
        raise DataError(f"{clips}: no clips are left; check dataset.class_names and the manifest")
    sources = _joint_sources(clips, used) if dataset.group_identical else {}
    used |= {number: replace(used[number], source=source) for number, source in sources.items()}
    if any(clip.fold is None for clip in used.values()):
        _fold(clips, used, dataset, folds)
    return Selection(tuple(sorted(classes)), len(used), tuple(label_sets), which, folds, sources)


def _joint_sources(clips: Path, used: Mapping[int, Clip]) -> dict[int, str | None]:
    """Sources that differ from the clips' own, by the number of the row."""
    joint = joint_sources(clips, list(used.values()))
    return {
        number: source
        for (number, clip), source in zip(used.items(), joint, strict=True)
        if source != clip.source
    }


def _fold(clips: Path, used: Mapping[int, Clip], dataset: Dataset, folds: array[int]) -> None:
    """Give clips without folds theirs, in place."""
    unfolded = [clip for clip in used.values() if clip.fold is None]
    if len(unfolded) != len(used):
        raise DataError(
            f"{clips / unfolded[0].path}: has no fold, but other clips do; "
            "give all clips a fold, or none"
        )
    made = make_folds(unfolded, dataset.n_folds, dataset.seed)
    for number, fold in zip(used, made, strict=True):
        folds[number] = fold


def _labels(
    clip: Clip, inside: frozenset[str] | set[str], dataset: Dataset, *, other: bool
) -> tuple[str, ...]:
    labels = tuple(sorted({label for label in clip.labels if label in inside}))
    if not labels and other:
        return (OTHER,)
    if len(labels) > 1 and not dataset.multi_label:
        raise DataError(
            f"{clip.path}: has {len(labels)} labels ({', '.join(labels)}); set "
            "dataset.multi_label: true or label it once"
        )
    return labels


def _garbage(clips: Path, inside: frozenset[str] | set[str], dataset: Dataset) -> frozenset[int]:
    """Row numbers of a seeded sample of each class outside; what is inside too is no garbage."""
    best: defaultdict[str, list[tuple[bytes, int]]] = defaultdict(list)
    for number, clip in enumerate(read_manifest(clips)):
        if inside.isdisjoint(clip.labels):
            # A clip's rank depends on itself only, so adding clips moves few others.
            identity = f"{dataset.seed}:{clip.path}:{clip.start_s}:{clip.end_s}"
            rank = hashlib.sha256(identity.encode()).digest()
            for label in clip.labels:
                ranked = best[label]
                ranked.append((rank, number))
                ranked.sort()
                del ranked[dataset.n_samples_per_garbage_class :]
    return frozenset(number for ranked in best.values() for _, number in ranked)
