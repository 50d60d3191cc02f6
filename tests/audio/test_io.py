"""Decoding: exact where it must be, refused where it cannot be."""

from __future__ import annotations

import os
import shutil
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
from uncompiled_librosa import librosa

from soundgate.audio.files import reading
from soundgate.errors import DataError, ParameterError


def sine(rate_hz, seconds=1.0, frequency_hz=440.0, amplitude=0.5):
    at = np.arange(round(rate_hz * seconds)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * at)).astype(np.float32)


def level_and_pitch(samples, rate_hz):
    """RMS times sqrt(2), and the strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    pitch_hz = spectrum.argmax() * rate_hz / samples.size
    return float(np.sqrt(2 * np.mean(samples**2))), pitch_hz


def refusal(path, **segment):
    """The one line that is said about a file."""
    with pytest.raises(DataError) as caught:
        reading.read(path, **segment)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def cut(path, fraction):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])


def test_int16_is_exact(tmp_path):
    values = np.array([-32768, -32767, -1, 0, 1, 12345, 32767], np.int16)
    soundfile.write(tmp_path / "a.wav", values, 8000)
    samples, rate_hz = reading.read(tmp_path / "a.wav")
    assert rate_hz == 8000
    assert samples.dtype == np.float32
    assert samples.tolist() == (values / 32768).tolist()


@pytest.mark.parametrize(
    ("subtype", "step"),
    [
        ("PCM_U8", 2**-7),
        ("PCM_16", 2**-15),
        ("PCM_24", 2**-23),
        ("PCM_32", 2**-23),
        ("FLOAT", 1e-7),
        ("DOUBLE", 1e-7),
    ],
)
@pytest.mark.parametrize("rate_hz", [8000, 22_050, 96_000])
def test_every_sample_size_keeps_the_wave(tmp_path, subtype, step, rate_hz):
    wave = sine(rate_hz)
    soundfile.write(tmp_path / "a.wav", wave, rate_hz, subtype)
    samples, found_hz = reading.read(tmp_path / "a.wav")
    assert found_hz == rate_hz
    assert samples.shape == wave.shape
    assert np.abs(samples - wave).max() <= step


@pytest.mark.parametrize("extension", ["flac", "ogg", "mp3"])
def test_compressed_files_keep_level_and_pitch(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, sine(44_100), 44_100)
    samples, rate_hz = reading.read(path)
    amplitude, pitch_hz = level_and_pitch(samples[2000:-2000], rate_hz)
    assert samples.size == 44_100
    assert amplitude == pytest.approx(0.5, rel=0.02)
    assert pitch_hz == pytest.approx(440, abs=1)


def test_channels_are_averaged(tmp_path):
    wave = sine(8000)
    gains = np.array([1.0, -0.2, 0.4, 0.1, 0.7], np.float32)
    soundfile.write(tmp_path / "a.wav", wave[:, None] * gains, 8000, "FLOAT")
    samples, _ = reading.read(tmp_path / "a.wav")
    assert samples.shape == wave.shape
    assert np.abs(samples - 0.4 * wave).max() < 1e-6


def test_resampling_keeps_level_and_pitch(tmp_path):
    stereo = np.stack([sine(96_000, 2.0), sine(96_000, 2.0)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 96_000, "PCM_24")
    samples = reading.load(tmp_path / "a.wav", sample_rate_hz=16_000)
    assert samples.dtype == np.float32
    assert samples.size == 32_000
    assert np.abs(samples - sine(16_000, 2.0))[200:-200].max() < 1e-4


def test_resampling_removes_what_the_rate_cannot_carry(tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(44_100, frequency_hz=11_000), 44_100, "FLOAT")
    samples = reading.load(tmp_path / "a.wav", sample_rate_hz=16_000)
    assert np.abs(samples[200:-200]).max() < 1e-4


def test_equal_rates_are_not_resampled(tmp_path):
    soundfile.write(tmp_path / "a.wav", sine(16_000), 16_000, "FLOAT")
    samples = reading.load(tmp_path / "a.wav", sample_rate_hz=16_000)
    assert samples.tolist() == sine(16_000).tolist()


# librosa imports audioread, which imports modules that Python 3.13 dropped.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_load_agrees_with_librosa_on_a_real_clip(esc10):
    path = esc10 / "001 - Dog bark" / "1-100032-A.ogg"
    expected, _ = librosa.load(path, sr=16_000, res_type="soxr_hq")
    samples = reading.load(path, sample_rate_hz=16_000)
    size = min(samples.size, expected.size)
    assert abs(samples.size - expected.size) <= 1
    assert np.abs(samples[:size] - expected[:size]).max() < 1e-5


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
def test_a_segment_is_the_same_part_of_the_whole(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, sine(44_100, 4.0) + sine(44_100, 4.0, 997, 0.2), 44_100)
    whole, _ = reading.read(path)
    segment, _ = reading.read(path, start_s=1.25, end_s=2.5)
    assert np.abs(segment - whole[55_125:110_250]).max() < 1e-6
    rest, _ = reading.read(path, start_s=3)
    assert rest.size == 44_100
    assert np.abs(rest - whole[132_300:]).max() < 1e-6


def test_a_segment_does_not_decode_the_rest(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(8000, 10.0), 8000)
    asked = []
    original = soundfile.SoundFile.read

    def counting(self, frames=-1, *args, **kwargs):
        asked.append((self.tell(), frames))
        return original(self, frames, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    reading.read(path, start_s=8, end_s=8.5)
    assert asked == [(64_000, 4000)]


def test_rounded_times_may_pass_the_end_by_a_millisecond(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(44_100)[:44_076], 44_100)  # 0.99946 s
    assert reading.read(path, start_s=0, end_s=1.0)[0].size == 44_076


@pytest.mark.parametrize(
    "segment",
    [
        {"start_s": 0.5, "end_s": 0.5},
        {"start_s": 0.8, "end_s": 0.2},
        {"start_s": -0.1},
        {"end_s": 1.01},
        {"start_s": 1.0},
        {"start_s": 0.5, "end_s": 0.50001},
        {"start_s": float("nan")},
        {"end_s": float("inf")},
    ],
)
def test_a_segment_outside_of_the_file(tmp_path, segment):
    soundfile.write(tmp_path / "a.wav", sine(8000), 8000)
    assert "correct start_s or end_s" in refusal(tmp_path / "a.wav", **segment)


@pytest.mark.parametrize(
    "name", ["two  words.wav", "Ääkkönen 犬 🐕.wav", "-n; rm.wav", "a'b\"c.wav"]
)
def test_any_file_name(tmp_path, name):
    soundfile.write(tmp_path / name, sine(8000), 8000)
    assert reading.read(tmp_path / name)[0].size == 8000
    assert reading.read(str(tmp_path / name))[0].size == 8000


def test_info(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((12_000, 3), np.int16), 8000)
    info = reading.info(tmp_path / "a.wav")
    assert (info.frames, info.rate_hz, info.channels, info.duration_s) == (12_000, 8000, 3, 1.5)


def test_missing_file(tmp_path):
    assert "no such file" in refusal(tmp_path / "a.wav")
    (tmp_path / "b").write_text("x")
    assert "no such file" in refusal(tmp_path / "b" / "a.wav")


def test_folder_in_place_of_a_file(tmp_path):
    refusal(tmp_path)


def test_empty_files(tmp_path):
    (tmp_path / "a.wav").touch()
    assert "0 bytes" in refusal(tmp_path / "a.wav")
    soundfile.write(tmp_path / "b.wav", np.zeros(0, np.int16), 8000)
    assert "0 samples" in refusal(tmp_path / "b.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.ogg", "a.flac", "a.mp3"])
def test_text_named_like_audio(tmp_path, name):
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\n" * 50)
    assert "is not audio" in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("extension", "subtype"),
    [
        ("wav", "PCM_U8"),
        ("wav", "PCM_16"),
        ("wav", "PCM_24"),
        ("wav", "FLOAT"),
        ("aiff", "PCM_16"),
        ("au", "PCM_16"),
        ("w64", "PCM_16"),
        ("rf64", "PCM_16"),
        ("caf", "PCM_16"),
        ("flac", "PCM_16"),
        ("mp3", None),
        ("ogg", None),
    ],
)
@pytest.mark.parametrize("fraction", [0.3, 0.7, 0.98])
def test_a_truncated_file_is_not_a_shorter_clip(tmp_path, extension, subtype, fraction):
    path = tmp_path / f"a.{extension}"
    soundfile.write(path, sine(44_100, 2.0), 44_100, subtype)
    reading.read(path)
    cut(path, fraction)
    assert "cut short" in refusal(path)


@pytest.mark.parametrize("fraction", [0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
def test_a_truncated_real_ogg(esc10, tmp_path, fraction):
    path = tmp_path / "a.ogg"
    shutil.copyfile(esc10 / "001 - Dog bark" / "1-100032-A.ogg", path)
    cut(path, fraction)
    assert "cut short" in refusal(path)


def test_an_ogg_cut_between_two_pages(esc10, tmp_path):
    content = (esc10 / "001 - Dog bark" / "1-100032-A.ogg").read_bytes()
    (tmp_path / "a.ogg").write_bytes(content[: content.rindex(b"OggS")])
    assert "end-of-stream page is missing" in refusal(tmp_path / "a.ogg")


def test_every_real_clip_is_whole(esc10):
    clips = sorted(esc10.rglob("*.ogg"))
    assert len(clips) == 320
    durations_s = np.array([reading.info(clip).duration_s for clip in clips])
    # The catalogue says: three clips are not 5 s long.
    assert np.sort(durations_s[np.abs(durations_s - 5) > 0.2]) == pytest.approx(
        [3.64, 7.0, 7.24], abs=0.05
    )


def test_a_wav_that_was_piped_has_no_length_and_is_accepted(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(8000), 8000)
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert reading.read(path)[0].size == 8000


def test_trailing_chunks_are_no_truncation(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(8000), 8000)
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO")
    assert reading.read(path)[0].size == 8000


@pytest.mark.parametrize("samples", [1, 4096, 8000, 50_000])
@pytest.mark.parametrize("rate_hz", [8000, 44_100])
def test_reads_a_flac_without_a_length_to_its_end(tmp_path, samples, rate_hz):
    """As an encoder writes it that is given a pipe."""
    path, rng = tmp_path / "a.flac", np.random.default_rng(0)
    wave = rng.integers(-(2**15), 2**15, samples).astype(np.int16)
    soundfile.write(path, wave, rate_hz, "PCM_16")
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # STREAMINFO: 36 bits of total samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert reading.info(path).frames == samples
    assert (reading.read(path)[0] * 32768 == wave).all()
    if samples > 8000:
        part, _ = reading.read(path, start_s=0.1, end_s=0.15)
        first = round(0.1 * rate_hz)
        assert (part * 32768 == wave[first : first + part.size]).all()


def test_refuses_a_flac_without_a_length_whose_frames_are_gone(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, sine(8000), 8000)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content[:60] + bytes(len(content) - 60))
    assert "does not state its length" in refusal(path)


@pytest.mark.parametrize("rate_hz", [1, 99, 2_000_001, 2**31 - 1])
def test_refuses_a_rate_that_no_recorder_has(tmp_path, rate_hz):
    """At 1 Hz a file of 900 kB would be resampled to 8 hours."""
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(8000), 8000)
    content = bytearray(path.read_bytes())
    content[24:28] = struct.pack("<I", rate_hz)
    path.write_bytes(content)
    assert f"its header says {rate_hz} Hz" in refusal(path)


def test_refuses_a_length_that_its_bytes_cannot_hold(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, sine(8000), 8000)
    content = bytearray(path.read_bytes())
    content[21:26] = bytes([content[21] & 0xF0 | 0x0F, 255, 255, 255, 255])
    path.write_bytes(content)
    assert "promises 68719476735 samples" in refusal(path)


def test_takes_no_memory_for_what_is_only_promised(tmp_path):
    """A header within what is possible, and 300 MB of samples that are not there."""
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).standard_normal(16_000) / 10, 16_000)
    content = bytearray(path.read_bytes())
    content[21:26] = bytes([content[21] & 0xF0]) + (75_000_000).to_bytes(4, "big")
    path.write_bytes(content)
    tracemalloc.start()
    assert "damaged or cut short" in refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()


def test_reads_a_data_chunk_as_long_as_the_file(tmp_path):
    """Some recorders write the size of the whole file there; all samples are present."""
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(8000), 8000)
    content = bytearray(path.read_bytes())
    content[40:44] = struct.pack("<I", len(content))
    path.write_bytes(content)
    assert reading.read(path)[0].size == 8000


def test_refuses_a_pipe_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    assert refusal(tmp_path / "a.wav").endswith("a.wav: cannot be read: it is not a file")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_that_are_no_numbers(tmp_path, value, channels):
    wave = np.zeros((800, channels), np.float32)
    wave[400, 0] = value
    soundfile.write(tmp_path / "a.wav", wave, 8000, "FLOAT")
    assert "NaN or infinite" in refusal(tmp_path / "a.wav")


def test_too_short_to_resample(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1, np.int16), 96_000)
    with pytest.raises(DataError, match="less than one sample at 16000 Hz"):
        reading.load(tmp_path / "a.wav", sample_rate_hz=16_000)


def test_a_rate_must_be_positive(tmp_path):
    with pytest.raises(ParameterError, match="sample_rate_hz: 0"):
        reading.load(tmp_path / "a.wav", sample_rate_hz=0)


def test_write_round_trip_and_same_bytes(tmp_path):
    values = np.array([-32768, -1, 0, 1, 32767], np.int16)
    reading.write(tmp_path / "a.wav", values, 16_000)
    reading.write(tmp_path / "b.wav", values, 16_000)
    samples, rate_hz = reading.read(tmp_path / "a.wav")
    assert (rate_hz, samples.tolist()) == (16_000, (values / 32768).tolist())
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_write_where_there_is_no_folder(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        reading.write(tmp_path / "no" / "a.wav", np.zeros(4, np.int16), 8000)


def test_write_on_a_full_disk():
    with pytest.raises(DataError, match=r"/dev/full.*cannot be written"):
        reading.write("/dev/full", np.zeros(100_000, np.int16), 8000)
