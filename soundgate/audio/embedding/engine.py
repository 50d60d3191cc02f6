"""Records to embeddings: decoding, resampling and computing at the same time.

A record's embedding depends on its sound, the encoder and the settings; its last bits also on the
sizes of batches, so that equal lists of records give equal bytes, whatever the number of threads.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch

from soundgate.audio.embedding.windows import Pool, windows_of
from soundgate.audio.files.reading import Reader
from soundgate.audio.files.threads import one_torch_thread, ordered
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from soundgate.audio.embedding.windows import EmbeddingSettings, Samples
    from soundgate.audio.networks.encoders.interface import Encoder

# Records of one file that are read by opening it once, and their seconds; more would be held in
# memory at once.
_TOGETHER, _TOGETHER_S = 8, 60.0
# Threads that keep a GPU busy.
_ON_DEVICE = 2


class Segment(Protocol):
    """Part of a recording that gets an embedding."""

    @property
    def record_id(self) -> str:
        """What names it."""
        ...

    @property
    def path(self) -> str:
        """Its file, below the folder of the audio."""
        ...

    @property
    def start_s(self) -> float:
        """Where it begins in the file, seconds."""
        ...

    @property
    def duration_s(self) -> float | None:
        """How long it is, seconds; None: to the end of the file. Less where the file ends."""
        ...


class Embedded(NamedTuple):
    """A record and its embedding."""

    record_id: str
    vector: NDArray[np.float32]
    """Float32 (size,)."""


class _Batch(NamedTuple):
    waveforms: Tensor
    rows: list[tuple[str, int, int]]
    """For each: record, how many of its samples are the record's, windows of the record."""


def embed_records(
    records: Iterable[Segment],
    audio_root: Path,
    encoder: Encoder,
    settings: EmbeddingSettings,
    *,
    read: Callable[[Segment, int], Samples] | None = None,
    change: Callable[[Segment, Samples], Samples] | None = None,
) -> Iterator[Embedded]:
    """The embedding of every record, in their order; memory holds a few batches of them.

    Args:
        records: with different ids; those of one file side by side are read by opening it once.
        audio_root: the folder that paths of records are relative to.
        encoder: called from ``settings.workers`` threads at once where it computes on the CPU.
        settings: windows, batches, threads.
        read: a record's samples float32 (sample,), mono, at a rate in Hz, from elsewhere than
            files; called in threads.
        change: what happens to a record's samples at the encoder's rate before they are embedded,
            such as noise; called in threads, so it must not depend on order.

    Raises:
        ConfigError: the windows do not fit the encoder.
        DataError: a file cannot be read, a record holds no sound, or an embedding is not finite.
    """
    windows = windows_of(settings, encoder)

    def load(group: list[Segment]) -> list[Samples]:
        found = _from_files(group, audio_root, encoder.sample_rate_hz, read)
        return [
            samples if change is None else change(record, samples)
            for record, samples in zip(group, found, strict=True)
        ]

    def cut() -> Iterator[tuple[Samples, tuple[str, int, int]]]:
        for group, loaded in ordered(load, _groups(records), settings.workers):
            for record, samples in zip(group, loaded, strict=True):
                if samples.size == 0:
                    raise DataError(f"{record.path}: no sound from {record.start_s:g} s on")
                parts = windows.cut(samples)
                yield from ((part, (record.record_id, own, len(parts))) for part, own in parts)

    yield from _pooled(_computed(_batches(cut(), settings.batch_size), encoder, settings), settings)


def _groups(records: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Records that lie side by side in one file, as many as memory may hold."""
    group: list[Segment] = []
    seconds = 0.0
    for record in records:
        length = _TOGETHER_S if record.duration_s is None else record.duration_s
        full = len(group) == _TOGETHER or seconds + length > _TOGETHER_S
        if group and (full or record.path != group[0].path):
            yield group
            group, seconds = [], 0.0
        group.append(record)
        seconds += length
    if group:
        yield group


def _from_files(
    group: list[Segment],
    root: Path,
    rate_hz: int,
    read: Callable[[Segment, int], Samples] | None,
) -> list[Samples]:
    """Samples of records of one file."""
    if read is not None:
        return [read(record, rate_hz) for record in group]
    with Reader(root / group[0].path) as file:
        end_s = file.info.duration_s
        found = []
        for record in group:
            if record.start_s >= end_s:
                raise DataError(
                    f"{record.path}: no sound from {record.start_s:g} s on, it lasts {end_s:g} s; "
                    "plan the records again"
                )
            last = end_s if record.duration_s is None else record.start_s + record.duration_s
            found.append(
                file.load(sample_rate_hz=rate_hz, start_s=record.start_s, end_s=min(last, end_s))
            )
    return found


def _batches(parts: Iterator[tuple[Samples, tuple[str, int, int]]], size: int) -> Iterator[_Batch]:
    """Windows of one length side by side, ``size`` of them or fewer."""
    for _, same in itertools.groupby(parts, lambda part: part[0].size):
        while taken := list(itertools.islice(same, size)):
            samples, rows = zip(*taken, strict=True)
            yield _Batch(torch.from_numpy(np.stack(samples)), list(rows))


def _computed(
    batches: Iterator[_Batch], encoder: Encoder, settings: EmbeddingSettings
) -> Iterator[tuple[_Batch, NDArray[np.float32]]]:
    def compute(batch: _Batch) -> tuple[_Batch, NDArray[np.float32]]:
        found: NDArray[np.float32] = encoder.scenes(batch.waveforms).numpy()
        return batch, found

    if encoder.device != "cpu":
        # While one batch is computed, the next is copied there and queued.
        for _, done in ordered(compute, batches, _ON_DEVICE):
            yield done
        return
    # Batches side by side use cores better than the parts of one do, and give equal bytes whatever
    # their number.
    with one_torch_thread():
        for _, done in ordered(compute, batches, settings.workers):
            yield done


def _pooled(
    computed: Iterator[tuple[_Batch, NDArray[np.float32]]], settings: EmbeddingSettings
) -> Iterator[Embedded]:
    pool: Pool | None = None
    for batch, vectors in computed:
        for (record_id, own, windows), vector in zip(batch.rows, vectors, strict=True):
            if not np.isfinite(vector).all():
                raise DataError(f"{record_id}: its embedding is not finite; look at its sound")
            pool = pool or Pool(settings.pooling, windows)
            whole = pool.add(vector, own)
            if whole is not None:
                yield Embedded(record_id, whole)
                pool = None
