"""A shard's segments to levels in fractional-octave bands, of the same sound that is embedded.

Levels need no encoder: another fraction of an octave embeds nothing again.
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundgate.audio.config.sec import RATES_HZ
from soundgate.audio.embedding.embeddings import check_complete
from soundgate.audio.embedding.shards import Parts, kept_in
from soundgate.audio.files.reading import Reader
from soundgate.audio.files.threads import ordered
from soundgate.audio.formats.embeddings import levels as formats
from soundgate.audio.formats.embeddings.levels import BandsFile
from soundgate.audio.signal.octave.bands import bands
from soundgate.audio.signal.octave.levels import BLOCK_S, OctaveLevels
from soundgate.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from soundgate.audio.config.sec import SecConfig
    from soundgate.audio.embedding.changes import Changes
    from soundgate.audio.embedding.shards import Log, Unit
    from soundgate.audio.formats.embeddings.segments import Records, Segment

PART_SEGMENTS: Final = 256
_TOGETHER: Final = 16


def measure_shard(unit: Unit, bands_per_octave: int, into: Path) -> Log:
    """Measure the bands of a shard's segments and write them as a ``bands/`` folder.

    Args:
        unit: the shard.
        bands_per_octave: 1, 3, 12 say.
        into: folder of the levels.

    Raises:
        ConfigError: the rate is not known.
        DataError: a file cannot be read.
    """
    planned, rate_hz = unit.segments, rate_of(unit.config)
    reference = unit.config.ref
    filters = OctaveLevels(bands(bands_per_octave, rate_hz), rate_hz, reference=reference)
    about = BandsFile(
        bands_per_octave=bands_per_octave,
        mid_hz=tuple(band.mid_hz for band in filters.bands),
        blocks=round(unit.records.about.window_s * rate_hz) // filters.block_samples,
        block_s=BLOCK_S,
        reference=reference,
        sample_rate_hz=rate_hz,
    )
    measure = partial(_levels, unit.audio, filters, unit.changes(rate_hz))

    def compute(rows: Sequence[Segment]) -> Iterator[tuple[Segment, Any]]:
        for group, made in ordered(measure, _groups(rows), unit.workers):
            yield from zip(group, made, strict=True)

    work = {"bands": about.as_json(), **unit.depends_on(planned)}
    with kept_in(unit.checkpoints) as folder:
        held = Parts(folder, work, PART_SEGMENTS)
        log = held.fill(planned, compute, partial(_table, about))
        formats.merge_levels(held.paths(len(planned)), into, about)
    return log


def _levels(
    audio: Path, filters: OctaveLevels, changes: Changes, group: list[Segment]
) -> list[NDArray[np.float32]]:
    """Levels of segments of one file, each float32 (block, band)."""
    found = []
    with Reader(audio / group[0].path) as file:
        for each in group:
            end_s = min(each.start_s + each.duration_s, file.info.duration_s)
            sound = file.load(
                sample_rate_hz=filters.sample_rate_hz, start_s=each.start_s, end_s=end_s
            )
            found.append(filters.fresh().push(changes(each, sound)).astype(np.float32))
    return found


def merge_shards(
    shards: Sequence[Path], records: Records, bands_per_octave: int, into: Path
) -> int:
    """Unite the levels of all shards; return how many segments there are.

    Raises:
        DataError: shards have different bands, or do not hold what was planned.
    """
    read = [formats.read_levels(shard) for shard in shards]
    abouts = {each.about for each in read}
    if {about.bands_per_octave for about in abouts} != {bands_per_octave} or len(abouts) > 1:
        raise DataError(
            f"shards were not all measured in the same bands of 1/{bands_per_octave} octave; "
            "measure the bands again"
        )
    tables = [each.folder / formats.TABLE for each in read]
    count = formats.merge_levels(tables, into, abouts.pop())
    planned = {each.record_id for each in records.segments()}
    check_complete(formats.TABLE, count, planned, into / formats.TABLE)
    return count


def rate_of(config: SecConfig) -> int:
    """Rate at which segments are heard, Hz: the encoder's.

    Raises:
        ConfigError: it is not known from the encoder's name, and nothing says it.
    """
    known = RATES_HZ.get(config.encoder.name) or config.encoder.sample_rate_hz
    found = known or config.sampling_rate
    if found is None:
        raise ConfigError(
            f"encoder.sample_rate_hz: the rate of {config.encoder.name} is not known; write it"
        )
    return found


def _groups(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Segments of one file side by side, some at a time."""
    for _, same in itertools.groupby(segments, lambda each: each.path):
        while group := list(itertools.islice(same, _TOGETHER)):
            yield group


def _table(about: BandsFile, rows: Sequence[tuple[Segment, Any]]) -> pa.Table:
    found = np.stack([levels for _, levels in rows])
    return formats.to_table([each.record_id for each, _ in rows], found, about)
