from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import soundfile
import torch
from uncompiled_librosa import librosa

from soundgate.audio import config
from soundgate.audio.clips.manifest import Clip, write_manifest
from soundgate.audio.extraction.log_mel import extract
from soundgate.audio.formats import features as frames
from soundgate.audio.signal import waveforms
from soundgate.audio.signal.log_mel import log_mel
from soundgate.audio.signal.mel_bands import mel_matrix
from soundgate.audio.signal.patches import frame_count, patch_starts
from soundgate.errors import ConfigError, DataError, ParameterError

YAMNET = config.FeatureExtraction()
MINIRESNET = config.FeatureExtraction(
    patch_length=50,
    n_fft=1024,
    window_length=1024,
    hop_length=320,
    center=True,
    power=2.0,
    fmin=20,
    norm="slaney",
    htk=False,
    to_db=True,
)
RATE_HZ = 16000


def noise(samples, seed=0, scale=0.1):
    return np.random.default_rng(seed).normal(0, scale, samples).astype(np.float32)


def load_by_librosa(path, duration_s):
    # librosa.load itself imports a module that Python 3.11 warns of.
    samples, rate_hz = soundfile.read(path, dtype="float32")
    return librosa.resample(
        samples[: int(duration_s * rate_hz)],
        orig_sr=rate_hz,
        target_sr=RATE_HZ,
        res_type="soxr_hq",
    )


def by_librosa(samples, options, rate_hz=RATE_HZ):
    mel = librosa.feature.melspectrogram(
        y=samples,
        sr=rate_hz,
        n_fft=options.n_fft,
        hop_length=options.hop_length,
        win_length=options.window_length,
        window=options.window,
        center=options.center,
        pad_mode=options.pad_mode,
        power=options.power,
        n_mels=options.n_mels,
        fmin=options.fmin,
        fmax=options.fmax,
        norm=options.norm,
        htk=options.htk,
    )
    if options.to_db:
        return librosa.power_to_db(mel, ref=np.max).T
    return np.log(mel + options.log_offset).T


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"norm": "slaney"},
        {"htk": False},
        {"center": True},
        {"center": True, "pad_mode": "reflect"},
        {"center": True, "pad_mode": "edge"},
        {"window": "hamming"},
        {"window": "blackman", "window_length": 301},
        {"window": "bartlett"},
        {"window": "boxcar", "window_length": 512},
        {"power": 2.0, "to_db": True},
        {"power": 1.5},
        {"fmin": 0, "fmax": None, "n_mels": 40},
        {"n_fft": 401, "hop_length": 133},
        {"log_offset": 1e-3},
    ],
    ids=str,
)
@pytest.mark.parametrize("base", [YAMNET, MINIRESNET], ids=["yamnet", "miniresnet"])
def test_log_mel_is_librosa_s(base, changes):
    if base is MINIRESNET and "n_fft" in changes:
        changes = changes | {"window_length": 401}
    options = config.FeatureExtraction(**(base.model_dump() | changes))
    samples = noise(20_011) * np.linspace(0, 1, 20_011, dtype=np.float32)
    ours = log_mel(torch.from_numpy(samples), options, RATE_HZ)
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours.numpy(), by_librosa(samples, options), atol=2e-3, rtol=0)


@pytest.mark.parametrize("rate_hz", [8000, 22050, 48000])
def test_bands_follow_the_rate(rate_hz):
    options = config.FeatureExtraction(n_fft=2048, fmax=3800)
    np.testing.assert_allclose(
        mel_matrix(options, rate_hz).T,
        librosa.filters.mel(
            sr=rate_hz, n_fft=2048, n_mels=64, fmin=125, fmax=3800, htk=True, norm=None
        ),
        atol=1e-6,
    )


def test_a_batch_is_its_clips():
    batch = torch.from_numpy(noise(3 * 9000).reshape(3, 9000) * np.float32([[1], [0.1], [3]]))
    for options in (YAMNET, MINIRESNET):
        together = log_mel(batch, options, RATE_HZ)
        for clip, alone in zip(batch, together, strict=True):
            torch.testing.assert_close(log_mel(clip, options, RATE_HZ), alone)


def test_a_tone_lies_in_its_band_with_its_amplitude():
    # A sine of amplitude a that falls on bin k has magnitude a * sum(window) / 2 there.
    samples = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16000) / RATE_HZ)
    options = config.FeatureExtraction(window="boxcar", window_length=512, log_offset=1e-12)
    mel = log_mel(torch.from_numpy(samples.astype(np.float32)), options, RATE_HZ)
    weights = mel_matrix(options, RATE_HZ)[32]
    expected = np.log(weights.max() * 0.5 * 512 / 2)
    assert int(mel.mean(0).argmax()) == weights.argmax()
    np.testing.assert_allclose(mel.max(dim=1).values.numpy(), expected, atol=1e-3)


def test_to_db_is_relative_to_each_clip_and_cut_at_80_db():
    samples = noise(16000)
    samples[:8000] *= 1e-6
    level_db = log_mel(torch.from_numpy(samples), MINIRESNET, RATE_HZ)
    assert (float(level_db.max()), float(level_db.min())) == (0.0, -80.0)


@pytest.mark.parametrize("options", [YAMNET, MINIRESNET], ids=["yamnet", "miniresnet"])
def test_frame_count_is_that_of_log_mel(options):
    for samples in (512, 1023, 1024, 1025, 16000, 16159, 16160):
        mel = log_mel(torch.zeros(samples), options, RATE_HZ)
        assert len(mel) == frame_count(samples, options)


def test_what_has_no_frame_is_refused():
    with pytest.raises(ParameterError, match="511 samples are fewer than one frame of 512"):
        log_mel(torch.zeros(511), YAMNET, RATE_HZ)
    with pytest.raises(ParameterError, match="fmax 7500 Hz exceeds half of 8000 Hz"):
        log_mel(torch.zeros(8000), YAMNET, 8000)


def test_gradients_pass_through_although_features_were_computed_in_inference_mode():
    with torch.inference_mode():
        log_mel(torch.zeros(1000), YAMNET, 16001)
    samples = torch.from_numpy(noise(1000)).requires_grad_()
    log_mel(samples, YAMNET, 16001).sum().backward()
    assert samples.grad is not None


@pytest.mark.parametrize("base", [YAMNET, MINIRESNET], ids=["yamnet", "miniresnet"])
def test_exported_for_any_length(base):
    # A rate of its own, so that the constants are first computed while the graph is traced.
    class Module(torch.nn.Module):
        def forward(self, waveform):
            return log_mel(waveform, base, 16003)

    length = torch.export.Dim("length", min=20_000, max=400_000)
    exported = torch.export.export(
        Module(), (torch.zeros(48_000),), dynamic_shapes={"waveform": {0: length}}
    )
    for samples in (20_000, 123_457):
        waveform = torch.from_numpy(noise(samples))
        found = exported.module()(waveform)
        torch.testing.assert_close(found, log_mel(waveform, base, 16003), atol=1e-4, rtol=0)
        np.testing.assert_allclose(
            found, by_librosa(waveform.numpy(), base, 16003), atol=2e-3, rtol=0
        )


@pytest.mark.parametrize(
    ("frame_total", "options", "expected"),
    [
        (498, {}, [0, 72, 144, 216, 288, 360]),
        (95, {}, []),
        (96, {}, [0]),
        (167, {}, [0]),
        (168, {}, [0, 72]),
        (167, {"include_last_patch": True}, [0, 71]),
        (168, {"include_last_patch": True}, [0, 72]),
        (95, {"include_last_patch": True}, []),
    ],
)
def test_patches(frame_total, options, expected):
    starts = patch_starts(frame_total, 96, 0.25, **options)
    assert starts.dtype == np.int64
    assert starts.tolist() == expected


def test_patch_step_rounds_the_overlap_down():
    assert patch_starts(140, 50, 0.25).tolist() == [0, 38, 76]
    assert patch_starts(30, 10, 0.0).tolist() == [0, 10, 20]


# --- waveforms


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


# --- extraction


def data_set(folder, labels, *, seconds=1.2, rate_hz=22050, folds=True, **more):
    (folder / "audio").mkdir(parents=True)
    clips = []
    for number, label in enumerate(labels):
        path = f"audio/{number:04d}.wav"
        soundfile.write(folder / path, noise(int(seconds * rate_hz), number), rate_hz)
        names = (label,) if isinstance(label, str) else tuple(label)
        fold = number % 3 + 1 if folds else None
        clips.append(Clip(path, names, fold=fold, source=f"s{number // 2}", **more))
    write_manifest(folder / "manifest.jsonl", clips)
    return folder


def read_bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def run(tmp_path, name="features", text="", **more):
    extract(tmp_path / "clips", tmp_path / name, config.parse(text, "user.yaml"), **more)
    return tmp_path / name


def test_features_of_real_clips_are_the_zoo_s_chain(esc10, tmp_path):
    paths = sorted(esc10.glob("*/*.ogg"))[::40]
    names = sorted((p.relative_to(esc10).as_posix(), p.parent.name) for p in paths)
    manifest = tmp_path / "set"
    (manifest / "audio").mkdir(parents=True)
    clips = []
    for number, (name, label) in enumerate(names):
        (manifest / f"audio/{number}.ogg").symlink_to(esc10 / name)
        clips.append(Clip(f"audio/{number}.ogg", (label,), fold=1))
    write_manifest(manifest / "manifest.jsonl", clips)
    extract(manifest, tmp_path / "features", config.UserConfig())
    held = frames.read_frames(tmp_path / "features")
    for row, (name, label) in zip(frames.read_rows(tmp_path / "features"), names, strict=True):
        samples = load_by_librosa(esc10 / name, 10)
        kept = librosa.effects.split(samples, top_db=60, frame_length=3200, hop_length=3200)
        samples = np.concatenate([samples[a:b] for a, b in kept])
        expected = by_librosa(np.resize(samples, max(RATE_HZ, samples.size)), YAMNET)
        mine = held[row.first_frame : row.first_frame + row.frames]
        assert row.labels == (label,)
        assert mine.shape == expected.shape
        # float16 has 11 bits: at -9 its steps are 0.008.
        np.testing.assert_allclose(mine, expected, atol=0.006)


def test_rows_and_info(tmp_path):
    data_set(tmp_path / "clips", ["rain", "dog", "rain"])
    folder = run(tmp_path, text="preprocessing: {top_db: None}")
    rows = list(frames.read_rows(folder))
    assert [(row.labels, row.fold, row.source) for row in rows] == [
        *((("rain",), 1, "s0"), (("dog",), 2, "s0"), (("rain",), 3, "s1")),
    ]
    assert [(row.frames, row.duration_s) for row in rows] == [(117, 1.2)] * 3
    info = json.loads((folder / "features.json").read_text())
    assert info["classes"] == ["dog", "rain"]
    assert info["sample_rate_hz"] == 16000
    assert info["feature_extraction"]["n_fft"] == 512
    assert info["preprocessing"]["top_db"] is None


def test_cache_and_workers_change_no_bit(tmp_path, monkeypatch):
    data_set(tmp_path / "clips", ["rain", "dog"] * 9)
    plain = read_bytes(run(tmp_path, "plain"))
    assert read_bytes(run(tmp_path, "two", workers=2)) == plain
    cache = tmp_path / "cache"
    assert read_bytes(run(tmp_path, "first", cache=cache, workers=3)) == plain
    assert len(list(cache.iterdir())) == 18

    def never(*_args, **_more):
        raise AssertionError("decoded although it is cached")

    monkeypatch.setattr(waveforms.reading, "load", never)
    assert read_bytes(run(tmp_path, "second", cache=cache)) == plain


def test_cache_is_used_only_where_it_fits(tmp_path):
    data_set(tmp_path / "clips", ["rain"])
    cache = tmp_path / "cache"
    run(tmp_path, cache=cache, text="dataset: {to_cache: false}")
    assert not cache.exists()
    run(tmp_path, cache=cache)
    run(tmp_path, cache=cache, text="preprocessing: {target_rate: 15000}")
    run(tmp_path, cache=cache, text="preprocessing: {max_length: 1.1}")
    run(tmp_path, cache=cache, text="preprocessing: {top_db: 20}\nfeature_extraction: {n_mels: 20}")
    assert len(list(cache.iterdir())) == 3
    soundfile.write(tmp_path / "clips/audio/0000.wav", noise(30_000, 99), 22050)
    run(tmp_path, cache=cache)
    assert len(list(cache.iterdir())) == 4


@pytest.mark.parametrize("damage", ["cut", "flip", "length", "empty"])
def test_damaged_cache_entries_are_computed_again(tmp_path, damage):
    data_set(tmp_path / "clips", ["rain"])
    cache = tmp_path / "cache"
    plain = read_bytes(run(tmp_path, cache=cache))
    (entry,) = cache.iterdir()
    held = bytearray(entry.read_bytes())
    whole = bytes(held)
    match damage:
        case "cut":
            del held[-2:]
        case "flip":
            held[5000] ^= 1
        case "length":
            held[4] ^= 1
        case "empty":
            held.clear()
    entry.write_bytes(held)
    assert read_bytes(run(tmp_path, "again", cache=cache)) == plain
    assert entry.read_bytes() == whole


@pytest.mark.parametrize("workers", [1, 2])
def test_one_bad_clip_stops_and_is_named(tmp_path, workers):
    data_set(tmp_path / "clips", ["rain"] * 12)
    (tmp_path / "clips/audio/0005.wav").write_bytes(b"RIFF nothing")
    with pytest.raises(DataError, match=r"0005\.wav"):
        run(tmp_path, workers=workers)
    assert not any((tmp_path / "features").iterdir())
    assert not [t for t in threading.enumerate() if t.name.startswith("features")]


def test_a_clip_shorter_than_a_patch_is_named_with_the_fix(tmp_path):
    data_set(tmp_path / "clips", ["rain"], seconds=0.5)
    with pytest.raises(
        DataError,
        match=r"0000\.wav: 0\.500 s of sound give 47 frames, but a patch has 96; set "
        r"preprocessing\.min_length to 0\.982 or lower feature_extraction\.patch_length$",
    ):
        run(tmp_path, text="preprocessing: {min_length: 0}")
    fixed = run(tmp_path, text="preprocessing: {min_length: 0.982}")
    assert [row.frames for row in frames.read_rows(fixed)] == [96]


def test_subset_of_classes(tmp_path):
    data_set(tmp_path / "clips", ["rain", "dog", "wind", "dog"])
    folder = run(tmp_path, text="dataset: {class_names: [rain, dog]}")
    assert [row.path[-8:-4] for row in frames.read_rows(folder)] == ["0000", "0001", "0003"]
    assert frames.read_info(folder).classes == ("dog", "rain")
    with pytest.raises(ConfigError, match=r"class_names: no clip is labelled 'dgo'; did you"):
        run(tmp_path, text="dataset: {class_names: [dgo]}")


def test_garbage_class_samples_each_class_outside(tmp_path):
    data_set(tmp_path / "clips", ["rain", "dog", "wind", "siren"] * 5)
    text = (
        "dataset: {class_names: [rain], use_garbage_class: true, n_samples_per_garbage_class: 2, "
        "seed: %d}"
    )
    chosen = []
    for seed in (0, 0, 1):
        folder = run(tmp_path, text=text % seed)
        assert frames.read_info(folder).classes == ("other", "rain")
        rows = list(frames.read_rows(folder))
        assert sum(row.labels == ("rain",) for row in rows) == 5
        other = [int(row.path[6:10]) for row in rows if row.labels == ("other",)]
        assert sorted(number % 4 for number in other) == [1, 1, 2, 2, 3, 3]
        chosen.append(other)
    assert chosen[0] == chosen[1] != chosen[2]


def test_folds_are_made_where_there_are_none(tmp_path):
    data_set(tmp_path / "clips", ["rain", "rain", "dog", "dog"] * 6, folds=False)
    rows = list(frames.read_rows(run(tmp_path, text="dataset: {n_folds: 3}")))
    assert {row.fold for row in rows} == {1, 2, 3}
    assert len({(row.source, row.fold) for row in rows}) == 12
    again = list(frames.read_rows(run(tmp_path, text="dataset: {n_folds: 3, seed: 9}")))
    assert [row.fold for row in again] != [row.fold for row in rows]


def test_multi_label(tmp_path):
    data_set(tmp_path / "clips", [["rain", "dog"], ["dog"], ["wind", "rain"], ["wind"]])
    text = "dataset: {multi_label: true, class_names: [rain, dog]}"
    folder = run(tmp_path, text=text)
    assert [row.labels for row in frames.read_rows(folder)] == [
        *(("dog", "rain"), ("dog",), ("rain",)),
    ]
    assert frames.read_info(folder).multi_label
    with pytest.raises(DataError, match=r"0000\.wav: has 2 labels \(dog, rain\); set dataset"):
        run(tmp_path)


def test_torch_threads_are_given_back(tmp_path):
    data_set(tmp_path / "clips", ["rain"])
    before = torch.get_num_threads()
    run(tmp_path)
    assert torch.get_num_threads() == before
