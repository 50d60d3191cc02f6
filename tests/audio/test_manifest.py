"""Manifests: what is written is read back; what is wrong is named with its line."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from soundgate.audio.clips.manifest import MANIFEST, Clip, Event, read_manifest, write_manifest
from soundgate.errors import DataError

CLIPS = [
    Clip("audio/a b.wav", ("dog",)),
    Clip("audio/c.wav", ("dog", "rain"), 1, "test", None, 2.5, "100032"),
    Clip("audio/c.wav", ("rain",), 1, "test", 2.5, None, "100032"),
    Clip("audio/ä/犬.wav", ("dog",), 5, events=(Event(0, 1.5, "dog"), Event(0.5, 4.0, "rain"))),
]
ROW = {"path": "audio/a.wav", "labels": ["dog"]}


def refusal(path, *rows, **options):
    """The one line that is said about a manifest of these rows."""
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        list(read_manifest(path, **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names(folder):
    return [entry.name for entry in folder.iterdir()]


def test_round_trip(tmp_path):
    assert write_manifest(tmp_path / MANIFEST, CLIPS) == 4
    assert list(read_manifest(tmp_path / MANIFEST)) == CLIPS
    assert list(read_manifest(tmp_path)) == CLIPS
    assert names(tmp_path) == [MANIFEST]


def test_a_row_is_as_documented(tmp_path):
    write_manifest(tmp_path / MANIFEST, CLIPS[3:])
    assert (tmp_path / MANIFEST).read_text("utf-8") == (
        '{"path": "audio/ä/犬.wav", "labels": ["dog"], "fold": 5, "split": null, "start_s": null, '
        '"end_s": null, "source": null, "events": [{"onset_s": 0, "offset_s": 1.5, "label": "dog"},'
        ' {"onset_s": 0.5, "offset_s": 4.0, "label": "rain"}]}\n'
    )


def test_fields_left_out_are_unknown(tmp_path):
    (tmp_path / MANIFEST).write_text(json.dumps(ROW))
    assert list(read_manifest(tmp_path)) == [Clip("audio/a.wav", ("dog",))]


def test_reading_streams(tmp_path):
    (tmp_path / MANIFEST).write_text(json.dumps(ROW) + "\nbroken\n")
    rows = read_manifest(tmp_path)
    assert next(rows).path == "audio/a.wav"
    with pytest.raises(DataError, match=r"manifest\.jsonl:2: is not JSON"):
        next(rows)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ("[]", "is not a JSON object"),
        (ROW | {"lables": []}, "unknown field 'lables'; did you mean 'labels'?"),
        ({"labels": ["dog"]}, "path: is missing"),
        ({"path": "a.wav"}, "labels: is missing"),
        (ROW | {"path": 1}, "path: 1 is not a text"),
        (ROW | {"labels": "dog"}, "labels: 'dog' is not a list"),
        (ROW | {"labels": [1]}, "labels: 1 is not a class name"),
        (ROW | {"labels": [["dog"]]}, "labels: ['dog'] is not a class name"),
        (ROW | {"labels": [""]}, "labels: '' is not a class name"),
        (ROW | {"labels": []}, "labels: audio/a.wav has no label"),
        (ROW | {"fold": "1"}, "fold: '1' is not a whole number"),
        (ROW | {"fold": True}, "fold: True is not a whole number"),
        (ROW | {"fold": 1.0}, "fold: 1.0 is not a whole number"),
        (ROW | {"split": "train"}, "split: 'train' is unknown; did you mean 'training'?"),
        (ROW | {"source": 7}, "source: 7 is not a text"),
        (ROW | {"path": ""}, "path: '' is outside"),
        (ROW | {"path": "/etc/passwd"}, "path: '/etc/passwd' is outside"),
        (ROW | {"path": "audio/../../a.wav"}, "is outside the folder"),
        (ROW | {"path": "audio\\a.wav"}, "write a relative path with '/'"),
        (ROW | {"start_s": 2, "end_s": 2}, "end_s: 2 is not after start_s 2"),
        (ROW | {"start_s": 3.0, "end_s": 2}, "end_s: 2 is not after start_s 3.0"),
        (ROW | {"end_s": 0}, "end_s: 0 is not after start_s 0.0"),
        (ROW | {"start_s": -1}, "start_s: -1 is not a time"),
        (ROW | {"start_s": float("nan")}, "start_s: nan is not a time"),
        (ROW | {"end_s": float("inf")}, "end_s: inf is not after"),
        (ROW | {"events": [1]}, "events: 1 is not an object"),
        (ROW | {"events": [{"onset_s": 1, "label": "dog"}]}, "onset_s, offset_s and label"),
        (
            ROW | {"events": [{"onset_s": "1", "offset_s": 2, "label": "dog"}]},
            "are not numbers",
        ),
        (
            ROW | {"events": [{"onset_s": 2, "offset_s": 1, "label": "dog"}]},
            "offset_s: 1 is not after onset_s 2",
        ),
        (ROW | {"events": [{"onset_s": 1, "offset_s": 2, "label": ""}]}, "events: label ''"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, expected):
    text = refusal(tmp_path / "m.jsonl", {"path": "a.wav", "labels": ["x"]}, row)
    assert text.startswith(f"{tmp_path}/m.jsonl:2: ")
    assert expected in text


def test_a_file_of_bytes_that_are_no_text(tmp_path):
    (tmp_path / "m.jsonl").write_bytes(b'{"path": "\xff", "labels": ["dog"]}\n')
    with pytest.raises(DataError, match=r"m\.jsonl:1: is not JSON"):
        list(read_manifest(tmp_path / "m.jsonl"))


def test_duplicates_and_order(tmp_path):
    first, second = ROW, ROW | {"path": "audio/b.wav"}
    assert "m.jsonl:2: path: audio/a.wav is listed twice" in refusal(
        tmp_path / "m.jsonl", first, first, second
    )
    assert ":2: path: audio/a.wav comes after audio/b.wav: sort" in refusal(
        tmp_path / "m.jsonl", second, first
    )
    # The same segment written in two ways is still the same segment.
    assert "twice" in refusal(tmp_path / "m.jsonl", first, first | {"start_s": 0})


def test_unlabelled_clips_where_they_are_allowed(tmp_path):
    clips = [Clip("a.wav", ())]
    with pytest.raises(DataError, match=r"labels: a\.wav has no label"):
        write_manifest(tmp_path / MANIFEST, clips)
    write_manifest(tmp_path / MANIFEST, clips, allow_unlabelled=True)
    assert list(read_manifest(tmp_path, allow_unlabelled=True)) == clips


def test_missing_manifest(tmp_path):
    with pytest.raises(DataError, match=r"manifest\.jsonl: cannot be read: No such file"):
        list(read_manifest(tmp_path))


@pytest.mark.parametrize(
    ("clips", "expected"),
    [
        (CLIPS[::-1], "clip 2: path: audio/c.wav comes after"),
        ([CLIPS[0], CLIPS[0]], "clip 2: path: audio/a b.wav is listed twice"),
        ([Clip("../a.wav", ("dog",))], "clip 1: path"),
        (
            [Clip("bad\udcff.wav", ("dog",))],
            r"clip 1: 'bad.+udcff\.wav' or its labels are not valid UTF-8",
        ),
    ],
)
def test_a_failed_write_leaves_the_old_manifest(tmp_path, clips, expected):
    write_manifest(tmp_path / MANIFEST, CLIPS[:1])
    with pytest.raises(DataError, match=expected):
        write_manifest(tmp_path / MANIFEST, clips)
    assert list(read_manifest(tmp_path)) == CLIPS[:1]
    assert names(tmp_path) == [MANIFEST]


def test_a_clip_source_that_breaks_leaves_nothing(tmp_path):
    def clips():
        yield CLIPS[0]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_manifest(tmp_path / MANIFEST, clips())
    assert names(tmp_path) == []


def test_a_full_disk(tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DataError, match="No space left on device: free space"):
        write_manifest(tmp_path / MANIFEST, CLIPS)
    assert names(tmp_path) == []
