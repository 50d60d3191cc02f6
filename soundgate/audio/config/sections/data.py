"""The section ``dataset``."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from soundgate.audio.config.sections.section import Section
from soundgate.errors import nearest

COLUMNS = ("file", "label", "labels", "source", "fold", "split", "start_s", "end_s")
"""What a table's columns mean; ``labels`` is another word for ``label``."""

Fraction = Annotated[float, Field(ge=0, lt=1)]


class Dataset(Section):
    """Which clips, which classes, and how they are divided."""

    name: str = "AED_Dataset"
    """Name of the data set: ESC-10, ESC-50, FSD50K, synthetic, folder, csv, or your own; or the
    path of a YAML file that describes one."""
    class_names: tuple[str, ...] = ()
    """Classes to tell apart; empty: every class of the data set."""
    file_extension: str = ".wav"
    """Appended to the file names of a CSV that have none."""
    training_audio_path: str | None = None
    """Folder of the clips of a ``custom`` data set."""
    training_csv_path: str | None = None
    """CSV of the clips of a ``custom`` data set, in ESC-50's columns."""
    columns: dict[str, str] | None = None
    """What a CSV of your own calls its columns: ``{file: fname, label: tags}``; also source, fold,
    split, start_s and end_s. Null: the usual names."""
    validation_audio_path: str | None = None
    """Folder of separate validation clips; null: validation is a share of the training clips."""
    validation_csv_path: str | None = None
    """CSV of separate validation clips."""
    validation_split: Fraction = 0.2
    """Share of the clips outside the test fold that picks the best epoch, 0 to 1."""
    test_audio_path: str | None = None
    """Folder of separate test clips; null: the test clips are those of ``test_fold``."""
    test_csv_path: str | None = None
    """CSV of separate test clips."""
    test_fold: int = Field(default=1, ge=1)
    """Fold that is tested on, counted from 1, where the data set brings no split of its own."""
    n_folds: int = Field(default=5, ge=2)
    """Number of folds made where the data set brings none."""
    quantization_audio_path: str | None = None
    """Folder of separate calibration clips."""
    quantization_csv_path: str | None = None
    """CSV of separate calibration clips."""
    quantization_split: float | None = Field(default=0.1, ge=0, le=1)
    """Share of the training clips that calibrates the int8 model; null: all of them."""
    group_identical: bool = True
    """Whether clips whose files hold the same bytes, or the same samples in different formats,
    count as one recording, which is never divided among made folds, nor between training and
    validation."""
    multi_label: bool = False
    """Whether a clip may carry several classes at once."""
    use_garbage_class: bool = False
    """Whether clips of classes outside ``class_names`` train a class ``other``. Else they are left
    out of a catalogue's data set, and an error in a folder or table of your own."""
    n_samples_per_garbage_class: int = Field(default=2, ge=1)
    """Clips taken from each class outside ``class_names`` for the class ``other``."""
    seed: int = 120
    """Seed of made folds, of the validation share and of the garbage class's sample."""
    to_cache: bool = True
    """Whether decoded and resampled waveforms are kept for the next extraction."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in self.columns or ():
            if name.lower() not in COLUMNS:
                raise ValueError(f"columns: unknown column {name!r}{nearest(name, COLUMNS)}")
        if self.use_garbage_class and not self.class_names:
            raise ValueError(
                "use_garbage_class needs class_names, because it groups the classes outside them"
            )
        if repeated := {name for name in self.class_names if self.class_names.count(name) > 1}:
            raise ValueError(f"class_names repeats {', '.join(sorted(repeated))}")
        if self.use_garbage_class and "other" in self.class_names:
            raise ValueError("class_names must not contain 'other' if use_garbage_class is on")
        return self
