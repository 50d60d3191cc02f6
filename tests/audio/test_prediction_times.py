"""Where patches lie in the file, on signals whose silence is known."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from reading_tables import rows
from toy_model import RATE_HZ, sound, write_model

from soundgate.audio.config import FeatureExtraction, Preprocessing
from soundgate.audio.prediction import prediction, times
from soundgate.audio.signal import waveforms
from soundgate.audio.signal.patches import arrange_patches

FRAME_S = 0.032
PATCH_S = 0.23 + FRAME_S  # 24 frames, 10 ms apart
STEP_S = 0.18


def patches(tmp_path, wave, *, sound_options=None, features=None, **settings):
    model = write_model(tmp_path / "model", sound=sound_options, features=features)
    soundfile.write(tmp_path / "a.wav", wave, RATE_HZ)
    chosen = prediction.Settings(**settings)
    prediction.predict(model, tmp_path / "a.wav", tmp_path / "out", chosen)
    return [(row["start_s"], row["end_s"]) for row in rows(tmp_path / "out", "patches")]


def test_patches_follow_one_another(tmp_path):
    found = patches(tmp_path, sound(1.0))
    assert len(found) == 5
    expected = [(k * STEP_S, k * STEP_S + PATCH_S) for k in range(5)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_last_patch_ends_with_the_clip(tmp_path):
    found = patches(tmp_path, sound(1.0), features={"include_last_patch": True})
    # 97 frames: one more patch begins at frame 73
    assert len(found) == 6
    np.testing.assert_allclose(found[5], (0.73, 0.73 + PATCH_S), atol=1e-6)


def test_centred_frames_reach_out_of_the_clip(tmp_path):
    found = patches(tmp_path, sound(1.0), features={"center": True})
    # 101 frames; the first is centred at 0, and what lies before the clip does not count
    assert len(found) == 5
    half_s = FRAME_S / 2
    np.testing.assert_allclose(found[0], (0.0, PATCH_S - half_s), atol=1e-6)
    np.testing.assert_allclose(found[1], (STEP_S - half_s, STEP_S + PATCH_S - half_s), atol=1e-6)


def test_silence_in_the_middle_is_part_of_the_patch_that_reaches_over_it(tmp_path):
    wave = sound(2.0)
    wave[9600:22400] = 0.0  # 0.6 s to 1.4 s: whole blocks of 0.1 s
    found = patches(tmp_path, wave)
    # A block is kept or not by a frame centred at its start: that at 0.6 s still hears what comes
    # before, and that at 1.4 s already what follows. 0.7 s to 1.4 s are gone, 1.3 s are left.
    cut_s, gap_s = 0.7, 0.7
    kept_s = 1.3
    count = 1 + int((kept_s - PATCH_S) / STEP_S)
    assert len(found) == count
    for k, (start_s, end_s) in enumerate(found):
        begin, end = k * STEP_S, k * STEP_S + PATCH_S
        assert start_s == pytest.approx(begin + gap_s * (begin >= cut_s), abs=1e-6)
        assert end_s == pytest.approx(end + gap_s * (end > cut_s), abs=1e-6)
    over = [k for k, (start_s, end_s) in enumerate(found) if start_s < 0.7 and end_s > 1.4]
    assert len(over) == 1


def test_silence_at_the_start_moves_everything(tmp_path):
    wave = np.concatenate([np.zeros(8000), sound(1.0)])
    found = patches(tmp_path, wave)
    assert found[0] == pytest.approx((0.5, 0.5 + PATCH_S), abs=1e-6)


def test_a_repeated_clip_ends_where_it_ends(tmp_path):
    found = patches(tmp_path, sound(0.3))  # repeated to 0.5 s: 2 patches
    assert len(found) == 2
    np.testing.assert_allclose(found[0], (0.0, PATCH_S), atol=1e-6)
    # from 0.18 s to 0.442 s of the repeated clip: over its end, so all that it holds
    np.testing.assert_allclose(found[1], (0.0, 0.3), atol=1e-6)


def test_repeated_before_silence_is_removed(tmp_path):
    wave = sound(0.4)
    wave[:3200] = 0.0
    found = patches(tmp_path, wave, sound_options={"lengthen": "before"})
    # The clip and its first 0.1 s again. Kept are 0.2 s to 0.4 s and what is repeated,
    # because the frame centred at its start still hears what comes before.
    assert found == [(0.0, pytest.approx(0.4))]


def test_times_of_a_segment_are_those_of_the_file(tmp_path):
    wave = sound(5.0)
    wave[RATE_HZ * 2 : RATE_HZ * 3 + RATE_HZ // 2] = 0.0
    found = patches(tmp_path, wave, segment_s=1.0)
    clips = rows(tmp_path / "out", "clips")
    assert [row["start_s"] for row in clips] == [0, 1, 2, 3, 4]
    # The fourth second begins with half a second of silence.
    fourth = [times_ for times_ in found if 3.0 <= times_[0] < 4.0]
    assert fourth[0] == pytest.approx((3.5, 3.5 + PATCH_S), abs=1e-6)
    assert all(start_s < end_s <= 5.0 for start_s, end_s in found)


def test_every_sample_of_a_patch_lies_between_its_times():
    """Whatever is done to a clip, by the very samples that come out of it."""
    rng = np.random.default_rng(3)
    for trial in range(60):
        preprocessing = Preprocessing(
            min_length=float(rng.uniform(0, 0.6)),
            top_db=None if trial % 7 == 0 else 40.0,
            frame_length=int(rng.choice([400, 1600])),
            hop_length=int(rng.choice([400, 1000, 1600])),
            trim_last_second=trial % 3 == 0,
            lengthen=("after", "before")[trial % 2],
        )
        options = FeatureExtraction(
            patch_length=int(rng.integers(5, 30)),
            n_mels=8,
            center=trial % 4 == 0,
            include_last_patch=trial % 5 == 0,
        )
        wave = (1.0 + rng.permutation(int(rng.integers(50, 24_000)))).astype(np.float32)
        for _ in range(int(rng.integers(0, 4))):
            begin = int(rng.integers(0, wave.size))
            wave[begin : begin + int(rng.integers(400, 6000))] *= 1e-6
        arrangement = arrange_patches(wave, preprocessing, options)
        prepared = arrangement.apply(wave)
        origin = arrangement.apply(np.arange(wave.size))
        np.testing.assert_array_equal(wave[origin], prepared)
        if origin.size == waveforms.prepare(wave, preprocessing).size:
            np.testing.assert_array_equal(prepared, waveforms.prepare(wave, preprocessing))
        found = times.patch_times(arrangement, wave.size, 1000, options, RATE_HZ)
        assert len(found) >= 1
        half = options.n_fft // 2 if options.center else 0
        step = options.patch_length - int(options.patch_length * options.overlap)
        length = (options.patch_length - 1) * options.hop_length + options.n_fft
        for k, (start_s, end_s) in enumerate(found[:-1]):
            begin = k * step * options.hop_length - half
            held = origin[max(begin, 0) : begin + length] / RATE_HZ
            assert start_s == pytest.approx(held.min())
            assert end_s == pytest.approx(held.max() + 1 / RATE_HZ)
