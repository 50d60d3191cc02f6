"""What is rendered. Only the standard library is imported: pipelines are declared with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SoundscapeOptions:
    """The synthetic soundscapes: clips of homes, and recordings of streets with soft labels."""

    synthetic: int = 240
    """Clips of the clean domain with strong labels."""
    synthetic_validation: int = 40
    strong: int = 60
    """Clips of the other domain, in which everything else is recorded."""
    weak: int = 120
    unlabelled: int = 300
    tune: int = 120
    test: int = 200
    recordings: int = 12
    """Street recordings to learn from."""
    test_recordings: int = 10
    clip_s: float = 10.0
    recording_s: float = 40.0
    seed: int = 0
    """Of everything; sets of two seeds share no clip."""

    def scaled(self, scale: float) -> SoundscapeOptions:
        """As many clips of each kind times ``scale``, at least one."""
        counts = {
            name: max(1, round(scale * getattr(self, name)))
            for name in (
                *("synthetic", "synthetic_validation", "strong", "weak", "unlabelled"),
                *("tune", "test", "recordings", "test_recordings"),
            )
        }
        return SoundscapeOptions(
            **counts, clip_s=self.clip_s, recording_s=self.recording_s, seed=self.seed
        )
