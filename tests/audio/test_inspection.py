"""A data set is looked at before it is trained on: what is found, refused, and said of it."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from soundgate.audio import config as configs
from soundgate.audio import inspection
from soundgate.audio.clips.manifest import Clip, write_manifest
from soundgate.audio.extraction.log_mel import extract
from soundgate.audio.files import reading
from soundgate.audio.files.levels import measure
from soundgate.audio.formats.datasets.inspection import read_inspection
from soundgate.audio.inspection.rules import RULES
from soundgate.errors import DataError
from soundgate.step import run as run_step
from steps.accept import accept
from steps.preprocess import preprocess

RATE_HZ = 16_000
SECONDS = "preprocessing: {min_length: 0.5}\n"


def noise(seed, seconds=1.0):
    samples = np.random.default_rng(seed).uniform(-0.3, 0.3, round(RATE_HZ * seconds))
    return samples.astype(np.float32)


class Workbench:
    """A folder of clips, made one by one, and its inspection."""

    def __init__(self, folder):
        self.folder, self.clips = folder, []
        (folder / "clips").mkdir()
        for label in ("dog", "rain"):
            for number in range(4):
                self.add(
                    f"{label}{number}.wav",
                    label,
                    noise(f"{label}{number}".encode()[-1] * 7 + len(label)),
                )

    def add(self, name, label, samples, *, subtype="PCM_16", rate_hz=RATE_HZ, **about):
        path = self.folder / "clips" / name
        if samples is not None:
            soundfile.write(path, samples, rate_hz, subtype=subtype)
        fold = None if "split" in about else len(self.clips) % 2 + 1
        self.clips.append(Clip(name, (label,), **{"fold": fold, **about}))
        return path

    def inspect(self, rules="", text=SECONDS, *, name="inspection"):
        write_manifest(
            self.folder / "clips" / "manifest.jsonl", sorted(self.clips, key=lambda c: c.path)
        )
        path = self.folder / "user_config.yaml"
        path.write_text(f"{text}inspection: {{{rules}}}\n", "utf-8")
        self.features, self.out = self.folder / "features", self.folder / name
        preprocess(self.folder / "clips", path, self.features, self.out)
        return read_inspection(self.out)

    def refusal(self):
        with pytest.raises(DataError) as caught:
            accept(self.out, self.folder / "accepted")
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def bench(tmp_path):
    """Eight good clips of two classes, in two folds."""
    return Workbench(tmp_path)


def found(report):
    return {finding.rule.removeprefix("inspection."): finding for finding in report.findings}


def test_a_good_data_set_is_accepted_with_its_figures(bench, tmp_path, capsys):
    report = bench.inspect()
    assert report.findings == ()
    assert (report.clips, report.seconds) == (8, 8.0)
    assert report.sample_rates_hz == {"16000": 8}
    assert report.channels == {"1": 8}
    assert [(row.label, row.clips, row.by_split) for row in report.classes] == [
        ("dog", 4, {"fold 1": 2, "fold 2": 2}),
        ("rain", 4, {"fold 1": 2, "fold 2": 2}),
    ]
    said = capsys.readouterr().out
    assert "dog          4       4.0         2         2" in said
    accept(bench.out, tmp_path / "accepted")
    assert "8 clips of 2 classes accepted; 0 remarks" in capsys.readouterr().out


def test_lengths_rates_and_channels_are_those_of_the_files(bench):
    stereo = np.stack([noise(50, 2.0), noise(51, 2.0)], axis=1)
    bench.add("stereo.wav", "dog", stereo, rate_hz=8_000)
    report = bench.inspect()
    assert report.sample_rates_hz == {"8000": 1, "16000": 8}
    assert report.channels == {"1": 8, "2": 1}
    assert report.duration_s is not None
    assert (report.duration_s.low, report.duration_s.median, report.duration_s.high) == (1, 1, 4)


def test_silence_of_a_dead_microphone_and_of_opposed_channels(bench):
    left = noise(60)
    bench.add("opposed.wav", "dog", np.stack([left, -left], axis=1), subtype="FLOAT")
    bench.add("dead.wav", "rain", np.zeros(RATE_HZ))
    bench.add("faint.wav", "rain", noise(61) * 0.0002)  # peak -84 dB
    bench.add("quiet.wav", "rain", noise(62) * 0.01)  # peak -50 dB
    silent = found(bench.inspect())["max_silent"]
    assert not silent.refused
    assert list(silent.examples) == [
        "dead.wav: no sound in any channel",
        "faint.wav: no sound in any channel",
        "opposed.wav: its channels cancel each other out",
    ]
    assert found(bench.inspect("max_silent: 0.2"))["max_silent"].refused  # 3 of 12 are more
    assert "3 silent of 12 clips" in bench.refusal()
    assert not found(bench.inspect("max_silent: 0.25"))["max_silent"].refused


def test_a_silent_class_of_zeros_is_no_duplicate(bench):
    for number in range(3):
        bench.add(f"zero{number}.wav", "dog", np.zeros(RATE_HZ))
    assert set(found(bench.inspect())) == {"max_silent"}


def test_clipping_is_counted_in_runs_at_full_scale():
    at = np.arange(1600) / 1600
    wave = np.clip(2 * np.sin(2 * np.pi * 4 * at), -1, 1).astype(np.float32)
    levels = measure(wave, wave, 1600)
    assert levels.clipped == int((np.abs(wave) >= 0.9999).sum()) > 1000
    single = np.zeros(100, np.float32)
    single[[3, 10, 11, 50]] = 1.0  # peaks that just fit
    assert measure(single, single, 1600).clipped == 0
    single[60:63] = -1.0
    assert measure(single, single, 1600).clipped == 3
    assert measure(single * 1.5, single, 1600).clipped == 0  # floats beyond it are not cut off


def test_levels_are_of_the_channels_and_of_their_mix():
    left = np.full(100, 0.5, np.float32)
    both = np.stack([left, -left * 0.5], axis=1)
    levels = measure(both, both.mean(axis=1), 8000)
    assert (levels.rate_hz, levels.channels, levels.frames) == (8000, 2, 100)
    assert (levels.peak, levels.weakest_peak) == (0.5, 0.25)
    assert (levels.mix_peak, levels.mix_rms) == (0.125, 0.125)
    assert type(levels).unpack(levels.pack()) == levels


def test_a_channel_without_sound_is_reported(bench):
    left = noise(63)
    bench.add("one.wav", "dog", np.stack([left, 0 * left], axis=1))
    bench.add("both.wav", "dog", np.stack([left, 0.1 * left], axis=1))
    bench.add("none.wav", "dog", np.zeros((RATE_HZ, 2)))  # silent, and only that
    rules = found(bench.inspect())
    assert list(rules["max_dead_channels"].examples) == [
        "one.wav: at least one of its 2 channels holds no sound"
    ]
    assert not rules["max_dead_channels"].refused
    assert rules["max_silent"].count == 1


def test_clipped_and_mis_scaled_clips(bench):
    tone = np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)
    bench.add("loud.wav", "dog", np.clip(3 * tone, -1, 1))
    bench.add("integers.wav", "rain", noise(70) * 32768, subtype="FLOAT")
    bench.add("hot.wav", "rain", noise(71) * 5, subtype="FLOAT")  # 1.5 times full scale
    rules = found(bench.inspect())
    assert set(rules) == {"max_clipped", "max_mis_scaled"}
    assert not rules["max_clipped"].refused
    assert rules["max_clipped"].examples[0].startswith("loud.wav: 7")
    assert rules["max_mis_scaled"].refused
    assert rules["max_mis_scaled"].examples[0].startswith("integers.wav: its samples reach 9,8")
    assert "integers.wav" in bench.refusal()


def test_one_sound_under_several_names(bench):
    bench.add("dog0 - Copy.flac", "dog", reading.read(bench.folder / "clips" / "dog0.wav")[0])
    rules = found(bench.inspect())  # another container, the same samples; dog0 is in fold 1
    assert set(rules) == {"max_duplicates"}
    assert list(rules["max_duplicates"].examples) == [
        "dog0.wav: the same sound as dog0 - Copy.flac"
    ]


def test_one_sound_on_both_sides_of_a_split_or_in_two_classes_is_refused(bench):
    samples = reading.read(bench.folder / "clips" / "dog0.wav")[0]
    bench.add("other.wav", "dog", samples, fold=2)
    bench.add("rain9.wav", "rain", reading.read(bench.folder / "clips" / "rain0.wav")[0], fold=1)
    bench.add("wrong.wav", "rain", reading.read(bench.folder / "clips" / "dog2.wav")[0], fold=1)
    rules = found(bench.inspect())
    assert list(rules["max_leaked"].examples) == [
        "dog0.wav: is in fold 1, the same sound as other.wav in fold 2",
        "other.wav: is in fold 2, the same sound as dog0.wav in fold 1",
    ]
    assert list(rules["max_contradictory"].examples) == [
        "dog2.wav: is dog, the same sound as wrong.wav, which is rain",
        "wrong.wav: is rain, the same sound as dog2.wav, which is dog",
    ]
    assert rules["max_leaked"].refused
    assert rules["max_contradictory"].refused
    assert rules["max_duplicates"].count == 1


def test_all_unreadable_clips_are_named_at_once(bench, capsys):
    for number in range(3):
        path = bench.add(f"bad{number}.wav", "dog", None)
        path.write_bytes(b"RIFF\0\0\0\0WAVE" if number else b"no audio")
    bench.add("short.wav", "rain", noise(80, 0.01))
    text = "preprocessing: {min_length: 0.01}\n"
    report = bench.inspect(text=text)
    bad = found(report)["max_unreadable"]
    assert bad.refused
    assert [example.split("/")[-1].split(":")[0] for example in bad.examples] == [
        *("bad0.wav", "bad1.wav", "bad2.wav", "short.wav"),
    ]
    assert capsys.readouterr().out.count(".wav: ") >= 4
    assert "4 unreadable of 12 clips" in bench.refusal()
    assert "max_unreadable" in (bench.out / "inspection.html").read_text()


def test_unreadable_clips_up_to_the_stated_share_are_left_out(bench):
    bench.add("bad.wav", "dog", None).write_bytes(b"no audio")
    assert found(bench.inspect("max_unreadable: 0.1"))["max_unreadable"].refused  # 1 of 9
    tolerated = found(bench.inspect("max_unreadable: 0.12"))["max_unreadable"]
    assert (tolerated.count, tolerated.refused) == (1, False)
    rows = (bench.features / "clips.jsonl").read_text().splitlines()
    assert len(rows) == 8
    assert not any("bad.wav" in row for row in rows)


def test_nothing_readable_is_refused_whatever_is_tolerated(bench):
    for clip in bench.clips:
        (bench.folder / "clips" / clip.path).write_bytes(b"no audio")
    report = bench.inspect("max_unreadable: 1.0")
    assert report.duration_s is None
    assert "8 unreadable of 8 clips" in bench.refusal()


def test_one_class_is_refused(bench):
    bench.clips = [clip for clip in bench.clips if clip.labels == ("dog",)]
    assert found(bench.inspect())["min_classes"].refused
    assert "too few classes" in bench.refusal()
    assert not bench.inspect("min_classes: 1").findings


def test_small_and_one_sided_classes(bench):
    bench.add("cat.wav", "cat", noise(90))
    bench.add("owl0.wav", "owl", noise(91), fold=1)
    bench.add("owl1.wav", "owl", noise(92), fold=1)
    rules = found(bench.inspect())
    assert list(rules["min_clips_per_class"].examples) == ["cat: 1 readable clips, needed are 2"]
    assert rules["min_clips_per_class"].refused
    assert list(rules["one_sided_classes"].examples) == ["owl: all its 2 clips are in fold 1"]
    assert not rules["one_sided_classes"].refused
    assert found(bench.inspect("one_sided_classes: false"))["one_sided_classes"].refused


@pytest.mark.parametrize("twin", ["Dog", "dog\u200b", "'dog'"])
def test_labels_that_look_alike_are_refused(bench, twin):
    for number in range(2):
        bench.add(f"t{number}.wav", twin, noise(100 + number))
    rules = found(bench.inspect())
    assert rules["similar_labels"].refused
    assert rules["similar_labels"].examples[0].isprintable()
    assert "look alike" in bench.refusal()
    assert not found(bench.inspect("similar_labels: true"))["similar_labels"].refused


def test_the_cache_keeps_the_levels(bench, tmp_path):
    left = noise(60)
    bench.add("opposed.wav", "dog", np.stack([left, -left], axis=1), subtype="FLOAT")
    first = bench.inspect()
    settings = configs.load(tmp_path / "user_config.yaml")
    for name in ("cold", "warm"):
        kept = inspection.Collection()
        extract(
            bench.folder / "clips", tmp_path / name, settings, cache=tmp_path / "c", observer=kept
        )
        inspection.report(kept, settings.inspection, tmp_path / f"{name}-report")
        assert read_inspection(tmp_path / f"{name}-report") == first


def test_every_bound_has_a_rule():
    bounds = set(configs.UserConfig().inspection.model_dump())
    assert bounds - {"silent_below_db"} == {rule.key for rule in RULES}


def test_names_on_the_page_are_escaped(bench):
    for number in range(2):
        bench.add(f"x{number}.wav", "<script>alert(1)</script>", noise(110 + number))
    bench.inspect()
    page = (bench.out / "inspection.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_refusal_is_one_line_and_the_page_is_there(bench, tmp_path, capsys):
    bench.clips = [clip for clip in bench.clips if clip.labels == ("dog",)]
    bench.inspect()
    words = ["--inspection", bench.out, "--accepted", tmp_path / "accepted"]
    assert run_step(accept, [str(word) for word in words]) == 2
    assert capsys.readouterr().err.startswith("error: the data set is refused: 1 data set with")
    assert (bench.out / "inspection.html").is_file()
    assert not (tmp_path / "accepted").exists()
