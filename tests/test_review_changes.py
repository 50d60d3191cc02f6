"""What a release changes for users is shown, and has to be confirmed; the record keeps it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest

from soundgate import cli
from soundgate.audio.formats.reports.comparison import Champion, Comparison, write_comparison
from soundgate.commands.review_text import details_text
from soundgate.errors import ParameterError, RegistryError
from soundgate.registry.review.decisions import FORMAT, DecisionLog
from soundgate.registry.review.overview import candidate_details
from soundgate.registry.versions.changes import Changes, Compared
from soundgate.store import open_store
from steps.register import compared_in

pytest_plugins = ["review_fixtures"]
pytestmark = pytest.mark.usefixtures("own_environment")

PAIRED = Compared(version="1", compared=True, paired=True, clips=70, left_out=10, few=False)


def champion_and(embedded, before=(), after=(), **candidate) -> str:
    """A champion with the classes ``before``; returns the candidate with the classes ``after``."""
    embedded.candidate("r1", classes=before)
    embedded.session().approve("1")
    return embedded.candidate("r2", classes=after, **candidate)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (["dog", "rain"], ["rain", "dog"], []),
        (["dog", "rain"], ["dog", "rain", "siren"], []),
        ([], [], []),
        (["dog", "rain"], ["dog"], ["1 class of the champion would be lost: rain"]),
        (
            ["dog_bark", "rain"],
            ["Dog bark", "siren"],
            [
                "1 class of the champion would be lost: rain",
                "1 class of the champion is renamed: dog_bark -> Dog bark",
            ],
        ),
        (
            ["dog", "rain"],
            ["dog ", "ra\u200bin"],
            ["2 classes of the champion are renamed: dog -> dog , rain -> ra\\u200bin"],
        ),
        ([], ["dog"], ["the classes of the champion are not recorded, so none can be called kept"]),
        (
            [f"c{n}" for n in range(11)],
            ["c0"],
            ["10 classes of the champion would be lost: c1, c2, c3, c4, c5, c6, c7, c8 and 2 more"],
        ),
    ],
)
def test_classes_that_are_lost_or_renamed_have_to_be_confirmed(embedded, before, after, told):
    champion_and(embedded, before, after)
    session = embedded.session()
    if told:
        with pytest.raises(ParameterError, match=re.escape("; ".join(told))) as refused:
            session.approve("2")
        assert "add --accept-changes, and say why in --comment" in str(refused.value)
        assert embedded.at("champion") == "1"
        assert embedded.records() == ["00000001.applied.json", "00000001.json"]
    decision = session.approve("2", accept_changes=True).decision
    assert decision.confirmed == tuple(told)
    assert embedded.record("00000002.json")["confirmed"] == told
    assert embedded.at("champion") == "2"


@pytest.mark.parametrize(
    ("test", "compared", "told"),
    [
        ("t", None, ""),
        ("u", None, "same test clips: they were measured on different test clips"),
        ("", None, "same test clips: it is not recorded whether both were measured on the same"),
        ("u", PAIRED, ""),
        ("u", replace(PAIRED, version="7"), "they were measured on different test clips"),
        ("u", replace(PAIRED, run_id="another"), "they were measured on different test clips"),
        ("u", replace(PAIRED, paired=False), "they were measured on different test clips"),
        (
            "t",
            replace(PAIRED, clips=16, left_out=64, few=True),
            "compared with the champion on only 16 of 80 test clips",
        ),
        (
            "t",
            replace(PAIRED, compared=False, clips=0, reason="it learnt from all of them"),
            "not compared with the champion: it learnt from all of them",
        ),
    ],
)
def test_a_comparison_on_other_or_few_clips_has_to_be_confirmed(embedded, test, compared, told):
    champion_and(embedded, test=test, compared=compared)
    found = candidate_details(embedded.session(), "2")
    assert ("needs --accept-changes: " in details_text(found)) == bool(told)
    assert told in details_text(found)
    assert [told in said for said in found.changes.unconfirmed] == ([True] if told else [])
    if told:
        with pytest.raises(ParameterError, match=re.escape(told)):
            embedded.session().approve("2")
    embedded.session().approve("2", accept_changes=bool(told))


def test_show_names_classes_and_clips_and_the_history_says_that_it_was_accepted(
    embedded, tmp_path, monkeypatch, capsys
):
    few = replace(PAIRED, clips=16, left_out=64, few=True)
    champion_and(embedded, ["dog_bark", "rain"], ["Dog bark", "siren"], compared=few)
    place = ["--registry", embedded.registry.uri, "--store", str(embedded.store)]
    assert cli.main(["review-model", "show", "2", *place]) == 0
    shown = capsys.readouterr().out
    assert (
        "classes lost      rain\nclasses gained    siren\nclasses renamed   dog_bark -> Dog bark\n"
        "compared clips    16 of 80\n"
    ) in shown
    assert shown.count("needs --accept-changes: ") == 3
    assert cli.main(["review-model", "approve", "2", "--comment", "new site", *place]) == 2
    refused = capsys.readouterr()
    assert refused.out == ""
    assert re.fullmatch(r"review-model: .*; add --accept-changes, .*\n", refused.err)
    accepted = ["approve", "2", "--accept-changes", "--comment", "new site", *place]
    assert cli.main(["review-model", *accepted]) == 0
    capsys.readouterr()
    assert cli.main(["review-model", "show", "2", *place]) == 0
    shown = capsys.readouterr().out  # the champion differs from itself in nothing
    assert "approve, accepting changes, applied as version 2: new site" in shown
    assert "classes lost" not in shown
    assert "needs --accept-changes" not in shown


def test_a_missed_gate_is_not_excused_by_accepting_changes(embedded):
    champion_and(embedded, ["dog", "rain"], ["dog"])
    embedded.session().reject("2")
    with pytest.raises(RegistryError, match="--override"):
        embedded.session().approve("2", accept_changes=True)
    with pytest.raises(ParameterError, match="--accept-changes"):
        embedded.session().approve("2", override=True)
    embedded.session().approve("2", override=True, accept_changes=True)


def test_without_a_champion_nothing_changes(embedded):
    embedded.candidate("r1", classes=["dog"], test="")
    assert candidate_details(embedded.session(), "1").changes == Changes()
    assert embedded.session().approve("1").decision.confirmed == ()


def test_damaged_tags_vouch_for_nothing(embedded):
    champion_and(embedded, ["dog"], ["dog"], test="u", compared=PAIRED)
    client = embedded.registry.client
    for text in ("{", "[]", '{"version": "1"}', "7"):
        client.set_model_version_tag("aed-candidates", "2", "comparison.summary", text)
        client.set_model_version_tag("aed-candidates", "2", "classes", text)
        with pytest.raises(ParameterError, match="different test clips"):
            embedded.session().approve("2")


def test_the_step_sums_up_comparison_json(tmp_path):
    write_comparison(
        tmp_path,
        Comparison(
            champion=Champion(name="aed", version="3", run_id="r"),
            compared=True,
            clips=16,
            left_out={"unknown_to_champion": 60, "champion_trained_on": 4},
        ),
    )
    assert compared_in(tmp_path) == Compared(
        version="3", run_id="r", compared=True, paired=True, clips=16, left_out=64, few=True
    )
    write_comparison(tmp_path, Comparison(compared=False, reason="there is no champion yet"))
    assert compared_in(tmp_path) is None


OLD = b"""{
 "number": 1,
 "model": "aed",
 "verdict": "approve",
 "by": "ann",
 "account": "ann",
 "comment": "good",
 "candidate": "1",
 "target": null,
 "expected_champion": null,
 "override": false,
 "gates": {},
 "model_digest": "m",
 "report_digest": "r",
 "after": "",
 "at": "2026-11-20T13:17:04.390Z",
 "id": "5f",
 "format": "soundgate.review/1"
}
"""


def test_decisions_of_version_1_are_read_and_keep_their_digests(tmp_path):
    store = open_store(str(tmp_path))
    store.put("reviews/aed/00000001.json", OLD)
    log = DecisionLog(store, "aed")
    [entry] = log.entries()
    assert entry.decision.confirmed == ()
    assert entry.decision.sha256 == hashlib.sha256(OLD).hexdigest()
    log.append(
        replace(
            entry.decision,
            number=2,
            after=entry.decision.sha256,
            confirmed=("1 class lost",),
            format=FORMAT,
        )
    )
    assert log.entries()[1].decision.confirmed == ("1 class lost",)
