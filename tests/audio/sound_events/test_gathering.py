"""Published layouts of sound event data sets, brought into one folder."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from soundgate.audio.clips.sound_events.label_space import Annotated, together
from soundgate.audio.clips.sound_events.targets import Grid, LabelledEvent, strong
from soundgate.audio.datasets.sound_events.gathering import Options, gather, wording
from soundgate.audio.datasets.sound_events.layouts import layout
from soundgate.audio.datasets.sound_events.parts import Part, audio_names, read_part
from soundgate.audio.files import reading
from soundgate.audio.formats.datasets import sound_events as stored
from soundgate.errors import DataError
from steps.sed.collect import collect

RATE = 16_000


def sound(path, seconds=1.0, rate_hz=RATE, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate_hz))
    reading.write(path, noise.astype(np.float32), rate_hz)


def table(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))


STRONG = ("filename", "onset", "offset", "event_label")


@pytest.fixture
def desed(tmp_path):
    """A small DESED: strong, weak, unlabelled, two judged parts, and windows of MAESTRO."""
    root = tmp_path / "desed"
    meta, audio = root / "metadata", root / "audio"
    table(
        meta / "train/audioset_strong.tsv",
        STRONG,
        ("a.wav", 0.1, 0.5, "Dog"),
        ("a.wav", 0.4, 0.9, "Dog"),
        ("a.wav", 0.2, 1.4, "Speech"),
        ("quiet.wav", "", "", ""),
        ("gone.wav", 0, 1, "Cat"),
        ("judged.wav", 0, 1, "Cat"),
        ("out.wav", 0, 1, "Cat"),
    )
    for name in ("a", "quiet", "judged", "out"):
        sound(audio / f"train/strong_label_real_16k/{name}.wav")
    table(meta / "train/weak.tsv", ("filename", "event_labels"), ("w.wav", "Dog,Dishes"))
    sound(audio / "train/weak/w.wav")
    sound(audio / "train/unlabel_in_domain/u1.wav")
    sound(audio / "train/unlabel_in_domain/u2.wav")
    table(meta / "validation/validation.tsv", STRONG, ("judged.wav", 0.2, 0.6, "Blender"))
    sound(audio / "validation/validation/judged.wav")
    table(meta / "eval/public.tsv", STRONG, ("e.wav", 0.0, 1.0, "Frying"))
    sound(audio / "eval/public/e.wav")
    table(
        meta / "maestro_real_train.tsv",
        (*STRONG, "confidence"),
        ("cafe_01-0-100.wav", 0, 1, "people talking", 0.7),
        ("cafe_01-100-200.wav", 0, 1, "announcement", 0.2),
    )
    for name in ("cafe_01-0-100", "cafe_01-100-200"):
        sound(audio / f"maestro_real_train/{name}.wav")
    table(root / "exclude.tsv", ("filename",), ("out.wav",))
    return root


def rows_of(folder):
    return (
        stored.read_set(folder),
        {row.id: row for row in stored.read_clips(folder)},
        list(stored.read_events(folder)),
    )


def test_a_small_desed_is_collected(desed, tmp_path, capsys):
    out = tmp_path / "events"
    collect(out, desed, [desed / "exclude.tsv"], layout="desed")
    described, clips, events = rows_of(out)
    parts = {part.part: part for part in described.parts}
    assert list(parts) == [
        *("strong", "weak", "unlabelled", "validation", "public-evaluation", "maestro"),
    ]
    of_strong = parts["strong"]
    assert (of_strong.listed, of_strong.found, of_strong.left_out) == (5, 2, 2)
    assert of_strong.missing == ("gone",)
    assert (of_strong.merged, of_strong.past_the_end) == (1, 1)
    assert [
        (e.clip, e.label, e.onset_s, e.offset_s) for e in events if e.clip.startswith("strong")
    ] == [("strong/a", "Dog", 0.1, 0.9), ("strong/a", "Speech", 0.2, 1.0)]
    assert clips["weak/w"].labels == ("Dog", "Dishes")
    assert {row.split for row in clips.values() if row.part == "validation"} == {"tune"}
    assert {row.kind for row in clips.values()} == {"strong", "weak", "soft", "unlabelled"}
    assert [e.confidence for e in events if e.clip.startswith("maestro")] == [0.7, 0.2]
    assert {row.recording for row in clips.values() if row.part == "maestro"} == {"cafe_01"}
    for row in clips.values():
        assert reading.info(out / row.path).duration_s == row.duration_s == 1.0
    assert described.space().mask("desed").sum() == 12
    told = capsys.readouterr().out
    assert "1 of 5 files are missing (gone)" in told
    assert "2 files left out, 1 overlapping events merged, 1 events cut off" in told


def test_soft_events_become_targets(desed, tmp_path):
    collect(tmp_path / "events", desed, layout="desed")
    described, _, events = rows_of(tmp_path / "events")
    of_clip = [
        LabelledEvent(e.label, e.onset_s, e.offset_s, 1.0 if e.confidence is None else e.confidence)
        for e in events
        if e.clip == "maestro/cafe_01-100-200"
    ]
    found = strong(of_clip, described.space(), "maestro", Grid(4, 0.25))
    named = {described.classes[k]: found[:, k].tolist() for k in np.flatnonzero(found.any(axis=0))}
    quiet = [pytest.approx(0.2)] * 4
    assert named == {"announcement": quiet, "Speech": quiet}


def test_recordings_of_maestro_are_cut_into_windows(tmp_path, real_data):
    """The published list of a recording: a second a row, without a header."""
    published = real_data("datasets/sed/maestro_layout")
    root = tmp_path / "maestro"
    lists = root / "development_annotation/soft_labels_cafe_restaurant"
    shutil.copytree(published / "soft_labels_cafe_restaurant", lists)
    (lists / "cafe_restaurant_15.txt").write_text("0.0\t12.0\tfootsteps\t0.5\n")
    (root / "train_split.csv").write_text("train\ncafe_restaurant_14.txt\n")
    (root / "validation_split.csv").write_text("val\ncafe_restaurant_15.txt\n")
    for number in (14, 15):
        sound(root / f"development_audio/cafe_restaurant/cafe_restaurant_{number}.wav", 12.5)
    parts, space = layout("maestro", root)
    assert len(read_part(parts[0]).events["cafe_restaurant_14"]) == 3
    described = gather(parts, space, tmp_path / "events", Options())
    assert [part.clips for part in described.parts] == [3, 3]
    _, clips, events = rows_of(tmp_path / "events")
    windows = [row for row in clips.values() if row.part == "maestro-validation"]
    assert [row.start_s for row in windows] == [0.0, 1.0, 2.0]
    assert windows[1].id == "maestro-validation/cafe_restaurant_15-100-1100"
    assert len({row.path for row in windows}) == 1
    footsteps = [e for e in events if e.clip in {row.id for row in windows}]
    assert [(e.onset_s, e.offset_s, e.confidence) for e in footsteps] == [(0.0, 10.0, 0.5)] * 3
    # All of the list is in the first second, so that only the first window has it.
    assert {e.clip for e in events if e.clip.startswith("maestro/")} == {
        "maestro/cafe_restaurant_14-0-1000"
    }


def test_audioset_s_strong_labels_have_names(tmp_path):
    root = tmp_path / "audioset"
    table(root / "mid_to_display_name.tsv", ("/m/0bt9lr", "Dog"), ("/m/09x0r", "Speech"))
    table(
        root / "audioset_train_strong.tsv",
        ("segment_id", "start_time_seconds", "end_time_seconds", "label"),
        ("b0RFKhbpFJA_30000", 0.0, 0.5, "/m/0bt9lr"),
        ("b0RFKhbpFJA_30000", 0.25, 1.0, "/m/09x0r"),
    )
    sound(root / "audio/train/Yb0RFKhbpFJA.wav")
    parts, space = layout("audioset", root)
    gather(parts, space, tmp_path / "events", Options())
    _, clips, events = rows_of(tmp_path / "events")
    assert list(clips) == ["audioset-train/b0RFKhbpFJA_30000"]
    assert [(e.label, e.onset_s, e.offset_s) for e in events] == [
        ("Dog", 0.0, 0.5),
        ("Speech", 0.25, 1.0),
    ]
    table(root / "audioset_train_strong.tsv", *[("segment_id", "start_time_seconds")])
    with pytest.raises(DataError, match="no column for start_s"):
        gather(layout("audioset", root)[0], space, tmp_path / "again", Options())


def test_names_of_audioset_files():
    assert audio_names("Y1Ro0FgMWTUE_120") == ("Y1Ro0FgMWTUE_120",)
    assert "Yb0RFKhbpFJA" in audio_names("b0RFKhbpFJA_30000")


SPACE = together({"small": Annotated(("dog",), {}, {"Bark": "dog"}, leaves_out=True)})


def part(tmp_path, **options):
    fields = {
        "name": "p",
        "dataset": "small",
        "kind": "strong",
        "split": "training",
        "audio": tmp_path / "audio",
        "table": tmp_path / "p.tsv",
    } | options
    return Part(**fields)


def test_labels_are_renamed_or_left_out_and_counted(tmp_path):
    table(tmp_path / "p.tsv", STRONG, ("a", 0, 1, "Bark"), ("a", 0, 1, "cat"), ("a", 0, 1, "cat"))
    sound(tmp_path / "audio/a.wav")
    found = gather([part(tmp_path)], SPACE, tmp_path / "out", Options())
    assert found.parts[0].labels_left_out == {"cat": 2}
    assert [e.label for e in stored.read_events(tmp_path / "out")] == ["dog"]
    assert "2 events of no class left out" in next(iter(wording(found)))


def test_another_rate_is_refused_or_resampled(tmp_path):
    table(tmp_path / "p.tsv", STRONG, ("a", 0, 1, "dog"))
    sound(tmp_path / "audio/a.wav", rate_hz=44_100)
    with pytest.raises(DataError, match="has 44100 Hz, 16000 Hz are wanted"):
        gather([part(tmp_path)], SPACE, tmp_path / "out", Options())
    found = gather([part(tmp_path)], SPACE, tmp_path / "again", Options(resample=True))
    assert found.parts[0].resampled == 1
    row = next(iter(stored.read_clips(tmp_path / "again")))
    assert reading.info(tmp_path / "again" / row.path).rate_hz == row.rate_hz == 16_000


def test_weak_clips_are_divided_by_name(tmp_path):
    names = [f"clip{k}" for k in range(60)]
    table(tmp_path / "p.tsv", ("filename", "event_labels"), *((name, "dog") for name in names))
    for name in names:
        sound(tmp_path / f"audio/{name}.wav", 0.05)
    weak = part(tmp_path, kind="weak", validation_share=0.3)
    gather([weak], SPACE, tmp_path / "one", Options())
    sides = {row.id: row.split for row in stored.read_clips(tmp_path / "one")}
    assert 9 <= list(sides.values()).count("validation") <= 27
    table(tmp_path / "p.tsv", ("filename", "event_labels"), *((n, "dog") for n in names[::-2]))
    gather([weak], SPACE, tmp_path / "two", Options())
    assert all(sides[row.id] == row.split for row in stored.read_clips(tmp_path / "two"))


def test_what_is_tuned_on_is_not_tested_on(tmp_path):
    table(tmp_path / "p.tsv", STRONG, ("a", 0, 1, "dog"))
    sound(tmp_path / "audio/a.wav")
    parts = [part(tmp_path, split="tune"), part(tmp_path, name="q", split="test")]
    with pytest.raises(DataError, match=r"'a' is in p \(tune\) and in q \(test\)"):
        gather(parts, SPACE, tmp_path / "out", Options())


def test_too_many_missing_files_are_refused(tmp_path):
    table(tmp_path / "p.tsv", STRONG, *((name, 0, 1, "dog") for name in "abcd"))
    sound(tmp_path / "audio/a.wav")
    with pytest.raises(DataError, match="3 of 4 files are missing, 'b' among them"):
        gather([part(tmp_path)], SPACE, tmp_path / "out", Options(most_missing=0.5))
    found = gather([part(tmp_path)], SPACE, tmp_path / "again", Options())
    assert (found.parts[0].listed, found.parts[0].found) == (4, 1)
    (tmp_path / "audio/a.wav").unlink()
    with pytest.raises(DataError, match="holds none of the 4 files of"):
        gather([part(tmp_path)], SPACE, tmp_path / "none", Options())


def test_a_folder_without_parts_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no part of DESED"):
        layout("desed", tmp_path)
    with pytest.raises(DataError, match="no layout 'dcase'"):
        layout("dcase", tmp_path)


def test_a_name_does_not_lead_out_of_the_folder(tmp_path):
    table(tmp_path / "p.tsv", STRONG, ("../../a.wav", 0, 1, "dog"))
    sound(tmp_path / "audio/a.wav")
    gather([part(tmp_path)], SPACE, tmp_path / "out", Options())
    row = next(iter(stored.read_clips(tmp_path / "out")))
    assert (row.id, row.path) == ("p/a", "audio/p/a.wav")
