from __future__ import annotations

import json

import numpy as np
import pytest

from soundgate.audio.clips.manifest import Clip
from soundgate.audio.config import FeatureExtraction, Preprocessing
from soundgate.audio.formats import features as frames
from soundgate.errors import DataError

INFO = frames.Info(
    ("dog", "rain"), False, Preprocessing(top_db=None), FeatureExtraction(n_mels=3, norm="slaney")
)


def write(folder, counts):
    rng = np.random.default_rng(0)
    blocks = [rng.normal(size=(count, 3)).astype(np.float16) for count in counts]
    with frames.Writer(folder, INFO) as writer:
        for number, block in enumerate(blocks):
            clip = Clip(f"audio/{number}.wav", ("x",), split="test", source=f"s{number}", end_s=2.5)
            writer.add(
                *(block, clip),
                labels=("dog",),
                fold=number + 1,
                source=clip.source,
                duration_s=1 / 3,
            )
    return blocks


def test_what_is_written_is_read(tmp_path):
    blocks = write(tmp_path / "new" / "features", [4, 1, 7])
    folder = tmp_path / "new" / "features"
    held = frames.read_frames(folder)
    assert isinstance(held, np.memmap)
    np.testing.assert_array_equal(held, np.concatenate(blocks))
    rows = list(frames.read_rows(folder))
    assert [(row.first_frame, row.frames) for row in rows] == [(0, 4), (4, 1), (5, 7)]
    assert rows[1] == frames.Row(
        "audio/1.wav", ("dog",), 2, "test", "s1", 4, 1, 0.333333, None, 2.5
    )
    assert frames.read_info(folder) == INFO
    assert {path.name for path in folder.iterdir()} == {
        *("frames.npy", "clips.jsonl", "features.json"),
    }


def test_an_empty_set_is_a_valid_array(tmp_path):
    write(tmp_path, [])
    assert frames.read_frames(tmp_path).shape == (0, 3)
    assert list(frames.read_rows(tmp_path)) == []


def test_header_has_room_for_any_number_of_frames(tmp_path, monkeypatch):
    # The header is written before the number is known; a longer number must not move the data.
    blocks = write(tmp_path, [123_457])
    np.testing.assert_array_equal(np.load(tmp_path / "frames.npy"), blocks[0])


def test_an_error_leaves_no_file_behind(tmp_path):
    def fail_in_the_middle():
        with frames.Writer(tmp_path, INFO) as writer:
            writer.add(
                *(np.zeros((2, 3), np.float16), Clip("a", ("x",))),
                labels=("dog",),
                fold=1,
                source=None,
                duration_s=1.0,
            )
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_in_the_middle()
    assert list(tmp_path.iterdir()) == []


def test_an_error_keeps_the_features_that_were_there(tmp_path):
    write(tmp_path, [2])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ZeroDivisionError), frames.Writer(tmp_path, INFO):
        _ = 1 / 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_damage_is_named(tmp_path):
    write(tmp_path, [2, 3])
    clips = tmp_path / "clips.jsonl"
    lines = clips.read_text().splitlines(keepends=True)
    clips.write_text(lines[1])
    with pytest.raises(DataError, match=r"clips\.jsonl:1: first_frame 2 should be 0"):
        list(frames.read_rows(tmp_path))
    clips.write_text(lines[0][:20])
    with pytest.raises(DataError, match=r"clips\.jsonl:1: is damaged"):
        list(frames.read_rows(tmp_path))
    clips.unlink()
    with pytest.raises(DataError, match=r"clips\.jsonl: cannot be read"):
        list(frames.read_rows(tmp_path))

    array = tmp_path / "frames.npy"
    array.write_bytes(array.read_bytes()[:-2])
    with pytest.raises(DataError, match=r"frames\.npy: cannot be read; extract"):
        frames.read_frames(tmp_path)
    np.save(array, np.zeros((2, 3), np.float32))
    with pytest.raises(DataError, match="expected float16"):
        frames.read_frames(tmp_path)

    info = tmp_path / "features.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"format": "other/9"}))
    with pytest.raises(DataError, match=r"format 'other/9' is not 'soundgate\.features/1'"):
        frames.read_info(tmp_path)
    info.write_text("{")
    with pytest.raises(DataError, match=r"features\.json: is damaged"):
        frames.read_info(tmp_path)
