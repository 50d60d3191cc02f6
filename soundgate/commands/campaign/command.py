"""The command ``run-campaign``: starts the runs that are not finished, and shows all of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from soundgate import runs
from soundgate.commands.campaign import progress, site
from soundgate.commands.campaign.directives import MODES, read_directives
from soundgate.commands.campaign.entries import entries_of
from soundgate.commands.output import output_argument, print_table, runs_root
from soundgate.errors import ParameterError, UserError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from soundgate.commands.campaign.progress import Standing

FOLDER: Final = ".campaigns"
"""Below the folder of runs: profiles made of headers."""


@dataclass(frozen=True, slots=True)
class _Campaign:
    root: Path
    name: str
    words: dict[str, list[str]]
    """Arguments of ``run-pipeline`` by the entry's name."""
    again: bool
    quiet: bool


def campaign_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``run-campaign``."""
    parser.add_argument("directives", type=Path, help="file of directives: text, or YAML")
    parser.add_argument(
        "mode",
        nargs="?",
        choices=MODES,
        help="sequential (default): a run starts when the one before has succeeded; parallel: all "
        "at once",
    )
    parser.add_argument("--configs", type=Path, metavar="DIR", help="folder of the configs")
    parser.add_argument(
        "--set",
        dest="assignments",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="set a parameter, or section.key of the user configs, of every run; can be repeated",
    )
    parser.add_argument("--executor", help="local (default) or slurm")
    parser.add_argument("--profile", metavar="FILE", help="YAML file that describes the cluster")
    parser.add_argument(
        "--again", action="store_true", help="start finished runs again; unchanged tasks are reused"
    )
    parser.add_argument(
        "--no-wait", action="store_true", help="parallel: return as soon as all runs have started"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show how many tasks would run, and start nothing"
    )
    output_argument(parser)


def run_campaign(args: argparse.Namespace) -> int:
    """Run the embedding pipeline for every config, format and octave that a file lists."""
    directives = read_directives(args.directives)
    entries = entries_of(directives, args.configs)
    mode = args.mode or directives.header.get("SCHEDULING_MODE", MODES[0])
    if args.no_wait and mode != "parallel":
        raise ParameterError("--no-wait: sequential runs wait for one another; write parallel")
    for notice in directives.notices:
        print(f"{args.directives}: {notice}", file=sys.stderr)
    root, name = runs_root(), re.sub(r"[^\w.-]", "-", args.directives.stem)
    header = dict(directives.header)
    where = _site(args, root / FOLDER / name, header)
    asked = list(args.assignments)
    if (hours := site.hours_of(header)) is not None:
        asked.insert(0, f"hours={hours:g}")
    campaign = _Campaign(
        root=root,
        name=name,
        words={each.name: each.words(name, header, asked, where) for each in entries},
        again=args.again,
        quiet=args.output == "json",
    )
    standings = progress.find_standings(root, name, entries)
    if args.dry_run:
        return _show_plan(campaign, standings, as_json=args.output == "json")
    if mode == "parallel":
        _all_at_once(campaign, standings, wait=not args.no_wait)
    else:
        _one_after_another(campaign, standings)
    _show(standings, as_json=args.output == "json")
    going = args.no_wait and any(each.is_running for each in standings)
    return 0 if going or all(each.is_done for each in standings) else 1


def _site(args: argparse.Namespace, folder: Path, header: dict[str, str]) -> list[str]:
    executor = args.executor or "local"
    given = [key for key in site.SLURM_KEYS if key in header]
    if executor != "slurm":
        if given:
            listed = ", ".join(given)
            print(f"no effect with --executor {executor}: {listed}", file=sys.stderr)
        header.pop("SLURM_TIME", None)
        return ["--executor", executor, *(["--profile", args.profile] if args.profile else [])]
    profile = site.slurm_profile(header, args.profile or "", folder / "profile.yaml")
    return ["--executor", executor, "--profile", str(profile)]


def _one_after_another(campaign: _Campaign, standings: Sequence[Standing]) -> None:
    """Start each run when the one before has succeeded; the first that does not ends it."""
    for each in standings:
        if _is_finished(campaign, each):
            continue
        if each.is_running:  # somebody else's, or one that an earlier call left
            progress.wait(campaign.root, [each])
        if not _is_finished(campaign, each):
            _say(campaign, each)
            _start(campaign, each)
        if not each.is_done:
            return


def _all_at_once(campaign: _Campaign, standings: Sequence[Standing], *, wait: bool) -> None:
    for each in standings:
        if not each.is_running and not _is_finished(campaign, each):
            _say(campaign, each)
            _start(campaign, each, "--no-wait")
    if wait:
        progress.wait(campaign.root, standings)


def _is_finished(campaign: _Campaign, each: Standing) -> bool:
    """Whether its results are there, of the same arguments, and no new run is wanted."""
    if not each.is_done or campaign.again:
        return False
    return progress.is_as_asked(campaign.root, each, campaign.words[each.entry.name])


def _start(campaign: _Campaign, each: Standing, *options: str) -> None:
    """Start its run, or go on with an unfinished one, and note how it stands."""
    words = campaign.words[each.entry.name]
    # one that failed keeps what it finished; of other arguments it would be another run
    unfinished = each.run and not each.is_done
    if unfinished and progress.is_as_asked(campaign.root, each, words):
        words = ["--resume", each.run]
    done = _call([*words, *options])
    record: Any = _object(done.stdout)
    if record is None:
        each.state, each.reason = runs.State.FAILED, "run-pipeline refused it"
        if done.returncode == UserError.exit_code:
            return
        raise ParameterError(f"{each.entry.name}: run-pipeline ended with {done.returncode}")
    each.take(record)


def _call(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Call ``run-pipeline``: a process of its own, whose progress is shown as it comes."""
    program = [sys.executable, "-m", "soundgate.cli", "run-pipeline"]
    return subprocess.run(
        [*program, *words, "--output", "json"], stdout=subprocess.PIPE, text=True, check=False
    )


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _say(campaign: _Campaign, each: Standing) -> None:
    if not campaign.quiet:
        octaves = ", ".join(f"1/{n}" for n in each.entry.octaves)
        print(f"{each.entry.name}: octaves {octaves}", flush=True)


def _show(standings: Sequence[Standing], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(progress.rows(standings), indent=1))
    else:
        print_table(progress.table(standings))


def _show_plan(campaign: _Campaign, standings: Sequence[Standing], *, as_json: bool) -> int:
    """Say of each run how many of its tasks would run; nothing is started."""
    code = 0
    for each in standings:
        done = _call([*campaign.words[each.entry.name], "--dry-run"])
        plan = (_object(done.stdout) or {}).get("plan")
        if plan is None:
            each.state, code = "refused", done.returncode
            continue
        wanted = sum(1 for task in plan if task["action"] == "run")
        each.reason = f"{wanted} of {len(plan)} tasks would run"
    _show(standings, as_json=as_json)
    return code
