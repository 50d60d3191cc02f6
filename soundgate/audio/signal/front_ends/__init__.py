"""Waveforms to what a tagger's network takes, as modules: one definition for training and export.

settings.py  what makes one differ from another
base.py      what all have in common: frames, masks, normalisation
spectra.py   MEL_SPECTROGRAM, MFCC
multi.py     MULTI_SPECTROGRAM: mel, chroma, centroid
wavelet.py   WAVELET
speech.py    AST, WAV2VEC
detector.py  of detectors, which detector_settings.py makes
measuring.py the normalisation that fits given sounds
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from soundgate.audio.signal.front_ends.settings import NAMES, FrontEndSettings, canonical

if TYPE_CHECKING:
    from soundgate.audio.signal.front_ends.base import FrontEnd

__all__ = ["NAMES", "FrontEndSettings", "canonical", "front_end"]


def front_end(settings: FrontEndSettings) -> FrontEnd:
    """The front end of that name.

    Its forward takes waveforms float32 (clip, sample) and returns images float32 (clip, channel,
    band, frame), of WAV2VEC waveforms; see ``base.FrontEnd``.

    Raises:
        ConfigError: there is none of that name, or not with these settings.
    """
    from soundgate.audio.signal.front_ends.multi import MultiSpectrogram
    from soundgate.audio.signal.front_ends.spectra import MelSpectrogram, Mfcc
    from soundgate.audio.signal.front_ends.speech import AstFilterBank, Wav2Vec
    from soundgate.audio.signal.front_ends.wavelet import Wavelet

    kinds: tuple[type[FrontEnd], ...] = (
        MelSpectrogram,
        Mfcc,
        MultiSpectrogram,
        Wavelet,
        AstFilterBank,
        Wav2Vec,
    )
    name = canonical(settings.name, NAMES, "front_end.name")
    kind = dict(zip(NAMES, kinds, strict=True))[name]
    return kind(replace(settings, name=name))
