"""Whether a data set has the same sound on two sides."""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from soundgate.audio.files.digests import sha256_of
from soundgate.audio.formats.datasets.variant import LeakageReport
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.datasets.corpora.cutting import Cut
    from soundgate.audio.datasets.corpora.division import Division
    from soundgate.audio.formats.datasets.corpus import CorpusRecording

_SAMPLE_BYTES: Final = 4096
_TOLD: Final = 3


class _Placed(NamedTuple):
    start: float
    end: float
    side: str
    name: str


def report(
    corpus: Path,
    recordings: Mapping[str, CorpusRecording],
    division: Division,
    cuts: Sequence[Cut],
    digests: Mapping[str, str],
    *,
    group_by: str,
) -> LeakageReport:
    """Look for sound on two sides.

    Args:
        corpus: folder of the recordings.
        recordings: of the index, by path.
        division: sides of recordings.
        cuts: the files of the data set.
        digests: of the samples of each file, by its name; files of zeros have none.
        group_by: what was meant to stay whole.
    """
    by_tape: defaultdict[str, set[str]] = defaultdict(set)
    by_recording: defaultdict[str, set[str]] = defaultdict(set)
    for cut in cuts:
        by_tape[cut.entry.tape_key].add(cut.entry.split)
        by_recording[cut.path].add(cut.entry.split)
    identical = [*_identical_cuts(cuts, digests), *_identical_recordings(corpus, division)]
    overlaps = list(_overlaps(cuts, recordings))
    shared_tapes = sorted(tape for tape, sides in by_tape.items() if len(sides) > 1)
    shared = sorted(path for path, sides in by_recording.items() if len(sides) > 1)
    not_whole = (shared_tapes if group_by == "tape" else []) or (
        shared if group_by == "clip" else []
    )
    return LeakageReport.model_validate(
        {
            "group_by": group_by,
            "shared_tapes": shared_tapes,
            "shared_recordings": shared,
            "overlaps": overlaps,
            "identical": identical,
            "fails": bool(not_whole or overlaps or identical),
        }
    )


def said(found: LeakageReport) -> list[str]:
    """The report in words, a line each; empty where nothing is on two sides."""
    lines = []
    for names, what in (
        (found.shared_tapes, "tapes are on two sides"),
        (found.shared_recordings, "recordings are on two sides"),
        ([f"{a} and {b}" for a, b in found.overlaps], "files hold the same seconds of a tape"),
        ([f"{a} and {b}" for a, b in found.identical], "pairs on two sides hold the same samples"),
    ):
        if names:
            more = ", ..." if names[_TOLD:] else ""
            lines.append(f"{len(names)} {what}: {', '.join(names[:_TOLD])}{more}")
    return lines


def refuse(where: object, found: LeakageReport) -> None:
    """Raise one line if the report fails.

    Raises:
        DataError: it does.
    """
    if found.fails:
        raise DataError(
            f"{where}: the same sound is on two sides: {'; '.join(said(found))}; divide larger "
            'parts ("group_by": "tape"), remove the copies, or set allow_leakage to only report it'
        )


def _overlaps(
    cuts: Iterable[Cut], recordings: Mapping[str, CorpusRecording]
) -> Iterator[tuple[str, str]]:
    """Files of two sides that share seconds of a tape."""
    tapes: defaultdict[str, list[_Placed]] = defaultdict(list)
    for cut in cuts:
        entry, recording = cut.entry, recordings.get(cut.path)
        offset = 0.0 if recording is None else recording.raw_start_s
        placed = _Placed(offset + entry.start_s, offset + entry.end_s, entry.split, entry.fn)
        tapes[entry.tape_key].append(placed)
    for tape in sorted(tapes):
        yield from _overlaps_of_tape(sorted(tapes[tape]))


def _overlaps_of_tape(placed: Sequence[_Placed]) -> Iterator[tuple[str, str]]:
    open_: list[_Placed] = []
    for each in placed:
        open_ = [other for other in open_ if other.end > each.start + 1e-6]
        for other in open_:
            if other.side != each.side:
                yield other.name, each.name
        open_.append(each)


def _identical_cuts(cuts: Iterable[Cut], digests: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Files of two sides with the same samples."""
    alike: defaultdict[str, list[Cut]] = defaultdict(list)
    for cut in cuts:
        if cut.entry.fn in digests:
            alike[digests[cut.entry.fn]].append(cut)
    for group in alike.values():
        first = group[0]
        for other in group[1:]:
            if other.entry.split != first.entry.split:
                yield first.entry.fn, other.entry.fn


def _identical_recordings(corpus: Path, division: Division) -> Iterator[tuple[str, str]]:
    """Recordings of two sides with the same bytes; only those that look alike are read."""
    alike: defaultdict[tuple[int, bytes], list[str]] = defaultdict(list)
    for path in sorted(division.recordings):
        alike[_size_and_sample(corpus / path)].append(path)
    for group in alike.values():
        for one, other in itertools.combinations(group, 2):
            if division.recordings[one] == division.recordings[other]:
                continue
            if sha256_of(corpus / one) == sha256_of(corpus / other):
                yield one, other


def _size_and_sample(path: Path) -> tuple[int, bytes]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(size // 2)
        return size, file.read(_SAMPLE_BYTES)
