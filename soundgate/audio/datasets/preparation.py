"""Bring the clips of a data set into one form: ``audio/``, ``manifest.jsonl``, ``dataset.json``."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.manifest import (
    MANIFEST,
    SPLITS,
    Clip,
    read_manifest,
    sort_key,
    write_manifest,
)
from soundgate.audio.datasets.base import check_folder, check_path, rules
from soundgate.audio.files import reading
from soundgate.errors import DataError, ParameterError, nearest
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.datasets.base import Dataset, OptionsT, Source

DESCRIPTION: Final = "dataset.json"
AUDIO: Final = "audio"

# The file system cannot link here, though it may well copy.
_NO_LINK: Final = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A clip as the manifest will have it, and the file that it lies in now."""

    clip: Clip
    file: Path


def prepare(  # noqa: PLR0913 - a data set, where it lies, and how strictly it is taken
    dataset: Dataset[OptionsT],
    sources: Sequence[Source],
    out: Path,
    options: OptionsT,
    *,
    complete: bool = False,
    tolerant: bool = False,
    link: bool = False,
) -> None:
    """Write the ``clips/`` folder; see :func:`soundgate.audio.datasets.prepare`.

    Args:
        dataset: The data set.
        sources: Where it lies.
        out: A folder that is empty or does not exist.
        options: Of the data set's own type.
        complete: Insist on every clip that the data set is known to have.
        tolerant: Keep damaged files, and name them; otherwise they are an error.
        link: Hard-link the audio instead of copying it: for files that nobody else uses. A file of
            the user's is copied: what is written into it later must not reach ``out``, and a link
            changes its ctime, by which changed inputs are noticed.

    Raises:
        DataError: a file, a label or the set as a whole is wrong, or ``out`` cannot be written.
        ParameterError: sources for a data set that has none, or none for one that needs them.
    """
    with _output(out):
        if dataset.render is not None:
            if sources:
                raise ParameterError(f"dataset {dataset.name} is generated: remove its folders")
            clips = sorted(dataset.render(out, options), key=sort_key)
        else:
            entries = _entries(dataset, sources, options)
            clips = [entry.clip for entry in entries]
            _check_counts(dataset, clips, complete=complete)
            _check_audio(entries, tolerant=tolerant)
            _place(entries, out, link=link)
        write_manifest(out / MANIFEST, clips, allow_unlabelled=dataset.unlabelled)
        _describe(dataset, clips, out)


@contextlib.contextmanager
def _output(out: Path) -> Iterator[None]:
    """Make ``out``; empty it again if the block fails."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise DataError(f"{out}: is not empty: delete it or choose another folder")
    except OSError as error:
        raise _cannot_write(out, error) from error
    try:
        yield
    except BaseException:
        for name in (MANIFEST, DESCRIPTION):
            (out / name).unlink(missing_ok=True)
        shutil.rmtree(out / AUDIO, ignore_errors=True)
        raise


def _cannot_write(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{path}: cannot be written: {error.strerror}: free space or choose another folder"
    )


def _entries(
    dataset: Dataset[OptionsT], sources: Sequence[Source], options: OptionsT
) -> list[_Entry]:
    if not sources:
        raise ParameterError(f"dataset {dataset.name}: no folder given: set dataset_path")
    entries: list[_Entry] = []
    for position, source in enumerate(sources, 1):
        prefix = "" if len(sources) == 1 else f"{position}-{source.split or 'clips'}/"
        entries += _source_entries(dataset, source, prefix, options)
    entries.sort(key=lambda entry: sort_key(entry.clip))
    if not entries:
        raise DataError(f"{sources[0].audio}: contains no clips of {dataset.name}: check the path")
    _check_apart(entries)
    return entries


def _source_entries(
    dataset: Dataset[OptionsT], source: Source, prefix: str, options: OptionsT
) -> Iterator[_Entry]:
    check_folder(source)
    if source.split is not None and source.split not in SPLITS:
        raise ParameterError(f"split {source.split!r} is unknown{nearest(source.split, SPLITS)}")
    assert dataset.list_clips is not None
    for clip in dataset.list_clips(source, options):
        check_path(source.audio, clip.path)
        split = (clip.split or source.split) if dataset.own_split else (source.split or clip.split)
        if clip.split not in (None, split):
            raise DataError(
                f"{source.audio / clip.path}: is of split {clip.split!r}, but its folder "
                f"was given for {source.split!r}: drop one of them"
            )
        placed = replace(
            clip,
            path=f"{AUDIO}/{prefix}{clip.path.removeprefix(AUDIO + '/')}",
            split=split,
        )
        yield _Entry(placed, source.audio / clip.path)


def _check_apart(entries: Sequence[_Entry]) -> None:
    """One recording in two sources would be trained and tested on."""
    seen: dict[tuple[str, float, float], str] = {}
    for entry in entries:
        real = os.path.realpath(entry.file)
        first = seen.setdefault((real, *sort_key(entry.clip)[1:]), entry.clip.path)
        if first != entry.clip.path:
            raise DataError(
                f"{entry.file}: is listed twice, as {first} and {entry.clip.path}: remove one"
            )


def _check_counts(dataset: Dataset[OptionsT], clips: Sequence[Clip], *, complete: bool) -> None:
    counts = Counter(label for clip in clips for label in clip.labels)
    splits = Counter(clip.split for clip in clips)
    if complete:
        for split, expected in dataset.clips_per_split.items():
            if splits[split] != expected:
                raise DataError(
                    f"dataset {dataset.name}: the download holds {splits[split]} {split} clips, "
                    f"not {expected}: it is incomplete, fetch it again"
                )
        for label, expected in dataset.clips_per_class.items():
            if counts[label] != expected:
                raise DataError(
                    f"dataset {dataset.name}: the download holds {counts[label]} clips of "
                    f"{label!r}, not {expected}: it is incomplete, fetch it again"
                )
    if not dataset.brought_by_user or all(clip.split == "test" for clip in clips):
        return
    for label, count in sorted(counts.items()):
        if count == 1:
            only = next(clip for clip in clips if label in clip.labels)
            raise DataError(
                f"{only.path}: is the only clip of class {label!r}, which cannot be both "
                "trained and tested: add clips or leave the class out"
            )


def _check_audio(entries: Sequence[_Entry], *, tolerant: bool) -> None:
    """Find damaged files now, all of them, not one after another in feature extraction.

    With ``tolerant`` they are only named: what is done about them is for the inspection to say,
    which sees those, too, whose damage shows only when they are decoded.
    """
    durations_s: dict[Path, float] = {}
    wrong: dict[Path, str] = {}
    for entry in track(entries, total=len(entries), label="check audio"):
        try:
            if entry.file not in durations_s:
                durations_s[entry.file] = reading.info(entry.file).duration_s
            _check_end(entry, durations_s[entry.file])
        except DataError as error:
            wrong.setdefault(entry.file, str(error))
    if not wrong:
        return
    for reason in wrong.values():
        print(reason)
    if not tolerant:
        first, *others = wrong.values()
        more = f" (and {len(others)} more: {'; '.join(others)})" if others else ""
        raise DataError(f"{first}{more}")


def _check_end(entry: _Entry, duration_s: float) -> None:
    end_s = max(entry.clip.start_s or 0.0, entry.clip.end_s or 0.0)
    if end_s > duration_s + reading.SEGMENT_SLACK_S:
        raise DataError(
            f"{entry.file}: start_s or end_s {end_s:g} is after the end of the file at "
            f"{duration_s:g} s: correct the table"
        )


def _place(entries: Sequence[_Entry], out: Path, *, link: bool) -> None:
    files: Mapping[str, Path] = {entry.clip.path: entry.file for entry in entries}
    folders = {(out / path).parent for path in files}
    try:
        for folder in sorted(folders):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(out, error) from error
    for path, file in files.items():
        _link_or_copy(file, out / path, link=link)


def _link_or_copy(file: Path, target: Path, *, link: bool) -> None:
    # A link to a symbolic link would dangle once the output is moved.
    real = os.path.realpath(file)
    try:
        if not (link and _linked(real, target)):
            shutil.copyfile(real, target)
    except OSError as error:
        raise _cannot_write(target, error) from error


def _linked(real: str, target: Path) -> bool:
    """Hard-link a file; whether the file system can."""
    try:
        os.link(real, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    return True


def narrow(dataset: Dataset[OptionsT], out: Path, options: OptionsT) -> bool:
    """Leave in the ``clips/`` folder ``out`` what the options ask for; whether any clip went.

    Raises:
        DataError: no clip is left, or the folder cannot be changed.
        ParameterError: an option names what the data set does not have.
    """
    if dataset.narrow is None:
        return False
    before = list(read_manifest(out))
    kept = list(dataset.narrow(before, options))
    if len(kept) == len(before):
        return False
    if not kept:
        asked = ", ".join(
            f"{name} {getattr(options, name)}"
            for name, rule in rules(dataset.options).items()
            if rule.chooses
        )
        raise DataError(
            f"dataset {dataset.name}: no clips are left with {asked}: select less strictly"
        )
    paths = {clip.path for clip in kept}
    try:
        (out / DESCRIPTION).unlink()
        for path in {clip.path for clip in before} - paths:
            (out / path).unlink()
    except OSError as error:
        raise _cannot_write(out, error) from error
    write_manifest(out / MANIFEST, kept)
    _describe(dataset, kept, out)
    return True


def _describe(dataset: Dataset[OptionsT], clips: Sequence[Clip], out: Path) -> None:
    """Write ``dataset.json``: whoever finds it finds the whole data set."""
    description = {
        "name": dataset.name,
        "title": dataset.title,
        "licence": dataset.licence,
        "citation": dataset.citation,
        "homepage": dataset.homepage,
        "classes": sorted({label for clip in clips for label in clip.labels}),
        "clips": len(clips),
        "labels": dataset.labels,
        **(dataset.papers() if dataset.papers else {}),
    }
    temporary = out / f".{DESCRIPTION}"
    try:
        temporary.write_text(
            json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        temporary.replace(out / DESCRIPTION)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _cannot_write(out / DESCRIPTION, error) from error
