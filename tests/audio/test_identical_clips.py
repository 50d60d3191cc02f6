"""Clips of the same bytes are one recording: they get one fold, and lie on one side of a split."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import soundfile

from soundgate.audio.clips.identical import joint_sources
from soundgate.audio.clips.manifest import Clip, write_manifest
from soundgate.audio.clips.selection import choose
from soundgate.audio.config import UserConfig
from soundgate.audio.config.sections.data import Dataset
from soundgate.audio.extraction.log_mel import extract
from soundgate.audio.formats.feature_set import read_features

RATE_HZ = 16_000


def write(folder, name, seed, *, seconds=0.6):
    """Equal seeds give equal bytes."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.zeros(round(seconds * RATE_HZ))
    if seed is not None:
        samples = np.random.default_rng(seed).uniform(-0.3, 0.3, samples.size)
    soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")


def test_recordings_that_share_a_clip_become_one(tmp_path):
    contents = {"a.wav": 1, "b.wav": 1, "c.wav": 2, "d.wav": 3, "e.wav": 2, "f.wav": 3, "g.wav": 4}
    for name, seed in contents.items():
        write(tmp_path, name, seed)
    sources = {"c.wav": "tape", "d.wav": "tape", "f.wav": "disc"}
    listed = [Clip(name, ("dog",), source=sources.get(name)) for name in contents]
    # c and d are of one tape, e is c again, f is d again: all four are one recording.
    assert dict(zip(contents, joint_sources(tmp_path, listed), strict=True)) == {
        **dict.fromkeys(("a.wav", "b.wav"), "a.wav"),
        **dict.fromkeys(("c.wav", "d.wav", "e.wav", "f.wav"), "disc"),
        "g.wav": None,
    }


def test_what_is_not_joined(tmp_path):
    write(tmp_path, "a.wav", 1)
    for name in ("b.wav", "c.wav"):
        shutil.copy(tmp_path / "a.wav", tmp_path / name)
    for name in ("zero0.wav", "zero1.wav"):
        write(tmp_path, name, None)
    for name in ("bad0.wav", "bad1.wav"):
        (tmp_path / name).write_bytes(b"no audio")
    listed = [
        Clip("a.wav", ("dog",), split="training"),
        Clip("b.wav", ("dog",), split="test"),  # the data set's own division stands
        Clip("c.wav", ("dog",), split="training", end_s=0.3),  # half of it
        *(Clip(f"zero{n}.wav", ("dog",)) for n in range(2)),
        *(Clip(f"bad{n}.wav", ("dog",)) for n in range(2)),
        *(Clip(f"missing{n}.wav", ("dog",)) for n in range(2)),
        *(Clip("a.wav", ("dog",), start_s=n, end_s=n + 0.1) for n in (0.1, 0.2)),
    ]
    assert joint_sources(tmp_path, listed) == [None] * len(listed)


def test_one_sound_in_two_formats_is_one_recording(tmp_path):
    for name, seed in {"a.wav": 1, "b.wav": 2, "c.wav": 1, "zero.wav": None}.items():
        write(tmp_path, name, seed)
    for name, of in {"a2.flac": "a.wav", "b2.FLAC": "b.wav", "zero2.flac": "zero.wav"}.items():
        samples, rate_hz = soundfile.read(tmp_path / of, dtype="int16")
        soundfile.write(tmp_path / name, samples, rate_hz, format="FLAC")
    samples, _ = soundfile.read(tmp_path / "b.wav", dtype="int16")
    samples[100] += 1  # of equal length, but not the same
    soundfile.write(tmp_path / "b3.aiff", samples, RATE_HZ, subtype="PCM_16")
    soundfile.write(tmp_path / "b4.aiff", samples[:-1], RATE_HZ, subtype="PCM_16")
    soundfile.write(tmp_path / "b5.flac", samples, RATE_HZ // 2)
    (tmp_path / "bad.flac").write_bytes(b"no audio")
    names = ["a.wav", "a2.flac", "b.wav", "b2.FLAC", "b3.aiff", "b4.aiff", "b5.flac", "bad.flac"]
    names += ["c.wav", "zero.wav", "zero2.flac"]
    listed = [Clip(name, ("dog",)) for name in names]
    assert dict(zip(names, joint_sources(tmp_path, listed), strict=True)) == {
        **dict.fromkeys(names),
        **dict.fromkeys(("a.wav", "a2.flac", "c.wav"), "a.wav"),
        **dict.fromkeys(("b.wav", "b2.FLAC"), "b.wav"),
    }


@pytest.fixture
def copied(tmp_path):
    """Ten recordings of each of two classes, each under two names, the second one far away."""
    folder = tmp_path / "clips"
    clips = []
    for k, label in enumerate(("dog", "rain")):
        for number in range(10):
            for name in (f"{label}{number}.wav", f"z/{label} - Copy ({number}).wav"):
                write(folder, name, 100 * k + number)
                clips.append(Clip(name, (label,)))
    write_manifest(folder / "manifest.jsonl", sorted(clips, key=lambda clip: clip.path))
    return folder


def folds(folder, **dataset):
    """The folds of each content."""
    chosen = choose(folder, Dataset(n_folds=4, **dataset))
    found = {}
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.wav"))
    for name, member in zip(names, chosen.members(), strict=True):
        found.setdefault((folder / name).read_bytes(), set()).add(member.fold)
    return found


def test_copies_get_one_fold_unless_that_is_switched_off(copied):
    together = folds(copied)
    assert len(together) == 20
    assert all(len(each) == 1 for each in together.values())
    assert set.union(*together.values()) == {1, 2, 3, 4}
    assert any(len(each) == 2 for each in folds(copied, group_identical=False).values())


def test_features_say_that_copies_are_one_recording(copied, tmp_path):
    """So neither the validation share nor an interval divides them."""
    settings = UserConfig.model_validate({"preprocessing": {"min_length": 1.0}})
    extract(copied, tmp_path / "features", settings)
    rows = read_features(tmp_path / "features").rows
    assert {row.source for row in rows} == {
        f"{k}{n}.wav" for k in ("dog", "rain") for n in range(10)
    }
    assert all(row.source == row.path for row in rows if "Copy" not in row.path)
