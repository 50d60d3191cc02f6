"""Parameters of ``pipelines.predict``, predictions of a registered model."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.parameters.release import check_model_name
from soundgate.audio.prediction.choices import Format, Runtime, Seconds
from soundgate.bounds import Fraction
from soundgate.parameters import ConfigFile, Group


@dataclass(frozen=True, kw_only=True)
class PredictParameters(Group):
    """Parameters of ``pipelines.predict``, predictions of a registered model."""

    config: ConfigFile = field(
        default=ConfigFile("user_configs/predict.yaml", must_exist=False),
        metadata={"check": "soundgate.audio.config:check"},
    )
    """User config (``--config``), optional: ``prediction``, ``deployment``, ``general``."""

    model_name: str = "aed"
    """Registered model; candidates are versions of ``<model_name>-candidates``."""

    version: str = "champion"
    """Alias (``champion``, ``candidate``) or number of the version."""

    audio: str = ""
    """Folder or audio file; empty: ``prediction.test_files_path``, else the manifest's folder."""

    manifest: str = ""
    """``manifest.jsonl`` or a CSV with path, start_s, end_s; empty: every file of ``audio``."""

    encoder: str = ""
    """Weights of the encoder that a classifier of embeddings listens through: a file or folder."""

    format: Format = "csv"
    """Format of the tables."""

    runtime: Runtime = "torch"
    """What computes; onnx and int8 need a version with exported programs."""

    segment_s: Seconds = 0.0
    """Length of the segments that long files are cut into; 0: the model's longest clip."""

    hop_s: Seconds = 0.0
    """From the start of a segment to the next one's; 0: ``segment_s``."""

    unknown_class_threshold: Fraction = 0.0
    """Below it a clip's best score makes it unknown; 0: ``deployment.unknown_class_threshold``."""

    strict: bool = False
    """Whether a file that cannot be read ends the run; otherwise it is listed in failures.jsonl."""

    in_place: bool = False
    """Hand on the folder's name, not its bytes: not read twice, predicted anew by every run."""

    gpu: bool = False
    """Whether the task asks for a GPU."""

    def __post_init__(self) -> None:
        """Refuse at once what would fail only when the model is looked up.

        Raises:
            ParameterError: the model's name cannot be registered.
        """
        super().__post_init__()
        check_model_name(self.model_name)
