"""The command that scores systems for sound event detection."""

from __future__ import annotations

import importlib
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

ROOM = "soundgate.audio.detection.sound_events"
"""Loaded by name: the commands of a submitting host do without the libraries of sound."""
_PSDS = ("dtc", "gtc", "cttc", "alpha_ct", "alpha_st", "max_efpr")


def score_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``score-events``."""
    parser.add_argument("--truth", type=Path, required=True, help="strong list of the events")
    scores = "folder of score tables (one a clip) or of strong lists (one a threshold), or a list"
    parser.add_argument("--scores", type=Path, required=True, help=scores)
    parser.add_argument("--against", type=Path, help="another system's scores, to compare with")
    parser.add_argument("--audio-durations", type=Path, help="table of the seconds of each clip")
    parser.add_argument("--classes", type=names, default=(), help="classes that count, a,b,c")
    parser.add_argument(
        "--windows",
        action="store_true",
        help="clips are windows RECORDING-FROM-TO, whose recordings are judged by segments",
    )
    _add_rules(parser)
    parser.add_argument("--draws", type=int, default=200, help="bootstrap samples (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the samples (default: 0)")
    parser.add_argument("--json", type=Path, help="file to write all figures to")


def _add_rules(parser: argparse.ArgumentParser) -> None:
    for name, default, about in (
        ("--threshold", 0.5, "of scores, for the F1 figures"),
        ("--collar", 0.2, "seconds that onsets and offsets may be off"),
        ("--segment", 1.0, "seconds of a segment"),
        ("--max-fpr", 0.1, "false-positive rate up to which mpAUC goes"),
        ("--least-confidence", 0.5, "events count whose confidence is above it"),
    ):
        parser.add_argument(name, type=float, default=default, help=f"{about} (default: {default})")
    parser.add_argument(
        "--psds",
        dest="settings",
        action="append",
        default=[],
        type=setting,
        metavar="NAME:DTC,GTC,CTTC,ALPHA_CT,ALPHA_ST,MAX_EFPR",
        help="a further PSDS, such as mine:0.5,0.5,0.3,0,1,100; repeatable",
    )


def names(text: str) -> tuple[str, ...]:
    """Read names with commas between them."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def setting(text: str) -> tuple[str, tuple[float, ...]]:
    """Read the name and the six numbers of a PSDS."""
    name, _, numbers = text.partition(":")
    try:
        values = tuple(float(part) for part in numbers.split(","))
    except ValueError:
        values = ()
    if not name or len(values) != len(_PSDS):
        raise ArgumentTypeError(f"expected NAME:{','.join(_PSDS)}, got {text!r}")
    return name, values


def score_events(args: argparse.Namespace) -> int:
    """Score detected sound events: PSDS, F1 of events and segments, AUROC and mpAUC."""
    scoring = importlib.import_module(f"{ROOM}.scoring")
    report = importlib.import_module(f"{ROOM}.report")
    question = scoring.Question(
        args.truth,
        args.scores,
        args.against,
        args.audio_durations,
        scoring.Reading(args.classes, args.least_confidence, args.windows),
        scoring.rules(
            dict(args.settings),
            threshold=args.threshold,
            collar_s=args.collar,
            segment_s=args.segment,
            most_false_positive_rate=args.max_fpr,
        ),
        draws=args.draws,
        seed=args.seed,
    )
    record = report.record_of(scoring.answer(question))
    for line in report.lines(record):
        print(line)
    if args.json:
        report.write(args.json, record)
    return 0
