from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundgate.audio.clips.splits import assign, make_folds
from soundgate.errors import DataError


@dataclass(frozen=True)
class Row:
    path: str
    labels: tuple[str, ...]
    fold: int | None = None
    split: str | None = None
    source: str | None = None


def data_set(classes=4, sources=25, takes=2, folds=5):
    return [
        Row(f"{c}-{s}-{t}.wav", (f"c{c}",), s % folds + 1, None, f"{c}-{s}")
        for c in range(classes)
        for s in range(sources)
        for t in range(takes)
    ]


def sides(rows, splits):
    found = defaultdict(set)
    for row, split in zip(rows, splits, strict=True):
        found[row.source or row.path].add(split)
    return found


def test_test_fold_is_the_test_and_validation_is_stratified():
    rows = data_set()
    splits = assign(rows, test_fold=2, validation_split=0.2, seed=0)
    assert [split == "test" for split in splits] == [row.fold == 2 for row in rows]
    counts = Counter((row.labels, split) for row, split in zip(rows, splits, strict=True))
    # 50 clips a class, 10 of them tested: a fifth of the other 40, whole sources of two.
    for c in range(4):
        assert counts[(f"c{c}",), "validation"] == 8
        assert counts[(f"c{c}",), "training"] == 32
    assert all(len(found) == 1 for found in sides(rows, splits).values())


def test_seed_decides_the_validation_and_order_does_not():
    rows = data_set()
    first = dict(zip(rows, assign(rows, test_fold=1, validation_split=0.2, seed=0), strict=True))
    again = random.Random(1).sample(rows, len(rows))
    assert first == dict(
        zip(again, assign(again, test_fold=1, validation_split=0.2, seed=0), strict=True)
    )
    other = assign(rows, test_fold=1, validation_split=0.2, seed=1)
    assert list(first.values()) != other


def test_no_validation_when_its_share_is_zero():
    splits = assign(data_set(), test_fold=1, validation_split=0.0, seed=0)
    assert set(splits) == {"training", "test"}


def test_own_split_stands():
    own = ["training", "validation", "test", "training"]
    rows = [Row(f"{n}.wav", ("a",), 1, split) for n, split in enumerate(own)]
    assert assign(rows, test_fold=1, validation_split=0.5, seed=0) == own


def test_own_split_without_validation_gives_it_from_training():
    rows = [Row(f"{n}.wav", ("a",), 1, "test" if n < 10 else "training") for n in range(60)]
    splits = assign(rows, test_fold=3, validation_split=0.2, seed=0)
    assert splits[:10] == ["test"] * 10
    assert Counter(splits) == {"test": 10, "validation": 10, "training": 40}


def test_what_cannot_be_divided_is_named():
    rows = [Row("a.wav", ("a",), 1), Row("b.wav", ("b",), 2), Row("c.wav", ("a",), 2)]
    with pytest.raises(DataError, match=r"no training clips for b;"):
        assign(rows, test_fold=2, validation_split=0.0, seed=0)
    with pytest.raises(DataError, match=r"fold 5 has no clips; known folds: 1, 2"):
        assign(rows, test_fold=5, validation_split=0.0, seed=0)
    with pytest.raises(DataError, match=r"b\.wav: has no split, but other clips do"):
        assign([replace(rows[0], split="test"), rows[1]], test_fold=1, validation_split=0.0, seed=0)
    torn = [Row("a.wav", ("a",), 1, None, "s"), Row("b.wav", ("a",), 2, None, "s")]
    with pytest.raises(DataError, match=r"b\.wav: is in training, but a\.wav from the same source"):
        assign(torn, test_fold=1, validation_split=0.0, seed=0)


def test_a_class_of_one_source_stays_in_training():
    rows = [*data_set(2), Row("one.wav", ("rare",), 1, None, "only")]
    splits = assign(rows, test_fold=2, validation_split=0.9, seed=0)
    assert splits[-1] == "training"


def test_folds_are_even_and_whole_sources():
    rows = [replace(row, fold=None) for row in data_set(classes=3, sources=20, takes=3)]
    folds = make_folds(rows, 5, seed=7)
    counts = Counter((row.labels, fold) for row, fold in zip(rows, folds, strict=True))
    assert set(counts.values()) == {12}
    assert len(counts) == 15
    assert all(len(found) == 1 for found in sides(rows, folds).values())
    order = random.Random(0).sample(range(len(rows)), len(rows))
    shuffled = make_folds([rows[n] for n in order], 5, seed=7)
    assert shuffled == [folds[n] for n in order]
    assert folds != make_folds(rows, 5, seed=8)


def test_clips_without_a_source_are_their_own():
    folds = make_folds([Row(f"{n}.wav", ("a",)) for n in range(10)], 5, seed=0)
    assert Counter(folds) == dict.fromkeys(range(1, 6), 2)


def test_segments_of_one_file_share_a_fold():
    folds = make_folds([Row(f"{n // 4}.wav", ("a",)) for n in range(40)], 5, seed=0)
    assert all(len(set(folds[n : n + 4])) == 1 for n in range(0, 40, 4))


def test_more_folds_than_sources_is_an_error():
    rows = [Row(f"{n}.wav", ("a",), source="s") for n in range(10)]
    with pytest.raises(
        DataError, match="5 folds need at least as many independent recordings, got 1"
    ):
        make_folds(rows, 5, seed=0)


rows_of_sources = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True),
    ),
    min_size=5,
    max_size=120,
)


@settings(max_examples=200, deadline=None)
@given(drawn=rows_of_sources, seed=st.integers(0, 5), share=st.floats(0, 0.9))
def test_no_source_is_ever_on_two_sides(drawn, seed, share):
    rows = [
        Row(f"{n}.wav", tuple(labels), None, None, f"s{source}")
        for n, (source, labels) in enumerate(drawn)
    ]
    if len({row.source for row in rows}) < 3:
        return
    folds = make_folds(rows, 3, seed)
    rows = [replace(row, fold=fold) for row, fold in zip(rows, folds, strict=True)]
    assert set(folds) <= {1, 2, 3}
    assert all(len(found) == 1 for found in sides(rows, folds).values())
    try:
        splits = assign(rows, test_fold=1, validation_split=share, seed=seed)
    except DataError as error:
        kept = {label for row in rows if row.fold != 1 for label in row.labels}
        assert "no training clips" in str(error)  # noqa: PT017 - either outcome is right
        assert kept != {label for row in rows for label in row.labels}
        return
    assert all(len(found) == 1 for found in sides(rows, splits).values())
    trained = {
        k for row, s in zip(rows, splits, strict=True) if s == "training" for k in row.labels
    }
    assert trained == {label for row in rows for label in row.labels}
    assert [split == "test" for split in splits] == [row.fold == 1 for row in rows]
