"""ESC-50: 2000 clips of 5 s, 50 classes of 40, five folds (a checkout of its repository).

The layout is ``audio/FOLD-ID-TAKE-TARGET.wav`` with ``meta/esc50.csv``. A source may be the
checkout, or its ``audio`` folder with the table beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from soundgate.audio.datasets import csv_labels
from soundgate.audio.datasets.base import Dataset, NoOptions, Source, check_folder
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from soundgate.audio.clips.manifest import Clip

# 5 s of 44.1 kHz 16-bit mono, and the smallest header that WAV allows.
_CLIP_BYTES: Final = 44 + 5 * 44_100 * 2

CITATION: Final = """\
@inproceedings{piczak2015esc,
  title     = {{ESC}: Dataset for Environmental Sound Classification},
  author    = {Piczak, Karol J.},
  booktitle = {Proceedings of the 23rd Annual ACM Conference on Multimedia},
  year      = {2015},
  pages     = {1015--1018},
  publisher = {ACM Press},
  doi       = {10.1145/2733373.2806390},
}"""
HOMEPAGE: Final = "https://github.com/karolpiczak/ESC-50"
FOLDS: Final = 5
DOWNLOAD_COMMAND: Final = f"git clone --depth 1 {HOMEPAGE}.git ./temp"
_CLASSES: Final = (
    "airplane breathing brushing_teeth can_opening car_horn cat chainsaw chirping_birds "
    "church_bells clapping clock_alarm clock_tick coughing cow crackling_fire crickets crow "
    "crying_baby dog door_wood_creaks door_wood_knock drinking_sipping engine fireworks footsteps "
    "frog glass_breaking hand_saw helicopter hen insects keyboard_typing laughing mouse_click pig "
    "pouring_water rain rooster sea_waves sheep siren sneezing snoring thunderstorm toilet_flush "
    "train vacuum_cleaner washing_machine water_drops wind"
)


def list_clips(source: Source, _options: NoOptions) -> Iterator[Clip]:
    """Yield the clips of a checkout in the table's order.

    Raises:
        DataError: the table or a clip is missing, wrong or cut short.
    """
    check_folder(source)
    return checked_clips(source.audio, csv_labels.read_rows(find_table(source)))


def find_table(source: Source) -> Path:
    """The table of a checkout, or of its ``audio`` folder.

    Raises:
        DataError: there is none.
    """
    audio = source.audio
    tables = (audio / "meta" / "esc50.csv", audio.parent / "meta" / "esc50.csv")
    table = source.labels or next((path for path in tables if path.is_file()), None)
    if table is not None and table.is_dir():
        return csv_labels.find_table(table)
    if table is None:
        raise DataError(f"{audio}: has no meta/esc50.csv: give a complete checkout of ESC-50")
    return table


def checked_clips(folder: Path, rows: Iterable[csv_labels.Row]) -> Iterator[Clip]:
    """Yield the clips of rows, each file as long as a clip of ESC-50 is.

    Raises:
        DataError: a clip is missing or cut short, or has no fold or source.
    """
    for clip in csv_labels.to_clips(rows, folder, csv_labels.Options()):
        file = folder / clip.path
        size_bytes = file.stat().st_size
        if size_bytes < _CLIP_BYTES:
            raise DataError(
                f"{file}: {size_bytes} bytes, clips of ESC-50 have {_CLIP_BYTES}: fetch it again"
            )
        if clip.fold is None or clip.source is None:
            raise DataError(f"{file}: the table gives no fold or src_file: use the table of ESC-50")
        yield clip


DATASET: Final = Dataset(
    name="ESC-50",
    title="ESC-50: Dataset for Environmental Sound Classification",
    licence="CC BY-NC 3.0",
    citation=CITATION,
    homepage=HOMEPAGE,
    size="2,000 clips, 2.8 h, 0.6 GB",
    options=NoOptions,
    folds=lambda _options: FOLDS,
    labels="The one class that the whole clip was chosen for; it need not sound all the time.",
    list_clips=list_clips,
    download_command=DOWNLOAD_COMMAND,
    clips_per_class=dict.fromkeys(_CLASSES.split(), 40),
)
