"""The section ``inspection``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from soundgate.audio.config.sections.section import Section

Share = Annotated[float, Field(ge=0, le=1)]


class Inspection(Section):
    """What a data set may hold before it is trained on.

    Each ``max_`` is a share of its clips: above it the data set is refused, up to it the clips are
    only reported; 0 refuses any, 1 none.
    """

    max_unreadable: Share = 0.0
    """Clips that cannot be decoded or are too short; up to this share they are left out."""
    max_silent: Share = 0.5
    """Clips whose channels, once mixed, are below ``silent_below_db``."""
    silent_below_db: float = Field(default=-80.0, lt=0)
    """Peak, dB of full scale, below which a clip is silent."""
    max_dead_channels: Share = 1.0
    """Clips of several channels of which one is below ``silent_below_db`` and another is not."""
    max_clipped: Share = 1.0
    """Clips of which more than one sample in a thousand lies in a run at full scale."""
    max_mis_scaled: Share = 0.0
    """Clips whose samples exceed full scale ten times and more: floats in the scale of integers."""
    max_duplicates: Share = 1.0
    """Clips that sound exactly like another one of their class and split."""
    max_leaked: Share = 0.0
    """Clips that sound exactly like one in another split."""
    max_contradictory: Share = 0.0
    """Clips that sound exactly like one with other labels."""
    min_classes: int = Field(default=2, ge=1)
    """Classes that a data set must have."""
    min_clips_per_class: int = Field(default=2, ge=1)
    """Readable clips that each class must have."""
    one_sided_classes: bool = True
    """Whether all clips of a class may lie in one split or fold."""
    odd_labels: bool = True
    """Whether classes may have blanks, quotes or invisible characters at their ends."""
    similar_labels: bool = False
    """Whether classes may differ only by case, blanks, quotes or invisible characters."""
