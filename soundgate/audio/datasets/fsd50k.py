"""FSD50K: 51,197 Freesound clips of 0.3 to 30 s, 200 classes of AudioSet, a dev and an eval set.

The layout is that of Zenodo's record: ``FSD50K.dev_audio/``, ``FSD50K.eval_audio/``,
``FSD50K.ground_truth/{dev,eval}.csv`` (columns fname, labels, mids and, in dev, split), and, from
AudioSet, ``ontology.json``. Both sets may also be two sources, each with the folder of the tables.
Tables are read, never written.

Every clip carries its labels *smeared*: with "Electric_guitar" come "Guitar" and "Music". As in the
STM32 model zoo a label is dropped if a child of it, by the ontology's ``child_ids``, is among the
clip's labels; one level, so that a label whose grandchild alone is there stays.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.manifest import Clip
from soundgate.audio.datasets.base import OWN_SPLIT, Dataset, Source, check_folder, option
from soundgate.errors import DataError, ParameterError, nearest, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

DEV: Final = "FSD50K.dev_audio"
EVAL: Final = "FSD50K.eval_audio"
TABLES: Final = "FSD50K.ground_truth"
ONTOLOGY: Final = "ontology.json"

HOMEPAGE: Final = "https://zenodo.org/records/4060432"
_ONTOLOGY_URL: Final = "https://raw.githubusercontent.com/audioset/ontology/master/ontology.json"
_ARCHIVES: Final = (
    *(f"{DEV}.z{number:02d}" for number in range(1, 6)),
    f"{DEV}.zip",
    f"{EVAL}.z01",
    f"{EVAL}.zip",
    f"{TABLES}.zip",
)
DOWNLOAD_COMMAND: Final = "\n".join(
    (
        f"for part in {' '.join(_ARCHIVES)}; do",
        f'  curl -fsSL --retry 5 -C - -o "./temp/$part" "{HOMEPAGE}/files/$part?download=1"',
        "done",
        f"curl -fsSL --retry 5 -o ./temp/{ONTOLOGY} {_ONTOLOGY_URL}",
    )
)
_SPLITS: Final = {"train": "training", "val": "validation"}


@dataclass(frozen=True, slots=True)
class Options:
    """FSD50K (Fonseca et al., 2022): where it lies, if not downloaded, and which clips are used."""

    csv_folder: str | None = option(None, arguments=("source_labels", "test_labels"))
    """Folder ``FSD50K.ground_truth``."""
    dev_audio_folder: str | None = option(None, arguments=("source",))
    """Folder ``FSD50K.dev_audio``."""
    eval_audio_folder: str | None = option(None, arguments=("test",))
    """Folder ``FSD50K.eval_audio``."""
    audioset_ontology_path: str | None = option(None, arguments=("ontology",))
    """AudioSet's ``ontology.json``, which says what label is whose parent; null: it is looked for
    beside the tables."""
    only_keep_monolabel: bool = option(default=True, chooses=True)
    """Whether clips are dropped that carry several labels, none of which implies another."""
    classes: tuple[str, ...] = option((), key="dataset.class_names", chooses=True)
    """Classes of which a clip must carry one, whatever its other labels; empty: all clips."""


def list_clips(source: Source, options: Options) -> Iterator[Clip]:
    """Yield the clips of the whole layout, or of one of its two folders with the tables.

    Raises:
        DataError: a folder, a table, the ontology or a clip is missing or wrong.
    """
    check_folder(source)
    tables = _tables(source)
    children = read_ontology(_ontology(source, tables, options))
    if source.labels is None:
        yield from _rows(tables / "dev.csv", source.audio, f"{DEV}/", None, children)
        yield from _rows(tables / "eval.csv", source.audio, f"{EVAL}/", "test", children)
    elif source.split == "test":
        yield from _rows(tables / "eval.csv", source.audio, "", "test", children)
    elif source.split == "training":
        yield from _rows(tables / "dev.csv", source.audio, "", None, children)
    else:
        raise DataError(
            f"{source.audio}: FSD50K has a dev and an eval set: set both dataset_specific.fsd50k."
            "dev_audio_folder and eval_audio_folder"
        )


def unpack(folder: Path) -> None:
    """Unpack the archives that a download left in ``folder``, and remove them.

    Raises:
        DataError: an archive is damaged, or a part of one is missing.
    """
    from soundgate.audio.files import split_archive

    for archive in sorted(folder.glob("*.zip")):
        split_archive.extract(archive, folder, remove=True)


def narrow(clips: Iterable[Clip], options: Options) -> Iterator[Clip]:
    """Those of ``clips`` that the options ``only_keep_monolabel`` and ``classes`` leave.

    Raises:
        ParameterError: a class is none of the data set's.
    """
    clips = list(clips)
    classes = frozenset(options.classes)
    known = {label for clip in clips for label in clip.labels}
    for name in sorted(classes - known):
        raise ParameterError(
            f"dataset.class_names: FSD50K has no class {name!r}{nearest(name, known)}"
        )
    for clip in clips:
        if options.only_keep_monolabel and len(clip.labels) > 1:
            continue
        if not classes or not classes.isdisjoint(clip.labels):
            yield clip


def read_ontology(path: Path) -> dict[str, frozenset[str]]:
    """The children of every class of AudioSet, by its machine identifier.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {entry["id"]: frozenset(entry["child_ids"]) for entry in entries}
    except OSError as error:
        raise DataError(f"{unreadable(path, error)}: download it from {_ONTOLOGY_URL}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{path}: is not the AudioSet ontology ({error!r}): download it from {_ONTOLOGY_URL}"
        ) from error


def unsmear(mids: Sequence[str], children: Mapping[str, frozenset[str]]) -> list[str]:
    """Those of ``mids`` none of whose children are among them; KeyError for one not known."""
    return [mid for mid in mids if children[mid].isdisjoint(mids)]


def _tables(source: Source) -> Path:
    folder = source.labels or source.audio / TABLES
    if folder.is_dir():
        return folder
    if any(source.audio.glob("FSD50K.*.zip")):
        raise DataError(
            f"{source.audio}: FSD50K is still packed: set download_command to "
            f"'ln -s {source.audio}/* ./temp/' instead of naming the folder"
        )
    raise DataError(
        f"{folder}: no such folder: give the folder that holds {DEV}, {EVAL} and {TABLES}, or "
        "dataset_specific.fsd50k"
    )


def _ontology(source: Source, tables: Path, options: Options) -> Path:
    if options.audioset_ontology_path:
        return Path(options.audioset_ontology_path)
    places = [folder / ONTOLOGY for folder in (source.audio, tables, tables.parent)]
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise DataError(
            f"{places[0]}: no such file: FSD50K's labels need AudioSet's ontology, give "
            "dataset_specific.fsd50k.audioset_ontology_path"
        )
    return found


def _rows(
    table: Path,
    folder: Path,
    prefix: str,
    split: str | None,
    children: Mapping[str, frozenset[str]],
) -> Iterator[Clip]:
    """Yield the clips of a table; without ``split`` its column says which."""
    needed = ("fname", "labels", "mids", *(() if split else ("split",)))
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for name in needed:
                if name not in (reader.fieldnames or ()):
                    raise DataError(f"{table}:1: no column {name!r}: use FSD50K's own table")
            for row in reader:
                where = f"{table}:{reader.line_num}"
                if None in row.values() or not row["fname"]:
                    raise DataError(f"{where}: a cell is missing: use FSD50K's own table")
                if "/" in row["fname"] or "\\" in row["fname"]:
                    raise DataError(
                        f"{where}: {row['fname']!r} is not a file name: use FSD50K's own table"
                    )
                own = split or _SPLITS.get(row["split"])
                if own is None:
                    raise DataError(f"{where}: split {row['split']!r} is not train or val")
                path = f"{prefix}{row['fname']}.wav"
                if not (folder / path).is_file():
                    raise DataError(f"{where}: {folder / path} is missing: fetch the data again")
                yield Clip(path, _labels(where, row, children), split=own)
    except OSError as error:
        raise unreadable(table, error) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: is not CSV in UTF-8 ({error}): fetch it again") from error


def _labels(
    where: str, row: Mapping[str, str], children: Mapping[str, frozenset[str]]
) -> tuple[str, ...]:
    labels, mids = row["labels"].split(","), row["mids"].split(",")
    if len(labels) != len(mids):
        raise DataError(f"{where}: {len(labels)} labels for {len(mids)} mids: fetch it again")
    name_of = dict(zip(mids, labels, strict=True))
    try:
        return tuple(name_of[mid] for mid in unsmear(mids, children))
    except KeyError as error:
        raise DataError(
            f"{where}: {error} is not in the ontology: use the one of AudioSet, {_ONTOLOGY_URL}"
        ) from None


DATASET: Final = Dataset(
    name="FSD50K",
    title="FSD50K: an open dataset of human-labeled sound events",
    licence="CC BY 4.0 (single clips CC0, CC BY, CC BY-NC or CC Sampling+)",
    citation="""\
@article{fonseca2022fsd50k,
  title     = {{FSD50K}: An Open Dataset of Human-Labeled Sound Events},
  author    = {Fonseca, Eduardo and Favory, Xavier and Pons, Jordi and Font, Frederic and
               Serra, Xavier},
  journal   = {IEEE/ACM Transactions on Audio, Speech, and Language Processing},
  volume    = {30},
  pages     = {829--852},
  year      = {2022},
  doi       = {10.1109/TASLP.2021.3133208},
}""",
    homepage=HOMEPAGE,
    size="51,197 clips, 108 h, 25 GB",
    labels="Every class that people heard in the clip, without those that another one implies.",
    list_clips=list_clips,
    download_command=DOWNLOAD_COMMAND,
    unpack=unpack,
    narrow=narrow,
    own_split=True,
    clips_per_split={"training": 36_796, "validation": 4_170, "test": 10_231},
    options=Options,
    section="fsd50k",
    folds=lambda _options: OWN_SPLIT,
)
