"""A unit of work: the segments of one shard to their rows, in parts that a killed attempt keeps.

A part holds a fixed number of segments of the shard and appears whole, so that a unit that is
started again computes what is missing, in the batches it would have had, and ends with the same
bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from soundgate.audio.embedding.changes import Changes
from soundgate.audio.formats.embeddings import keyed_rows
from soundgate.audio.formats.record import write_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa

    from soundgate.audio.config.sec import SecConfig
    from soundgate.audio.formats.embeddings.segments import Records, Segment
    from soundgate.audio.formats.record import JsonObject

_MARK: Final = "unit.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The segments of one shard, and what it takes to compute their rows."""

    records: Records
    """The plan."""
    shard: int
    """Number of the shard, from 0."""
    audio: Path
    """Folder that paths are relative to."""
    config: SecConfig
    checkpoints: Path | None = None
    """Folder in which a killed attempt left what it had; None: there is none."""
    workers: int = 1
    """Threads."""

    @property
    def segments(self) -> list[Segment]:
        """Those of the shard, by path, start and round."""
        return self.records.shard(self.shard)

    def changes(self, rate_hz: int) -> Changes:
        """What happens to the segments' sound at a rate."""
        about = self.records.about
        return Changes(
            window_s=about.window_s,
            sample_rate_hz=rate_hz,
            noise_perc=about.noise_perc,
            seed=about.seed,
            fill=self.config.encoder.fill,
        )

    def depends_on(self, planned: Sequence[Segment]) -> JsonObject:
        """What rows depend on beside the encoder and the bands: parts of other work are useless."""
        about = self.records.about
        ids = hashlib.sha256("\n".join(str(each) for each in planned).encode()).hexdigest()
        return {
            "batch_size": self.config.encoder.batch_size,
            "fill": self.config.encoder.fill,
            "window_s": about.window_s,
            "noise_perc": about.noise_perc,
            "seed": about.seed,
            "segments": ids,
        }


@dataclass
class Parts:
    """A folder of finished parts of a shard, valid for one ``about``: others are removed."""

    folder: Path
    about: JsonObject
    """What the rows depend on: encoder, settings, ids."""
    size: int
    """Segments of a part."""

    def __post_init__(self) -> None:
        """Keep what was finished of the same work."""
        mark = self.folder / _MARK
        self.folder.mkdir(parents=True, exist_ok=True)
        if _same(mark, self.about):
            return
        for path in self.folder.glob("part_*.parquet"):
            path.unlink()
        partial = mark.with_name(f".{_MARK}.partial")
        write_object(partial, self.about)
        partial.replace(mark)

    def path(self, number: int) -> Path:
        """File of a part."""
        return self.folder / f"part_{number:06d}.parquet"

    @property
    def finished(self) -> int:
        """How many parts are there from the first on; what lies behind a gap is made again.

        A machine that lost its power may leave a file without its content: that is a gap, too.
        """
        number = 0
        while keyed_rows.is_whole(self.path(number)):
            number += 1
        return number

    def fill(
        self,
        segments: Sequence[Segment],
        compute: Callable[[Sequence[Segment]], Iterator[tuple[Segment, Any]]],
        to_table: Callable[[Sequence[tuple[Segment, Any]]], pa.Table],
    ) -> Log:
        """Compute and write the parts that are missing.

        Args:
            segments: of the whole shard, in its order.
            compute: yields those it is given, in their order, each with its row's value.
            to_table: rows of a part as a table.

        Returns:
            How long this attempt took, by class.
        """
        first = self.finished
        held: list[tuple[Segment, Any]] = []
        log, number = Log(), first
        for row in log.timed(compute(segments[first * self.size :])):
            held.append(row)
            if len(held) == self.size:
                keyed_rows.write_sorted(self.path(number), to_table(held))
                held, number = [], number + 1
        if held:
            keyed_rows.write_sorted(self.path(number), to_table(held))
        return log

    def paths(self, count: int) -> list[Path]:
        """Files of the parts of so many segments, all of which must be there."""
        return [self.path(number) for number in range(-(-count // self.size))]


@dataclass
class Log:
    """Seconds and segments of each class in one attempt."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    segments: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def timed(self, rows: Iterable[tuple[Segment, Any]]) -> Iterator[tuple[Segment, Any]]:
        """Pass rows on and remember how long each was waited for."""
        since = time.perf_counter()
        for segment, value in rows:
            now = time.perf_counter()
            self.seconds[segment.class_name] += now - since
            self.segments[segment.class_name] += 1
            yield segment, value
            since = time.perf_counter()


@contextlib.contextmanager
def kept_in(checkpoints: Path | None) -> Iterator[Path]:
    """The folder of parts: what survives a killed attempt, or one that is removed afterwards."""
    if checkpoints is not None:
        yield checkpoints
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _same(mark: Path, about: JsonObject) -> bool:
    try:
        return bool(json.loads(mark.read_text("utf-8")) == about)
    except (OSError, ValueError):
        return False
