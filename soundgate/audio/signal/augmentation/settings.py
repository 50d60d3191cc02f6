"""Which augmentations are used, and their numbers; read from names and ``key=value`` words."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

MIXING = ("CONCAT_N_SAMPLES", "SUM_N_SAMPLES", "SUM_TWO_SAMPLES")
WAVEFORM = (
    "TIME_STRETCH",
    "PITCH",
    "SPEED",
    "TIME_SHIFT",
    "TIMEINV",
    "SEVEN_BAND_EQ",
    "BACKGROUND_NOISE",
    "COLOR_NOISE",
    "CLIPPING",
    "TIME_MASK",
    "NORM_AFTER_TIME_AUGS",
    "GAIN",
)
IMAGE = ("RANDOM_PIXELS", "FREQ_MASK", "RANDOM_ERASE")
AUGMENTATIONS = (*MIXING, *WAVEFORM, *IMAGE)
"""Every name, in the order in which they are applied."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What is done to training clips."""

    names: tuple[str, ...] = ()
    """Of ``AUGMENTATIONS``, in any order."""
    stretch_factors: tuple[float, float] = (0.8, 1.25)
    """``TIME_STRETCH``: slowest and fastest speed."""
    speed_semitones: float = 2.0
    """``SPEED``: how much higher and faster, or lower and slower, at most."""
    time_inversion_p: float = 0.5
    """``TIMEINV``: share of the clips that are played backwards."""
    freq_mask_param: int = 30
    """``FREQ_MASK``: widest mask, bands."""
    hide_random_pixels_p: float = 0.25
    """``RANDOM_PIXELS``: probability with which each pixel is hidden."""
    std_noise: float = 0.01
    """``RANDOM_PIXELS``, ``RANDOM_ERASE``: standard deviation of what fills the gaps around the
    image's mean, as a share of the image's own."""
    concat_n_samples: int = 3
    """``CONCAT_N_SAMPLES``: most clips that are joined into one."""
    sum_n_samples: int = 3
    """``SUM_N_SAMPLES``: most clips that are mixed into one."""
    sum_level_db: float = 0.0
    """``SUM_N_SAMPLES``, ``SUM_TWO_SAMPLES``: how much louder or quieter than the first clip the
    others may be, dB."""
    path_background_noise: Path | None = None
    """``BACKGROUND_NOISE``: folder of audio files."""
    time_mask_max_percentage: float = 0.3
    """``TIME_MASK``: longest silence, as a share of the clip."""
    gain_db: float = 12.0
    """``GAIN``: how much louder or quieter a clip is made at most, dB."""

    def __post_init__(self) -> None:
        """Check names and numbers.

        Raises:
            ConfigError: there is no such augmentation, or a number is out of range.
        """
        for name in self.names:
            if name not in AUGMENTATIONS:
                raise ConfigError(
                    f"augmentations: no augmentation {name!r}{nearest(name, AUGMENTATIONS)}"
                )
        slowest, fastest = self.stretch_factors
        if not 0.25 <= slowest <= fastest <= 4:
            raise ConfigError(
                "aug_kwargs: stretch_factors must rise and be between 0.25 and 4, got "
                f"{slowest:g},{fastest:g}"
            )
        for name, least, most in _RANGES:
            if not least <= getattr(self, name) <= most:
                raise ConfigError(
                    f"aug_kwargs: {name} must be between {least} and {most}, got "
                    f"{getattr(self, name):g}"
                )
        if "BACKGROUND_NOISE" in self.names and self.path_background_noise is None:
            raise ConfigError(
                "aug_kwargs: BACKGROUND_NOISE needs path_background_noise=FOLDER of audio files"
            )

    def uses(self, *names: str) -> bool:
        """Whether one of ``names`` is among the augmentations."""
        return any(name in self.names for name in names)


_RANGES = (
    ("speed_semitones", 0, 12),
    ("time_inversion_p", 0, 1),
    ("freq_mask_param", 0, 10_000),
    ("hide_random_pixels_p", 0, 1),
    ("std_noise", 0, 10),
    ("concat_n_samples", 1, 100),
    ("sum_n_samples", 1, 100),
    ("sum_level_db", 0, 60),
    ("time_mask_max_percentage", 0, 1),
    ("gain_db", 0, 60),
)


def parse(names: Sequence[str], kwargs: Sequence[str] = ()) -> Augmentation:
    """Read ``--augmentations`` and ``--aug-kwargs``.

    >>> parse(["PITCH"], ["stretch_factors=0.9,1.1", "sum_n_samples=2"]).stretch_factors
    (0.9, 1.1)

    Args:
        names: of ``AUGMENTATIONS``.
        kwargs: ``key=value``; what is not named keeps its default.

    Raises:
        ConfigError: a name, a key or a value is wrong.
    """
    known = [field.name for field in fields(Augmentation) if field.name != "names"]
    values: dict[str, object] = {}
    for word in kwargs:
        key, sign, text = word.partition("=")
        if not sign:
            raise ConfigError(f"aug_kwargs: {word!r} must be key=value")
        if key not in known:
            raise ConfigError(f"aug_kwargs: no key {key!r}{nearest(key, known)}")
        if key in values:
            raise ConfigError(f"aug_kwargs: {key} is given twice; remove one")
        values[key] = _value(key, text)
    return Augmentation(names=tuple(names), **values)  # type: ignore[arg-type] # read as declared


def _value(key: str, text: str) -> object:
    default = getattr(Augmentation(), key)
    try:
        if key == "path_background_noise":
            return Path(text)
        if isinstance(default, tuple):
            low, high = text.split(",")
            return float(low), float(high)
        return type(default)(text)
    except ValueError:
        wanted = {int: "a whole number", float: "a number", tuple: "two numbers, such as 0.8,1.25"}
        raise ConfigError(
            f"aug_kwargs: {key} must be {wanted[type(default)]}, got {text!r}"
        ) from None
