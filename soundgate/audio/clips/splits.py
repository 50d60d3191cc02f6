"""Divide clips into training, validation and test so that no original recording is on two sides."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Protocol

from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TRAINING, VALIDATION, TEST = "training", "validation", "test"


class Labelled(Protocol):
    """What folds are made of: ``manifest.Clip`` and ``frames.Row`` have it."""

    @property
    def path(self) -> str:
        """Identity of the clip's file."""

    @property
    def labels(self) -> Sequence[str]:
        """Classes of the clip."""

    @property
    def source(self) -> str | None:
        """The original recording; None: the file itself."""


class Foldable(Labelled, Protocol):
    """What is divided: ``frames.Row`` has it."""

    @property
    def fold(self) -> int | None:
        """Cross-validation fold, from 1."""

    @property
    def split(self) -> str | None:
        """The data set's own split."""


def make_folds(rows: Iterable[Labelled], n_folds: int, seed: int) -> list[int]:
    """Give every row a fold from 1 to ``n_folds``: one fold a source, classes spread evenly.

    Sources are dealt, the largest first, to the fold that holds the fewest clips of their classes.
    The result depends on ``seed`` and on each row's identity, not on the order of the rows.

    Raises:
        DataError: there are fewer sources than folds.
    """
    rows = list(rows)
    groups = _groups(rows)
    if len(groups) < n_folds:
        raise DataError(
            f"dataset.n_folds: {n_folds} folds need at least as many independent recordings, got "
            f"{len(groups)}; lower n_folds or add recordings"
        )
    held = [Counter[str]() for _ in range(n_folds)]
    sizes = [0] * n_folds
    folds = [0] * len(rows)
    for key in _dealing_order(groups, rows, seed):
        labels = Counter(label for index in groups[key] for label in rows[index].labels)
        fold = min(
            range(n_folds),
            key=lambda n: (sum(held[n][label] * k for label, k in labels.items()), sizes[n], n),
        )
        held[fold] += labels
        sizes[fold] += len(groups[key])
        for index in groups[key]:
            folds[index] = fold + 1
    return folds


def assign(
    rows: Iterable[Foldable], *, test_fold: int, validation_split: float, seed: int
) -> list[str]:
    """Say of every row whether it is "training", "validation" or "test".

    Where the data set brings a split of its own, it stands. Otherwise the clips of ``test_fold``
    are the test, and of the rest a share of ``validation_split`` of each class is the validation,
    whole sources at a time. A data set that brings training and test clips but no validation gives
    that share from its training clips.

    Raises:
        DataError: the data set's own split tears a source apart or covers some clips only, a source
            lies in the test fold and outside, no clip is in ``test_fold``, or a class has no clip
            left to train on.
    """
    rows = list(rows)
    own = {row.split for row in rows}
    if None in own and len(own) > 1:
        row = next(row for row in rows if row.split is None)
        raise DataError(f"{row.path}: has no split, but other clips do; give it a split")
    if None in own or not rows:
        splits = [TEST if row.fold == test_fold else TRAINING for row in rows]
        _need_test_clips(rows, splits, test_fold)
    else:
        splits = [str(row.split) for row in rows]
    _check_whole_sources(rows, splits)
    if VALIDATION not in own and validation_split > 0:
        _choose_validation(rows, splits, validation_split, seed)
    _check_classes(rows, splits)
    return splits


def _source(row: Labelled) -> str:
    return f"file:{row.path}" if row.source is None else f"source:{row.source}"


def _groups(rows: Sequence[Labelled]) -> dict[str, list[int]]:
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        groups[_source(row)].append(index)
    return groups


def _dealing_order(groups: dict[str, list[int]], rows: Sequence[Labelled], seed: int) -> list[str]:
    """Sources, the largest first; equals in an order that only ``seed`` and their names decide."""

    def rank(key: str) -> tuple[int, str, bytes]:
        labels = min((label for index in groups[key] for label in rows[index].labels), default="")
        return -len(groups[key]), labels, hashlib.sha256(f"{seed}:{key}".encode()).digest()

    return sorted(groups, key=rank)


def _choose_validation(
    rows: Sequence[Foldable], splits: list[str], share: float, seed: int
) -> None:
    """Turn ``share`` of the training clips of each class into validation, in place."""
    trained = [index for index, split in enumerate(splits) if split == TRAINING]
    total = Counter(label for index in trained for label in rows[index].labels)
    wanted = {label: share * count for label, count in total.items()}
    left = Counter(total)
    groups = _groups([rows[index] for index in trained])
    members = {key: [trained[position] for position in group] for key, group in groups.items()}

    def rank(key: str) -> bytes:
        return hashlib.sha256(f"{seed}:validation:{key}".encode()).digest()

    for key in sorted(members, key=rank):
        labels = Counter(label for index in members[key] for label in rows[index].labels)
        # A source is taken if that brings its classes nearer to their share, none beyond it by
        # more than half of the source, and if each of them keeps a clip to train on.
        short = sum(min(wanted[label], count) for label, count in labels.items())
        if labels and short * 2 >= labels.total() and all(left[k] > labels[k] for k in labels):
            for label, count in labels.items():
                wanted[label] -= count
                left[label] -= count
            for index in members[key]:
                splits[index] = VALIDATION


def _need_test_clips(rows: Sequence[Foldable], splits: Sequence[str], test_fold: int) -> None:
    if rows and TEST not in splits:
        folds = ", ".join(str(fold) for fold in sorted({row.fold or 0 for row in rows}))
        raise DataError(f"dataset.test_fold: fold {test_fold} has no clips; known folds: {folds}")


def _check_whole_sources(rows: Sequence[Foldable], splits: Sequence[str]) -> None:
    first: dict[str, tuple[str, str]] = {}
    for row, split in zip(rows, splits, strict=True):
        path, before = first.setdefault(_source(row), (row.path, split))
        if before != split:
            raise DataError(
                f"{row.path}: is in {split}, but {path} from the same source is in {before}; "
                "clips of one recording must be in the same split"
            )


def _check_classes(rows: Sequence[Foldable], splits: Sequence[str]) -> None:
    classes = {label for row in rows for label in row.labels}
    trained = {
        label
        for row, split in zip(rows, splits, strict=True)
        if split == TRAINING
        for label in row.labels
    }
    if missing := sorted(classes - trained):
        raise DataError(
            f"no training clips for {', '.join(missing)}; add clips, choose another "
            "dataset.test_fold or leave the class out of dataset.class_names"
        )
