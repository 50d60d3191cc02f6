"""Sides of calls: what each strategy spreads evenly, and what stays whole."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from toy_corpus import calls, index_of, recording

from soundgate.audio.datasets.corpora.division import divide, used_calls
from soundgate.audio.datasets.corpora.indexing.index import build_index
from soundgate.audio.datasets.corpora.strategies import SPLIT_STRATEGIES, Strategy
from soundgate.errors import DataError

INDEX = index_of(13)


def sides(index, **chosen):
    strategy = Strategy(**chosen)
    return divide(index, strategy, used_calls(index, strategy))


@pytest.mark.parametrize("strategy", SPLIT_STRATEGIES)
def test_every_strategy_keeps_tapes_whole(strategy):
    found = sides(INDEX, split_strategy=strategy, seed=5)
    by_tape = defaultdict(set)
    for entry in INDEX.entries:
        by_tape[entry.raw_uid].add(found.calls[entry.uid])
    assert {len(each) for each in by_tape.values()} == {1}
    counts = Counter(found.calls.values())
    assert counts["train"] == pytest.approx(0.7 * 72, abs=6)
    assert min(counts["val"], counts["test"]) >= 6
    assert len(found.recordings) == 13


def test_proportional_by_tape_counts_calls_and_not_tapes():
    many = [("t0", 60), *((f"t{n}", 10) for n in range(1, 5))]
    index = build_index(
        "uneven",
        [recording(f"{tape}.wav", tape, 200) for tape, _ in many],
        [call for tape, count in many for call in calls(f"{tape}.wav", range(count))],
    )
    shares = {"fractions": (0.6, 0.2, 0.2)}
    by_calls = sides(index, split_strategy="proportional_by_tape", **shares)
    assert Counter(by_calls.calls.values()) == {"train": 60, "val": 20, "test": 20}
    by_tapes = sides(index, split_strategy="random", **shares)
    assert Counter(by_tapes.recordings.values()) == {"train": 3, "val": 1, "test": 1}


def test_quality_balanced_spreads_each_quality():
    """Half of the tapes have only poor calls: both kinds are on every side."""
    tapes = [f"t{number}" for number in range(16)]
    found = [
        replace(call, quality=number % 2 + 1)
        for number, tape in enumerate(tapes)
        for call in calls(f"{tape}.wav", range(6))
    ]
    index = build_index("graded", [recording(f"{tape}.wav", tape) for tape in tapes], found)
    divided = sides(index, split_strategy="quality_balanced", fractions=(0.5, 0.25, 0.25))
    counts = Counter((divided.calls[e.uid], e.quality) for e in index.entries)
    assert counts == {
        (side, quality): count
        for quality in (1, 2)
        for side, count in (("train", 24), ("val", 12), ("test", 12))
    }


def test_clipwise_balanced_divides_the_clips_of_every_tape():
    names = [(tape, clip) for tape in "ab" for clip in range(8)]
    index = build_index(
        "clips",
        [recording(f"{tape}{clip}.wav", tape, 20, 20 * clip) for tape, clip in names],
        [call for tape, clip in names for call in calls(f"{tape}{clip}.wav", range(3))],
    )
    found = sides(
        index, split_strategy="clipwise_balanced", group_by="clip", fractions=(0.5, 0.25, 0.25)
    )
    counts = Counter((path[0], side) for path, side in found.recordings.items())
    assert counts == {
        (tape, side): count
        for tape in "ab"
        for side, count in (("train", 4), ("val", 2), ("test", 2))
    }


def test_the_same_seed_gives_the_same_sides_whatever_the_order():
    strategy = Strategy(seed=3)
    again = INDEX.model_copy(update={"entries": INDEX.entries[::-1]})
    assert sides(INDEX, seed=3) == divide(again, strategy, used_calls(again, strategy))
    others = [sides(INDEX, seed=seed).recordings for seed in range(4)]
    assert any(other != others[0] for other in others[1:])


def test_too_few_tapes_are_one_line_that_names_the_way_out():
    with pytest.raises(DataError, match=r'2 tapes with calls cannot be .*"group_by": "call"'):
        sides(index_of(3))
    assert set(sides(index_of(3), fractions=(0.5, 0.5, 0.0)).calls.values()) == {"train", "val"}
    assert set(sides(index_of(3), group_by="call").calls.values()) == {"train", "val", "test"}


def test_min_quality_and_classes_choose_calls():
    assert len(used_calls(INDEX, Strategy(min_quality=2))) == 48
    with pytest.raises(DataError, match="lower min_quality"):
        used_calls(INDEX, Strategy(min_quality=4))
    with pytest.raises(DataError, match="no call is called 'hum'; the corpus has target"):
        used_calls(INDEX, Strategy(classes=("hum",)))
