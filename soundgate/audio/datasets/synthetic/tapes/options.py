"""What is rendered. Only the standard library is imported: pipelines are declared with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TapeOptions:
    """The synthetic corpus of tapes."""

    tapes: int = 12
    """Tapes with calls."""
    silent_tapes: int = 1
    """Tapes without calls, but with everything else that is heard."""
    tape_s: float = 60.0
    """Length of a tape, seconds."""
    calls_per_minute: float = 12.0
    overlap: float = 0.05
    """Share of calls that begin before the one before has ended."""
    seed: int = 0
    """Of everything; corpora of two seeds share no tape."""
