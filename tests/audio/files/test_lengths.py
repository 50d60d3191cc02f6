"""Streams that are joined, or whose header gives no length or a wrong one, read to their end.

The reference is FFmpeg, through PyAV.
"""

from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile

from soundgate.audio.files import mpeg, reading
from soundgate.errors import DataError

av = pytest.importorskip("av")


def noise(seconds, rate_hz, channels=1, seed=0):
    """Loud and quiet seconds, so that a variable bit rate varies."""
    shape = (round(seconds * rate_hz), channels)
    samples = np.random.default_rng(seed).standard_normal(shape).astype(np.float32) / 10
    samples[rate_hz // 2 : rate_hz] /= 1000
    return samples


def by_ffmpeg(path):
    """Samples (sample, channel) as FFmpeg decodes them."""
    resampler = av.AudioResampler(format="fltp")
    with av.open(str(path)) as container:
        blocks = [
            same.to_ndarray().T
            for frame in container.decode(audio=0)
            for same in resampler.resample(frame)
        ]
    return np.concatenate(blocks)


def write_mp3(path, rate_hz, channels=1, *, seconds=3.0, header=True, bit_rate=None, seed=0):
    """Encode with LAME, through FFmpeg."""
    options = {"write_xing": "1" if header else "0", "id3v2_version": "0"}
    with av.open(str(path), "w", format="mp3", options=options) as container:
        layout = "mono" if channels == 1 else "stereo"
        stream = container.add_stream("libmp3lame", rate=rate_hz, layout=layout)
        if bit_rate:
            stream.bit_rate = bit_rate
        else:
            stream.codec_context.options = {"q": "5"}
            stream.codec_context.global_quality = 5 * 118
            stream.codec_context.qscale = True
        samples = noise(seconds, rate_hz, channels, seed).T.copy()
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate = rate_hz
        fifo = av.AudioFifo()
        fifo.write(frame)
        for part in fifo.read_many(stream.codec_context.frame_size or 1152, partial=True):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


KINDS = [
    (44_100, 2, None),
    (16_000, 1, None),
    (48_000, 1, 32_000),
    (22_050, 2, 64_000),
    (8_000, 1, 8_000),
    (44_100, 2, 320_000),
]


@pytest.mark.parametrize(("rate_hz", "channels", "bit_rate"), KINDS)
def test_reads_an_mp3_without_a_length_header_as_ffmpeg_does(tmp_path, rate_hz, channels, bit_rate):
    path = write_mp3(tmp_path / "a.mp3", rate_hz, channels, header=False, bit_rate=bit_rate)
    expected = by_ffmpeg(path).mean(axis=1)
    assert reading.info(path).frames == expected.size
    found, _ = reading.read(path)
    assert found.size == expected.size
    assert np.abs(found - expected).max() < 1e-5
    part, _ = reading.read(path, start_s=1.0, end_s=1.5)
    assert np.abs(part - expected[rate_hz : rate_hz + part.size]).max() < 1e-5


@pytest.mark.parametrize(("rate_hz", "channels", "bit_rate"), KINDS)
def test_believes_a_true_length_header_without_counting(
    tmp_path, monkeypatch, rate_hz, channels, bit_rate
):
    path = write_mp3(tmp_path / "a.mp3", rate_hz, channels, bit_rate=bit_rate)
    monkeypatch.setattr(mpeg, "_check_whole", lambda *_: pytest.fail("counted"))
    assert reading.info(path).frames == 3 * rate_hz == by_ffmpeg(path).shape[0]


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("tag", [b"", b"ID3\x03\x00\x00\x00\x00\x07\x68" + bytes(1000)])
def test_reads_joined_mp3s_to_their_end(tmp_path, header, tag):
    """With the tags that programs write before each of them."""
    one = write_mp3(tmp_path / "1.mp3", 44_100, 2, header=header).read_bytes()
    two = write_mp3(tmp_path / "2.mp3", 44_100, 2, header=header, seed=1).read_bytes()
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(tag + one + tag + two)
    parts = [reading.read(tmp_path / f"{i}.mp3")[0] for i in (1, 2)]
    found, _ = reading.read(joined)
    # between the parts lie the second header's silent frame and the encoder's delay
    assert 0 <= found.size - sum(part.size for part in parts) <= 3 * 1152
    assert np.abs(found[: parts[0].size - 1152] - parts[0][:-1152]).max() < 1e-5
    end = parts[1][-44_100:-1152]
    best = max(
        float(np.dot(found[at : at + end.size], end))
        for at in range(found.size - 44_100 - 2400, found.size - end.size + 1, 1)
    )
    assert best > 0.999 * float(np.dot(end, end))


def test_refuses_an_mp3_that_promises_more_than_it_holds(tmp_path):
    path = write_mp3(tmp_path / "a.mp3", 44_100, 2)
    data = bytearray(path.read_bytes())
    at = data.index(b"Info") if b"Info" in data else data.index(b"Xing")
    data[at + 8 : at + 12] = struct.pack(">I", 2**31)
    path.write_bytes(data)
    with pytest.raises(DataError, match="is cut short: the header promises"):
        reading.info(path)


def test_an_mp3_cut_in_its_last_frame_ends_with_the_frame_before(tmp_path):
    path = write_mp3(tmp_path / "a.mp3", 44_100, header=False)
    whole = reading.info(path).frames
    path.write_bytes(path.read_bytes()[:-10])
    assert reading.info(path).frames == whole - 1152


def write_ogg(path, rate_hz, subtype, seconds, seed):
    soundfile.write(
        path, noise(seconds, rate_hz, seed=seed), rate_hz, format="OGG", subtype=subtype
    )
    return path


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_reads_every_stream_of_a_chain(tmp_path, subtype):
    parts = [
        write_ogg(tmp_path / f"{seed}.ogg", 16_000, subtype, seconds, seed)
        for seed, seconds in enumerate((2.0, 1.0, 1.5))
    ]
    chain = tmp_path / "chain.ogg"
    chain.write_bytes(b"".join(part.read_bytes() for part in parts))
    expected = np.concatenate([reading.read(part)[0] for part in parts])
    assert reading.info(chain).duration_s == 4.5
    found, rate_hz = reading.read(chain)
    assert rate_hz == 16_000
    assert (found == expected).all()
    across, _ = reading.read(chain, start_s=1.75, end_s=3.25)
    assert np.abs(across - expected[28_000:52_000]).max() < 1e-6
    assert reading.load(chain, sample_rate_hz=8_000).size == 36_000


def test_the_same_file_twice_is_a_chain_too(tmp_path):
    """Its two streams have one serial number."""
    part = write_ogg(tmp_path / "a.ogg", 16_000, "VORBIS", 1.0, 0)
    chain = tmp_path / "chain.ogg"
    chain.write_bytes(2 * part.read_bytes())
    assert reading.info(chain).frames == 32_000


def test_refuses_a_chain_of_different_rates(tmp_path):
    parts = [write_ogg(tmp_path / f"{r}.ogg", r, "VORBIS", 1.0, 0) for r in (16_000, 44_100)]
    chain = tmp_path / "chain.ogg"
    chain.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(DataError, match=r"its 2 joined streams differ \(16000 Hz with 1 channel"):
        reading.read(chain)


def test_refuses_a_chain_whose_last_stream_is_cut_short(tmp_path):
    part = write_ogg(tmp_path / "a.ogg", 16_000, "VORBIS", 1.0, 0).read_bytes()
    chain = tmp_path / "chain.ogg"
    chain.write_bytes(part + part[: len(part) // 2])
    with pytest.raises(DataError, match="is cut short"):
        reading.read(chain)


@pytest.mark.parametrize(
    ("case", "frames"),
    [
        ("01-mp3-vbr-without-xing/vbr_no_xing.mp3", 961_344),
        ("01-mp3-vbr-without-xing/14b_vbr_noxing.mp3", 33_408),
        ("02-ogg-chained/16b_vorbis_chained.ogg", 64_000),
        ("02-ogg-chained/17b_opus_chained.opus", 64_000),
        ("11-m4a-passed-over/23_phone.m4a", 32_768),
        ("11-m4a-passed-over/23b_browser.webm", 96_000),
        ("17-mp3-in-wav/15_mp3_in_riff.wav", 33_408),
        ("27-header-says-44-bytes-more/08_data_size_plus_44.wav", 32_000),
    ],
)
def test_reads_files_of_public_bug_reports_to_their_end(shared, case, frames):
    path = shared / "cases" / case
    if not path.is_file():
        pytest.skip(f"{case} is not in the folder of real data")
    assert reading.read(path)[0].size == frames
