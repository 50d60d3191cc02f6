"""Renders soundscapes in the layouts in which DESED and MAESTRO are published.

Clip n of a part depends on (seed, part, n) and the length only. Soft labels are those of a panel:
the share of each second in which a class sounds, blurred, with the doubt of annotators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.random import RandomState

from soundgate.audio.clips.annotations.dcase import write_strong
from soundgate.audio.clips.annotations.event import Event
from soundgate.audio.clips.annotations.text import write_text
from soundgate.audio.clips.sound_events.label_space import DESED_MAESTRO, Annotated, together
from soundgate.audio.datasets.synthetic.soundscapes import scene
from soundgate.audio.datasets.synthetic.soundscapes.sounds import HOME, STREET
from soundgate.audio.datasets.synthetic.synthesis import SAMPLE_RATE_HZ
from soundgate.audio.files import reading
from soundgate.text.progress import track

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.clips.sound_events.label_space import LabelSpace
    from soundgate.audio.datasets.synthetic.soundscapes.options import SoundscapeOptions

_CLIP_EVENTS: Final = (1, 4)
_EVENTS_PER_10_S: Final = (1.5, 3.0)
_DOUBT: Final = 0.08
_LEAST: Final = 0.05
"""Softer labels are not written."""


class _Part(NamedTuple):
    """Clips of homes, and the stream of random numbers that they come from."""

    name: str
    audio: str
    table: str
    domain: scene.Domain
    stream: int


_SYNTHETIC: Final = "synthetic21_train/soundscapes"
_SYNTHETIC_VALIDATION: Final = "synthetic21_validation/soundscapes"
_UNLABELLED: Final = "train/unlabel_in_domain"
_HOME: Final = (
    _Part("synthetic", f"train/{_SYNTHETIC}", f"train/{_SYNTHETIC}.tsv", "clean", 1),
    _Part(
        "synthetic_validation",
        f"validation/{_SYNTHETIC_VALIDATION}",
        f"validation/{_SYNTHETIC_VALIDATION}.tsv",
        "clean",
        2,
    ),
    _Part("strong", "train/strong_label_real", "train/audioset_strong.tsv", "recorded", 3),
    _Part("weak", "train/weak", "train/weak.tsv", "recorded", 4),
    _Part("unlabelled", _UNLABELLED, f"{_UNLABELLED}.tsv", "recorded", 5),
    _Part("tune", "validation/validation", "validation/validation.tsv", "recorded", 6),
    _Part("test", "eval/public", "eval/public.tsv", "recorded", 7),
)
_STREET: Final = (("recordings", "train", 8), ("test_recordings", "validation", 9))


def space() -> LabelSpace:
    """The classes that are rendered, with DESED's and MAESTRO's aliases among them."""
    classes = {"desed": tuple(HOME), "maestro": tuple(STREET)}
    every = {name for names in classes.values() for name in names}
    return together(
        {
            dataset: Annotated(
                names,
                {
                    label: alias
                    for label, alias in DESED_MAESTRO.datasets[dataset].aliases.items()
                    if label in every and alias in every
                },
            )
            for dataset, names in classes.items()
        }
    )


def render(root: Path, options: SoundscapeOptions) -> None:
    """Write both data sets below a folder: 16-bit WAVs at 16 kHz, and their lists.

    Raises:
        DataError: a file cannot be written.
    """
    for part in _HOME:
        _home(root, part, options)
    for count, side, stream in _STREET:
        _street(root, count, side, stream, options)


def _home(root: Path, part: _Part, options: SoundscapeOptions) -> None:
    folder = root / "audio" / part.audio
    folder.mkdir(parents=True, exist_ok=True)
    count = getattr(options, part.name)
    events: dict[str, list[Event]] = {}
    for number in track(range(count), total=count, label=f"render {part.name}"):
        random = RandomState([options.seed, part.stream, number])
        clip = f"{part.name}_s{options.seed}_{number:04d}"
        wave, placed = scene.render(random, HOME, part.domain, options.clip_s, _CLIP_EVENTS)
        reading.write(folder / f"{clip}.wav", wave, SAMPLE_RATE_HZ)
        events[clip] = [
            Event(
                file=clip,
                start_s=round(each.onset_s, 3),
                end_s=round(each.offset_s, 3),
                label=each.label,
            )
            for each in placed
        ]
    _list(root / "metadata" / part.table, part, events)


def _list(table: Path, part: _Part, events: dict[str, list[Event]]) -> None:
    """The list of a part: what it may say of its clips."""
    if part.name == "unlabelled":
        rows = ["filename", *(f"{clip}.wav" for clip in events)]
    elif part.name == "weak":
        rows = ["filename\tevent_labels"]
        for clip, of_clip in events.items():
            labels = sorted({event.label for event in of_clip})
            rows.append(f"{clip}.wav\t{','.join(labels)}")
    else:
        write_strong(table, [event for each in events.values() for event in each], tuple(events))
        return
    write_text(table, "\n".join(rows) + "\n")


def _street(root: Path, count: str, side: str, stream: int, options: SoundscapeOptions) -> None:
    """Recordings of streets, a list of soft labels each, and the list of recordings."""
    folder = root / "development_audio/street"
    folder.mkdir(parents=True, exist_ok=True)
    number = getattr(options, count)
    tried = tuple(max(1, round(each * options.recording_s / 10)) for each in _EVENTS_PER_10_S)
    names = []
    for at in track(range(number), total=number, label=f"render {count}"):
        random = RandomState([options.seed, stream, at])
        name = f"street_{side}_s{options.seed}_{at:02d}"
        wave, placed = scene.render(
            random, STREET, "recorded", options.recording_s, (tried[0], tried[1])
        )
        reading.write(folder / f"{name}.wav", wave, SAMPLE_RATE_HZ)
        labels = _soft_labels(random, placed, options.recording_s)
        write_text(root / f"development_annotation/soft_labels_street/{name}.txt", labels)
        names.append(f"{name}.txt")
    write_text(root / f"{side}_split.csv", "\n".join((side, *names)) + "\n")


def _soft_labels(random: RandomState, placed: list[scene.Placed], seconds: float) -> str:
    """A row for each second and class that somebody may have heard."""
    rows = []
    for second in range(int(seconds)):
        for label in STREET:
            share = sum(
                max(0.0, min(each.offset_s, second + 1) - max(each.onset_s, second))
                for each in placed
                if each.label == label
            )
            doubt = _DOUBT * float(random.standard_normal())
            heard = float(np.clip(0.1 + 0.8 * min(share, 1.0) + doubt, 0, 1)) if share else 0.0
            if heard >= _LEAST:
                rows.append(f"{second:.1f}\t{second + 1:.1f}\t{label}\t{heard:.4f}\n")
    return "".join(rows)
