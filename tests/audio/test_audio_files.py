"""Finding audio files, and reading one of them part by part."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from soundgate.audio.files import reading
from soundgate.errors import DataError


def noise(seconds, rate_hz=22_050, seed=0):
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate_hz))


def test_files_are_found_in_the_order_of_their_paths(tmp_path):
    names = [
        "b.wav",
        "a/z.ogg",
        "a.FLAC",
        "a-1.mp3",
        "a b/c/d.aiff",
        "A.w64",
        "é/ü.opus",
        "a/b.wav",
    ]
    others = [".hidden.wav", ".git/x.wav", "a/readme.txt", "wav", "x.wav.part"]
    for name in names + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in reading.find(tmp_path)]
    assert found == sorted(names)


def test_a_link_to_a_folder_above_is_not_followed_but_others_are(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "a.wav").touch()
    (tmp_path / "in" / "deep" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.wav").touch()
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere")
    found = [path.relative_to(tmp_path / "in").as_posix() for path in reading.find(tmp_path / "in")]
    assert found == ["deep/a.wav", "linked/b.wav"]


FORMATS = {
    "AIFF": "aiff",
    "AU": "au",
    "AVR": "avr",
    "CAF": "caf",
    "FLAC": "flac",
    "HTK": "htk",
    "SVX": "svx",
    "MP3": "mp3",
    "OGG": "ogg",
    "PAF": "paf",
    "PVF": "pvf",
    "RF64": "rf64",
    "SDS": "sds",
    "IRCAM": "sf",
    "VOC": "voc",
    "W64": "w64",
    "WAV": "wav",
    "NIST": "sph",
    "WVE": "wve",
}


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_with_a_header_is_found_and_read(tmp_path, format_):
    path = tmp_path / f"a.{FORMATS[format_]}"
    rate_hz = 8000 if format_ == "WVE" else 16_000
    soundfile.write(path, noise(0.5, rate_hz), rate_hz, format=format_)
    assert list(reading.find(tmp_path)) == [path]
    samples, found_hz = reading.read(path)
    assert (samples.size, found_hz) == (rate_hz // 2, rate_hz)
    if format_ not in ("MP3", "OGG"):
        np.testing.assert_allclose(samples, noise(0.5, rate_hz), atol=2e-2)


@pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3"])
def test_parts_in_any_order_are_those_of_the_whole(tmp_path, extension):
    path = tmp_path / f"a.{extension}"
    with soundfile.SoundFile(path, "w", 22_050, 1) as file:
        for second in range(12):  # libsndfile fails to write long Vorbis files at once
            file.write(noise(1.0, seed=second))
    whole, _ = reading.read(path)
    with reading.Reader(path) as opened:
        assert opened.info == reading.info(path)
        for start_s, end_s in [(0, 2), (2, 3.5), (7.123, 8), (8, 9), (3, 4), (0, 1), (11, 12)]:
            part = opened.read(start_s=start_s, end_s=end_s)
            expected = whole[round(start_s * 22_050) : round(end_s * 22_050)]
            assert np.abs(part - expected).max() < 1e-6


@pytest.mark.parametrize("bitrate_mode", ["CONSTANT", "VARIABLE"])
def test_a_segment_of_an_mp3_does_not_decode_what_lies_before(tmp_path, monkeypatch, bitrate_mode):
    path = tmp_path / "a.mp3"
    options = {"bitrate_mode": bitrate_mode, "compression_level": 0.99}
    soundfile.write(path, noise(30.0), 22_050, **options)
    whole, _ = reading.read(path)
    decoded = []
    original = soundfile.SoundFile.read

    def counting(self, frames=-1, *args, **kwargs):
        decoded.append(frames)
        return original(self, frames, *args, **kwargs)

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    part, _ = reading.read(path, start_s=25, end_s=26)
    assert np.abs(part - whole[25 * 22_050 : 26 * 22_050]).max() < 1e-6
    assert sum(decoded) < 3 * 22_050
    with reading.Reader(path) as opened:
        opened.read(start_s=20, end_s=21)
        decoded.clear()
        opened.read(start_s=21, end_s=22)  # goes on where it stopped: nothing is decoded twice
    assert decoded == [22_050]


def test_an_mp3_that_does_not_tell_its_length_is_read_to_its_end(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, noise(30.0), 22_050, bitrate_mode="CONSTANT", compression_level=0.99)
    assert b"Info" not in path.read_bytes()[:2000]
    samples, _ = reading.read(path)
    assert 30.0 <= samples.size / 22_050 < 30.2
    assert reading.info(path).frames == samples.size
    tagged = tmp_path / "tagged.mp3"
    cover = b"Info" * 500
    size = bytes([0, 0, len(cover) >> 7, len(cover) & 0x7F])
    tagged.write_bytes(b"ID3\x03\x00\x00" + size + cover + path.read_bytes())
    assert abs(reading.read(tagged)[0].size - samples.size) < 2 * 1152


def test_an_mp3_that_tells_its_length_is_not_read_short(tmp_path):
    path = tmp_path / "a.mp3"
    soundfile.write(path, noise(10.0), 22_050, bitrate_mode="VARIABLE")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="is cut short"):
        reading.read(path)
