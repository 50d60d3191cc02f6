"""Parameters of ``pipelines.spot``, calls in long recordings, and the metrics of its gates."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

from pipelines.parameters.release import ReleaseParameters, gains
from pipelines.parameters.spot_variants import (
    BenchmarkVariants,
    TrainVariants,
    read_benchmark_variants,
    read_train_variants,
)
from soundgate.audio.datasets.corpora.strategies import Strategies, read_strategies
from soundgate.bounds import Bounds, Fraction
from soundgate.errors import ParameterError
from soundgate.parameters import ConfigFile

SYNTHETIC: Final = "synthetic"
"""Instead of a folder: tapes that are rendered."""

EVENT_F1_GAIN, EVENT_F1_GAIN_LOW = gains("event:f1", "event F1", "metrics.event_f1")
"""Event F1 less the champion's on the same recordings, and the interval's lower end."""


@dataclass(frozen=True, kw_only=True)
class SpotParameters(ReleaseParameters):
    """Parameters of ``pipelines.spot``, finding calls in long recordings."""

    config: ConfigFile = field(
        default=ConfigFile("user_configs/spot.yaml", must_exist=False),
        metadata={"check": "soundgate.audio.config:check_spot"},
    )
    """User config (``--config``): front end, network, augmentation, training."""

    model_name: str = "spot"

    store: str = "runs/store"
    """Object store that keeps corpora: a folder, or ``s3://bucket/prefix``."""

    training_corpus: str = SYNTHETIC
    """Folder of the recordings that data sets are cut from; ``synthetic``: rendered tapes."""

    training_annotations: list[str] = field(default_factory=list)
    """Its annotation tables or folders of them, where they do not lie in it."""

    benchmark_corpus: str = SYNTHETIC
    """Folder of the recordings that detectors are compared on; ``synthetic``: rendered tapes."""

    benchmark_annotations: list[str] = field(default_factory=list)
    """Its annotation tables or folders of them, where they do not lie in it."""

    annotation_columns: list[str] = field(default_factory=list)
    """Columns of tables whose names do not tell: ``label=Species``."""

    train_variants: str = "user_configs/spot/train_variants.json"
    """Detectors that are trained: data set, window and transform of each."""

    benchmark_variants: str = "user_configs/spot/benchmark_variants.json"
    """Windows, hops and thresholds that every detector is tried with."""

    dataset_prep_configs: str = "user_configs/spot/dataset_prep_configs.json"
    """Strategies that data sets are cut by."""

    generate_spectrograms: bool = False
    """Whether every file of a data set gets a picture."""

    synthetic_tapes: Annotated[int, Bounds(3)] = 12
    """Rendered tapes with calls to train on; half as many are rendered for the benchmark."""

    synthetic_tape_s: Annotated[float, Bounds(10, 86400)] = 60.0
    """Length of a rendered tape, seconds."""

    synthetic_seed: Annotated[int, Bounds(0, 2**31)] = 0
    """Seed of the tapes to train on; the benchmark's is one more."""

    epochs: Annotated[int, Bounds(0)] = 0
    """Passes over the training clips; 0: ``training.epochs`` of the user config."""

    iou: Fraction = 0.4
    """Least intersection over union of a detection and the call that it finds."""

    collar_s: Annotated[float, Bounds(0)] = 0.2
    """Distance of begins and ends that F1 by collars allows, seconds."""

    merge_gap_s: Annotated[float, Bounds(0)] = 0.0
    """Gap up to which neighbouring detections are one, seconds."""

    postrf: bool = False
    """Whether a random forest, taught on the validation recordings, judges detections once more."""

    export: bool = True
    """Whether the best detector is also registered as ONNX and torch.export programs."""

    q_event_f1_threshold: Fraction | None = 0.5
    """Gate: least event F1 of the best detector on the benchmark; none: no such gate."""

    q_event_f1_low_threshold: Fraction | None = None
    """Gate: the same for the lower end of its interval over tapes; none: no such gate."""

    def __post_init__(self) -> None:
        """Refuse at once what would fail only when the corpora are collected.

        Raises:
            ParameterError: a folder or a table is not there, or a column is not ``FIELD=COLUMN``.
        """
        super().__post_init__()
        for side in ("training", "benchmark"):
            corpus, tables = getattr(self, f"{side}_corpus"), getattr(self, f"{side}_annotations")
            if corpus == SYNTHETIC and tables:
                raise ParameterError(f"{side}_annotations: a synthetic corpus takes none")
            if corpus != SYNTHETIC and not Path(corpus).is_dir():
                raise ParameterError(f"{side}_corpus: {corpus or 'nothing'}: is no folder")
            if missing := [table for table in tables if not Path(table).exists()]:
                raise ParameterError(f"{side}_annotations: {missing[0]}: no such file or folder")
        if wrong := [text for text in self.annotation_columns if not all(text.partition("="))]:
            raise ParameterError(f"annotation_columns: {wrong[0]!r}: write FIELD=COLUMN")
        if not self.store:
            raise ParameterError("store: give a folder, or s3://bucket/prefix")

    @property
    def strategies(self) -> Strategies:
        """What ``dataset_prep_configs`` says."""
        return read_strategies(Path(self.dataset_prep_configs))

    @property
    def trained(self) -> TrainVariants:
        """What ``train_variants`` says."""
        strategies = self.strategies
        return read_train_variants(
            self.train_variants, list(strategies.by_name), list(strategies.active)
        )

    @property
    def benchmark(self) -> BenchmarkVariants:
        """What ``benchmark_variants`` says."""
        return read_benchmark_variants(self.benchmark_variants)
