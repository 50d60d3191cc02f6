"""What ``soundgate build-corpus-index`` does: the index of a corpus, however it is annotated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.audio.datasets.corpora.indexing.layout import has_layout, index_layout
from soundgate.audio.datasets.corpora.indexing.tables import index_tables
from soundgate.audio.formats.datasets.corpus import CORPUS_INDEX, write_corpus_index
from soundgate.errors import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.formats.datasets.corpus import CorpusIndex


def make_index(
    folder: Path, tables: Sequence[Path] = (), columns: Mapping[str, str] | None = None
) -> CorpusIndex:
    """The index of a corpus: of its folders of clips and calls, or of its annotation tables.

    Args:
        folder: the corpus.
        tables: annotation files, where they are not found by where they lie.
        columns: field to column, where a table's names do not tell.

    Raises:
        DataError: the corpus is wrong; see ``layout`` and ``tables``.
    """
    if not folder.is_dir():
        raise unreadable(folder, NotADirectoryError(20, "is no folder"))
    if not tables and has_layout(folder):
        return index_layout(folder)
    return index_tables(folder, tables, columns)


def build(folder: Path, tables: Sequence[Path], columns: Mapping[str, str]) -> Iterator[str]:
    """Write ``corpus_index.json``.

    Yields:
        What was found, a line each.
    """
    index = make_index(folder, tables, columns)
    write_corpus_index(folder, index)
    without = len(index.recordings) - len(index.distribution.per_clip)
    minutes = sum(recording.duration_s for recording in index.recordings) / 60
    yield f"{folder / CORPUS_INDEX}: written"
    yield (
        f"{index.meta.n_hums} calls in {len(index.recordings)} recordings of "
        f"{index.meta.n_raw_recordings} tapes, {minutes:.1f} minutes; {without} without calls"
    )
