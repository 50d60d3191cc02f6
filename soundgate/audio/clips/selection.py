"""Which clips of a data set are used, under which classes and in which fold."""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.audio.clips.manifest import Clip, read_manifest
from soundgate.audio.clips.splits import make_folds
from soundgate.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from soundgate.audio.config.sections.data import Dataset

OTHER = "other"
"""The class of all sounds outside ``dataset.class_names``."""


@dataclass(frozen=True, slots=True)
class Member:
    """A clip that is used."""

    labels: tuple[str, ...]
    fold: int


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

    def members(self) -> Iterator[Member | None]:
        """For every row of the manifest how it is used; None: it is not."""
        for which, fold in zip(self.which, self.folds, strict=True):
            yield None if which < 0 else Member(self.label_sets[which], fold)


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
    unfolded: list[Clip] = []
    for number, clip in enumerate(read_manifest(clips)):
        labels = _labels(clip, inside, dataset, other=number in garbage)
        which.append(label_sets.setdefault(labels, len(label_sets)) if labels else -1)
        folds.append(clip.fold or 0)
        if labels and clip.fold is None:
            unfolded.append(Clip(clip.path, labels, source=clip.source))
    count = sum(index >= 0 for index in which)
    if not count:
        raise DataError(f"{clips}: no clips are left; check dataset.class_names and the manifest")
    if unfolded:
        if len(unfolded) != count:
            raise DataError(
                f"{clips / unfolded[0].path}: has no fold, but other clips do; "
                "give all clips a fold, or none"
            )
        made = iter(make_folds(unfolded, dataset.n_folds, dataset.seed))
        folds = array("i", (next(made) if index >= 0 else 0 for index in which))
    return Selection(tuple(sorted(classes)), count, tuple(label_sets), which, folds)


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
