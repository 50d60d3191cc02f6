"""Folders of the server: which may be read, which clips are in them, and what is true of these."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundgate.audio.datasets.layouts import irmas, strings, tables
from soundgate.audio.datasets.layouts.listing import LayoutFolder
from soundgate.audio.metrics.multilabel import Tags, figures
from soundgate.audio.prediction.listing import listing
from soundgate.errors import DataError, ParameterError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.audio.metrics.multilabel import Figures
    from soundgate.audio.serving.scoring.answers import RecordingAnswer

LABELLED: Final = {strings.IRMAS_TEST: irmas.list_test, strings.IRMAS_TRAIN: irmas.list_training}
DATASET_TYPES: Final = (*LABELLED, strings.CSV)
"""What ``/model/test-directory`` takes."""


class Forbidden(Exception):
    """A path that requests may not name."""


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A file, and the labels that are true of it."""

    path: Path
    name: str
    """Below the folder that was named."""
    labels: frozenset[str] = frozenset()
    judged: frozenset[str] = frozenset()
    """Labels that were looked for in it."""


def permitted(text: str, roots: Sequence[Path]) -> Path:
    """A path of a request, links resolved.

    Raises:
        Forbidden: it does not lie below a root, or is not there; which of the two is not told.
    """
    if not roots:
        raise Forbidden("no folder is open to requests; start the service with --root DIR")
    path = Path(text).resolve()
    if not _below(path, roots) or not path.exists():
        raise Forbidden(f"{text}: is not below a folder that is open to requests")
    return path


def files_of(text: str, roots: Sequence[Path]) -> list[LabelledFile]:
    """The audio files of a folder and its folders, or of a table with a column ``file``.

    Raises:
        Forbidden: it lies, or links, elsewhere.
        DataError: there is no audio.
    """
    path = permitted(text, roots)
    if path.suffix.lower() == strings.TABLE:
        found = tables.list_unlabelled(path, {"": path.parent})[""].clips
        folder, names = path.parent, [clip.path for clip in found]
    else:
        folder, segments = listing(path, None)
        names = [segment.path for segment in segments()]
    if not names:
        raise DataError(f"{text}: contains no audio: check the path")
    return [LabelledFile(_inside(folder / name, text, roots), name) for name in names]


def labelled_files(
    kind: str, text: str, roots: Sequence[Path], labels: Sequence[str]
) -> list[LabelledFile]:
    """The files of a labelled folder or table, with what is true of them.

    Args:
        kind: one of ``DATASET_TYPES``.
        text: path of the request.
        roots: folders that requests may name.
        labels: of the model.

    Raises:
        Forbidden: it lies, or links, elsewhere.
        ParameterError: there is no such type.
        DataError: a label or a table is wrong, or there is no audio.
    """
    if kind not in DATASET_TYPES:
        raise ParameterError(f"dataset_type: unknown {kind!r}{nearest(kind, DATASET_TYPES)}")
    path = permitted(text, roots)
    if kind == strings.CSV:
        folder, found = path.parent, tables.list_labelled(path, {"": path.parent})[""]
    else:
        for each in path.rglob("*"):  # the files of labels too
            _inside(each, text, roots)
        folder, found = path, LABELLED[kind](LayoutFolder(path, None, tuple(labels)))
    judged = found.judged or frozenset(label for clip in found.clips for label in clip.labels)
    return [
        LabelledFile(
            _inside(folder / clip.path, text, roots), clip.path, frozenset(clip.labels), judged
        )
        for clip in found.clips
    ]


def metrics_of(
    heard: Sequence[tuple[LabelledFile, RecordingAnswer]], labels: Sequence[str], *, each: bool
) -> dict[str, float | None]:
    """Means over labels by the names of older services; null where nothing was annotated.

    Args:
        heard: files with their answers.
        labels: of the model.
        each: whether figures of each label are added.
    """
    found = _figures(heard, labels)
    means = {
        "accuracy": 1 - found.hamming_distance,
        "hamming_distance": found.hamming_distance,
        "f1": found.macro_f1,
        "precision": found.macro_precision,
        "recall": found.macro_recall,
    }
    singles = {
        f"instruments/{label}_{name}": getattr(found, name)[k]
        for k, label in enumerate(labels if each else ())
        for name in ("f1", "precision", "recall")
    }
    return {name: _number(value) for name, value in (means | singles).items()}


def _figures(
    heard: Sequence[tuple[LabelledFile, RecordingAnswer]], labels: Sequence[str]
) -> Figures:
    def table(rows: Sequence[Any]) -> Any:
        return np.array(rows).reshape(len(heard), len(labels))

    return figures(
        Tags(
            truth=table([[label in file.labels for label in labels] for file, _ in heard]),
            scores=table([[found.scores[label] for label in labels] for _, found in heard]),
            decided=table([[label in found.labels for label in labels] for _, found in heard]),
            mask=table([[label in file.judged for label in labels] for file, _ in heard]),
        )
    )


def _number(value: Any) -> float | None:
    number = float(value)
    return round(number, 6) if np.isfinite(number) else None


def _inside(path: Path, text: str, roots: Sequence[Path]) -> Path:
    found = path.resolve()
    if not _below(found, roots):
        raise Forbidden(f"{text}: has a link out of the folders that are open to requests")
    return found


def _below(path: Path, roots: Sequence[Path]) -> bool:
    return any(path.is_relative_to(root) for root in roots)
