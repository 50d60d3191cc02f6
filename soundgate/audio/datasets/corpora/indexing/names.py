"""What names of files tell in the folders of a corpus.

    labelled_recordings/<tape>.wav_<start>_<end>.wav          seconds on the tape
    segmented/<clip>.wav_<start>_<end>Q<quality>.wav          seconds in the clip

Names are read as they are, also two older forms of them; no file is ever renamed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

_SECONDS: Final = r"\d+(?:\.\d+)?"
_CALL: Final = re.compile(rf"(?P<clip>.+)_(?P<start>{_SECONDS})_(?P<end>{_SECONDS})Q(?P<q>\d+)")
_OLD_CALL: Final = re.compile(
    rf"(?P<clip>.+)_(?P<start>{_SECONDS})_(?P<end>{_SECONDS})_hw?_q(?P<q>\d+)(?:[ _].*|\(.*\))?",
    re.IGNORECASE,
)
_DATE: Final = re.compile(r"(?<!\d)((?:19|20)\d{2})(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)")

CALL_FORM: Final = "<clip>_<start>_<end>Q<quality>.wav"
NO_YEAR: Final = "0000"


@dataclass(frozen=True, slots=True)
class CallName:
    """What the name of a file with one call tells."""

    clip: str
    """Name of the recording it was cut from."""
    start_s: float
    end_s: float
    quality: int


def call_name(name: str) -> CallName | None:
    """Read the name of a file with one call; None where it is of no known form.

    >>> call_name("388_20250204_cut.wav_0_900.wav_12.5_13.75Q2.wav")
    CallName(clip='388_20250204_cut.wav_0_900.wav', start_s=12.5, end_s=13.75, quality=2)
    """
    stem = PurePosixPath(name).stem
    found = _CALL.fullmatch(stem) or _OLD_CALL.fullmatch(stem)
    if found is None:
        return None
    return CallName(found["clip"], float(found["start"]), float(found["end"]), int(found["q"]))


def year_of(tape: str) -> str:
    """The year that a tape's name tells in a date, YYYYMMDD; "0000" where it tells none.

    >>> year_of("388_20250204_cut"), year_of("tape7")
    ('2025', '0000')
    """
    found = _DATE.search(tape)
    return found[1] if found else NO_YEAR
