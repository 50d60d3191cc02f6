"""Parameters of ``pipelines.sec``, embeddings of whole corpora and classifiers on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pipelines.parameters.data import DataParameters
from pipelines.parameters.sec_heads import SecHeadParameters
from soundgate.bounds import Bounds
from soundgate.errors import ParameterError
from soundgate.parameters import ConfigFile

USUAL_CUT_S = 7.0
"""Length of segments where neither a parameter nor the user config says one."""


@dataclass(frozen=True, kw_only=True)
class SecParameters(SecHeadParameters, DataParameters):
    """Parameters of ``pipelines.sec``, embeddings of whole corpora and classifiers on them."""

    config: ConfigFile = field(
        default=ConfigFile("user_configs/sec.yaml", must_exist=False),
        metadata={"check": "soundgate.audio.config:check_sec"},
    )
    """User config (``--config``): classes, windows, noise, splits, encoder."""

    audio_format: str = ""
    """Extension of the files that are embedded: wav, mp3, flac; empty: all."""

    octaves: list[Annotated[int, Bounds(1, 96)]] = field(default_factory=lambda: [3])
    """Bands an octave, each a fraction that levels are measured in: 1, 3, 12; none: no levels."""

    cut_secs: Annotated[float, Bounds(0)] = 0.0
    """Length of segments, seconds; 0: the first of ``valid_cut_secs`` of the user config."""

    shards: Annotated[int, Bounds(1, 10000)] = 8
    """Units of work; more than there are workers keeps all of them busy."""

    hours: Annotated[float, Bounds(0.01, 1000)] = 4.0
    """Time limit of a unit that embeds, hours."""

    hdf5: bool = False
    """Whether HDF5 files in the layout of SEC_pipeline are written too."""

    def __post_init__(self) -> None:
        """Refuse what would fail only when the corpus is planned.

        Raises:
            ParameterError: an octave is named twice, or HDF5 files are asked for without levels.
        """
        super().__post_init__()
        if len(set(self.octaves)) < len(self.octaves):
            raise ParameterError(f"octaves: {self.octaves}: name each once")
        if self.audio_format.startswith("."):
            raise ParameterError(f"audio_format: write {self.audio_format[1:]}, without the dot")
        if self.hdf5 and not self.octaves:
            raise ParameterError("hdf5: the files hold levels too: name at least one of octaves")

    @property
    def cut(self) -> float:
        """Length of segments, wherever it is given, seconds."""
        listed = self.config.get("valid_cut_secs") or [USUAL_CUT_S]
        return self.cut_secs or float(listed[0])

    @property
    def weights(self) -> str:
        """Where the encoder's weights lie; "" for packages that bring their own.

        Raises:
            ParameterError: the encoder needs some, and none are given.
        """
        name = self.config.get("encoder.name", "clap-2023")
        path = self.config.get("encoder.path") or ""
        if not path and not str(name).startswith("hear:"):
            raise ParameterError(
                f"encoder.path: {name} needs its weights: --set encoder.path=PATH "
                "(docs/encoders.md)"
            )
        return str(path)
