"""How sound becomes the input of a network: the part of a config that a model carries with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing

if TYPE_CHECKING:
    from soundgate.audio.formats.record import JsonObject

# They cut frames into patches and leave the frames themselves as they are.
_PATCH_FIELDS = frozenset({"patch_length", "overlap", "include_last_patch"})


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """From a file to log-mel patches."""

    preprocessing: Preprocessing
    """From a file to a waveform."""
    feature_extraction: FeatureExtraction
    """From a waveform to patches."""

    def gives_frames_of(self, other: FrontEnd) -> bool:
        """Whether both compute the same frames; they may cut them into different patches."""
        ours, theirs = (
            one.feature_extraction.model_dump(exclude=set(_PATCH_FIELDS)) for one in (self, other)
        )
        return self.preprocessing == other.preprocessing and ours == theirs

    def as_json(self) -> JsonObject:
        """Both sections under their names."""
        return {
            "preprocessing": self.preprocessing.model_dump(mode="json"),
            "feature_extraction": self.feature_extraction.model_dump(mode="json"),
        }


def front_end_of(fields: JsonObject) -> FrontEnd | None:
    """The front end that a model's or a feature folder's file names; None where it names none."""
    try:
        return FrontEnd(
            Preprocessing(**fields["preprocessing"]),
            FeatureExtraction(**fields["feature_extraction"]),
        )
    except (KeyError, TypeError, ValidationError):
        return None
