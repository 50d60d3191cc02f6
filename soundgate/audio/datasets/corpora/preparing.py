"""Cut data sets for detectors from a corpus: ``dataset_<variant>/`` folders."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.clips.annotations.event import Event
from soundgate.audio.clips.annotations.programs import raven
from soundgate.audio.datasets.corpora import leakage, pictures
from soundgate.audio.datasets.corpora.cutting import plan_cuts
from soundgate.audio.files.reading import Reader, info, read, write
from soundgate.audio.formats.datasets.corpus import read_corpus_index
from soundgate.audio.formats.datasets.variant import (
    NOISE,
    SPLITS,
    VariantIndex,
    VariantMeta,
    write_variant_index,
)
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.datasets.corpora.cutting import Cut, Plan
    from soundgate.audio.datasets.corpora.strategies import Strategy
    from soundgate.audio.files.streams import Samples
    from soundgate.audio.formats.datasets.corpus import CorpusEntry, CorpusRecording
    from soundgate.audio.formats.datasets.variant import VariantEntry

DATASET: Final = "dataset_"
"""Before the name of a strategy, the name of its folder."""
TABLES: Final = "selection_tables"
PICTURES: Final = "spectrograms"


def prepare(
    corpus: Path, out: Path, name: str, strategy: Strategy, *, spectrograms: bool = False
) -> VariantIndex:
    """Write a data set into an empty folder; the same arguments give the same bytes.

    Args:
        corpus: a corpus with its index.
        out: a folder that is empty or does not exist.
        name: of the variant.
        strategy: how the corpus is cut and divided.
        spectrograms: whether every file gets a picture.

    Raises:
        DataError: the corpus is damaged, too small to divide, or has the same sound on two sides.
    """
    index = read_corpus_index(corpus)
    recordings = {recording.path: recording for recording in index.recordings}
    raw = sorted({entry.raw_path for entry in index.entries if entry.raw_path})
    raw_s = {path: info(corpus / path).duration_s for path in raw if (corpus / path).is_file()}
    plan = plan_cuts(index, strategy, raw_s)
    out.mkdir(parents=True, exist_ok=True)
    written = _write_files(corpus, out, plan.cuts, spectrograms=spectrograms)
    found = leakage.report(
        corpus, recordings, plan.division, plan.cuts, written.digests, group_by=strategy.group_by
    )
    if not strategy.allow_leakage:
        leakage.refuse(f"{DATASET}{name}", found)
    entries = [_with_picture(cut.entry, spectrograms=spectrograms) for cut in plan.cuts]
    meta = _meta(index.meta.corpus_name, name, strategy, plan, entries).model_copy(
        update={
            "rates_hz": {str(rate): count for rate, count in sorted(written.rates.items())},
            "leakage": found,
        }
    )
    variant = VariantIndex(meta=meta, entries=tuple(entries))
    _write_tables(out / TABLES, plan.cuts, recordings)
    write_variant_index(out, variant)
    return variant


def summary(variant: VariantIndex) -> list[str]:
    """What was found and what a data set holds, a line each; the last one says most."""
    meta = variant.meta
    lines = leakage.said(meta.leakage) if meta.leakage else []
    for side, noise in meta.noise.items():
        if noise.not_found or noise.from_raw:
            lines.append(
                f"{side}: {noise.asked} noise files asked for, {noise.from_clips} from annotated "
                f"recordings, {noise.from_raw} from tapes ({noise.unannotated} where nobody "
                f"annotated), {noise.not_found} not found"
            )
    sides = ", ".join(f"{meta.split_counts[side]} {side}" for side in SPLITS)
    missing = sum(noise.not_found for noise in meta.noise.values())
    told = f"; {missing} more were not found" if missing else ""
    lines.append(f"{meta.n_target} calls and {meta.n_noise} noise files: {sides}{told}")
    return lines


class _Written:
    """What is known of files once they are written."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}
        self.rates: Counter[int] = Counter()

    def add(self, name: str, samples: Samples, rate_hz: int) -> None:
        self.rates[rate_hz] += 1
        if np.any(samples):
            self.digests[name] = hashlib.blake2b(samples.tobytes()).hexdigest()


def _write_files(corpus: Path, out: Path, cuts: Sequence[Cut], *, spectrograms: bool) -> _Written:
    if spectrograms:
        (out / PICTURES).mkdir()
    written = _Written()
    cut_out = _cut(corpus, out, cuts)
    for cut, samples, rate_hz in track(cut_out, total=len(cuts), label="cut files"):
        written.add(cut.entry.fn, samples, rate_hz)
        if spectrograms:
            pictures.write_picture(out / _picture(cut.entry.fn), samples, rate_hz)
    return written


def _cut(corpus: Path, out: Path, cuts: Sequence[Cut]) -> Iterator[tuple[Cut, Samples, int]]:
    """Write the files, a recording after another, each opened once; yield their samples."""
    by_path: defaultdict[str, list[Cut]] = defaultdict(list)
    for cut in cuts:
        if cut.copy is None:
            by_path[cut.path].append(cut)
        else:
            yield cut, *_copied(corpus / cut.copy, out / cut.entry.fn)
    for path in sorted(by_path):
        with Reader(corpus / path) as file:
            for cut in sorted(by_path[path], key=lambda cut: cut.entry.start_ms):
                samples = file.read(start_s=cut.entry.start_s, end_s=cut.entry.end_s)
                write(out / cut.entry.fn, samples, file.info.rate_hz)
                yield cut, samples, file.info.rate_hz


def _copied(source: Path, target: Path) -> tuple[Samples, int]:
    """Copy a file that holds just one call; another format becomes WAV."""
    samples, rate_hz = read(source)
    if source.suffix.lower() == target.suffix:
        shutil.copyfile(source, target)
    else:
        write(target, samples, rate_hz)
    return samples, rate_hz


def _picture(name: str) -> str:
    return f"{PICTURES}/{name.removesuffix('.wav')}.png"


def _with_picture(entry: VariantEntry, *, spectrograms: bool) -> VariantEntry:
    path = _picture(entry.fn) if spectrograms else None
    return entry.model_copy(update={"spectrogram_path": path})


def _meta(
    corpus: str, name: str, strategy: Strategy, plan: Plan, entries: Sequence[VariantEntry]
) -> VariantMeta:
    noise = sum(entry.class_name == NOISE for entry in entries)
    counts = Counter(entry.split for entry in entries)
    return VariantMeta.model_validate(
        {
            "split_strategy": strategy.split_strategy,
            "n_total": len(entries),
            "n_target": len(entries) - noise,
            "n_noise": noise,
            "split_counts": {side: counts[side] for side in SPLITS},
            "variant": name,
            "corpus_name": corpus,
            "seed": strategy.seed,
            "group_by": strategy.group_by,
            "classes": sorted({entry.class_name for entry in entries} - {NOISE}),
            "noise": plan.noise,
            "validation_regions": plan.regions,
            "strategy": strategy.as_json(),
        }
    )


def _write_tables(
    folder: Path, cuts: Sequence[Cut], recordings: Mapping[str, CorpusRecording]
) -> None:
    """Write a selection table of the calls of each tape, with times on the axis of the tape."""
    by_tape: defaultdict[str, list[Event]] = defaultdict(list)
    for cut in cuts:
        if cut.call is not None:
            recording = recordings[cut.path]
            by_tape[recording.tape].append(selection(cut.call, recording, cut.entry))
    folder.mkdir()
    for tape, events in sorted(by_tape.items()):
        ordered = sorted(events, key=lambda event: (event.start_s, event.end_s))
        raven.write(folder / f"{tape.replace('/', '-')}_selection.txt", ordered)


def selection(call: CorpusEntry, recording: CorpusRecording, entry: VariantEntry) -> Event:
    """A call as a row of a table of its tape; a call without a band has the whole one."""
    return Event(
        file=f"{recording.tape}.wav",
        start_s=call.raw_start_s,
        end_s=call.raw_end_s,
        low_hz=0.0 if call.low_hz is None else call.low_hz,
        high_hz=recording.rate_hz / 2 if call.high_hz is None else call.high_hz,
        label=entry.class_name,
        split=entry.split,
        columns=(("Sound_type", entry.class_name), ("Comments", entry.label)),
    )
