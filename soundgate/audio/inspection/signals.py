"""What can be wrong with the sound of one clip, judged by its levels alone.

Training's inspection and prediction ask the same questions, so both call the same sounds silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundgate.audio.files.levels import Levels

CLIPPED_SHARE: Final = 0.001
"""Samples at full scale that are heard as distortion."""
MIS_SCALED_PEAK: Final = 10.0
"""No mastering overshoots full scale by 20 dB; floats in the scale of int16 do by up to 90 dB."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that is looked for."""

    key: str
    """Of the section ``inspection``."""
    title: str
    """What a clip is of which it is true."""
    answer: Callable[[Levels, float], str]
    """Of a clip's levels and the peak below which sound counts as silence: why it is true, or an
    empty text."""


def floor(below_db: float) -> float:
    """Peak below which sound counts as silence, where 1 is full scale."""
    return float(10 ** (below_db / 20))


def remarks(levels: Levels, silent_below_db: float) -> tuple[str, ...]:
    """All that is true of a clip, each as "title: why"; empty where nothing is."""
    least = floor(silent_below_db)
    answers = ((each.title, each.answer(levels, least)) for each in QUESTIONS)
    return tuple(f"{title}: {why}" for title, why in answers if why)


def is_silent(levels: Levels, least: float) -> bool:
    """Whether features, which see the mean of the channels, see silence."""
    return levels.mix_peak < least


def _silent(levels: Levels, least: float) -> str:
    if not is_silent(levels, least):
        return ""
    opposed = levels.peak >= least
    return "its channels cancel each other out" if opposed else "no sound in any channel"


def _dead_channel(levels: Levels, least: float) -> str:
    if levels.weakest_peak >= least or levels.peak < least:
        return ""
    return f"at least one of its {levels.channels} channels holds no sound"


def _clipped(levels: Levels, _least: float) -> str:
    samples = levels.frames * levels.channels
    if levels.clipped <= CLIPPED_SHARE * samples:
        return ""
    return f"{levels.clipped / samples:.1%} of its samples are at full scale"


def _mis_scaled(levels: Levels, _least: float) -> str:
    if levels.peak < MIS_SCALED_PEAK:
        return ""
    return f"its samples reach {levels.peak:,.0f}, where 1 is full scale"


MIS_SCALED: Final = Question("max_mis_scaled", "mis-scaled", _mis_scaled)
SILENT: Final = Question("max_silent", "silent", _silent)
DEAD_CHANNEL: Final = Question("max_dead_channels", "with a dead channel", _dead_channel)
CLIPPED: Final = Question("max_clipped", "clipped", _clipped)
QUESTIONS: Final = (MIS_SCALED, SILENT, DEAD_CHANNEL, CLIPPED)
