"""OpenMIC-2018 (Humphrey, Durand, McFee; ISMIR 2018): probabilities of 20 instruments, sparsely.

    openmic-2018-aggregated-labels.csv     sample_key, instrument, relevance, num_responses
    partitions/split01_train.csv           a sample_key a line, without a header
    audio/000/000046_3840.ogg              an excerpt of track 000046

An instrument that is not in the table of a clip was not looked for there: it is masked.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.manifest import Clip
from soundgate.audio.clips.tables import read_table
from soundgate.audio.datasets.layouts.listing import LayoutFolder, Listing, check_label
from soundgate.audio.files import reading
from soundgate.errors import DataError, unreadable

if TYPE_CHECKING:
    from pathlib import Path

TABLE: Final = "openmic-2018-aggregated-labels.csv"
PARTITIONS: Final = {"training": "split01_train.csv", "test": "split01_test.csv"}
PRESENT: Final = 0.5
"""Relevance from which the authors count an instrument as present."""


def list_clips(root: LayoutFolder) -> Listing:
    """The clips of the partition that belongs to the folder's split, or of both.

    Raises:
        DataError: a table, a partition or a clip is missing or wrong, or validation clips are asked
            for, which OpenMIC does not set apart.
    """
    if root.split == "validation":
        raise DataError(
            f"{root.folder}: OpenMIC sets no validation clips apart: leave it out of val_paths, "
            "they become a share of the training clips"
        )
    judged = _read_judgements(root.folder / TABLE)
    files = {path.stem: path for path in reading.find(root.folder)}
    clips = []
    for split in PARTITIONS if root.both_sides else (root.split or "training",):
        for where, key in _read_keys(root.folder / "partitions" / PARTITIONS[split]):
            if key not in judged:
                raise DataError(f"{where}: sample_key {key!r} has no row in {TABLE}: correct it")
            if key not in files:
                raise DataError(f"{where}: {key} has no audio in {root.folder}: add the clip")
            clips.append(_clip(root, files[key], judged[key], split))
    return Listing(clips)


def _clip(root: LayoutFolder, path: Path, judged: dict[str, float], split: str) -> Clip:
    present = tuple(sorted(label for label, value in judged.items() if value >= PRESENT))
    return Clip(
        path.relative_to(root.folder).as_posix(),
        present,
        split=split,
        source=f"openmic-{path.stem.partition('_')[0]}",
        judged=judged,
    )


def _read_judgements(table: Path) -> dict[str, dict[str, float]]:
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    rows = read_table(table)
    _, header = next(rows)
    for name in ("sample_key", "instrument", "relevance"):
        if name not in header:
            raise DataError(f"{table}:1: no column {name!r} in the header: use OpenMIC's own table")
    at = [header.index(name) for name in ("sample_key", "instrument", "relevance")]
    for line, cells in rows:
        where = f"{table}:{line}"
        if len(cells) != len(header):
            raise DataError(f"{where}: {len(cells)} cells for {len(header)} columns: correct it")
        key, label, text = (cells[index].strip() for index in at)
        check_label(f"{where}: column 'instrument'", label)
        if label in found[key]:
            raise DataError(f"{where}: {key} has {label!r} twice: keep one row")
        found[key][label] = _relevance(where, text)
    return found


def _relevance(where: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise DataError(f"{where}: column 'relevance': {text!r} is not a number from 0 to 1")
    return value


def _read_keys(path: Path) -> list[tuple[str, str]]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text: use OpenMIC's own partition") from None
    numbered = enumerate((line.strip() for line in lines), 1)
    return [(f"{path}:{number}", key) for number, key in numbered if key]
