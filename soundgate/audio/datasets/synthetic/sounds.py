"""Ten environmental sounds as procedures.

Each is a frozen dataclass: its fields are the timbre of one source (one dog, one clock), drawn by
``draw``; ``render`` makes a take of it, with timing and noise of its own. The ranges overlap
between classes on purpose: fast clocks and slow crackle, low sirens and high engines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Protocol, Self

from soundgate.audio.datasets.synthetic.steady_sounds import (
    AlarmBeep,
    Crackle,
    Engine,
    Rain,
    Siren,
    Wind,
)
from soundgate.audio.datasets.synthetic.struck_sounds import Bell, ClockTick, DogBark, Footsteps

if TYPE_CHECKING:
    from numpy.random import RandomState

    from soundgate.audio.datasets.synthetic.synthesis import Wave


class Sound(Protocol):
    """One source of a class of sounds."""

    continuous: ClassVar[bool]
    """Whether it goes on like rain, or comes in pieces like barking."""

    @classmethod
    def draw(cls, random: RandomState) -> Self:
        """Draw the timbre of a source."""

    def render(self, random: RandomState, samples: int) -> Wave:
        """Make a take, float32 (sample,), of any level."""


# The order is that of the class numbers; a clip's random numbers depend on it.
SOUNDS: Final[dict[str, type[Sound]]] = {
    "alarm_beep": AlarmBeep,
    "bell": Bell,
    "clock_tick": ClockTick,
    "crackle": Crackle,
    "dog_bark": DogBark,
    "engine": Engine,
    "footsteps": Footsteps,
    "rain": Rain,
    "siren": Siren,
    "wind": Wind,
}
