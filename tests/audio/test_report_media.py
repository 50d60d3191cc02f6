from __future__ import annotations

import base64
import io
import re
import struct

import numpy as np
import pytest
import soundfile
from PIL import Image
from toy_review import RATE_HZ

from soundgate.audio.config import FeatureExtraction, Preprocessing
from soundgate.audio.formats.front_end import FrontEnd
from soundgate.audio.review import media
from soundgate.audio.review.ogg import with_serial
from soundgate.audio.signal.log_mel import log_mel

FRONT_END = FrontEnd(Preprocessing(), FeatureExtraction())


def _decoded(address):
    kind, content = address.split(";base64,")
    return kind.removeprefix("data:"), base64.b64decode(content)


def test_audio_is_mono_and_sounds_like_the_clip(tmp_path):
    time_s = np.arange(96_000 * 2) / 96_000
    left = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    soundfile.write(tmp_path / "a.wav", np.stack([left, 0 * left], 1), 96_000, "PCM_24")
    found = media.media(tmp_path / "a.wav", None, None, FRONT_END)
    kind, content = _decoded(found.audio)
    wave, rate_hz = soundfile.read(io.BytesIO(content), always_2d=True)
    assert (kind, rate_hz, wave.shape[1]) == ("audio/ogg", 24_000, 1)
    assert len(wave) / rate_hz == pytest.approx(2.0, abs=0.01)
    spectrum = np.abs(np.fft.rfft(wave[:, 0]))
    assert np.fft.rfftfreq(len(wave), 1 / rate_hz)[spectrum.argmax()] == pytest.approx(440, abs=1)
    assert np.abs(wave).max() == pytest.approx(0.25, rel=0.05)  # both channels averaged
    assert found.note == ""


def test_without_an_encoder_the_audio_is_wav(tmp_path, monkeypatch):
    monkeypatch.setattr(media.soundfile, "available_subtypes", lambda _: {})
    kind, content = _decoded(media.audio_address(np.zeros(8000, np.float32), 16_000))
    assert kind == "audio/wav"
    assert soundfile.info(io.BytesIO(content)).duration == 0.5


def test_of_a_very_long_clip_the_loudest_seconds_are_shown(tmp_path):
    rng = np.random.default_rng(0)
    wave = 0.001 * rng.standard_normal(RATE_HZ * 300)
    wave[RATE_HZ * 42 : RATE_HZ * 44] += 0.5 * rng.standard_normal(RATE_HZ * 2).clip(-1, 1)
    wave[RATE_HZ * 250 : RATE_HZ * 290] = 0.9  # louder, but the model never hears it
    soundfile.write(tmp_path / "long.wav", wave, RATE_HZ)
    front_end = FrontEnd(Preprocessing(max_length=60), FeatureExtraction())
    found = media.media(tmp_path / "long.wav", None, None, front_end)
    assert found.note == "35.0 s to 45.0 s of 300.0 s"
    assert found.seconds == 10.0
    segment = media.media(tmp_path / "long.wav", 40.0, 300.0, front_end)
    assert segment.note == "0.0 s to 10.0 s of 260.0 s"


@pytest.mark.parametrize("samples", [1, 50, 700])
def test_a_very_short_clip_has_sound_and_pictures(tmp_path, samples):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.ones(samples), RATE_HZ)
    found = media.media(tmp_path / "a.wav", None, None, FRONT_END)
    assert soundfile.info(io.BytesIO(_decoded(found.audio)[1])).duration >= 0.09
    assert found.waveform.startswith("M")


def test_the_spectrogram_is_the_products_own_features(tmp_path):
    rng = np.random.default_rng(0)
    rising = np.sin(2 * np.pi * np.cumsum(np.linspace(200, 7000, 2 * RATE_HZ)) / RATE_HZ)
    wave = (0.5 * rising + 1e-3 * rng.standard_normal(rising.size)).astype(np.float32)
    excerpt = media.Excerpt(wave, RATE_HZ, 0.0, 2.0)
    spec = FeatureExtraction()
    _, content = _decoded(media.spectrogram_address(excerpt, RATE_HZ, spec))
    picture = np.asarray(Image.open(io.BytesIO(content)).convert("L"), float)[::-1]
    import torch

    mel = log_mel(torch.from_numpy(wave), spec, RATE_HZ).numpy().T
    assert picture.shape[0] == spec.n_mels
    assert picture.shape == mel.shape
    # Lossy, but the loudest band of every frame is where it was.
    assert np.abs(picture.argmax(0) - mel.argmax(0)).mean() < 1.0
    assert np.corrcoef(picture.ravel(), mel.ravel())[0, 1] > 0.95


def test_waveform_outline_follows_the_samples():
    samples = np.zeros(24_000, np.float32)
    samples[12_000:12_100] = [0.5, -0.25] * 50
    points = re.findall(r"(\d+),(-?\d+)", media.waveform_path(samples))
    outline = np.array(points, int).reshape(2, -1, 2)
    top, bottom = outline[0], outline[1][::-1]
    assert (top[:, 0] == bottom[:, 0]).all()
    loud = np.flatnonzero(top[:, 1] < 40)
    assert loud.tolist() == [120]
    assert (top[120, 1], bottom[120, 1]) == (0, 75)
    assert set(top[:, 1]) == {0, 49}


def test_a_stream_with_another_serial_number_is_whole():
    file = io.BytesIO()
    wave = np.sin(np.arange(30_000) / 20)
    soundfile.write(file, wave, 16_000, "VORBIS", format="OGG")
    original = file.getvalue()
    changed = with_serial(original, 77)
    assert len(changed) == len(original)
    assert struct.unpack_from("<I", changed, 14)[0] == 77
    serial = struct.unpack_from("<I", original, 14)[0]
    # The checksums are those that libogg itself wrote.
    assert with_serial(changed, serial) == original
    one, _ = soundfile.read(io.BytesIO(original))
    other, _ = soundfile.read(io.BytesIO(changed))
    assert np.array_equal(one, other)
    with pytest.raises(ValueError, match="no Ogg page"):
        with_serial(b"RIFF")
