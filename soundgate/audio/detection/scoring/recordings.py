"""Which recordings of a corpus, or regions of them, are scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.audio.files import reading
from soundgate.audio.formats.datasets.corpus import CORPUS_INDEX, read_corpus_index
from soundgate.audio.formats.datasets.variant import VARIANT_INDEX, read_variant_index
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Region:
    """A recording, or a part of one."""

    path: str
    """POSIX path below the corpus."""
    start_s: float = 0.0
    end_s: float | None = None
    """None: the end of the file."""


def recordings(corpus: Path) -> list[Region]:
    """Every annotated recording of a corpus, or every audio file of a folder without an index.

    Raises:
        DataError: the index is damaged, or there is nothing to score.
    """
    if (corpus / CORPUS_INDEX).is_file():
        found = [Region(recording.path) for recording in read_corpus_index(corpus).recordings]
    else:
        found = [Region(path.relative_to(corpus).as_posix()) for path in reading.find(corpus)]
    if not found:
        raise DataError(f"{corpus}: holds no recordings; give a corpus or a folder of audio")
    return found


def validation_regions(dataset: Path) -> list[Region]:
    """The regions of its corpus that a data set keeps for validation.

    Raises:
        DataError: the data set names none.
    """
    regions = read_variant_index(dataset).meta.validation_regions
    if not regions:
        raise DataError(
            f"{dataset / VARIANT_INDEX}: names no validation_regions, so no threshold can be "
            "chosen; make the data set with 'soundgate prepare-datasets' and a share for val"
        )
    return [Region(region.path, region.start_s, region.end_s) for region in regions]
