"""SageMaker's limits, checked when a pipeline is rendered and not after an hour of jobs.

The figures are those of CreateProcessingJob and CreateTrainingJob.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from soundgate.arguments import spell
from soundgate.errors import DefinitionError
from soundgate.executors.base import OpenArgument
from soundgate.executors.sagemaker.rendering.locations import PROCESSING, TRAINING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundgate.executors.sagemaker.rendering.job import Job
    from soundgate.task import LogMetric

ARGUMENTS, ARGUMENT_CHARACTERS = 100, 256
OUTPUTS = 10
PATH_CHARACTERS = 256
ENVIRONMENT_CHARACTERS = {PROCESSING: 256, TRAINING: 512}
HYPERPARAMETER_CHARACTERS = 2500
METRICS, METRIC_NAME_CHARACTERS, REGEX_CHARACTERS = 40, 255, 500
LONGEST_S = {PROCESSING: 777_600, TRAINING: 2_419_200}
"""Longest time limits: nine and 28 days."""
UNSENDABLE = re.compile("[\0\n\r\x85\u2028\u2029\ud800-\udfff]")
"""Characters that SageMaker refuses in an argument, and those that no command line can hold."""


def seconds(job: Job) -> int:
    """Return a job's time limit.

    Raises:
        DefinitionError: it exceeds the limit for this kind of job.
    """
    limit_s = math.ceil(job.resources.hours * 3600)
    most_s = LONGEST_S[job.kind]
    if limit_s > most_s:
        raise DefinitionError(
            f"task {job.name!r} asks for {job.resources.hours:g} h, but a SageMaker "
            f"{job.kind.title()} job takes {most_s // 3600} h at most; lower Resources(hours=)"
        )
    return limit_s


def check(job: Job, arguments: Mapping[str, Any], opened: Mapping[str, Any]) -> None:
    """Refuse a job that exceeds a limit of SageMaker.

    Args:
        job: the job.
        arguments: the job as ``Arguments`` of a step.
        opened: the pipeline's open parameters, with their values in this render.

    Raises:
        DefinitionError: names the task, the argument, its length and the limit.
    """
    _check_words(job, opened)
    if len(job.outputs) > OUTPUTS and job.kind == PROCESSING:
        raise DefinitionError(
            f"task {job.name!r} has {len(job.outputs)} outputs, but a SageMaker Processing job has "
            f"at most {OUTPUTS}"
        )
    for mount in job.mounts:
        _length(job, f"the path of input {mount.name!r}", mount.path, PATH_CHARACTERS)
    for name, value in arguments["Environment"].items():
        if isinstance(value, str):
            _length(job, f"variable {name}", value, ENVIRONMENT_CHARACTERS[job.kind])
    for name, value in arguments.get("HyperParameters", {}).items():
        if isinstance(value, str):
            _length(job, f"hyperparameter {name}", value, HYPERPARAMETER_CHARACTERS)


def check_metrics(job: str, metrics: Sequence[LogMetric]) -> None:
    """Refuse metric definitions that exceed the limits of a Training job.

    Raises:
        DefinitionError: names the metric, and the limit.
    """
    if len(metrics) > METRICS:
        raise DefinitionError(
            f"task {job!r}: {len(metrics)} metrics are to be found in its log, a SageMaker "
            f"Training job takes {METRICS}: drop some of log_metrics, or regex= of its gates' "
            "metrics"
        )
    for metric in metrics:
        for what, text, most in (
            ("name", metric.name, METRIC_NAME_CHARACTERS),
            ("regex", metric.regex, REGEX_CHARACTERS),
        ):
            if len(text) > most:
                raise DefinitionError(
                    f"metric {metric.name!r}: its {what} has {len(text)} characters, SageMaker "
                    f"takes {most}"
                )


def _check_words(job: Job, opened: Mapping[str, Any]) -> None:
    words = job.words[3:]
    if len(words) > ARGUMENTS:
        raise DefinitionError(
            f"task {job.name!r}: its command has {len(words)} words, but SageMaker takes at most "
            f"{ARGUMENTS}: join in two levels, or pass a list as a file (Pipeline.file)"
        )
    flag = ""
    for word in words:
        if isinstance(word, OpenArgument):
            flag, text = word.flag, f"{word.flag}={spell(opened[word.parameter])}"
        else:
            text = word
            flag = word.partition("=")[0] if word.startswith("--") else flag
        _length(job, f"argument {flag}", text, ARGUMENT_CHARACTERS)
        if found := UNSENDABLE.search(text):
            what = "a line break" if found[0].isspace() else f"the character {found[0]!a}"
            raise DefinitionError(
                f"task {job.name!r}: argument {flag} has {what}, which SageMaker refuses: "
                "pass the text as a file (Pipeline.file)"
            )


def _length(job: Job, what: str, text: str, most: int) -> None:
    if len(text) > most:
        raise DefinitionError(
            f"task {job.name!r}: {what} has {len(text)} characters, but SageMaker takes at most "
            f"{most}: shorten it, or pass it as a file (Pipeline.file)"
        )
