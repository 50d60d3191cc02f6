"""HDF5 files of embeddings and levels, in the layout that users of SEC_pipeline read.

    <cut>_secs/combined_<split>.h5
    <cut>_secs/<Class>/<Class>_<split>_<format>_emb.h5

A file has the attributes ``audio_format cut_secs n_octave sample_rate noise_perc seed split
embedding_dim spec_shape`` (of one class also ``class``), and one table, ``embedding_dataset``::

    ID  embeddings (size)  spectrograms (block, band)  track_names  [classes]  subclasses

``ID`` is ``<class>_<track>_<bucket>_<round>_<number>``. Numbers are float32 and compressed. Texts
are UTF-8 of at most 100 bytes; longer names are refused, not cut.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundgate.errors import DataError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from soundgate.audio.formats.embeddings.levels import BandLevels
    from soundgate.audio.formats.embeddings.segments import RecordsFile, Segment
    from soundgate.audio.formats.embeddings.vectors import Embeddings

DATASET: Final = "embedding_dataset"
_TEXT_BYTES: Final = 100
_ROWS: Final = 64
"""Of a chunk, which is what is compressed and read at once."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one file."""

    ids: tuple[str, ...]
    embeddings: NDArray[np.float32]
    """(row, size)."""
    spectrograms: NDArray[np.float32]
    """(row, block, band), dB."""
    track_names: tuple[str, ...]
    classes: tuple[str, ...]
    subclasses: tuple[str, ...]
    attributes: dict[str, Any]


def write(
    folder: Path,
    embeddings: Embeddings,
    levels: BandLevels,
    about: RecordsFile,
    audio_format: str,
) -> None:
    """Write the files of a corpus; memory holds some rows at a time.

    Raises:
        DataError: embeddings and levels are not of the same segments.
        MissingExtra: h5py is not installed.
    """
    cut = f"{about.window_s:g}_secs"
    attributes = {
        "audio_format": audio_format,
        "cut_secs": about.window_s,
        "n_octave": levels.about.bands_per_octave,
        "sample_rate": embeddings.about.encoder.sample_rate_hz,
        "noise_perc": about.noise_perc,
        "seed": about.seed,
        "embedding_dim": embeddings.about.encoder.embedding_size,
        "spec_shape": levels.about.shape,
    }
    with ExitStack() as stack:
        made = _Files(stack, folder / cut, audio_format, attributes, about.classes)
        for segments, vectors, spectrograms in _joined(embeddings, levels):
            made.check(segments)
            made.add(segments, vectors, spectrograms)


def read(path: Path) -> Rows:
    """The rows of a file, of ours or of SEC_pipeline's own.

    Raises:
        DataError: the file is missing or has another layout.
        MissingExtra: h5py is not installed.
    """
    try:
        with library().File(path, "r") as file:
            table, attributes = file[DATASET][:], dict(file.attrs)
            names = table.dtype.names
            texts = {name: tuple(_text(each) for each in table[name]) for name in _texts(names)}
            return Rows(
                ids=texts["ID"],
                embeddings=table["embeddings"].astype(np.float32),
                spectrograms=table["spectrograms"].astype(np.float32),
                track_names=texts["track_names"],
                classes=texts.get("classes") or (_text(attributes["class"]),) * len(table),
                subclasses=texts["subclasses"],
                attributes=attributes,
            )
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}: is no file of embeddings: {error}") from error


def _texts(names: Sequence[str]) -> list[str]:
    return [name for name in names if name not in ("embeddings", "spectrograms")]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _joined(
    embeddings: Embeddings, levels: BandLevels
) -> Iterator[tuple[list[Segment], NDArray[np.float32], NDArray[np.float32]]]:
    """Both tables are sorted by id and read in blocks of the same rows."""
    pairs = zip(embeddings.batches(), levels.batches(), strict=True)
    try:
        for (segments, vectors), (ids, found) in pairs:
            if [each.record_id for each in segments] != ids:
                raise DataError(f"{levels.folder}: is of other segments than {embeddings.folder}")
            yield segments, vectors, found
    except ValueError as error:
        raise DataError(f"{levels.folder}: is of fewer or more segments: {error}") from error


@dataclass
class _Files:
    """The open files, by split and class; class None: all of them."""

    stack: ExitStack
    folder: Path
    audio_format: str
    attributes: dict[str, Any]
    classes: tuple[str, ...]
    open: dict[tuple[str, str | None], Any] = field(default_factory=dict)

    def check(self, segments: Sequence[Segment]) -> None:
        """Refuse names that do not fit: cut ones would be others."""
        for each in segments:
            for text in (each.path, each.class_name, each.subclass):
                if len(text.encode()) > _TEXT_BYTES:
                    raise DataError(
                        f"{text!r}: is longer than {_TEXT_BYTES} bytes, which HDF5 files of "
                        "embeddings have for a name: shorten it, or leave hdf5 out"
                    )

    def add(
        self,
        segments: Sequence[Segment],
        vectors: NDArray[np.float32],
        spectrograms: NDArray[np.float32],
    ) -> None:
        """Append rows to the files they belong to."""
        for split in sorted({each.split for each in segments}):
            own = [n for n, each in enumerate(segments) if each.split == split]
            for name in (None, *sorted({segments[n].class_name for n in own})):
                chosen = [n for n in own if name in (None, segments[n].class_name)]
                table = self._table(split, name)
                rows = np.zeros(len(chosen), table.dtype)
                for at, n in enumerate(chosen):
                    each = segments[n]
                    rows[at]["ID"] = self._id(each).encode()
                    rows[at]["track_names"] = each.path.encode()
                    rows[at]["subclasses"] = each.subclass.encode()
                    if name is None:
                        rows[at]["classes"] = each.class_name.encode()
                rows["embeddings"], rows["spectrograms"] = vectors[chosen], spectrograms[chosen]
                before = len(table)
                table.resize(before + len(rows), axis=0)
                table[before:] = rows

    def _id(self, each: Segment) -> str:
        place = self.classes.index(each.class_name)
        return f"{place}_{each.track}_{each.bucket}_{each.round}_{each.number}"

    def _table(self, split: str, class_name: str | None) -> Any:
        key = split, class_name
        if key not in self.open:
            path = self.folder / f"combined_{split}.h5"
            if class_name is not None:
                name = f"{class_name}_{split}_{self.audio_format}_emb.h5"
                path = self.folder / class_name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            file = self.stack.enter_context(library().File(path, "w"))
            file.attrs.update({**self.attributes, "split": split})
            if class_name is not None:
                file.attrs["class"] = class_name
            self.open[key] = file.create_dataset(
                DATASET,
                shape=(0,),
                maxshape=(None,),
                dtype=self._dtype(has_classes=class_name is None),
                chunks=(_ROWS,),
                compression="gzip",
                compression_opts=1,
                shuffle=True,
            )
        return self.open[key]

    def _dtype(self, *, has_classes: bool) -> np.dtype[Any]:
        text = f"S{_TEXT_BYTES}"
        columns: list[tuple[Any, ...]] = [
            ("ID", text),
            ("embeddings", "<f4", (self.attributes["embedding_dim"],)),
            ("spectrograms", "<f4", self.attributes["spec_shape"]),
            ("track_names", text),
        ]
        columns += [("classes", text)] if has_classes else []
        return np.dtype([*columns, ("subclasses", text)])


def library() -> Any:
    """h5py.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra("HDF5 files need h5py: pip install 'soundgate[audio]'") from error
    return h5py
