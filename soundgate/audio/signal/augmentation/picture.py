"""Draw every augmentation: ``python -m soundgate.audio.signal.augmentation.picture FILE.png``.

Each tile is the log-mel spectrogram of the same two notes, or of what an augmentation makes of
them.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from soundgate.audio.config.sections.sound import FeatureExtraction
from soundgate.audio.files import reading
from soundgate.audio.signal.augmentation import settings
from soundgate.audio.signal.augmentation.chain import WaveformAugmenter, augment_images
from soundgate.audio.signal.augmentation.draws import Draws
from soundgate.audio.signal.augmentation.mixing import Clips
from soundgate.audio.signal.log_mel import log_mel

if TYPE_CHECKING:
    from PIL.Image import Image

RATE_HZ = 16_000
_SECONDS = 2.0
_MELS, _FRAMES = 96, 200
_HOP = round(_SECONDS * RATE_HZ / _FRAMES)
_COLUMNS, _GAP, _TITLE = 4, 12, 18
_FLOOR_DB, _PEAK_DB = -40.0, 45.0
# A record whose draws show well what each augmentation does.
_RECORD = 423


class _Notes:
    """Three clips of two plucked notes each, as partners of one another."""

    def __len__(self) -> int:
        return 3

    def __call__(self, numbers: Tensor, places: Tensor) -> Clips:
        del places
        waveforms = torch.stack([_notes(220.0 * 1.26 ** (1 + int(n))) for n in numbers])
        targets = torch.nn.functional.one_hot(numbers, 3).float()
        return Clips(waveforms, targets, torch.ones_like(targets, dtype=torch.bool))


def tiles() -> dict[str, Tensor]:
    """The spectrogram of the notes, and of each augmentation of them; dB ``(mel, frame)``."""
    notes = Clips(_notes(220.0)[None], torch.ones(1, 3), torch.ones(1, 3, dtype=torch.bool))
    draws = Draws.of([_RECORD], seed=0, epoch=0)
    found = {"unchanged": _log_mel(notes.waveforms)[0]}
    with tempfile.TemporaryDirectory() as folder:
        crackle = torch.zeros(RATE_HZ)
        crackle[::2000] = 0.9
        reading.write(Path(folder) / "crackle.wav", crackle.numpy(), RATE_HZ)
        for name in settings.AUGMENTATIONS:
            names = [name] if name != "NORM_AFTER_TIME_AUGS" else ["CLIPPING", name]
            words = [f"path_background_noise={folder}", "time_inversion_p=1", "std_noise=0.3"]
            spec = settings.parse(names, words)
            changed = WaveformAugmenter(spec, RATE_HZ, _Notes())(notes, draws)
            image = augment_images(_log_mel(changed.waveforms)[:, None], spec, draws)
            found[name] = image[0, 0]
    return found


def picture() -> Image:
    """All tiles, titled, in one image."""
    from PIL import Image, ImageDraw

    drawn = tiles()
    rows = math.ceil(len(drawn) / _COLUMNS)
    width, height = _FRAMES + _GAP, _MELS + _TITLE + _GAP
    sheet = Image.new("L", (_COLUMNS * width + _GAP, rows * height + _GAP), 255)
    pen = ImageDraw.Draw(sheet)
    for number, (name, decibels) in enumerate(drawn.items()):
        left = _GAP + number % _COLUMNS * width
        top = _GAP + number // _COLUMNS * height
        pen.text((left, top), name, fill=0)
        share = ((decibels - _FLOOR_DB) / (_PEAK_DB - _FLOOR_DB)).clamp(0, 1)
        shade = 255 * (1 - share)
        tile = Image.fromarray(shade.flip(0).to(torch.uint8).numpy())
        sheet.paste(tile, (left, top + _TITLE))
    return sheet


def _notes(hz: float) -> Tensor:
    """Two decaying notes with eight harmonics, the second a fifth higher, float32 ``(sample,)``."""
    seconds = torch.arange(round(_SECONDS * RATE_HZ)) / RATE_HZ
    found = torch.zeros_like(seconds)
    for start, pitch in ((0.1, hz), (0.9, 1.5 * hz)):
        time = (seconds - start).clamp(min=0)
        for k in range(1, 9):
            fade = torch.exp(-(2.0 + k) * time) * (seconds >= start)
            found += 0.3 / k * fade * torch.sin(2 * math.pi * k * pitch * time)
    return found


def _log_mel(waveforms: Tensor) -> Tensor:
    """Decibels, float32 ``(clip, mel, frame)``."""
    options = FeatureExtraction(
        n_fft=1024, window_length=1024, hop_length=_HOP, n_mels=_MELS, fmin=60, power=2, center=True
    )
    nepers = log_mel(waveforms, options, RATE_HZ)[:, :_FRAMES]
    return nepers.transpose(1, 2) * (10 / math.log(10))


def main() -> None:
    """Write the picture."""
    picture().save(sys.argv[1], optimize=True)


if __name__ == "__main__":
    main()
