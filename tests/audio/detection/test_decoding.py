"""Windows to detections: analytic cases, and a brute force on a fine grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundgate.audio.detection.evaluation.decoding import (
    Decoding,
    Windows,
    decode,
    decode_with_scores,
)


def windows(scores: object, *, duration_s: float = 100.0, start_s: float = 0.0) -> Windows:
    """Windows of 0.4 s every 0.1 s of one class."""
    column = np.asarray(scores, np.float64).reshape(-1, 1)
    starts = start_s + 0.1 * np.arange(len(column))
    return Windows(0, starts, column, column * 10 - 5, 0.4, 0.1, duration_s)


def spans(found: object) -> list[tuple[float, float]]:
    return [(round(a, 6), round(b, 6)) for a, b in zip(found.start_s, found.end_s, strict=True)]


def test_overlapping_positive_windows_are_one_detection():
    found = decode([windows([0, 0.9, 0.9, 0, 0, 0, 0, 0, 0, 0.9, 0])], Decoding(0.9))
    assert spans(found) == [(0.1, 0.6), (0.9, 1.3)]


def test_windows_that_touch_are_merged_and_a_gap_is_kept():
    scores = [0.9, 0, 0, 0, 0.9, 0, 0, 0, 0, 0.9]
    assert spans(decode([windows(scores)], Decoding(0.5))) == [(0.0, 0.8), (0.9, 1.3)]
    assert spans(decode([windows(scores)], Decoding(0.5, merge_gap_s=0.1))) == [(0.0, 1.3)]


def test_a_score_equal_to_the_threshold_is_positive():
    assert len(decode([windows([0.5])], Decoding(0.5))) == 1
    assert len(decode([windows([np.nextafter(0.5, 0)])], Decoding(0.5))) == 0


def test_no_detection_ends_after_the_recording():
    assert spans(decode([windows([0, 0.9], duration_s=0.35)], Decoding(0.5))) == [(0.1, 0.35)]


def test_trimming_shortens_both_ends_and_never_splits_a_detection():
    scores = [0, 0.9, 0.9, 0.9, 0]
    assert spans(decode([windows(scores)], Decoding(0.5, trim_share=0.25))) == [(0.2, 0.6)]
    # half a window would leave points 0.1 s apart: as much is taken as windows in a row allow
    assert spans(decode([windows(scores)], Decoding(0.5, trim_share=0.49))) == [(0.25, 0.55)]


def test_shorter_detections_than_the_least_length_are_left_out():
    scores = [0.9, 0, 0, 0, 0, 0, 0.9, 0.9, 0]
    found = decode([windows(scores)], Decoding(0.5, trim_share=0.25, least_s=0.3))
    assert spans(found) == [(0.7, 1.0)]
    assert len(decode([windows(scores)], Decoding(0.5, trim_share=0.25, least_s=0.31))) == 0


def test_classes_and_recordings_are_decoded_each_for_itself():
    both = np.array([[0.9, 0.1], [0.1, 0.9]])
    first = Windows(0, np.array([0.0, 0.1]), both, both, 0.4, 0.1, 9.0)
    found = decode([first, replace(first, recording=1)], Decoding(0.5))
    assert found.clip.tolist() == [0, 0, 1, 1]
    assert found.label.tolist() == [0, 1, 0, 1]


def test_score_is_the_highest_and_logit_is_weighted_by_overlap():
    found = decode_with_scores([windows([0.0, 0.8, 0.6, 0.2])], Decoding(0.5))
    # 0.1 to 0.6 s: the windows at 0 and 0.3 share 0.3 s with it, those at 0.1 and 0.2 share 0.4 s
    weighted = (0.3 * -5 + 0.4 * 3 + 0.4 * 1 + 0.3 * -3) / 1.4
    assert found.scores.tolist() == [0.8]
    assert found.logits[0] == pytest.approx(weighted)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.4, 0.6, 1.0]), min_size=1, max_size=40),
    st.sampled_from([0.3, 0.5, 0.8]),
)
def test_detections_cover_what_a_positive_window_covers(scores, threshold):
    found = decode([windows(scores)], Decoding(threshold))
    grid = np.arange(0.05, 5, 0.1)
    covered = np.zeros(len(grid), bool)
    for k, score in enumerate(scores):
        if score >= threshold:
            covered |= (grid > 0.1 * k) & (grid < 0.1 * k + 0.4)
    inside = np.zeros(len(grid), bool)
    for start, end in spans(found):
        inside |= (grid > start) & (grid < end)
    assert inside.tolist() == covered.tolist()
    assert (found.start_s[1:] > found.end_s[:-1]).all()
