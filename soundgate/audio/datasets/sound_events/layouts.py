"""Where the parts of published data sets lie in their folders.

    desed      audio/ and metadata/ of DESED and DCASE 2024 task 4, with MAESTRO's windows in it
    maestro    MAESTRO Real: development_audio/, development_annotation/, train_split.csv
    audioset   AudioSet's strong labels: audioset_train_strong.tsv, audio/
    synthetic  soundscapes that are rendered: DESED's and MAESTRO's folders in one

Parts that are not there are passed over; a folder of audio may end in ``_16k``, as the baseline's
resampling names it. DESED's validation clips are the split that post-processing is tuned on, so
that its public evaluation clips stay a test.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.annotations.text import read_rows
from soundgate.audio.clips.sound_events.label_space import DESED_MAESTRO, Annotated, LabelSpace
from soundgate.audio.datasets.sound_events.parts import Part
from soundgate.audio.datasets.synthetic.soundscapes import rendering
from soundgate.audio.datasets.synthetic.soundscapes.options import SoundscapeOptions
from soundgate.errors import DataError, ParameterError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from soundgate.audio.formats.datasets.sound_events import Kind, Split


@dataclass(frozen=True, slots=True)
class _Row:
    """A part below ``audio/`` and ``metadata/``."""

    name: str
    dataset: str
    kind: Kind
    split: Split
    audio: tuple[str, ...]
    """Folders; the first that is there counts."""
    table: str | None
    validation_share: float = 0.0


_DESED: Final = (
    _Row(
        *("synthetic", "desed", "strong", "training"),
        ("train/synthetic21_train/soundscapes", "train/synthetic/soundscapes"),
        "train/synthetic21_train/soundscapes.tsv",
    ),
    _Row(
        *("synthetic-validation", "desed", "strong", "validation"),
        ("validation/synthetic21_validation/soundscapes",),
        "validation/synthetic21_validation/soundscapes.tsv",
    ),
    _Row(
        *("strong", "desed", "strong", "training"),
        ("train/strong_label_real",),
        "train/audioset_strong.tsv",
    ),
    _Row("weak", "desed", "weak", "training", ("train/weak",), "train/weak.tsv", 0.1),
    _Row(
        *("unlabelled", "desed", "unlabelled", "training"),
        ("train/unlabel_in_domain",),
        "train/unlabel_in_domain.tsv",
    ),
    _Row(
        *("validation", "desed", "strong", "tune"),
        ("validation/validation", "validation"),
        "validation/validation.tsv",
    ),
    _Row(
        *("public-evaluation", "desed", "strong", "test"),
        ("eval/public", "eval21"),
        "eval/public.tsv",
    ),
    _Row(
        *("maestro", "maestro", "soft", "training"),
        ("maestro_real_train",),
        "maestro_real_train.tsv",
    ),
    _Row(
        *("maestro-validation", "maestro", "soft", "test"),
        ("maestro_real_validation",),
        "maestro_real_validation.tsv",
    ),
)
_WINDOW_S: Final = 10.0
_LARGEST: Final = 100


def desed(root: Path) -> list[Part]:
    """Parts of DESED, and of MAESTRO cut into windows as DCASE 2024 does.

    Raises:
        DataError: no part is there.
    """
    parts = []
    for row in _DESED:
        audio = _first(root / "audio", row.audio)
        table = root / "metadata" / row.table if row.table else None
        if audio is None or (table is not None and not table.is_file()):
            if row.kind != "unlabelled" or audio is None:
                continue
            table = None  # the list of unlabelled clips is often not published with them
        parts.append(
            Part(
                name=row.name,
                dataset=row.dataset,
                kind=row.kind,
                split=row.split,
                audio=audio,
                table=table,
                validation_share=row.validation_share,
            )
        )
    if not parts:
        raise DataError(f"{root}: holds no part of DESED: metadata/ and audio/ are looked for")
    return parts


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The first folder that is there, resampled ones before others."""
    for name in names:
        for ending in ("_16k", ""):
            if (folder / f"{name}{ending}").is_dir():
                return folder / f"{name}{ending}"
    return None


def maestro(root: Path) -> list[Part]:
    """Recordings of MAESTRO Real, cut into windows of 10 s that begin every second.

    Raises:
        DataError: a folder or a division is missing.
    """
    parts: list[Part] = []
    splits: tuple[tuple[str, str, Split], ...] = (
        ("maestro", "train", "training"),
        ("maestro-validation", "validation", "test"),
    )
    for name, side, split in splits:
        recordings = _division(root / f"{side}_split.csv")
        parts.append(
            Part(
                name=name,
                dataset="maestro",
                kind="soft",
                split=split,
                audio=root / "development_audio",
                table=root / "development_annotation",
                recordings=recordings,
                window_s=_WINDOW_S,
            )
        )
    return parts


def _division(path: Path) -> tuple[str, ...]:
    """Recordings of a side: a column of the names of their lists."""
    rows = [cells[0].strip() for _, cells in read_rows(path, ",")]
    return tuple(name.removesuffix(".txt") for name in rows[1:] if name)


def audioset(root: Path) -> list[Part]:
    """Strongly labelled clips of AudioSet.

    Raises:
        DataError: no list is there.
    """
    sides: tuple[tuple[str, Split], ...] = (("train", "training"), ("eval", "test"))
    parts = [
        Part(
            name=f"audioset-{side}",
            dataset="audioset",
            kind="strong",
            split=split,
            audio=_first(root / "audio", (side,)) or root / "audio",
            table=root / f"audioset_{side}_strong.tsv",
        )
        for side, split in sides
        if (root / f"audioset_{side}_strong.tsv").is_file()
    ]
    if not parts:
        raise DataError(f"{root}: has no audioset_train_strong.tsv or audioset_eval_strong.tsv")
    return parts


def audioset_space(root: Path) -> LabelSpace:
    """The classes of AudioSet's strong labels, by their names.

    Raises:
        DataError: ``mid_to_display_name.tsv`` is missing or empty.
    """
    path = root / "mid_to_display_name.tsv"
    rows = [cells for _, cells in read_rows(path, "\t")]
    names = {cells[0].strip(): cells[1].strip() for cells in rows if len(cells) > 1}
    if not names:
        raise DataError(f"{path}: has no names of classes")
    classes = tuple(sorted(set(names.values())))
    return LabelSpace(classes, {"audioset": Annotated(classes, {}, names)})


def synthetic(root: Path) -> list[Part]:
    """Parts of the soundscapes that are rendered in both layouts.

    Raises:
        DataError: a part is missing.
    """
    return desed(root) + maestro(root)


LAYOUTS: Final[dict[str, Callable[[Path], list[Part]]]] = {
    "desed": desed,
    "maestro": maestro,
    "audioset": audioset,
    "synthetic": synthetic,
}
"""By name."""


@contextmanager
def root(name: str, folder: Path | None, *, scale: float = 1.0, seed: int = 0) -> Iterator[Path]:
    """The folder of a data set; soundscapes are rendered into one that is there for the time.

    Args:
        name: of the layout.
        folder: the user's; None for soundscapes.
        scale: times so many clips of each kind are rendered.
        seed: of what is rendered.

    Raises:
        ParameterError: a data set has no folder, or soundscapes have one.
    """
    if name != "synthetic":
        if folder is None:
            raise ParameterError(f"layout {name!r} needs the folder of the data set")
        yield folder
        return
    if folder is not None:
        raise ParameterError("synthetic soundscapes are rendered: remove the folder")
    if not 0 < scale <= _LARGEST:
        raise ParameterError(f"scale must be above 0 and at most {_LARGEST}, got {scale:g}")
    with tempfile.TemporaryDirectory(prefix="soundgate-") as made:
        rendering.render(Path(made), replace(SoundscapeOptions(), seed=seed).scaled(scale))
        yield Path(made)


def layout(name: str, root: Path) -> tuple[list[Part], LabelSpace]:
    """Parts of a published data set, and its classes.

    Raises:
        DataError: there is no layout of that name, or the folder holds no part of it.
    """
    if name not in LAYOUTS:
        raise DataError(f"there is no layout {name!r}{nearest(name, LAYOUTS)}")
    if not root.is_dir():
        raise DataError(f"{root}: no such folder: check the path of the data set")
    parts = LAYOUTS[name](root)
    if name == "audioset":
        return parts, audioset_space(root)
    return parts, rendering.space() if name == "synthetic" else DESED_MAESTRO
