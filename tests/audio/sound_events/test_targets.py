"""Label spaces of several data sets, and events as targets, against published encodings."""

from __future__ import annotations

import json

import numpy as np
import pytest

from soundgate.audio.clips.sound_events.label_space import (
    DESED_MAESTRO,
    MAESTRO_EVALUATED,
    Annotated,
    LabelSpace,
    together,
)
from soundgate.audio.clips.sound_events.targets import Grid, LabelledEvent, strong, weak
from soundgate.audio.metrics.events.levels import at_threshold
from soundgate.errors import DataError

GRID = Grid(156, 0.064)


@pytest.fixture(scope="module")
def published(real_data):
    path = real_data("golden/sed/05_frame_encoding") / "expected.json"
    return json.loads(path.read_text())


def test_masks_and_aliases_are_the_published_ones(published):
    assert list(DESED_MAESTRO.classes) == published["labels"]
    for dataset in ("desed", "maestro"):
        assert DESED_MAESTRO.mask(dataset).tolist() == published["masks"][dataset]
    aliases = published["aliases"]
    assert dict(DESED_MAESTRO.datasets["maestro"].aliases) == aliases["maestro_to_desed"]
    assert dict(DESED_MAESTRO.datasets["desed"].aliases) == aliases["desed_to_maestro"]
    assert len(MAESTRO_EVALUATED) == 11
    assert set(MAESTRO_EVALUATED) < set(DESED_MAESTRO.datasets["maestro"].classes)


def test_events_cover_the_published_frames(published):
    assert published["params"]["frame_seconds"] == GRID.frame_s
    for case in published["encode"]:
        frames = GRID.covered(case["onset_s"], case["offset_s"])
        if case["first_frame"] is None:
            assert len(frames) == 0, case
        else:
            assert (frames.start, frames.stop) == (case["first_frame"], case["end_frame"]), case


def test_frames_become_the_published_events(published):
    active = np.zeros((156, len(DESED_MAESTRO.classes)))
    for label, runs in published["decode"]["active_frames"].items():
        for first, end in runs:
            active[first:end, DESED_MAESTRO.classes.index(label)] = 1
    found = at_threshold([active], [GRID.edges_s], 0.5)
    events = [
        (DESED_MAESTRO.classes[label], pytest.approx(start), pytest.approx(end))
        for label, start, end in zip(found.label, found.start_s, found.end_s, strict=True)
    ]
    assert sorted(events, key=str) == sorted(
        (tuple(event) for event in published["decode"]["events"]), key=str
    )


def test_every_frame_reads_back():
    """Also where a product of frames is a little more than the quotient tells."""
    for first in range(156):
        for count in (1, 2, 7):
            frames = GRID.covered(first * 0.064, (first + count) * 0.064)
            assert (frames.start, frames.stop) == (first, min(first + count, 156))


def test_the_larger_confidence_counts_where_rows_overlap(published):
    rows = published["soft_overlap_last_writer_wins"]["events"]
    for order in (rows, rows[::-1]):
        events = [LabelledEvent("car", *row) for row in order]
        found = strong(events, DESED_MAESTRO, "maestro", GRID)
        column = found[:, DESED_MAESTRO.classes.index("car")]
        for frame, value in enumerate(column):
            onset, offset = frame * 0.064, (frame + 1) * 0.064
            covering = [c for a, b, c in rows if a < offset - 1e-6 and b > onset + 1e-6]
            assert value == pytest.approx(max(covering, default=0.0)), frame
        assert np.count_nonzero(found) == np.count_nonzero(column)


def test_aliases_add_the_other_class_and_do_not_overwrite_it():
    """Three classes of MAESTRO are speech; a quiet one must not hide a loud one."""
    events = [
        LabelledEvent("people talking", 1.0, 3.0, 0.9),
        LabelledEvent("announcement", 2.0, 4.0, 0.2),
    ]
    found = strong(events, DESED_MAESTRO, "maestro", GRID)
    speech = found[:, DESED_MAESTRO.classes.index("Speech")]
    assert speech[GRID.covered(1.0, 3.0).start : GRID.covered(1.0, 3.0).stop].min() == (
        np.float32(0.9)
    )
    assert speech[50] == np.float32(0.2)
    desed = strong([LabelledEvent("Speech", 1.0, 3.0)], DESED_MAESTRO, "desed", GRID)
    assert np.flatnonzero(desed.any(axis=0)).tolist() == [
        DESED_MAESTRO.classes.index("Speech"),
        DESED_MAESTRO.classes.index("people talking"),
    ]
    # Everything that is told is within the mask, whose other classes say nothing.
    assert not desed[:, ~DESED_MAESTRO.mask("desed")].any()


def test_weak_labels_have_aliases_too():
    found = weak(("Dishes", "Cat"), DESED_MAESTRO, "desed")
    names = [name for name, value in zip(DESED_MAESTRO.classes, found, strict=True) if value]
    assert names == ["Cat", "Dishes", "cutlery and dishes"]


def test_classes_of_tables_are_renamed_left_out_or_refused():
    strict = Annotated(("dog",), names={"Bark": "dog"})
    assert strict.class_of("Bark") == "dog"
    assert strict.class_of("dog") == "dog"
    with pytest.raises(DataError, match="did you mean 'dog'"):
        strict.class_of("dogg")
    assert Annotated(("dog",), leaves_out=True).class_of("cat") is None


@pytest.mark.parametrize(
    ("space", "told"),
    [
        (lambda: LabelSpace(("a", "a"), {}), "a class stands there twice"),
        (lambda: LabelSpace(("cat",), {"x": Annotated(("catt",))}), "did you mean 'cat'"),
        (lambda: LabelSpace(("a", "b"), {"x": Annotated(("a",), {"b": "a"})}), "no class of it"),
        (lambda: together({"x": Annotated(("a",), {"a": "b"})}), "there is no class 'b'"),
        (lambda: DESED_MAESTRO.mask("dessed"), "did you mean 'desed'"),
    ],
)
def test_impossible_label_spaces_are_refused(space, told):
    with pytest.raises(DataError, match=told):
        space()
