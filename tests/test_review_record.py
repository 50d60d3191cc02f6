"""The record of decisions: races, crashes between record and registry, altered records."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import jsonschema
import pytest

from soundgate.errors import RegistryError, StoreError
from soundgate.registry.review.decisions import Decision, DecisionLog, Outcome
from soundgate.registry.review.overview import overview
from soundgate.store import open_store

SCHEMAS = Path(__file__).resolve().parent.parent / "docs" / "schemas"
pytest_plugins = ["review_fixtures"]
pytestmark = pytest.mark.usefixtures("own_environment")


def decision(number: int, after: str = "", by: str = "ann") -> Decision:
    return Decision(
        number=number, model="aed", verdict="reject", by=by, account=by, comment="x", after=after
    )


@pytest.fixture
def log(tmp_path) -> DecisionLog:
    """Three decisions, the first two of which took effect."""
    log = DecisionLog(open_store(str(tmp_path / "store")), "aed")
    after = ""
    for number in (1, 2, 3):
        added = decision(number, after)
        log.append(added)
        after = added.sha256
    log.close(Outcome(number=1, state="applied"))
    log.close(Outcome(number=2, state="failed", reason="no"))
    return log


def test_a_record_is_read_as_it_was_written(log):
    entries = log.entries()
    assert [entry.applied for entry in entries] == [True, False, False]
    assert entries[1].outcome.reason == "no"
    assert entries[2].outcome is None
    log.close(Outcome(number=2, state="applied", champion="7"))  # what took effect counts
    assert log.entries()[1].outcome.champion == "7"


def test_decisions_and_outcomes_fit_their_schemas(log):
    """Whoever reads the store has the schemas; every field of a record is in them."""
    of_decisions, of_outcomes = (
        json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
        for name in ("review", "review_outcome")
    )
    for entry in log.entries():
        jsonschema.validate(json.loads(entry.decision.as_bytes()), of_decisions)
        if entry.outcome:
            jsonschema.validate(asdict(entry.outcome), of_outcomes)
    undecided = json.loads(replace(decision(1), verdict="undecided").as_bytes())
    with pytest.raises(jsonschema.ValidationError, match="'undecided' is not one of"):
        jsonschema.validate(undecided, of_decisions)


def test_a_number_is_taken_once(log):
    with pytest.raises(RegistryError, match="meanwhile ann rejected candidate None at"):
        log.append(decision(3, by="bob"))
    assert log.entries()[2].decision.by == "ann"


def rewrite(path: Path, **changes) -> None:
    """Replace a named object as somebody with a shell would."""
    values = json.loads(path.read_text()) | changes
    path.unlink()
    path.write_text(json.dumps(values))


def test_an_altered_or_missing_decision_is_noticed(log, tmp_path):
    folder = tmp_path / "store" / "reviews" / "aed"
    rewrite(folder / "00000002.json", comment="never said")
    with pytest.raises(StoreError, match=r"'reviews/aed/00000003\.json' does not match"):
        log.entries()
    (folder / "00000002.json").unlink()
    with pytest.raises(StoreError, match="have a gap: expected 1 to 2, found 1, 3"):
        log.entries()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "soundgate.review/2"}'])
def test_what_is_no_record_is_named(log, tmp_path, text):
    path = tmp_path / "store" / "reviews" / "aed" / "00000003.json"
    path.unlink()
    path.write_text(text)
    with pytest.raises(StoreError, match=r"00000003\.json' is not a review record") as error:
        log.entries()
    assert "\n" not in str(error.value)


def test_an_altered_last_decision_is_noticed_by_what_was_announced(embedded):
    embedded.candidate("r1")
    embedded.candidate("r2")
    embedded.session().approve("1")
    rewrite(embedded.store / "reviews/aed/00000001.json", by="mallory")
    with pytest.raises(RegistryError, match="lacks the decision that the registry knows of"):
        embedded.session().approve("2")


# Crashes


class Killed(BaseException):
    """Stands for a signal between two calls."""


WRITES = ("create_", "delete_", "put", "set_")


class Fault:
    """Passes calls on; after the ``most``-th that writes, the process is 'killed'."""

    def __init__(self, real, calls: list[str], most: int) -> None:
        self._real, self._calls, self._most = real, calls, most

    def __getattr__(self, name: str):
        found = getattr(self._real, name)
        if not name.startswith(WRITES):
            return found

        def called(*args, **options):
            result = found(*args, **options)
            self._calls.append(name)
            if len(self._calls) == self._most:
                raise Killed
            return result

        return called


@pytest.mark.parametrize("verdict", ["approve", "roll_back"])
def test_a_decision_that_is_killed_anywhere_is_finished_or_given_up(embedded, monkeypatch, verdict):
    world = embedded
    for run in ("r0", "r1"):
        world.candidate(run)
        world.session().approve("candidate")
    client = world.registry.client
    ends = set()
    for most in range(1, 60, 2):
        if verdict == "approve":
            world.candidate(f"killed-{most}")
        before = (world.at("champion"), world.at("previous"))
        calls: list[str] = []
        session = world.session("ann", f"attempt {most}")
        decided = len(session.log.entries())
        monkeypatch.setitem(world.registry.__dict__, "client", Fault(client, calls, most))
        monkeypatch.setattr(session.log, "store", Fault(session.log.store, calls, most))
        try:
            session.approve("candidate") if verdict == "approve" else session.roll_back()
            finished = True
        except Killed:
            finished = False
        monkeypatch.setitem(world.registry.__dict__, "client", client)
        notes = overview(world.session(), 1).notes
        entries = world.session("bob").finished_entries()
        assert overview(world.session(), 1).notes == []
        after = (world.at("champion"), world.at("previous"))
        if len(entries) == decided:  # killed before the record
            assert after == before
            continue
        last = entries[-1]
        ends.add(last.outcome.state)
        assert last.outcome.state == "applied" or not finished
        if last.applied:
            assert after == (last.outcome.champion, before[0]), calls
            assert last.decision.comment == f"attempt {most}"
        else:
            assert after == before, calls
            assert any("was interrupted (ann " in note for note in notes)
        if verdict == "approve":
            made = client.search_model_versions(
                f"name = 'aed' and tags.`review.release` = '{last.decision.id}'"
            )
            assert len(made) == (1 if last.applied else 0), calls
        if finished:
            break
    assert finished
    assert most > 10
    assert ends == {"applied", "failed"}


# Processes


DECIDE = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from review_world import World
from soundgate.errors import RegistryError
from soundgate.registry.service.connection import Registry

folder, by, version = Path(sys.argv[1]), sys.argv[2], sys.argv[3]

def both_are_ready():
    (folder / f"ready-{by}").touch()
    while len(list(folder.glob("ready-*"))) < 2:
        time.sleep(0.01)
    return f"for {by}"

world = World(Registry(f"sqlite:///{folder}/mlflow.db"), folder)
try:
    print("won", world.session(by, both_are_ready).approve(version).decision.number)
except RegistryError as error:
    print("told", error)
"""


def test_of_two_processes_that_decide_at_once_one_wins(embedded, tmp_path):
    embedded.candidate("r1")
    embedded.candidate("r2")
    tests = str(Path(__file__).parent)
    processes = {
        by: subprocess.Popen(
            [sys.executable, "-c", DECIDE, tmp_path, by, version, tests],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(tests).parent,
        )
        for by, version in (("ann", "1"), ("bob", "2"))
    }
    said = {by: process.communicate()[0].strip() for by, process in processes.items()}
    [winner] = [by for by, line in said.items() if line == "won 1"]
    [loser] = set(said) - {winner}
    assert said[loser].startswith(f"told meanwhile {winner} approved candidate")
    assert f": for {winner}; your decision changed nothing" in said[loser]
    run = {"ann": "r1", "bob": "r2"}[winner]
    assert embedded.tags("aed", "1")["pipeline.run"] == run
    assert embedded.records() == ["00000001.applied.json", "00000001.json"]
