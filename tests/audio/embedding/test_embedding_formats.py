"""Folders of segments, embeddings and levels: round trips, unions, damage."""

import itertools
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from segment_rows import CLASSES, ENCODER, rows, segment

from soundgate.audio.formats.embeddings import keyed_rows, levels, segments, vectors
from soundgate.audio.formats.embeddings.segments import Leakage, RecordsFile
from soundgate.errors import DataError

PLAN = RecordsFile(
    classes=CLASSES,
    counts={"train": {"rain": 2}},
    shards=3,
    window_s=1.0,
    split_by="track",
    noise_perc=0.3,
    seed=1,
    leakage=Leakage(tracks=3, shared=0),
)


def test_a_plan_is_read_shard_by_shard_in_order_of_path_and_start(tmp_path):
    first, third = [segment(n) for n in (3, 0, 2, 1)], [segment(7)]
    segments.write_records(tmp_path, PLAN, [first, [], third])
    read = segments.read_records(tmp_path)
    assert read.about == PLAN
    assert read.shard(0) == sorted(first, key=lambda each: (each.path, each.start_s))
    assert read.shard(1) == []
    assert read.segments() == [*read.shard(0), segment(7)]
    with pytest.raises(DataError, match="has shards 0 to 2, not 3"):
        read.shard(3)


def test_a_damaged_plan_is_named(tmp_path):
    segments.write_records(tmp_path, PLAN, [[segment(0)], [], []])
    table = tmp_path / segments.TABLE
    table.write_bytes(table.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"records.parquet: cannot be read; plan the segments"):
        segments.read_records(tmp_path).shard(0)


def test_embeddings_come_back_exactly_by_split_and_in_any_batches(tmp_path):
    made, matrix = rows(21)
    vectors.write_embeddings(tmp_path, ENCODER, CLASSES, made, matrix)
    read = vectors.read_embeddings(tmp_path)
    expected = {each.record_id: vector for each, vector in zip(made, matrix, strict=True)}
    assert [each.record_id for each in read.segments()] == sorted(expected)
    assert np.array_equal(read.matrix(), [expected[key] for key in sorted(expected)])
    for split in segments.SPLITS:
        chosen = read.segments(split)
        assert {each.split for each in chosen} == {split}
        assert np.array_equal(read.matrix(split), [expected[each.record_id] for each in chosen])
    batches = list(read.batches("train", rows=2))
    assert [each for batch, _ in batches for each in batch] == read.segments("train")
    assert np.array_equal(np.concatenate([m for _, m in batches]), read.matrix("train"))
    assert read.about.counts["train"] == {"rain": 6}
    assert read.matrix().dtype == np.float32


def test_an_empty_split_has_a_matrix_of_no_rows(tmp_path):
    vectors.write_embeddings(tmp_path, ENCODER, CLASSES, *rows(2))
    assert vectors.read_embeddings(tmp_path).matrix("test").shape == (0, 4)


def test_any_division_and_order_of_shards_merges_to_the_same_bytes(tmp_path):
    made, matrix = rows(50)
    vectors.write_embeddings(tmp_path / "whole", ENCODER, CLASSES, made, matrix)
    whole = (tmp_path / "whole" / vectors.TABLE).read_bytes()
    random = np.random.default_rng(1)
    for attempt, count in itertools.product(range(2), (1, 3, 7)):
        owner = random.integers(count, size=50)
        sources = []
        for shard in random.permutation(count):
            own = [n for n in range(50) if owner[n] == shard]
            folder = tmp_path / f"{attempt}-{count}-{shard}"
            mixed = random.permutation(own).astype(int) if own else np.array([], int)
            vectors.write_embeddings(
                folder, ENCODER, CLASSES, [made[n] for n in mixed], matrix[mixed]
            )
            sources.append(folder / vectors.TABLE)
        into = tmp_path / f"merged-{attempt}-{count}"
        # a source given twice, as a unit that was finished twice, adds nothing
        assert vectors.merge_embeddings([*sources, sources[0]], into, ENCODER, CLASSES) == 50
        assert (into / vectors.TABLE).read_bytes() == whole
        assert (into / vectors.ABOUT).read_bytes() == (
            tmp_path / "whole" / vectors.ABOUT
        ).read_bytes()


def test_merging_more_rows_than_a_block_keeps_every_row(tmp_path, monkeypatch):
    monkeypatch.setattr(keyed_rows, "GROUP_ROWS", 16)
    made, matrix = rows(90)
    for shard in range(3):
        own = slice(shard, None, 3)
        vectors.write_embeddings(tmp_path / str(shard), ENCODER, CLASSES, made[own], matrix[own])
    monkeypatch.setattr(keyed_rows.blocks, "__kwdefaults__", {"rows": 4, "columns": None})
    sources = [tmp_path / str(shard) / vectors.TABLE for shard in range(3)]
    vectors.merge_embeddings(sources, tmp_path / "all", ENCODER, CLASSES)
    with pq.ParquetFile(tmp_path / "all" / vectors.TABLE) as file:
        groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
    assert groups == [16, 16, 16, 16, 16, 10]
    read = vectors.read_embeddings(tmp_path / "all")
    assert {each.number for each in read.segments()} == set(range(90))
    by_id = {each.record_id: vector for each, vector in zip(made, matrix, strict=True)}
    assert all(
        np.array_equal(vector, by_id[each.record_id])
        for each, vector in zip(read.segments(), read.matrix(), strict=True)
    )


def test_two_rows_of_one_id_that_differ_are_refused(tmp_path):
    made, matrix = rows(6)
    vectors.write_embeddings(tmp_path / "a", ENCODER, CLASSES, made, matrix)
    changed = matrix.copy()
    changed[3, 2] += 1e-6
    vectors.write_embeddings(tmp_path / "b", ENCODER, CLASSES, made, changed)
    sources = [tmp_path / name / vectors.TABLE for name in "ab"]
    with pytest.raises(DataError, match=f"different rows of record {made[3].record_id}"):
        vectors.merge_embeddings(sources, tmp_path / "out", ENCODER, CLASSES)
    assert not (tmp_path / "out" / vectors.TABLE).exists()


def test_embeddings_that_are_not_finite_name_their_audio(tmp_path):
    made, matrix = rows(4)
    matrix[2, 1] = np.nan
    with pytest.raises(DataError, match=r"dog/street/1.wav: the embedding at 0 s holds NaN"):
        vectors.write_embeddings(tmp_path, ENCODER, CLASSES, made, matrix)


def test_a_table_of_another_size_is_refused(tmp_path):
    vectors.write_embeddings(tmp_path, ENCODER, CLASSES, *rows(4))
    larger = ENCODER.model_copy(update={"embedding_size": 5})
    vectors.write_about(tmp_path, larger, CLASSES)
    with pytest.raises(DataError, match=r"does not fit embeddings.json; embed again"):
        vectors.read_embeddings(tmp_path).matrix()


def test_levels_come_back_by_record_and_shards_unite(tmp_path):
    about = levels.BandsFile(
        bands_per_octave=1,
        mid_hz=(500.0, 1000.0, 2000.0),
        blocks=2,
        block_s=0.1,
        reference=2e-5,
        sample_rate_hz=8000,
    )
    found = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    ids = ["c", "a", "d", "b"]
    levels.write_levels(tmp_path / "0", about, ids[:2], found[:2])
    levels.write_levels(tmp_path / "1", about, ids[1:], found[1:])
    sources = [tmp_path / str(n) / levels.TABLE for n in (1, 0)]
    assert levels.merge_levels(sources, tmp_path / "all", about) == 4
    ((names, read),) = levels.read_levels(tmp_path / "all").batches()
    assert names == ["a", "b", "c", "d"]
    assert np.array_equal(read, found[[1, 3, 0, 2]])


def test_record_ids_differ_with_track_start_and_round():
    made = {
        segments.record_id(track, start, turn)
        for track in ("a", "b", "a\n1")
        for start in (0, 1, 11)
        for turn in (1, 2)
    }
    assert len(made) == 18
    # stored plans are found by it
    assert segments.record_id("rain/1.wav", 0, 1) == "223092a523286a251ba22663"


def test_a_segment_is_a_row(tmp_path):
    made = replace(segment(5), subclass="", noise=False)
    assert segments.from_table(segments.to_table([made])) == [made]


def test_the_length_of_segments_is_what_they_were_cut_to(tmp_path):
    """Not that of a row: rows are in the order of hashes, and tracks end within a segment."""
    listed, matrix = rows(9)
    for k in (0, 3, 6):
        listed[k] = replace(listed[k], duration_s=0.25)
    for number, (known, expected) in enumerate(((None, 1.0), (2.5, 2.5))):
        encoder = ENCODER.model_copy(update={"segment_s": known})
        vectors.write_embeddings(tmp_path / f"{number}", encoder, CLASSES, listed, matrix)
        assert vectors.read_embeddings(tmp_path / f"{number}").segment_s == expected
