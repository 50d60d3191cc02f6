"""Which clips a tagger learns from, and how they are divided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pipelines.parameters.data import DataParameters
from soundgate.audio.datasets.layouts.strings import Layout, parse
from soundgate.bounds import Bounds
from soundgate.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class TaggingDataParameters(DataParameters):
    """Clips as ``<type>:<path>``, or a data set of the catalogue; labels, rate, sides."""

    train_paths: list[str] = field(default_factory=list)
    """Training clips, each ``<type>:<path>``: irmastrain, irmastest, csv or openmic."""

    val_paths: list[str] = field(default_factory=list)
    """Validation clips; none: a share of the training clips, ``validation_split``."""

    test_paths: list[str] = field(default_factory=list)
    """Test clips; none: a fold of the training clips, ``test_fold`` of ``n_folds``."""

    train_override_csvs: list[str] = field(default_factory=list)
    """Tables that override labels of training clips: ``filename``, and 0 or 1 for labels."""

    train_only_dataset: bool = False
    """Whether ``val_paths`` and ``test_paths`` are left out, and training clips divided."""

    labels: list[str] = field(default_factory=list)
    """Labels that are learnt, in the order of the outputs; none: all that a clip has, sorted."""

    sampling_rate: Annotated[int, Bounds(1000)] = 16000
    """Rate of all waveforms, Hz."""

    longest_s: Annotated[float, Bounds(0.01, 86400)] = 60.0
    """What exceeds this many seconds of a clip is not read."""

    validation_split: Annotated[float, Bounds(0, 0.9)] = 0.2
    """Share of the training clips that becomes validation where ``val_paths`` is empty."""

    n_folds: Annotated[int, Bounds(2)] = 5
    """Folds that are made where ``test_paths`` is empty and the data set has none."""

    split_seed: int = 120
    """Seed of the division."""

    dataset_fraction: Annotated[float, Bounds(0.0001, 1)] = 1.0
    """Share of the clips of each split that is used."""

    quick: bool = False
    """Whether about a hundred clips are used, to try a pipeline out."""

    def __post_init__(self) -> None:
        """Refuse at once what would fail only when the data are collected.

        Raises:
            ParameterError: a path is no ``<type>:<path>``, the data are given twice, or a side is
                given without training clips.
        """
        super().__post_init__()
        for name in ("train_paths", "val_paths", "test_paths"):
            parse(name, getattr(self, name))
        if self.train_paths and (self.dataset or self.dataset_path):
            given = "dataset" if self.dataset else "dataset_path"
            raise ParameterError(f"train_paths and {given} both name the data: remove one")
        others = ("val_paths", "test_paths", "train_override_csvs")
        if not self.train_paths and (alone := [name for name in others if getattr(self, name)]):
            raise ParameterError(f"{alone[0]}: there are no train_paths: give them too")
        if len(set(self.labels)) < len(self.labels):
            raise ParameterError(f"labels: {self.labels}: name each label once")

    @property
    def layouts(self) -> dict[str | None, list[Layout]]:
        """What is brought for each side."""
        sides: dict[str | None, list[Layout]] = {"training": parse("train_paths", self.train_paths)}
        if not self.train_only_dataset:
            sides["validation"] = parse("val_paths", self.val_paths)
            sides["test"] = parse("test_paths", self.test_paths)
        return sides
