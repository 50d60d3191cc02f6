"""Sound of phones and films, which PyAV decodes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import soundfile

from soundgate.audio.files import containers, reading
from soundgate.errors import DataError

av = pytest.importorskip("av")

KINDS = {
    "a.m4a": ("ipod", "aac", "fltp"),
    "a.aac": ("adts", "aac", "fltp"),
    "a.mp4": ("mp4", "aac", "fltp"),
    "a.webm": ("webm", "libopus", "s16"),
    "a.wma": ("asf", "wmav2", "fltp"),
    "a.mka": ("matroska", "pcm_s16le", "s16"),
    "a.mov": ("mov", "pcm_s16le", "s16"),
}
RATE_HZ = 48_000


def tone(seconds=2.0):
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.5 * np.sin(2 * np.pi * 1000 * at)).astype(np.float32)


def encode(path, samples, kind):
    container_format, codec, sample_format = kind
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=RATE_HZ, layout="mono", format=sample_format)
        if codec == "wmav2":  # the only one of them without a default
            stream.bit_rate = 128_000
        array = samples if sample_format == "fltp" else (samples * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(array[None], format=sample_format, layout="mono")
        frame.sample_rate = RATE_HZ
        fifo = av.AudioFifo()
        fifo.write(frame)
        for part in fifo.read_many(stream.codec_context.frame_size or 1024, partial=True):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", KINDS)
def test_decodes_what_was_encoded(tmp_path, name):
    path = encode(tmp_path / name, tone(), KINDS[name])
    found = reading.info(path)
    assert (found.rate_hz, found.channels) == (RATE_HZ, 1)
    assert abs(found.duration_s - 2.0) < 0.1  # encoders pad
    samples, _ = reading.read(path)
    assert samples.size == found.frames
    middle = samples[RATE_HZ // 2 : 3 * RATE_HZ // 2]
    assert float(np.sqrt(2 * np.mean(middle**2))) == pytest.approx(0.5, abs=0.02)
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() == 1000  # one second: a bin is 1 Hz


def test_lossless_samples_come_out_exact(tmp_path):
    wave = np.random.default_rng(0).integers(-(2**15), 2**15, RATE_HZ).astype(np.int16)
    with av.open(str(tmp_path / "a.mka"), "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono", format="s16")
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.sample_rate = RATE_HZ
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert (reading.read(tmp_path / "a.mka")[0] * 32768 == wave).all()


def test_parts_are_those_of_the_whole_in_any_order(tmp_path):
    path = encode(tmp_path / "a.m4a", tone(3.0), KINDS["a.m4a"])
    whole, _ = reading.read(path)
    with reading.Reader(path) as opened:
        for start_s in (0.0, 1.0, 1.5, 0.25, 2.5):
            part = opened.read(start_s=start_s, end_s=start_s + 0.5)
            first = round(start_s * RATE_HZ)
            assert (part == whole[first : first + RATE_HZ // 2]).all()


def test_a_file_cut_short_is_refused(tmp_path):
    path = encode(tmp_path / "a.mov", tone(4.0), KINDS["a.mov"])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"a\.mov: (is cut short|cannot be decoded)"):
        reading.read(path)


@pytest.mark.parametrize("content", [b"\0" * 64, b"hello, this is text\n" * 20, b"RIFF"])
def test_what_is_no_film_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError) as refused:
        reading.read(path)
    assert str(refused.value).startswith(f"{path}: cannot be decoded")
    assert "\n" not in str(refused.value)


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    path = encode(tmp_path / "a.m4a", tone(), KINDS["a.m4a"])
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r"\.m4a files need PyAV: pip install 'soundgate\[av\]'"):
        reading.read(path)


def test_such_files_are_found_beside_others(tmp_path):
    soundfile.write(tmp_path / "b.wav", tone(), RATE_HZ)
    for name in KINDS:
        (tmp_path / name).touch()
    found = {path.name for path in reading.find(tmp_path)}
    assert found == {"b.wav", *KINDS}
    assert {f".{name.split('.')[1]}" for name in KINDS} <= containers.EXTENSIONS
