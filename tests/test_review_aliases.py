"""Versions and aliases that are gone, and what a rollback writes on the versions it moves."""

from __future__ import annotations

import pytest

from soundgate.commands.review_text import overview_text
from soundgate.errors import RegistryError
from soundgate.registry.review.overview import candidate_details, overview

pytest_plugins = ["review_fixtures"]
pytestmark = pytest.mark.usefixtures("own_environment")


@pytest.fixture
def released(embedded):
    """One candidate, which is the champion."""
    embedded.candidate("r1")
    embedded.session(comment="good").approve("1")
    return embedded


def test_a_lost_alias_is_restored_by_a_rollback(released):
    released.registry.client.delete_registered_model_alias("aed", "champion")
    [note] = overview(released.session(), 20).notes
    assert note == (
        "no version is the champion, but the record has version 1: the alias was removed by other "
        "means; make a version champion with rollback --to"
    )
    with pytest.raises(RegistryError, match="make it champion again with rollback --to 1"):
        released.session().approve("1")
    with pytest.raises(RegistryError, match="version 1 was the last one: make it champion with"):
        released.session().roll_back()
    done = released.session("bob", "the alias was lost").roll_back("1")
    assert done.decision.said.startswith("bob rolled back to version 1 at ")
    assert released.at("champion") == "1"
    [row] = overview(released.session(), 20).candidates
    assert (row.status, row.champion) == ("approved", True)
    assert overview(released.session(), 20).notes == []
    assert released.tags("aed", "1")["review.comment"] == "good"


def test_a_candidate_whose_release_was_deleted_is_released_again(released):
    released.registry.client.delete_model_version("aed", "1")
    with pytest.raises(RegistryError, match="has no champion; approve a candidate first"):
        released.session().roll_back()
    with pytest.raises(RegistryError, match="has no version 1; there are: none"):
        released.session().roll_back("1")
    assert released.session().approve("1").outcome.released == "2"
    assert released.at("champion") == "2"
    [row] = overview(released.session(), 20).candidates
    assert (row.status, row.released, row.champion) == ("approved", "2", True)


def test_a_model_that_was_deleted_whole_begins_again_at_1(released):
    released.candidate("r2")
    released.registry.client.delete_registered_model("aed")
    assert released.session().approve("2").outcome.released == "1"
    rows = {row.version: row for row in overview(released.session(), 20).candidates}
    assert (rows["2"].status, rows["2"].champion) == ("approved", True)
    assert released.tags("aed", "1")["pipeline.run"] == "r2"


def test_a_rollback_blames_the_version_it_withdraws_and_no_other(released):
    released.candidate("r2")
    released.session("bob", "better").approve("2")
    released.session("eve", "false alarms in rain").roll_back()

    for name in ("aed", "aed-candidates"):
        bad, good = released.tags(name, "2"), released.tags(name, "1")
        assert (bad["review.status"], bad["review.comment"], bad["review.by"]) == (
            ("rolled back", "false alarms in rain", "eve")
        )
        assert (good["review.status"], good["review.comment"], good["review.by"]) == (
            ("approved", "good", "ann")
        )
        assert (bad["review.record"], good["review.record"]) == ("3", "1")
    found = overview(released.session(), 20)
    assert [(r.version, r.status, r.decided_by, r.comment) for r in found.candidates] == [
        ("2", "rolled back", "eve", "false alarms in rain"),
        ("1", "approved", "ann", "good"),
    ]
    lines = overview_text(found).splitlines()
    assert "rolled back (version 2)" in lines[1]
    assert "approved as 1, champion" in lines[2]
    assert candidate_details(released.session(), "2").candidate.status == "rolled back"

    released.session("eve", "it was the microphone").roll_back()
    again = released.tags("aed", "2")
    assert (again["review.status"], again["review.comment"]) == ("approved", "better")
    rows = {row.version: row for row in overview(released.session(), 20).candidates}
    assert (rows["1"].status, rows["1"].comment) == ("rolled back", "it was the microphone")
    assert (rows["2"].status, rows["2"].champion) == ("approved", True)


def test_a_rollback_bears_a_candidate_that_was_deleted(released):
    released.candidate("r2")
    released.session().approve("2")
    released.registry.client.delete_model_version("aed-candidates", "2")
    done = released.session(comment="worse").roll_back()
    assert done.outcome.reason == "aed-candidates version 2 could not be tagged: it was deleted"
    assert released.at("champion") == "1"
