"""Noise holds no known call, no two files hold the same noise, and the account is exact."""

from __future__ import annotations

import itertools

import pytest
from toy_corpus import calls, recording

from soundgate.audio.datasets.corpora.cutting import plan_cuts
from soundgate.audio.datasets.corpora.indexing.index import build_index
from soundgate.audio.datasets.corpora.noise import Occupied, Span
from soundgate.audio.datasets.corpora.strategies import NoiseMining, Strategy

MARGIN_S = 0.1


def spans(plan, path):
    """Milliseconds of the noise of a recording."""
    found = [cut.entry for cut in plan.cuts if cut.call is None and cut.path == path]
    return [(entry.start_ms, entry.end_ms) for entry in found]


def overlaps(one, other):
    return max(one[0], other[0]) < min(one[1], other[1])


def test_none_of_180_noises_touches_any_of_90_calls_or_another_noise():
    """Earlier tools kept away from the one call they were at: 68 of 180 held another."""
    starts = [10 * number + number % 7 for number in range(90)]
    index = build_index("long", [recording("a.wav", "a", 900)], calls("a.wav", starts, 2.0))
    strategy = Strategy(noise_per_hum=2, group_by="call", min_quality=3, seed=1404)
    plan = plan_cuts(index, strategy, {})
    noises = spans(plan, "a.wav")
    assert len(noises) == 60  # 30 of the calls are of quality 3; all 90 keep noise away
    plan = plan_cuts(index, Strategy(noise_per_hum=2, group_by="call", seed=1404), {})
    noises = spans(plan, "a.wav")
    assert len(noises) == 180
    known = [
        (1000 * (e.clip_start_s - MARGIN_S), 1000 * (e.clip_end_s + MARGIN_S))
        for e in index.entries
    ]
    assert not [n for n in noises for call in known if overlaps(n, call)]
    ordered = sorted(noises)
    assert not [a for a, b in itertools.pairwise(ordered) if overlaps(a, b)]
    assert {end - start for start, end in noises} == {2000}


@pytest.mark.parametrize(("per_call", "total"), [(0.5, 6), (1.0, 12), (1.75, 21), (0.0, 0)])
def test_as_much_noise_as_asked_for(per_call, total):
    index = build_index("a", [recording("a.wav", "a", 100)], calls("a.wav", range(0, 96, 8)))
    plan = plan_cuts(index, Strategy(noise_per_hum=per_call, group_by="call"), {})
    assert sum(cut.call is None for cut in plan.cuts) == total
    assert sum(account.asked for account in plan.noise.values()) == total
    assert all(account.not_found == 0 for account in plan.noise.values())


def test_a_full_recording_is_accounted_for_and_the_tape_searched():
    full = recording("clip.wav", "tape", 4, start_s=10)
    index = build_index("full", [full], calls("clip.wav", [0.2, 1.4, 2.6], 1.0))
    index = index.model_copy(
        update={
            "entries": tuple(e.model_copy(update={"raw_path": "tape.wav"}) for e in index.entries),
            "recordings": tuple(
                r.model_copy(update={"raw_path": "tape.wav"}) for r in index.recordings
            ),
        }
    )
    strategy = Strategy(group_by="call", noise_per_hum=2)
    plan = plan_cuts(index, strategy, {"tape.wav": 13.5})
    raw = [cut.entry for cut in plan.cuts if cut.entry.source == "raw"]
    assert len(raw) == 6
    assert all(entry.end_ms <= 10_200 - 100 for entry in raw)  # before the first call of the tape
    accounts = plan.noise.values()
    assert sum(a.from_raw for a in accounts) == sum(a.unannotated for a in accounts) == 6
    without = plan_cuts(
        index,
        Strategy(group_by="call", noise_per_hum=2, noise_mining=NoiseMining(fallback_raw=False)),
        {"tape.wav": 13.5},
    )
    assert sum(a.not_found for a in without.noise.values()) == 6
    assert not spans(without, "clip.wav")


def test_noise_of_a_clip_comes_from_its_own_side():
    clips = [recording(f"c{n}.wav", "tape", 4, start_s=4 * n) for n in range(3)]
    busy = calls("c0.wav", [0.0, 1.3, 2.6], 1.2)
    index = build_index("sides", clips, [*busy, *calls("c1.wav", [1]), *calls("c2.wav", [1])])
    plan = plan_cuts(index, Strategy(group_by="clip", noise_per_hum=3), {})
    for cut in plan.cuts:
        assert plan.division.recordings[cut.path] == cut.entry.split


def test_stretches_that_touch_are_one():
    occupied = Occupied()
    for span in [(10, 20), (40, 50), (20, 30), (35, 60), (0, 5), (12, 14)]:
        occupied.add(Span(*span))
    assert occupied.gaps(Span(0, 100), 1) == [(5, 10), (30, 35), (60, 100)]
    assert occupied.gaps(Span(0, 100), 6) == [(60, 100)]
    free = [start for start in range(98) if occupied.is_free(Span(start, start + 3))]
    assert free == [5, 6, 7, 30, 31, 32, *range(60, 98)]


def test_a_day_with_thousands_of_calls_is_mined_at_once():
    """Every free start is as likely: the halves of the day get equally many noises."""
    starts = [8.0 * number for number in range(10_000)]
    index = build_index("day", [recording("a.wav", "a", 86_400)], calls("a.wav", starts, 2.0))
    plan = plan_cuts(index, Strategy(group_by="call", fractions=(1.0, 0.0, 0.0)), {})
    noises = spans(plan, "a.wav")
    assert len(noises) == 10_000
    ordered = sorted(noises)
    assert not [a for a, b in itertools.pairwise(ordered) if overlaps(a, b)]
    early = sum(start < 40_000_000 for start, _ in noises)
    assert 4000 < early < 5500  # 40,000 of 86,400 s; the end of the day has no calls


def test_whole_milliseconds():
    assert Span.around(0.3, 0.6004) == (300, 601)
    assert Span.within(0.3001, 0.6) == (301, 600)
