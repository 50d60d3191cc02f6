"""HDF5 files of SEC_pipeline: tracks to a corpus of audio files, embeddings to a folder of ours.

A file of tracks, ``<Class>_<format>_dataset.h5``, holds ``audio_<format>`` (float32, a row a
track) and ``metadata_<format>`` (subclass, track_name, hdf5_index), with the attributes ``class``
and ``sample_rate``. Files of embeddings are described in ``formats/embeddings/hdf5.py``.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundgate.audio.clips.labels import problem
from soundgate.audio.embedding.planning.leakage import leakage_of
from soundgate.audio.formats.embeddings import hdf5, segments, vectors
from soundgate.audio.formats.embeddings.segments import Segment
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AUDIO: Final = "audio_"
UNKNOWN: Final = "unknown"
"""Digest of an encoder that nobody wrote down: no audio can be scored by a head on it."""


def import_files(sources: Sequence[Path], into: Path, encoder: str) -> Iterator[str]:
    """Import files of tracks or of embeddings, and say what was written.

    Args:
        sources: files, or folders of them; all of one kind.
        into: a new folder.
        encoder: name of what made the embeddings.

    Raises:
        DataError: a file is of neither kind or damaged, kinds are mixed, or ``into`` is not empty.
    """
    files = [path for source in sources for path in _files(source)]
    if not files:
        raise DataError(f"{sources[0]}: holds no .h5 files")
    if into.exists() and any(into.iterdir()):
        raise DataError(f"{into}: the folder is not empty; choose another one")
    kinds = {_kind(path) for path in files}
    if len(kinds) > 1:
        raise DataError(f"{sources[0]}: holds tracks and embeddings; import one kind at a time")
    if kinds == {"tracks"}:
        for path in files:
            yield f"{path.name}: {_tracks(path, into)} tracks"
    else:
        yield from _embeddings(files, into, encoder)


def _files(source: Path) -> list[Path]:
    return sorted(source.rglob("*.h5")) if source.is_dir() else [source]


def _kind(path: Path) -> str:
    try:
        with hdf5.library().File(path, "r") as file:
            names = list(file)
    except OSError as error:
        raise DataError(f"{path}: is no HDF5 file: {error}") from error
    if hdf5.DATASET in names:
        return "embeddings"
    if any(name.startswith(AUDIO) for name in names):
        return "tracks"
    raise DataError(f"{path}: holds neither {hdf5.DATASET} nor {AUDIO}<format>")


def _tracks(path: Path, into: Path) -> int:
    """Write every track of a file as WAV, float32, and return their number."""
    import soundfile

    with hdf5.library().File(path, "r") as file:
        try:
            name = next(key for key in file if key.startswith(AUDIO))
            audio, about = file[name], file[name.replace(AUDIO, "metadata_")][:]
            class_name, rate_hz = _text(file.attrs["class"]), int(file.attrs["sample_rate"])
        except (KeyError, StopIteration) as error:
            raise DataError(f"{path}: is no file of tracks: {error}") from error
        taken: set[Path] = set()
        for row in about:
            index = int(row["hdf5_index"])
            parts = [class_name, *_folders(row["subclass"]), _stem(row["track_name"])]
            for part in parts:
                if wrong := problem(part):
                    raise DataError(f"{path}: track {index}: {part!a} {wrong}")
            target = into.joinpath(*parts[:-1], f"{parts[-1]}.wav")
            if target in taken:  # tracks of one name are told apart by their place
                target = target.with_name(f"{parts[-1]}_{index}.wav")
            taken.add(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            samples = np.asarray(audio[index], np.float32)
            soundfile.write(target, samples, rate_hz, subtype="FLOAT")
    return len(taken)


def _embeddings(files: Sequence[Path], into: Path, encoder: str) -> Iterator[str]:
    """Write the rows of all files once; files of classes and combined files hold the same rows."""
    rows: dict[tuple[str, str, str], tuple[Segment, Any]] = {}
    again, rate_hz, size, cut_s = 0, 0, 0, 0.0
    for path in files:
        read = hdf5.read(path)
        rate_hz, size = int(read.attributes["sample_rate"]), read.embeddings.shape[1]
        cut_s = float(read.attributes["cut_secs"])
        for n, (name, class_name) in enumerate(zip(read.ids, read.classes, strict=True)):
            split = _text(read.attributes["split"])
            segment = _segment(path, read, n, split)
            key = name, class_name, split
            if key in rows and not np.array_equal(rows[key][1], read.embeddings[n]):
                raise DataError(f"{path}: holds another row of {name} of {class_name} in {split}")
            again += key in rows
            rows[key] = segment, read.embeddings[n]
    chosen = [segment for segment, _ in rows.values()]
    classes = sorted({each.class_name for each in chosen})
    used = vectors.EncoderUsed(
        name=encoder,
        digest=UNKNOWN,
        sample_rate_hz=rate_hz,
        embedding_size=size,
        segment_s=cut_s,
    )
    matrix = np.stack([vector for _, vector in rows.values()])
    vectors.write_embeddings(into, used, classes, chosen, matrix)
    yield f"{len(chosen)} embeddings of {len(classes)} classes; {again} rows stood there again"
    found = leakage_of(chosen)
    if found.shared:
        yield f"leakage: {found.shared} of {found.tracks} tracks lie in several splits"


def _segment(path: Path, read: hdf5.Rows, n: int, split: str) -> Segment:
    try:
        _, track, bucket, round_, number = (int(part) for part in read.ids[n].split("_"))
    except ValueError as error:
        raise DataError(
            f"{path}: ID {read.ids[n]!r} is not class_track_bucket_round_number"
        ) from error
    name = "/".join([read.classes[n], *_folders(read.subclasses[n]), read.track_names[n]])
    cut_s = float(read.attributes["cut_secs"])
    return Segment(
        # numbers tell apart what starts at the same place: offsets of later rounds are not stored
        record_id=segments.record_id(
            f"{name}\n{number}\n{split}", round(1000 * cut_s * bucket), round_
        ),
        track_id=name,
        class_name=read.classes[n],
        subclass=read.subclasses[n],
        path=name,
        split=split,
        start_s=cut_s * bucket,
        duration_s=cut_s,
        round=round_,
        noise=float(read.attributes["noise_perc"]) > 0,
        track=track,
        bucket=bucket,
        number=number,
    )


def _folders(subclass: bytes | str) -> list[str]:
    return [part for part in PurePosixPath(_text(subclass)).parts if part not in ("/", ".", "..")]


def _stem(track: bytes | str) -> str:
    return PurePosixPath(_text(track)).stem


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
