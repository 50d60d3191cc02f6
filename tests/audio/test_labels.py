"""What a class may be called, and which names are taken for one another."""

from __future__ import annotations

import pytest

from soundgate.audio.clips import labels


@pytest.mark.parametrize(
    "other",
    ["Dog", "DOG ", "dog\u200b", "\ufeffdog", '"dog"', "\u2018dog\u2019", "\u00a0dog", "d\u00adog"],
)
def test_labels_that_a_reader_takes_for_one(other):
    assert labels.look(other) == labels.look("dog")


def test_unicode_forms_of_a_label_are_one():
    assert labels.look("b\u00e4r") == labels.look("ba\u0308r")
    assert labels.look("\u00c4 Wind") == labels.look("a\u0308  wind")


@pytest.mark.parametrize("other", ["dogs", "do g", "d\u00f6g", "dog's"])
def test_labels_that_differ(other):
    assert labels.look(other) != labels.look("dog")


def test_odd_labels():
    assert [labels.is_odd(x) for x in ("dog ", "'dog'", "\u200bdog", "hot  dog")] == [True] * 4
    assert [labels.is_odd(x) for x in ("dog", "hot dog", "dog's", "\u06a9\u0644\u0627\u063a")] == [
        False
    ] * 4
