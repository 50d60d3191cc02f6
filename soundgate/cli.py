"""The command line: a table of commands, and the programs that run them.

``soundgate COMMAND`` offers every command; ``run-pipeline`` and others are also installed as
separate programs, because users of SageMaker's project templates know them by these names.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from soundgate.arguments import Parser
from soundgate.commands import doctor, look, review, run
from soundgate.commands.campaign import command as campaign
from soundgate.commands.sound import (
    benchmark,
    convert,
    corpora,
    detectors,
    encoders,
    events,
    export_tags,
    hdf5,
    search,
    serve,
)
from soundgate.errors import SoundgateError, UserError, about_place
from soundgate.text.masking import masked_output

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], Callable[..., None]]] = {
    "run-pipeline": (run.run_pipeline, run.run_arguments),
    "get-pipeline-definition": (run.get_definition, run.definition_arguments),
    "run-campaign": (campaign.run_campaign, campaign.campaign_arguments),
    "list-runs": (look.list_runs, look.list_arguments),
    "show-run": (look.show_run, look.show_arguments),
    "show-logs": (look.show_logs, look.log_arguments),
    "cancel-run": (look.cancel_run, look.cancel_arguments),
    "get-output": (look.get_output, look.get_arguments),
    "convert-annotations": (convert.convert_annotations, convert.convert_arguments),
    "build-corpus-index": (corpora.build_corpus_index, corpora.index_arguments),
    "prepare-datasets": (corpora.prepare_datasets, corpora.prepare_arguments),
    "make-selection-tables": (corpora.make_selection_tables, corpora.table_arguments),
    "import-detector": (detectors.import_detector, detectors.import_arguments),
    "evaluate-benchmark": (benchmark.evaluate_benchmark, benchmark.evaluate_arguments),
    "build-pred-index": (benchmark.build_pred_index, benchmark.index_arguments),
    "review-detections": (benchmark.review_detections, benchmark.review_arguments),
    "apply-corrections": (benchmark.apply_corrections, benchmark.correction_arguments),
    "score-events": (events.score_events, events.score_arguments),
    "tune-events": (events.tune_events, events.tune_arguments),
    "postprocess-events": (events.postprocess_events, events.postprocess_arguments),
    "export-tags": (export_tags.export_tags, export_tags.export_arguments),
    "stage-assets": (encoders.stage_assets, encoders.stage_arguments),
    "export-encoder": (encoders.export_encoder, encoders.export_arguments),
    "export-head": (encoders.export_head, encoders.head_arguments),
    "import-hdf5": (hdf5.import_hdf5, hdf5.import_arguments),
    "search-audio": (search.search_audio, search.search_arguments),
    "train-on-labels": (search.train_on_labels, search.label_arguments),
    "serve": (serve.serve, serve.serve_arguments),
    "doctor": (doctor.doctor, doctor.doctor_arguments),
    "show-parameters": (run.show_parameters, run.parameter_arguments),
    "review-model list": (review.list_candidates, review.list_arguments),
    "review-model show": (review.show_candidate, review.show_arguments),
    "review-model approve": (review.approve_candidate, review.approve_arguments),
    "review-model reject": (review.reject_candidate, review.reject_arguments),
    "review-model rollback": (review.roll_back, review.rollback_arguments),
    "review-model listen": (review.listen, review.listen_arguments),
}
"""Every command: its function and its arguments. Add new commands here.

A name of two words is a command and one of its actions.
"""


class Version(argparse.Action):
    """Prints the version; it is looked up only then, because that costs an import."""

    def __call__(self, parser: argparse.ArgumentParser, *_args: object) -> None:
        """Print it and end the program."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"soundgate {version('soundgate')}")
        except PackageNotFoundError:  # a checkout on the path, as in container images
            print("soundgate, not installed: run from source")
        parser.exit()


def _execute(command: str, args: argparse.Namespace) -> int:
    with masked_output():
        return _answered(command, args)


def _answered(command: str, args: argparse.Namespace) -> int:
    program = command.partition(" ")[0]
    try:
        return COMMANDS[command][0](args)
    except SoundgateError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `show-logs last | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        line = about_place(error)
        if line is None:
            raise
        print(f"{program}: {line}", file=sys.stderr)
        return UserError.exit_code
    except KeyboardInterrupt:  # the usual way to end `show-logs --follow`
        return 128 + signal.SIGINT


def _add(parser: argparse.ArgumentParser, command: str) -> None:
    """Add the arguments of a command, or its actions, to ``parser``."""
    if command in COMMANDS:
        COMMANDS[command][1](parser)
        parser.set_defaults(command=command)
        return
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, (function, _) in COMMANDS.items():
        program, _, action = name.partition(" ")
        if program == command:
            about = function.__doc__
            _add(actions.add_parser(action, help=about, description=about), name)


def _program(command: str, argv: Sequence[str] | None = None) -> int:
    about = COMMANDS[command][0].__doc__ if command in COMMANDS else ACTIONS[command]
    parser = Parser(prog=command, description=about)
    _add(parser, command)
    args = parser.parse_args(argv)
    return _execute(args.command, args)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``soundgate COMMAND ...``."""
    parser = Parser(prog="soundgate", description="Audio machine learning as code")
    parser.add_argument(
        "--version", action=Version, nargs=0, help="print the version of Soundgate and exit"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in dict.fromkeys(name.partition(" ")[0] for name in COMMANDS):
        about = COMMANDS[name][0].__doc__ if name in COMMANDS else ACTIONS[name]
        _add(commands.add_parser(name, help=about, description=about), name)
    args = parser.parse_args(argv)
    return _execute(args.command, args)


ACTIONS = {"review-model": "List and show candidates, approve or reject them, roll back a release."}
"""Descriptions of the commands that have actions."""


def run_pipeline() -> int:
    """``run-pipeline`` as a program."""
    return _program("run-pipeline")


def get_pipeline_definition() -> int:
    """``get-pipeline-definition`` as a program."""
    return _program("get-pipeline-definition")


def list_runs() -> int:
    """``list-runs`` as a program."""
    return _program("list-runs")


def show_run() -> int:
    """``show-run`` as a program."""
    return _program("show-run")


def show_logs() -> int:
    """``show-logs`` as a program."""
    return _program("show-logs")


def cancel_run() -> int:
    """``cancel-run`` as a program."""
    return _program("cancel-run")


def review_model() -> int:
    """``review-model`` as a program."""
    return _program("review-model")


if __name__ == "__main__":
    sys.exit(main())
