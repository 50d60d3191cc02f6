"""Plans of segments: windows, rounds, sides, shards, and recordings that sides share."""

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import soundfile

from soundgate.audio.clips.manifest import Clip, write_manifest
from soundgate.audio.config.sec import parse_sec
from soundgate.audio.embedding.changes import Changes, uniform
from soundgate.audio.embedding.planning.plan import Asked, plan
from soundgate.audio.formats.embeddings.segments import TABLE, read_records
from soundgate.errors import DataError

SIZES = "train_size: 8\nes_size: 2\nvalid_size: 2\ntest_size: 2\n"


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two classes of 8 tracks each, 0.5 to 4 s; rain/a/0 and rain/a/1 are of one recording."""
    folder = tmp_path_factory.mktemp("clips")
    listed = []
    for name in ("dog", "rain"):
        for n in range(8):
            path = f"{name}/{'ab'[n % 2]}/{n}.wav"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            level = np.float32(0.01 * (n + 1 + 8 * (name == "dog")))
            soundfile.write(folder / path, np.full(4000 * (n + 1), level), 8000)
            source = "shared" if name == "rain" and n in (0, 2) else None
            listed.append(Clip(path, (name,), source=source))
    write_manifest(folder / "manifest.jsonl", sorted(listed, key=lambda clip: clip.path))
    return folder


def planned(clips, into, text="", **asked):
    config = parse_sec(SIZES + "noise_perc: 0.5\n" + text, "c.yaml")
    plan(clips, config, Asked(**{"cut_s": 1.0, "shards": 3, **asked}), into)
    return read_records(into)


def test_every_side_of_every_class_gets_its_size_and_no_recording_two_sides(clips, tmp_path):
    found = planned(clips, tmp_path).segments()
    counts = Counter((each.class_name, each.split) for each in found)
    for name in ("dog", "rain"):
        assert [counts[name, side] for side in ("train", "es", "valid", "test")] == [8, 2, 2, 2]
    sides = {}
    for each in found:
        assert sides.setdefault(each.track_id, each.split) == each.split
    assert {each.track_id for each in found if each.path in ("rain/a/0.wav", "rain/a/2.wav")} <= {
        "shared"
    }
    assert len({each.record_id for each in found}) == len(found)
    assert {each.subclass for each in found} == {"a", "b"}


def test_the_first_round_lies_side_by_side_and_later_ones_at_offsets(clips, tmp_path):
    found = planned(clips, tmp_path).segments()
    first = [each for each in found if each.round == 1]
    assert all(each.start_s == each.bucket for each in first)
    ends = {each.path: 0.5 * (int(each.path[-5]) + 1) for each in found}
    assert all(each.start_s + each.duration_s <= ends[each.path] + 1e-9 for each in found)
    assert all(
        each.duration_s == 1 or each.start_s + each.duration_s == ends[each.path] for each in found
    )


def test_later_rounds_are_shifted_by_less_than_a_window_and_half_the_track(clips, tmp_path):
    text = "classes: [dog]\n"
    config = parse_sec(SIZES.replace("8", "200") + text, "c.yaml")
    plan(clips, config, Asked(cut_s=1.0, shards=1), tmp_path)
    later = [each for each in read_records(tmp_path).segments() if each.round > 1]
    assert max(each.round for each in later) > 5
    offsets = {(each.path, each.round): each.start_s % 1 for each in later}
    assert len(set(offsets.values())) > len(offsets) / 2
    shortest = [each for each in later if each.path == "dog/a/0.wav"]
    assert all(each.start_s < 0.25 for each in shortest)


@pytest.mark.slow
def test_the_same_plan_in_another_process_with_other_hashes_and_workers(clips, tmp_path):
    planned(clips, tmp_path / "here", workers=1)
    program = (
        "import sys; from pathlib import Path; from soundgate.audio.config.sec import parse_sec\n"
        "from soundgate.audio.embedding.planning.plan import Asked, plan\n"
        f"config = parse_sec({SIZES + 'noise_perc: 0.5'!r}, 'c')\n"
        "plan(Path(sys.argv[1]), config, Asked(cut_s=1.0, shards=3, workers=3), Path(sys.argv[2]))"
    )
    subprocess.run(
        [sys.executable, "-c", program, clips, tmp_path / "there"],
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert (tmp_path / "here" / TABLE).read_bytes() == (tmp_path / "there" / TABLE).read_bytes()


def test_another_seed_orders_and_divides_otherwise(clips, tmp_path):
    first = planned(clips, tmp_path / "1", "seed: 1\n").segments()
    second = planned(clips, tmp_path / "2", "seed: 2\n").segments()
    assert {(e.path, e.split) for e in first} != {(e.path, e.split) for e in second}


def test_counts_fill_sides_one_after_another_and_tell_of_the_leakage(clips, tmp_path, capsys):
    read = planned(clips, tmp_path, "split_by: count\nclasses: [dog]\n")
    assert read.about.leakage.shared > 0
    assert "lie in several splits" in capsys.readouterr().out
    by_number = sorted(read.segments(), key=lambda each: each.number)
    assert [each.split for each in by_number] == (
        ["train"] * 8 + ["es"] * 2 + ["valid"] * 2 + ["test"] * 2
    )


def test_a_data_set_whose_own_splits_share_a_recording_fails(clips, tmp_path):
    listed = []
    for n in range(8):
        side = ("training", "training", "validation", "test")[n % 4]
        source = "tape" if n in (0, 3) else f"{n}"
        listed.append(Clip(f"rain/{'ab'[n % 2]}/{n}.wav", ("rain",), split=side, source=source))
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / "rain").symlink_to(clips / "rain")
    write_manifest(torn / "manifest.jsonl", sorted(listed, key=lambda clip: clip.path))
    with pytest.raises(DataError, match=r"1 of 5 recordings lie in several splits, tape in"):
        planned(torn, tmp_path / "out", "split_by: data set\n")


def test_files_of_the_same_sound_are_one_recording(clips, tmp_path):
    (tmp_path / "dog").mkdir()
    for n in range(8):
        source = clips / "dog" / "ab"[n % 2] / f"{n}.wav"
        (tmp_path / "dog" / f"{n}.wav").write_bytes(source.read_bytes())
    (tmp_path / "dog" / "copy.wav").write_bytes((tmp_path / "dog" / "3.wav").read_bytes())
    listed = [Clip(f"dog/{n}.wav", ("dog",)) for n in (*range(8), "copy")]
    write_manifest(tmp_path / "manifest.jsonl", sorted(listed, key=lambda clip: clip.path))
    found = planned(tmp_path, tmp_path / "out", "every_segment: true\n").segments()
    twins = {each.track_id for each in found if each.path in ("dog/3.wav", "dog/copy.wav")}
    assert len(twins) == 1
    assert len({each.split for each in found if each.track_id in twins}) == 1


def test_every_segment_is_each_track_once(clips, tmp_path):
    found = planned(clips, tmp_path, "every_segment: true\n").segments()
    assert Counter(each.path for each in found) == {
        f"{name}/{'ab'[n % 2]}/{n}.wav": -(-(n + 1) // 2)
        for name in ("dog", "rain")
        for n in range(8)
    }
    assert {each.round for each in found} == {1}


def test_shards_hold_whole_files_and_are_about_equal(clips, tmp_path):
    read = planned(clips, tmp_path)
    files = [{each.path for each in read.shard(n)} for n in range(3)]
    assert not files[0] & files[1]
    assert not files[1] & files[2]
    assert not files[0] & files[2]
    assert all(4 <= len(read.shard(n)) <= 16 for n in range(3))


@pytest.mark.parametrize(
    ("text", "asked", "problem"),
    [
        ("classes: [dig]", {}, r"classes: no track of 'dig' in the data set; did you mean 'dog'"),
        ("", {"audio_format": "flac"}, "the data set has no flac tracks"),
        ("split_by: data set", {}, "split_by: the data set has neither splits nor folds"),
    ],
)
def test_what_the_data_set_lacks_is_named(clips, tmp_path, text, asked, problem):
    with pytest.raises(DataError, match=problem):
        planned(clips, tmp_path, text, **asked)


def test_too_few_recordings_for_the_sides_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(8000, np.float32), 8000)
    write_manifest(tmp_path / "manifest.jsonl", [Clip("a.wav", ("dog",))])
    with pytest.raises(DataError, match=r"class 'dog' has 1 recording\(s\), but train, es"):
        planned(tmp_path, tmp_path / "out")


class Row:
    def __init__(self, record_id, noise=True):
        self.record_id, self.noise = record_id, noise


def test_noise_is_a_segments_own_and_as_loud_as_asked():
    changes = Changes(window_s=1.0, sample_rate_hz=50_000, noise_perc=0.3, seed=1)
    samples = np.sin(np.arange(50_000, dtype=np.float32))
    found = changes(Row("a"), samples)
    assert found.dtype == np.float32
    assert np.array_equal(found, changes(Row("a"), samples))
    assert not np.array_equal(found, changes(Row("b"), samples))
    drawn = (found - np.float32(0.7) * samples) / (0.3 * np.abs(samples).mean())
    assert -1.001 < drawn.min() < -0.99
    assert 0.99 < drawn.max() < 1.001
    assert abs(drawn.std() - 1 / np.sqrt(3)) < 0.005
    assert abs(drawn.mean()) < 0.01
    assert np.array_equal(changes(Row("a", noise=False), samples), samples)
    # stored embeddings depend on these numbers
    assert uniform(1, "a", 3).tolist() == [
        0.34157824516296387,
        -0.6325607299804688,
        0.7758105993270874,
    ]


def test_short_segments_are_filled_with_silence_or_their_own_sound():
    samples = np.arange(1, 4, dtype=np.float32)
    silent = Changes(window_s=0.5, sample_rate_hz=10, noise_perc=0, seed=1)
    again = Changes(window_s=0.5, sample_rate_hz=10, noise_perc=0, seed=1, fill="repeat")
    assert silent(Row("a"), samples).tolist() == [1, 2, 3, 0, 0]
    assert again(Row("a"), samples).tolist() == [1, 2, 3, 1, 2]
