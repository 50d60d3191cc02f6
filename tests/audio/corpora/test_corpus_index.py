"""``corpus_index.json``: ours, and those of earlier tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema
import numpy as np
import pytest

from soundgate.audio.files.reading import write
from soundgate.audio.formats.datasets import corpus
from soundgate.audio.formats.datasets.corpus import read_corpus_index, write_corpus_index
from soundgate.audio.formats.schemas import schema_of
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

CLIP = "labelled_recordings/388_20250204_cut.wav_900_902.wav"
QUIET = "labelled_recordings/388_20250204_cut.wav_2_4.wav"
TAPE = "raw_recordings/388_20250204_cut.wav"


def earlier(**changed: object) -> dict[str, object]:
    """A call as earlier tools write it."""
    return {
        "uid": 4,
        "corpus_name": "alpacas",
        "hum_path": "segmented/388_20250204_cut.wav_900_902.wav_0.5_1.25Q2.wav",
        "clip_path": CLIP,
        "raw_path": TAPE,
        "quality": 2,
        "dur_s": 0.75,
        "clip_dur_s": 2.0,
        "clip_start_s": 0.5,
        "clip_end_s": 1.25,
        "raw_start_s": 900.5,
        "raw_end_s": 901.25,
        "clip_uid": 2,
        "raw_uid": 1,
    } | changed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A corpus with an index of earlier tools: a clip with a call, one without."""
    for path in (CLIP, QUIET):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        write(tmp_path / path, np.zeros(16000, "float32"), 8000)
    write_earlier(tmp_path, [earlier()])
    return tmp_path


def write_earlier(folder: Path, entries: list[dict[str, object]]) -> None:
    meta = {
        "corpus_name": "alpacas",
        "n_raw_recordings": 1,
        "n_labelled_clips": 2,
        "n_hums": 1,
        "generated_at": "2025-07-01T10:00:00Z",
    }
    calls = {"n_hums": 1, "qualities": {"2": 1}}
    index = {
        "meta": meta,
        "distribution": {"per_clip": {"2": calls}, "per_raw": {"1": calls}},
        "entries": entries,
    }
    (folder / "corpus_index.json").write_text(json.dumps(index), "utf-8")


def test_reads_an_index_of_earlier_tools_and_finds_recordings_without_calls(folder):
    index = read_corpus_index(folder)
    assert corpus.recordings(index) == {CLIP: 2.0, QUIET: 2.0}
    by_path = corpus.entries_by_recording(index)
    assert [call.clip_start_s for call in by_path[CLIP]] == [0.5]
    assert by_path[QUIET] == []
    quiet = next(each for each in index.recordings if each.path == QUIET)
    assert (quiet.tape, quiet.raw_start_s, quiet.raw_uid) == ("388_20250204_cut", 2.0, 1)
    assert len({each.uid for each in index.recordings}) == 2


def test_written_index_reads_back_with_equal_bytes_and_fits_its_schema(folder, tmp_path):
    index = read_corpus_index(folder)
    target = tmp_path / "again"
    write_corpus_index(target, index)
    assert read_corpus_index(target) == index
    first = (target / "corpus_index.json").read_bytes()
    write_corpus_index(target, read_corpus_index(target))
    assert (target / "corpus_index.json").read_bytes() == first
    assert [path.name for path in target.iterdir()] == ["corpus_index.json"]
    jsonschema.validate(json.loads(first), schema_of(corpus.CorpusIndex))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"clip_end_s": 2.5}, "uid 4: the call ends at 2.5 s, but labelled_recordings/.* at 2 s"),
        ({"clip_start_s": -0.5}, "uid 4: a call from -0.5 s to 1.25 s is impossible"),
        ({"clip_end_s": "soon"}, "damaged; make it again with 'soundgate build-corpus-index"),
    ],
)
def test_refuses_impossible_calls(folder, changed, told):
    write_earlier(folder, [earlier(**changed)])
    with pytest.raises(DataError, match=told):
        read_corpus_index(folder)


def test_refuses_uids_used_twice(folder):
    write_earlier(folder, [earlier(), earlier()])
    with pytest.raises(DataError, match="entries: uid 4 is used twice"):
        read_corpus_index(folder)


def test_a_missing_index_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(DataError, match="is not there; make it with 'soundgate build-corpus"):
        read_corpus_index(tmp_path)


@pytest.mark.parametrize(
    ("path", "tape", "offset_s"),
    [
        (CLIP, "388_20250204_cut", 900.0),
        ("UNKN_20250203_05.23.wav_10.5_900.wav", "UNKN_20250203_05.23", 10.5),
        ("tapes/a_1_2.wav", "a_1_2", 0.0),
        ("rec.1_2_3.wav", "rec.1_2_3", 0.0),
    ],
)
def test_names_of_clips_tell_their_tape(path, tape, offset_s):
    assert (corpus.tape_of(path), corpus.clip_offset_s(path)) == (tape, offset_s)
