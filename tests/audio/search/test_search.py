from __future__ import annotations

import csv
import os
import re
import shutil

import numpy as np
import pytest
import soundfile

from soundgate.audio.embedding.search import index as indexes
from soundgate.audio.embedding.search.asking import Question, vectors_of
from soundgate.audio.embedding.search.finding import find
from soundgate.audio.embedding.search.scanning import scan
from soundgate.audio.formats.embeddings import keyed_rows
from soundgate.audio.formats.embeddings.vectors import read_embeddings, write_embeddings
from soundgate.cli import main
from soundgate.errors import DataError, ParameterError
from tests.audio.heads import toy_embeddings


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Embeddings of 660 segments, two each of 330 recordings."""
    tracks = {split: 5 * count for split, count in toy_embeddings.TRACKS.items()}
    return read_embeddings(
        toy_embeddings.write(tmp_path_factory.mktemp("corpus") / "embeddings", tracks=tracks)
    )


def nearest(corpus, wanted, most):
    """What numpy says of the whole matrix."""
    matrix = corpus.matrix()
    cosines = matrix @ wanted / np.linalg.norm(matrix, axis=1) / np.linalg.norm(wanted)
    order = np.argsort(-cosines, kind="stable")[:most]
    return order, cosines[order]


def test_scanning_finds_the_nearest_of_all_whatever_the_blocks(corpus, monkeypatch):
    wanted = np.array([7, 5, 5, 5, 5, 5], np.float32)
    places, cosines = nearest(corpus, wanted, 25)
    for rows in (8192, 64):
        monkeypatch.setattr(
            type(corpus),
            "vectors",
            lambda self, rows=rows: iter(np.split(self.matrix(), range(rows, 660, rows))),
        )
        (near,) = scan(corpus, wanted[None], 25)
        assert near.places.tolist() == places.tolist()
        assert near.cosines == pytest.approx(cosines, abs=1e-6)


def test_rows_are_read_by_their_places_across_row_groups(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(keyed_rows, "GROUP_ROWS", 100)
    segments, vectors = corpus.segments(), corpus.matrix()
    folder = tmp_path / "embeddings"
    write_embeddings(folder, toy_embeddings.ENCODER, toy_embeddings.CLASSES, segments, vectors)
    read = read_embeddings(folder)
    places = [659, 0, 100, 99, 350, 100]
    assert read.at(places) == [segments[place] for place in places]
    assert read.at([]) == []
    ids = [segments[place].record_id for place in (5, 250, 601)]
    found, own = read.of([*ids, "nothing"])
    assert found == [segments[place] for place in (5, 250, 601)]
    assert np.array_equal(own, vectors[[5, 250, 601]])
    with pytest.raises(DataError, match="has no row 660"):
        read.at([660])


def test_a_recording_is_found_once_unless_every_segment_is_wanted(corpus):
    wanted = corpus.matrix()[17:18]
    once = find(corpus, wanted, 40)
    assert [each.rank for each in once] == list(range(1, 41))
    assert len({each.segment.path for each in once}) == 40
    every = find(corpus, wanted, 40, every_segment=True)
    assert len({each.segment.path for each in every}) < 40
    assert every[0].segment == corpus.segments()[17]
    assert every[0].similarity == pytest.approx(1, abs=1e-6)
    assert len(find(corpus, wanted, 1000)) == 330  # as many as there are


def test_the_recording_that_was_asked_about_is_left_out(corpus):
    own = corpus.segments()[17]
    found = find(corpus, corpus.matrix()[17:18], 5, without=own.path)
    assert own.path not in {each.segment.path for each in found}
    assert len(found) == 5


def test_a_recording_is_as_near_as_the_best_of_its_segments_is_to_each_part(corpus):
    """What is looked for has a call and silence: recordings of both come first, not all silence."""
    segments, matrix = corpus.segments(), corpus.matrix()
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    by_path = {}
    for number, segment in enumerate(segments):
        by_path.setdefault(segment.path, []).append(number)
    own = by_path[segments[17].path]
    cosines = unit[own] @ unit.T
    expected = {path: cosines[:, k].max(1).mean() for path, k in by_path.items()}
    order = sorted(expected, key=expected.get, reverse=True)
    found = find(corpus, matrix[own], 10)
    assert len(own) == 2
    assert [each.segment.path for each in found] == order[:10]
    assert [each.similarity for each in found] == pytest.approx(
        [expected[path] for path in order[:10]], abs=1e-6
    )
    assert found[0].segment.path == segments[17].path
    assert found[0].similarity == pytest.approx(1, abs=1e-6)


def test_an_index_finds_what_scanning_finds(corpus, tmp_path):
    pytest.importorskip("faiss", reason="faiss is not installed")
    about = indexes.build(corpus, tmp_path / "index")
    assert (about.count, about.cells) == (660, 51)
    index = indexes.Index(tmp_path / "index", corpus)
    hits = 0
    for wanted in corpus.matrix()[::33]:
        near = index.near(wanted, 10)
        places, cosines = nearest(corpus, wanted, 10)
        hits += len({*near.places.tolist()} & {*places.tolist()})
        assert near.cosines[0] == pytest.approx(cosines[0], abs=0.01)
    assert hits >= 190  # of 200
    again = indexes.build(corpus, tmp_path / "again")
    assert again == about
    assert (tmp_path / "again/index.faiss").read_bytes() == (
        tmp_path / "index/index.faiss"
    ).read_bytes()


def test_an_index_of_other_embeddings_or_a_damaged_one_is_refused(corpus, tmp_path):
    pytest.importorskip("faiss", reason="faiss is not installed")
    other = read_embeddings(toy_embeddings.write(tmp_path / "other", seed=1))
    indexes.build(other, tmp_path / "index")
    with pytest.raises(DataError, match="is an index of other embeddings; delete the folder"):
        indexes.Index(tmp_path / "index", corpus)
    (tmp_path / "index/index.faiss").write_bytes(b"IwFl")
    with pytest.raises(DataError, match=r"index\.faiss: is damaged"):
        indexes.Index(tmp_path / "index", other)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({}, "give one of --sound, --text and --record"),
        ({"sentence": "rain", "record_id": "a"}, "give one of"),
        ({"sound": "a.wav", "start_s": 2.0, "end_s": 1.0}, "end: 1 s is not after 2 s"),
    ],
)
def test_a_question_is_one_thing(asked, text):
    with pytest.raises(ParameterError, match=text):
        Question(**asked)


def test_an_unknown_segment_is_one_line(corpus):
    with pytest.raises(DataError, match="has no segment abc; ids are in the first column"):
        vectors_of(Question(record_id="abc"), corpus)


def audio(folder, segments):
    """A file for every path."""
    for path in {segment.path for segment in segments}:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(16_000) / 8000
        soundfile.write(folder / path, 0.1 * np.sin(6 * len(path) * time), 8000)


def test_results_are_heard_labelled_and_learnt_from(tmp_path, capsys):
    """From a search to a page and a table, and from labels in it to a model."""
    folder = toy_embeddings.write(tmp_path / "embeddings", spread=0.4)
    segments = read_embeddings(folder).segments()
    audio(tmp_path / "clips", segments)
    asked = segments[0]
    words = ["search-audio", str(folder), str(tmp_path / "found"), "--record", asked.record_id]
    assert main([*words, "--most", "60", "--clips", str(tmp_path / "clips")]) == 0
    with (tmp_path / "found/found.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert {row["class_name"] for row in rows[:15]} == {asked.class_name}
    page = (tmp_path / "found/found.html").read_text("utf-8")
    assert page.count("<audio ") == 60
    assert page.count(f'data-record="{rows[3]["record_id"]}"') == 1
    # as a spreadsheet of a country with decimal commas saves it
    lines = ["record_id;label"]
    lines += [f"{row['record_id']};{row['class_name']}" for row in rows[::3]]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(lines), "utf-8-sig")
    capsys.readouterr()
    assert main(["train-on-labels", str(folder), str(table), str(tmp_path / "model")]) == 0
    assert "3 classes of 20 segments" in capsys.readouterr().out
    from soundgate.audio.classification.heads.head import read_head

    head = read_head(tmp_path / "model")
    assert head.about.classes == tuple(sorted(toy_embeddings.CLASSES))
    truth = [head.about.classes.index(segment.class_name) for segment in segments]
    found = head.scores(read_embeddings(folder).matrix()).argmax(1)
    assert (found == truth).mean() > 0.95


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ("record_id\n{0}\n", "has no column label"),
        ("record_id,label\n{0},dog\n{0},cat\n", "calls segment .* 'cat', and an earlier row 'dog'"),
        ("record_id,label\n{0},dog\n{1},\n", "dog: write at least two"),
        ("record_id,label\n{0},dog\n{1},cat\n", "'cat' is of one recording only; label another"),
        ("record_id,label\nabc,dog\n", "names segment abc, which"),
    ],
)
def test_wrong_labels_are_one_line(tmp_path, capsys, rows, text, corpus):
    ids = [segment.record_id for segment in corpus.segments()[:2]]
    table = tmp_path / "labels.csv"
    table.write_text(rows.format(*ids))
    code = main(["train-on-labels", str(corpus.folder), str(table), str(tmp_path / "model")])
    assert code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert re.search(text, told)
    assert not (tmp_path / "model").exists()


def test_a_single_changed_number_makes_an_index_stale_and_a_new_date_does_not(corpus, tmp_path):
    pytest.importorskip("faiss", reason="faiss is not installed")
    indexes.build(corpus, tmp_path / "index")
    copy = tmp_path / "copy"
    shutil.copytree(corpus.folder, copy)
    os.utime(copy / "embeddings.parquet", ns=(1, 1))
    assert indexes.Index(tmp_path / "index", read_embeddings(copy)).count == 660
    segments, vectors = corpus.segments(), corpus.matrix().copy()
    vectors[0, 0] += 1  # the file keeps its size and what it says of its columns
    write_embeddings(copy, toy_embeddings.ENCODER, toy_embeddings.CLASSES, segments, vectors)
    with pytest.raises(DataError, match="is an index of other embeddings"):
        indexes.Index(tmp_path / "index", read_embeddings(copy))
