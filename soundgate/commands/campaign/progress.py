"""How the runs of a campaign stand: each is found again by its tags and its invocation."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from soundgate import executors, invocation, runs
from soundgate.commands.campaign.entries import CAMPAIGN, ENTRY
from soundgate.errors import ParameterError
from soundgate.executors.display import duration
from soundgate.executors.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.commands.campaign.entries import Entry
    from soundgate.run_record import RunRecord

LONGEST_S: Final = 30.0
"""Longest time between two looks at a run."""
NEW: Final = "not started"


@dataclass
class Standing:
    """An entry, and its newest run."""

    entry: Entry
    run: str = ""
    state: str = NEW
    reason: str = ""
    duration_s: float | None = None

    @property
    def is_done(self) -> bool:
        """Whether its results are there."""
        return self.state == runs.State.SUCCEEDED

    @property
    def is_running(self) -> bool:
        """Whether it can still change by itself."""
        return self.state in (runs.State.RUNNING, runs.State.PENDING)

    def take(self, record: RunRecord) -> None:
        """Note how a run of it stands."""
        failed = [name for name, t in record["tasks"].items() if t["state"] == runs.State.FAILED]
        self.run, self.state = record["run"], record["state"]
        self.reason = record["reason"] or ", ".join(failed)
        self.duration_s = record.get("duration_s")


def find_standings(root: Path, campaign: str, entries: Sequence[Entry]) -> list[Standing]:
    """How the newest run of each entry stands, brought up to date."""
    standings = {entry.name: Standing(entry) for entry in entries}
    for run in runs.all_runs(root, "sec"):
        try:
            record = run.read()
        except ParameterError:  # a damaged record is no run to go on with
            continue
        tags = {tag["Key"]: tag["Value"] for tag in record["invocation"].get("tags") or ()}
        found = standings.get(tags.get(ENTRY, ""))
        if tags.get(CAMPAIGN) != campaign or found is None or found.run:
            continue
        if record["invocation"]["config"] == str(found.entry.config):
            found.take(look(run, record))
    return list(standings.values())


def look(run: runs.Run, record: RunRecord | None = None) -> RunRecord:
    """A run's record, brought up to date."""
    record = record or run.read()
    if runs.State(record["state"]).final:
        return record
    asked = invocation.recorded(record)
    found: RunRecord = executors.load(asked.executor, asked.options).poll(run)
    return found


def is_as_asked(root: Path, standing: Standing, words: Sequence[str]) -> bool:
    """Whether a run was started with these arguments."""
    kept = runs.find_run(root, standing.run).read()["invocation"]
    given = [(word, words[n + 1]) for n, word in enumerate(words[:-1])]
    sets = [value for word, value in given if word == "--set"]
    options = dict(given)
    return (
        list(kept["assignments"]) == sets
        and kept["executor"] == options["--executor"]
        and kept["tags"] == json.loads(options["--tags"])
    )


def wait(root: Path, standings: Sequence[Standing]) -> None:
    """Look at running ones until none is."""
    pace = Pace(LONGEST_S)
    while waiting := [each for each in standings if each.is_running]:
        time.sleep(pace.left_s())
        before = [each.state for each in waiting]
        for each in waiting:
            each.take(look(runs.find_run(root, each.run)))
        pace.went_on(asked=True, happened=before != [each.state for each in waiting])


def rows(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """A row for each run, as the table shows it."""
    return [
        {
            "config": each.entry.config.name,
            "format": each.entry.audio_format,
            "octaves": list(each.entry.octaves),
            "cut_secs": each.entry.cut_s,
            "state": each.state,
            "run": each.run,
            "duration_s": each.duration_s,
            "reason": each.reason,
        }
        for each in standings
    ]


def table(standings: Sequence[Standing]) -> list[list[str]]:
    """The same as cells, with a header."""
    head = ["config", "format", "octaves", "seconds", "state", "time", "run", "reason"]
    return [
        head,
        *(
            [
                *(row["config"], row["format"], ", ".join(map(str, row["octaves"]))),
                *(f"{row['cut_secs']:g}", row["state"], duration(row["duration_s"])),
                *(row["run"], row["reason"]),
            ]
            for row in rows(standings)
        ),
    ]
