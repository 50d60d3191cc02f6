"""The commands that score and post-process systems for sound event detection."""

from __future__ import annotations

import importlib
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

ROOM = "soundgate.audio.detection.sound_events"
"""Loaded by name: the commands of a submitting host do without the libraries of sound."""
POSTPROCESSING = "soundgate.audio.detection.postprocessing.files"
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


def tune_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tune-events``."""
    parser.add_argument("--truth", type=Path, required=True, help="strong list to tune on")
    parser.add_argument(
        "--scores", type=Path, required=True, help="folder of score tables, one a clip"
    )
    parser.add_argument("--out", type=Path, required=True, help="postprocessing.json to write")
    parser.add_argument("--audio-durations", type=Path, help="table of the seconds of each clip")
    parser.add_argument("--classes", type=names, default=(), help="classes to tune, a,b,c")
    parser.add_argument(
        "--methods",
        type=names,
        default=("none", "median", "csebbs"),
        help="what is tried (default: none,median,csebbs)",
    )


def tune_events(args: argparse.Namespace) -> int:
    """Choose median filter or bounding boxes for each class, by PSDS 1 on clips set aside."""
    files = importlib.import_module(POSTPROCESSING)
    for line in files.tune_files(
        args.truth,
        args.scores,
        args.out,
        durations=args.audio_durations,
        classes=args.classes,
        methods=args.methods,
    ):
        print(line)
    return 0


def postprocess_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``postprocess-events``."""
    parser.add_argument(
        "--scores", type=Path, required=True, help="folder of score tables, one a clip"
    )
    parser.add_argument(
        "--postprocessing", type=Path, required=True, help="postprocessing.json of tune-events"
    )
    parser.add_argument("--out", type=Path, required=True, help="empty or new folder of tables")
    parser.add_argument("--oracle", action="store_true", help="allow clips that it was tuned on")
    parser.add_argument(
        "--events", type=Path, help="file to write detections to (a folder: Audacity)"
    )
    parser.add_argument(
        "--to", choices=("dcase", "raven", "audacity"), default="dcase", help="format of --events"
    )
    parser.add_argument(
        "--threshold", type=float, default=0.5, help="of the detections (default: 0.5)"
    )


def postprocess_events(args: argparse.Namespace) -> int:
    """Turn score tables into those of filtered scores and boxes, and into detections."""
    files = importlib.import_module(POSTPROCESSING)
    export = files.Export(args.events, args.to, args.threshold) if args.events else None
    for line in files.postprocess_files(
        args.scores, args.postprocessing, args.out, oracle=args.oracle, export=export
    ):
        print(line)
    return 0
