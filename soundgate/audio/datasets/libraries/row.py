"""A data set of a library as Soundgate reads it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soundgate.audio.datasets.base import option

if TYPE_CHECKING:
    from collections.abc import Mapping

FIXED_SPLITS = "get_track_splits"
"""As :attr:`Row.split`: the splits that the data set's method of that name gives."""


@dataclass(frozen=True, slots=True)
class Options:
    """A data set of soundata or mirdata."""

    version: str = option("default")
    """Version of the data set as the library calls it; some have smaller ones, such as ``mini``."""
    drop_unlabelled: bool = option(default=False)
    """Whether clips without a label are left out; otherwise they are an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Which attributes of a clip or track say what Soundgate needs; "" is none."""

    labels: str
    """Tags, events, a name, a list of names, or probabilities by name; with a dot an entry."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What values of ``labels`` are called, where they are numbers."""
    separator: str = ""
    """Between several names in one text."""
    split: str = ""
    splits: Mapping[str, str] = field(default_factory=dict)
    """Patterns of the split's words, beside the usual ones, and the split they mean; "": left
    out, because the authors publish no labels for it."""
    fold: str = ""
    folds: int = 0
    """Number of folds, where ``fold`` is given."""
    first_fold: int = 1
    """What the authors call the first fold; here it is 1."""
    source: str = ""
    """The original recording: clips that share it stay together."""
    audio: str = "audio_path"
    only: Mapping[str, str] = field(default_factory=dict)
    """Attributes that a clip must have: of recordings in several formats, one."""
    request: str = ""
    """Why the library does not download the audio."""
    note: str = ""
    """What a user should know."""
