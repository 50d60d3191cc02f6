"""Which data a pipeline trains and tests on; every system that trains has these parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from soundgate.bounds import Bounds
from soundgate.errors import ParameterError
from soundgate.parameters import ConfigFile, Group

UNNAMED_DATASET = "AED_Dataset"
"""Name of a data set whose user config gives none."""


@dataclass(frozen=True, kw_only=True)
class DataParameters(Group):
    """Which clips, where they are kept, and which of them are tested on."""

    config: ConfigFile
    """User config (``--config``)."""

    dataset: str = ""
    """Data set of the catalogue; empty: ``dataset.name`` of the user config."""

    dataset_path: str = ""
    """Folder that already holds it; empty: ``dataset.training_audio_path``, else it is fetched."""

    download_command: str = ""
    """Shell command that downloads it into ``./temp``; empty: the catalogue's own."""

    store: str = "runs/store"
    """Object store that keeps fetched data sets: a folder, or ``s3://bucket/prefix``."""

    test_fold: Annotated[int, Bounds(0)] = 0
    """Fold held out for testing, counted from 1; 0: ``dataset.test_fold`` of the user config."""

    folds: list[Annotated[int, Bounds(1)]] = field(default_factory=list)
    """Cross-validation: train and test once for each of these folds; nothing is registered."""

    def __post_init__(self) -> None:
        """Refuse at once what would fail only when the data are fetched.

        Raises:
            ParameterError: there is no store, the data lie elsewhere, or a fold is named twice.
        """
        super().__post_init__()
        if not self.store:
            raise ParameterError("store: give a folder, or s3://bucket/prefix")
        if "://" in self.dataset_path:
            raise ParameterError(
                f"dataset_path: {self.dataset_path} is no folder of this machine: copy it here, or "
                "set download_command to what copies it into ./temp"
            )
        if len(set(self.folds)) < len(self.folds):
            raise ParameterError(f"folds: {self.folds}: name each fold once")

    @property
    def dataset_name(self) -> str:
        """The data set's name, wherever it is given."""
        return self.dataset or str(self.config.get("dataset.name", UNNAMED_DATASET))

    @property
    def processing_step_name(self) -> str:
        """How a platform's console shows the preprocessing task."""
        name = Path(self.dataset_name)
        return f"Preprocess_{name.stem if self.is_described else name}"

    @property
    def is_described(self) -> bool:
        """Whether the data set is the path of a YAML file that describes one."""
        return self.dataset_name.lower().endswith((".yaml", ".yml"))
