"""Waveforms as they are prepared: silence removed, repeated, cut."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from librosa_features import RATE_HZ, load_by_librosa, noise
from uncompiled_librosa import librosa

from soundgate.audio import config
from soundgate.audio.signal import waveforms


@pytest.mark.parametrize(
    ("frame_length", "hop_length"), [(3200, 3200), (2048, 512), (1000, 1600), (401, 160)]
)
def test_silence_is_librosa_s_on_real_clips(esc10, frame_length, hop_length):
    lost = 0
    for path in sorted(esc10.glob("*/*.ogg"))[::16]:
        samples = waveforms.reading.load(path, sample_rate_hz=RATE_HZ)
        for top_db in (60, 25):
            sizes = {"top_db": top_db, "frame_length": frame_length, "hop_length": hop_length}
            kept = [samples[a:b] for a, b in librosa.effects.split(samples, **sizes)]
            ours = waveforms.remove_silence(samples, **sizes)
            np.testing.assert_array_equal(ours, np.concatenate(kept))
            lost += ours.size < samples.size
    assert lost >= 5


@pytest.mark.parametrize("samples", [1, 3199, 3200, 3201, 9600, 10_000])
def test_silence_at_the_edges(samples):
    sizes = {"top_db": 30, "frame_length": 3200, "hop_length": 3200}
    for loud in (slice(0, 1), slice(-1, None), slice(None), slice(0, 0)):
        clip = np.full(samples, 1e-4, np.float32)
        clip[loud] = 0.5
        kept = [clip[a:b] for a, b in librosa.effects.split(clip, **sizes)]
        joined = np.concatenate(kept)
        np.testing.assert_array_equal(
            waveforms.remove_silence(clip, **sizes), joined if joined.size else clip
        )


def test_no_threshold_keeps_all_and_digital_silence_is_kept():
    clip = np.zeros(10_000, np.float32)
    sizes = {"frame_length": 3200, "hop_length": 3200}
    assert waveforms.remove_silence(clip, top_db=60, **sizes).size == 10_000
    clip[:10] = 1
    assert waveforms.remove_silence(clip, top_db=None, **sizes) is clip


def test_order_of_silence_and_repetition():
    # 0.4 s of sound and 0.8 s of silence; the frames are 0.2 s.
    clip = np.concatenate((noise(6400), np.zeros(12_800, np.float32)))
    after = waveforms.prepare(clip, config.Preprocessing(min_length=2))
    # Centred frames reach half a frame ahead, so the frame that begins at 0.4 s is kept too.
    assert after.size == 32_000
    np.testing.assert_array_equal(after[:9600], clip[:9600])
    np.testing.assert_array_equal(after[9600:19_200], clip[:9600])
    before = waveforms.prepare(clip, config.Preprocessing(min_length=2, lengthen="before"))
    assert 6400 < before.size < 32_000


def test_last_second_is_cut_after_silence_is_removed():
    clip = noise(40_000)
    cut = waveforms.prepare(clip, config.Preprocessing(trim_last_second=True))
    np.testing.assert_array_equal(cut, clip[:32_000])
    short = waveforms.prepare(clip[:8000], config.Preprocessing(trim_last_second=True))
    np.testing.assert_array_equal(short, np.tile(clip[:8000], 2))


@pytest.mark.parametrize("seconds", [9.0, 10.0, 12.5, 40.0])
@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_what_exceeds_max_length_is_not_read(tmp_path, seconds, rate_hz):
    path = tmp_path / "long.wav"
    soundfile.write(path, noise(int(seconds * rate_hz)), rate_hz)
    options = config.Preprocessing(top_db=None)
    samples, duration_s = waveforms.waveform(path, options)
    reference = load_by_librosa(path, 10)
    assert samples.size == reference.size == min(seconds, 10.0) * RATE_HZ
    assert duration_s == min(seconds, 10.0)
    np.testing.assert_allclose(samples, reference, atol=1e-6)


def test_segments_are_cut_at_max_length_too(tmp_path):
    path = tmp_path / "a.wav"
    held = noise(48_000)
    soundfile.write(path, held, RATE_HZ, subtype="PCM_16")
    options = config.Preprocessing(top_db=None, max_length=1)
    for end_s, until in ((1.75, 28_000), (2.5, 32_000), (None, 32_000)):
        samples, _ = waveforms.waveform(path, options, start_s=1.0, end_s=end_s)
        np.testing.assert_allclose(samples[: until - 16_000], held[16_000:until], atol=2**-15)
        assert samples.size == 16_000
