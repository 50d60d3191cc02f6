"""Deciding on candidates, on an embedded registry and on a server with accounts."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import threading
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest
import servers
from review_world import MISSED, PASSED, PASSWORD, USER, World, said

from soundgate import cli
from soundgate.errors import ParameterError, RegistryError
from soundgate.registry.review.overview import candidate_details, overview
from soundgate.registry.service.connection import Registry

pytest_plugins = ["review_fixtures"]

pytestmark = pytest.mark.usefixtures("own_environment")

ROOT = Path(__file__).resolve().parent.parent

ADMIN_PASSWORD = "admin-password-of-the-test"


@contextmanager
def signed_in(user: str):
    """Be ``user`` of the server; an embedded registry does not care."""
    before = {name: os.environ.get(name) for name in (USER, PASSWORD)}
    os.environ |= {
        USER: user,
        PASSWORD: ADMIN_PASSWORD if user == "admin" else f"password-of-the-{user}",
    }
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def documented_accounts() -> str:
    """The program of docs/review.md that makes accounts and grants."""
    text = (ROOT / "docs" / "review.md").read_text("utf-8")
    return re.search(r"```python\n(import os\n.*?)```", text, re.DOTALL)[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An MLflow server with accounts that delivers webhooks to loopback."""
    folder = tmp_path_factory.mktemp("server")
    with servers.mlflow(folder, admin_password=ADMIN_PASSWORD, webhooks=True) as url:
        yield url


def make_accounts(url: str, model: str, monkeypatch) -> None:
    """Run the documented program for ``model``; accounts that are there stay."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    for user in ("ci", "reviewer"):
        monkeypatch.setenv(f"{user.upper()}_PASSWORD", f"password-of-the-{user}")
    monkeypatch.setenv("MODEL", model)
    with signed_in("admin"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what MLflow's server imports
        exec(compile(documented_accounts(), "docs/review.md", "exec"), {})
    monkeypatch.delenv("MLFLOW_TRACKING_URI")


@pytest.fixture(params=["embedded", pytest.param("server", marks=pytest.mark.slow)])
def world(request, new_database, tmp_path, monkeypatch):
    """An empty registry; on a server, ``ci`` writes candidates and ``reviewer`` does the rest."""
    if request.param == "embedded":
        shutil.copy(new_database, tmp_path / "mlflow.db")
        yield World(Registry(f"sqlite:///{tmp_path}/mlflow.db"), tmp_path)
        return
    model = f"aed-{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}"
    url = request.getfixturevalue("server")
    make_accounts(url, model, monkeypatch)

    class OfCI(World):
        def candidate(self, *args, **options):
            with signed_in("ci"):
                return super().candidate(*args, **options)

    with signed_in("reviewer"):
        yield OfCI(Registry(url), tmp_path, model)


# The life of a candidate


def test_a_rejected_model_does_not_come_back_under_another_number(world):
    world.candidate("r1")
    world.session(comment="mislabels rain").reject("1")
    assert world.candidate("r2", {**PASSED, "threshold": 0.1}, weights="r1") == "2"
    with pytest.raises(RegistryError, match="the same model was rejected as candidate 1; add --ov"):
        world.session().approve("2")
    assert world.at("champion") is None
    released = world.session(comment="rain does not matter here").approve("2", override=True)
    assert (released.decision.override, world.at("champion")) == (True, "1")


def test_approve_reject_retrain_approve_and_roll_back_twice(world):
    name = f"{world.model}-candidates"
    assert [world.candidate(run) for run in ("r1", "r2", "r3")] == ["1", "2", "3"]
    first = world.session(comment="good on all classes").approve("1")
    assert first.outcome.released == "1"
    assert (world.at("champion"), world.at("previous")) == ("1", None)

    world.session("bob", "mislabels rain").reject("2")
    assert world.at("champion") == "1"
    assert world.tags(name, "2")["review.status"] == "rejected"
    assert world.tags(name, "2")["review.by"] == "bob"

    third = world.session(comment="retrained").approve("candidate")  # by alias: the newest
    assert third.decision.candidate == "3"
    assert (world.at("champion"), world.at("previous")) == ("2", "1")

    world.session(comment="too many false alarms").roll_back()
    assert (world.at("champion"), world.at("previous")) == ("1", "2")
    assert world.tags(world.model, "2")["review.status"] == "rolled back"
    world.session(comment="it was the microphone").roll_back()
    assert (world.at("champion"), world.at("previous")) == ("2", "1")
    assert world.tags(world.model, "2")["review.status"] == "approved"
    world.session(comment="the old one").roll_back("1")
    assert (world.at("champion"), world.at("previous")) == ("1", "2")

    released = world.tags(world.model, "2")
    for tag in ("model.digest", "report.digest", "pipeline.run", "gate.clip:accuracy"):
        assert released[tag] == world.tags(name, "3")[tag]
    assert world.tags(name, "3")["review.comment"] == "the old one"
    assert world.tags(name, "1")["review.comment"] == "good on all classes"
    found = overview(world.session(), 20)
    assert [(row.version, row.status, row.released, row.champion) for row in found.candidates] == [
        ("3", "rolled back", "2", False),
        ("2", "rejected", None, False),
        ("1", "approved", "1", True),
    ]
    assert found.notes == []
    history = candidate_details(world.session(), "3").decisions
    assert [entry.decision.verdict for entry in history] == [
        "approve",
        "rollback",
        "rollback",
        "rollback",
    ]


def test_the_record_says_who_when_why_and_on_which_bytes(embedded):
    embedded.candidate("r1")
    embedded.session(comment="first line\nsecond ü").approve("1")
    assert embedded.records() == ["00000001.applied.json", "00000001.json"]
    decision = embedded.record("00000001.json")
    tags = embedded.tags(f"{embedded.model}-candidates", "1")
    report = hashlib.sha256(b"<p>r1</p>").hexdigest()
    expected = {
        "format": "soundgate.review/2",
        "number": 1,
        "model": embedded.model,
        "verdict": "approve",
        "by": "ann",
        "comment": "first line\nsecond ü",
        "candidate": "1",
        "expected_champion": None,
        "override": False,
        "gates": {"clip:accuracy": "pass"},
        "model_digest": tags["model.digest"],
        "report_digest": report,
        "after": "",
    }
    assert {key: decision[key] for key in expected} == expected
    assert embedded.record("00000001.applied.json")["champion"] == "1"
    assert tags["review.report_digest"] == report
    assert tags["review.at"] == decision["at"]
    assert tags["review.record"] == "1"
    assert (
        stat.S_IMODE((embedded.store / "reviews" / embedded.model / "00000001.json").stat().st_mode)
        == 0o444
    )


def test_what_must_not_be_decided_is_refused_in_one_line(embedded):
    embedded.candidate("r1")
    embedded.candidate("r2", MISSED)
    with pytest.raises(RegistryError, match="has no champion; approve a candidate first"):
        embedded.session().roll_back()
    with pytest.raises(RegistryError) as error:
        embedded.session().approve("7")
    assert "has no version 7; there are: 2, 1" in said(error)
    with pytest.raises(RegistryError) as error:
        embedded.session().approve("2")
    assert "it missed its gates: clip:accuracy; add --override" in said(error)
    with pytest.raises(ParameterError, match="--comment is empty"):
        embedded.session(comment="  ").approve("1")
    assert not (embedded.store / "reviews").exists()

    overridden = embedded.session(comment="for the demo only").approve("2", override=True)
    assert overridden.decision.override
    with pytest.raises(RegistryError) as error:
        embedded.session().approve("2", override=True)
    assert "is released already, as version 1 (ann approved candidate 2 at" in said(error)
    assert said(error).endswith("it is the champion")
    with pytest.raises(RegistryError, match=r"is the current champion, .*; roll back first"):
        embedded.session().reject("2")
    with pytest.raises(RegistryError, match="has no previous champion; name a"):
        embedded.session().roll_back()

    plain = embedded.session("bob").approve("1", override=True)
    assert not plain.decision.override  # nothing was overridden
    embedded.session(comment="was a demo").reject("2")
    with pytest.raises(RegistryError, match=r"is already rejected \(ann rejected .*: was a demo\)"):
        embedded.session().reject("2")
    with pytest.raises(RegistryError) as error:
        embedded.session().roll_back()
    assert "was made from candidate 2, which was rejected" in said(error)
    with pytest.raises(RegistryError, match=r"it was rejected \(ann rejected candidate 2"):
        embedded.session().approve("2")
    assert (embedded.at("champion"), embedded.at("previous")) == ("2", "1")
    again = embedded.session(comment="demo again").approve("2", override=True)
    assert again.outcome.released == "3"
    with pytest.raises(RegistryError, match="make it champion again with rollback --to 2"):
        embedded.session().approve("1")


@pytest.mark.parametrize("altered", ["report", "model"])
def test_altered_evidence_is_refused_whatever_is_overridden(embedded, tmp_path, altered):
    world = embedded
    world.candidate("r1")
    pattern = {"report": "*/artifacts/review/report.html", "model": "models/*/artifacts/weights*"}
    [file] = (tmp_path / "mlartifacts").glob(pattern[altered])
    before = file.read_bytes()
    file.write_bytes(b"<p>all is well</p>")
    with pytest.raises(RegistryError) as error:
        world.session().approve("1", override=True)
    expected = {"report": "was altered after registration", "model": "differ from the registered"}
    assert expected[altered] in said(error)
    assert expected[altered] in candidate_details(world.session(), "1").notes[0]
    file.unlink()
    with pytest.raises(RegistryError):
        world.session().approve("1", override=True)
    assert not (world.store / "reviews").exists()
    file.write_bytes(before)
    world.session().approve("1")


def test_of_two_reviewers_one_wins_and_the_other_is_told(world):
    world.candidate("r1")
    world.candidate("r2")

    def bob_is_slower() -> str:
        world.session("ann", "mine").approve("2")
        return "no, mine"

    with pytest.raises(RegistryError) as error:
        world.session("bob", bob_is_slower).approve("1")
    assert "meanwhile ann approved candidate 2 at" in said(error)
    assert ": mine; your decision changed nothing" in said(error)
    assert world.records() == ["00000001.applied.json", "00000001.json"]
    assert world.at("champion") == "1"
    assert world.tags(world.model, "1")["pipeline.run"] == "r2"


def test_a_champion_moved_by_other_means_is_told(embedded):
    for run in ("r1", "r2", "r3"):
        embedded.candidate(run)
        embedded.session().approve("candidate")
    embedded.registry.client.set_registered_model_alias(embedded.model, "champion", "1")
    [note] = overview(embedded.session(), 20).notes
    assert note == "champion is at version 1, but the record has version 3: moved by other means"

    def moved_back() -> str:
        embedded.registry.client.set_registered_model_alias(embedded.model, "champion", "3")
        return "x"

    with pytest.raises(RegistryError, match="was moved from version 1 to 3 meanwhile, not by"):
        embedded.session(comment=moved_back).roll_back("2")
    assert embedded.at("champion") == "3"
    assert embedded.records()[-2:] == ["00000004.failed.json", "00000004.json"]


def test_decisions_go_to_the_store_that_has_the_earlier_ones(embedded):
    embedded.candidate("r1")
    embedded.candidate("r2")
    embedded.session().approve("1")
    (embedded.store / "reviews").rename(embedded.folder / "elsewhere")
    with pytest.raises(RegistryError, match="lacks the decision that the registry knows of"):
        embedded.session().approve("2")
    assert any("lacks the decision" in note for note in overview(embedded.session(), 20).notes)


# Accounts


def test_an_account_that_writes_candidates_cannot_release(server, tmp_path, monkeypatch, capsys):
    from mlflow.exceptions import MlflowException

    make_accounts(server, "guarded", monkeypatch)
    world = World(Registry(server), tmp_path, "guarded")
    place = ["--model-name", "guarded", "--registry", server, "--store", str(world.store)]
    with signed_in("ci"):
        world.candidate("r1")
        capsys.readouterr()
        assert cli.main(["review-model", "approve", "1", "--comment", "sneaky", *place]) == 1
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.count("\n") == 1
        assert "MLflow refused it to 'ci'" in told.err
        assert "recorded as failed decision 1" in told.err
        assert world.records() == ["00000001.failed.json", "00000001.json"]
    with signed_in("reviewer"):
        assert overview(world.session(), 20).candidates[0].status == "pending"
        assert world.tags("guarded-candidates", "1")["review.status"] == "pending"
        assert cli.main(["review-model", "approve", "1", "--comment", "fine", *place]) == 0
        assert capsys.readouterr().out.endswith("the champion (decision 2, by reviewer)\n")
    with signed_in("ci"):
        world.candidate("r2")
        client = world.registry.client
        for attempt in (
            lambda: client.set_registered_model_alias("guarded", "champion", "1"),
            lambda: client.delete_registered_model_alias("guarded", "champion"),
            lambda: client.create_model_version("guarded", "models:/guarded-candidates/1"),
            lambda: client.set_model_version_tag("guarded", "1", "model.digest", "0" * 64),
            lambda: client.set_registered_model_tag("guarded", "review.deciding", "x"),
            lambda: client.delete_model_version("guarded", "1"),
            lambda: client.rename_registered_model("guarded", "other"),
            lambda: client.delete_registered_model("guarded"),
        ):
            with pytest.raises(MlflowException, match="403"):
                attempt()
        assert cli.main(["review-model", "rollback", "--to", "1", "--comment", "x", *place]) == 1
        assert world.at("champion") == "1"
        # nor does anybody finish what ci wrote into the record and could not announce
        for outcome in (world.store / "reviews" / "guarded").glob("*.failed.json"):
            outcome.unlink()
    with signed_in("reviewer"):
        world.session().reject("2")
        assert world.at("champion") == "1"
        reasons = [e.outcome.reason for e in world.session().log.entries() if not e.applied]
        assert set(reasons) == {"interrupted before anything was changed"}


# Webhooks


def test_a_server_tells_a_hook_that_the_champion_moved(server, tmp_path, monkeypatch):
    from soundgate.registry.notifications.webhooks import Receiver

    make_accounts(server, "hooked", monkeypatch)
    world = World(Registry(server), tmp_path, "hooked")
    lines: list[str] = []
    command = ["sh", "-c", f"cat >> {tmp_path}/events"]
    receiver = Receiver(("127.0.0.1", 0), "the secret", command, say=lines.append)
    thread = threading.Thread(target=receiver.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{receiver.server_port}/"
        with signed_in("admin"):
            client = world.registry.client
            for name, secret in (("ours", "the secret"), ("forged", "a guess")):
                events = ["model_version_alias.created"]
                client.create_webhook(name, url, events, secret=secret)
        with signed_in("ci"):
            world.candidate("r1")
        with signed_in("reviewer"):
            world.session().approve("1")
        deadline = time.monotonic() + 30
        expected = {
            "model_version_alias.created of hooked-candidates: hook ran",
            "model_version_alias.created of hooked: hook ran",
            "a delivery was refused: its signature is wrong",
        }
        while not expected <= set(lines) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert set(lines) == expected
    finally:
        receiver.shutdown()
        receiver.server_close()
        thread.join()
    told = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    [event] = [event for event in told if event["model"] == "hooked"]
    assert (event["alias"], event["version"]) == ("champion", "1")
    assert len(told) == 2
