"""Sound and pictures of a clip, small enough to stand in a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
import soxr
import torch
from PIL import Image
from PIL import features as pillow_features

from soundgate.audio.files import reading
from soundgate.audio.review.ogg import with_serial
from soundgate.audio.signal.log_mel import log_mel

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.config.sections.sound import FeatureExtraction
    from soundgate.audio.files.streams import Samples
    from soundgate.audio.formats.front_end import FrontEnd

    Array = npt.NDArray[Any]

LONGEST_S = 10.0
"""No more of a clip is shown."""

# Where the loudest part of a very long clip is looked for.
_SEARCHED_S = 120.0
_SHORTEST_S = 0.1
# Enough to tell one event from another by ear, and 36 kbit/s.
_HIGHEST_RATE_HZ = 24_000
_LOWEST_RATE_HZ = 8_000
_COMPRESSION = 0.8
_WAVEFORM_COLUMNS = 240
_SPECTROGRAM_COLUMNS = 480
_WEBP_QUALITY = 60
# Dark violet over red to pale yellow, even in lightness: the louder, the lighter.
_COLOURS = (
    *((0, 0, 4), (28, 16, 68), (79, 18, 123), (129, 37, 129), (181, 54, 122)),
    *((229, 80, 100), (251, 135, 97), (254, 194, 135), (252, 253, 191)),
)


@dataclass(frozen=True)
class Excerpt:
    """What is shown of a clip."""

    samples: Samples
    """Float32 ``(sample,)``."""
    rate_hz: int
    start_s: float
    """Where it begins, seconds from the beginning of the clip."""
    clip_s: float
    """How long the clip is."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.samples.size / self.rate_hz

    @property
    def is_cut(self) -> bool:
        """Whether the clip is longer."""
        return self.clip_s > self.seconds + 0.05


@dataclass(frozen=True)
class Media:
    """A clip as HTML takes it."""

    audio: str
    """A data address."""
    spectrogram: str
    """A data address."""
    waveform: str
    """Path of an SVG of ``_WAVEFORM_COLUMNS`` by 100."""
    seconds: float
    note: str
    """What part of a longer clip it is; empty where it is all of it."""

    @property
    def size_bytes(self) -> int:
        """What it adds to the page."""
        return len(self.audio) + len(self.spectrogram) + len(self.waveform)


def media(
    path: Path,
    start_s: float | None,
    end_s: float | None,
    front_end: FrontEnd,
) -> Media:
    """Sound and pictures of a clip.

    Args:
        path: the audio file.
        start_s: first second of the clip in it; None is the beginning.
        end_s: last second of the clip in it; None is the end.
        front_end: of the model; what it never reads of a long clip is not shown, and the
            spectrogram has its bands.

    Raises:
        DataError: the audio cannot be decoded.
    """
    preprocessing, spec = front_end.preprocessing, front_end.feature_extraction
    excerpt = cut(path, start_s, end_s, preprocessing.max_length)
    note = ""
    if excerpt.is_cut:
        first, last = excerpt.start_s, excerpt.start_s + excerpt.seconds
        note = f"{first:.1f} s to {last:.1f} s of {excerpt.clip_s:.1f} s"
    return Media(
        audio=audio_address(excerpt.samples, excerpt.rate_hz),
        spectrogram=spectrogram_address(excerpt, preprocessing.target_rate, spec),
        waveform=waveform_path(excerpt.samples),
        seconds=excerpt.seconds,
        note=note,
    )


def cut(path: Path, start_s: float | None, end_s: float | None, read_s: float) -> Excerpt:
    """The clip, or of a long one the loudest excerpt of what the model reads.

    Args:
        path: the audio file.
        start_s: first second of the clip in it.
        end_s: last second of the clip in it.
        read_s: the model reads no more than so many seconds from the clip's beginning.
    """
    duration_s = reading.info(path).duration_s
    first = start_s or 0.0
    clip_s = (duration_s if end_s is None else min(end_s, duration_s)) - first
    last = first + min(clip_s, read_s, _SEARCHED_S)
    if last - first <= LONGEST_S:
        whole = clip_s <= last - first and start_s is None and end_s is None
        ends = (None, None) if whole else (first, last)
        samples, rate_hz = reading.read(path, start_s=ends[0], end_s=ends[1])
        return Excerpt(samples, rate_hz, 0.0, clip_s)
    begin = _loudest(path, first, last)
    samples, rate_hz = reading.read(path, start_s=begin, end_s=min(begin + LONGEST_S, last))
    return Excerpt(samples, rate_hz, begin - first, clip_s)


def _loudest(path: Path, first_s: float, last_s: float) -> float:
    """Where the loudest ``LONGEST_S`` begin, on a grid of half of it; one excerpt in memory."""
    begins = np.arange(first_s, last_s - LONGEST_S + 1e-6, LONGEST_S / 2)
    powers = []
    for begin in begins:
        samples, _ = reading.read(path, start_s=begin, end_s=begin + LONGEST_S)
        powers.append(float(np.mean(np.square(samples, dtype=np.float64))))
    return float(begins[int(np.argmax(powers))])


def audio_address(samples: Samples, rate_hz: int) -> str:
    """Mono Vorbis in Ogg; WAV where libsndfile was built without it.

    Equal samples give equal bytes. Opus would be a quarter smaller and take ten times as long.
    """
    target_hz = min(max(rate_hz, _LOWEST_RATE_HZ), _HIGHEST_RATE_HZ)
    sound = _resampled(samples, rate_hz, target_hz)
    sound = _lengthened(np.clip(sound, -1.0, 1.0), round(_SHORTEST_S * target_hz))
    file = io.BytesIO()
    if "VORBIS" not in soundfile.available_subtypes("OGG"):
        soundfile.write(file, sound, target_hz, "PCM_16", format="WAV")
        return _address("audio/wav", file.getvalue())
    with soundfile.SoundFile(
        file, "w", target_hz, 1, "VORBIS", format="OGG", compression_level=_COMPRESSION
    ) as vorbis:
        # libsndfile's encoder keeps what it is given at once on the stack.
        for start in range(0, sound.size, target_hz):
            vorbis.write(sound[start : start + target_hz])
    return _address("audio/ogg", with_serial(file.getvalue()))


def spectrogram_address(excerpt: Excerpt, rate_hz: int, spec: FeatureExtraction) -> str:
    """A picture of the model's log-mel bands, time from left, the highest band on top."""
    sound = _resampled(excerpt.samples, excerpt.rate_hz, rate_hz)
    sound = _lengthened(sound, spec.n_fft + 1)
    with torch.inference_mode():
        mel = log_mel(torch.from_numpy(sound), spec, rate_hz).numpy()
    low, high = float(mel.min()), float(mel.max())
    level = (mel - low) / max(high - low, 1e-6)
    grey = Image.fromarray(np.round(255 * level.T[::-1]).astype(np.uint8))
    width = min(grey.width, _SPECTROGRAM_COLUMNS)
    grey = grey.resize((width, grey.height), Image.Resampling.BOX)
    grey.putpalette(_palette())
    file = io.BytesIO()
    if pillow_features.check("webp"):
        grey.convert("RGB").save(file, "WEBP", quality=_WEBP_QUALITY, method=4)
        return _address("image/webp", file.getvalue())
    grey.save(file, "PNG", optimize=True)
    return _address("image/png", file.getvalue())


def waveform_path(samples: Samples) -> str:
    """Highest and lowest sample of each column as a closed SVG path; the loudest fills it."""
    columns = min(_WAVEFORM_COLUMNS, samples.size)
    edges = np.linspace(0, samples.size, columns + 1).astype(np.int64)[:-1]
    peak = max(float(np.abs(samples).max()), 1e-6)
    high = np.maximum.reduceat(samples, edges) / peak
    low = np.minimum.reduceat(samples, edges) / peak
    x = np.round(np.linspace(0, _WAVEFORM_COLUMNS, columns, endpoint=columns > 1)).astype(int)
    # One unit of thickness keeps silence visible.
    top = np.floor(50 - 49 * high - 0.5).astype(int)
    bottom = np.ceil(50 - 49 * low + 0.5).astype(int)
    points = [*zip(x, top, strict=True), *zip(x[::-1], bottom[::-1], strict=True)]
    return "M" + "L".join(f"{a},{b}" for a, b in points) + "Z"


def picture_address(picture: Image.Image) -> str:
    """A PNG."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return _address("image/png", file.getvalue())


def _resampled(samples: Samples, rate_hz: int, target_hz: int) -> Samples:
    if rate_hz == target_hz:
        return samples
    resampled: Samples = soxr.resample(samples, rate_hz, target_hz, quality="HQ")
    return resampled


def _lengthened(samples: Samples, least: int) -> Samples:
    """With silence behind it, where it is shorter than ``least``."""
    return samples if samples.size >= least else np.pad(samples, (0, least - samples.size))


def _palette() -> list[int]:
    at = np.linspace(0, len(_COLOURS) - 1, 256)
    channels = [
        np.interp(at, np.arange(len(_COLOURS)), part) for part in zip(*_COLOURS, strict=True)
    ]
    return [int(value) for value in np.round(np.stack(channels, 1)).ravel()]


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
