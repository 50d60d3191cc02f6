"""What every encoder can do: turn waveforms into vectors that say what they sound like.

The two calls are those of the HEAR 2021 API (Turian et al. 2022): one vector a scene, or vectors
with times. Importing this module imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

HEAR: Final = "hear:"
"""What names of HEAR packages begin with; the module's name follows."""
NAMES: Final = (
    "clap-2023",
    "clap-2022",
    "msclap-2023",
    "laion-clap",
    "ast",
    "wav2vec2",
    "hubert",
    "wavlm",
    "whisper",
    "yamnet",
    "onnx",
)
"""Names of encoders, beside ``hear:<module>``."""
Precision = Literal["fp32", "bf16", "int8"]


class Encoder(Protocol):
    """Waveforms to embeddings; nothing in it learns, draws random numbers or needs a network."""

    @property
    def name(self) -> str:
        """The name that loads it."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 over its weights and all else that changes the numbers, precision included."""
        ...

    @property
    def device(self) -> str:
        """Where it computes, as torch names it: ``cpu``, ``cuda:0``."""
        ...

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the waveforms; no encoder resamples."""
        ...

    @property
    def window_samples(self) -> int | None:
        """How many samples every waveform must have; None: any number of them."""
        ...

    @property
    def embedding_size(self) -> int:
        """Numbers in an embedding."""
        ...

    def scenes(self, waveforms: Tensor) -> Tensor:
        """One embedding for each waveform, float32 (clip, ``embedding_size``), on the CPU.

        Args:
            waveforms: float32 (clip, sample), mono, nominally in -1..1, on the CPU.

        Raises:
            ParameterError: they are of another length than ``window_samples``.
        """
        ...

    def times(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings over time.

        Args:
            waveforms: as ``scenes`` takes them.

        Returns:
            Embeddings float32 (clip, time, size), of a size that may differ from that of scenes;
            the middle of what each describes, ms from the start, float32 (clip, time).
        """
        ...


class TextEncoder(Protocol):
    """Sentences to embeddings in the space of an encoder's scenes."""

    @property
    def digest(self) -> str:
        """SHA-256 over its weights, tokens and settings."""
        ...

    @property
    def embedding_size(self) -> int:
        """Numbers in an embedding."""
        ...

    @property
    def scale(self) -> float:
        """What cosines are multiplied by before a softmax over sentences."""
        ...

    def texts(self, sentences: list[str]) -> Tensor:
        """Embeddings of length 1, float32 (sentence, ``embedding_size``)."""
        ...


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """Which encoder is loaded, and from where; nothing is ever fetched."""

    name: str = "clap-2023"
    """One of ``NAMES``, or ``hear:<module>``, a package with the HEAR 2021 API."""
    path: Path | None = None
    """Its weights: a file of CLAP, YAMNet, ONNX or a HEAR package; a folder of transformers."""
    text_path: Path | None = None
    """Of CLAP: folder with config and tokens of the text tower. None: no text is embedded."""
    precision: Precision = "fp32"
    """bf16 computes matrix products in 16 bits; int8 runs a quantised ONNX program on the CPU."""
    sample_rate_hz: int | None = None
    """Of ``onnx``: rate of the waveforms, where the program itself does not say it."""

    def __post_init__(self) -> None:
        """Check the name.

        Raises:
            ConfigError: it is unknown.
        """
        is_package = self.name.startswith(HEAR) and self.name != HEAR
        if self.name not in NAMES and not is_package:
            raise ConfigError(
                f"encoder.name: unknown encoder {self.name!r}{nearest(self.name, NAMES)}"
            )
