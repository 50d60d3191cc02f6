"""What the environment of a build says about its project, in the words of ``run-pipeline``.

    python -m infra.project check     refuse a build that cannot succeed; what it will do
    python -m infra.project tags      for --tags
    python -m infra.project kwargs    for --kwargs
    python -m infra.project profile   for --profile: the site
    python -m infra.project module    for --module-name
    python -m infra.project config    for --config

The variables are those of SageMaker's project templates, and a few more:

    SAGEMAKER_PROJECT_NAME, SAGEMAKER_PROJECT_ID, SAGEMAKER_PROJECT_NAME_ID (of both, where absent)
    ARTIFACT_BUCKET, SAGEMAKER_PIPELINE_ROLE_ARN, AWS_REGION, USECASE_NAME (aed where absent)
    DATASET_NAME, DOWNLOAD_COMMAND, USER_CONFIG: what is trained on; else what the user config says
    IMAGE_URI, TRAINING_IMAGE_URI: what jobs run in, and training on a GPU where it differs
    SAGEMAKER_JOB_ROLE_ARN, SAGEMAKER_KMS_KEY_ARN, MLFLOW_TRACKING_URI: where the account has them
    SITE_PROFILE: a profile to start from (instance types, network, limits)

Everything is printed as one JSON document, so that no value, whatever quotes it holds, becomes a
word of the shell or a key of another value. The standard library and PyYAML are enough.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from soundgate.errors import ConfigError, ParameterError, SoundgateError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NEEDED = (
    "SAGEMAKER_PROJECT_NAME",
    "SAGEMAKER_PROJECT_ID",
    "ARTIFACT_BUCKET",
    "SAGEMAKER_PIPELINE_ROLE_ARN",
    "AWS_REGION",
)
"""Variables without which nothing can be started."""
PLACEHOLDER = re.compile(r"<YOUR_\w+>")
"""What is left of a template that nobody filled in."""
MOST_LETTERS = 63
"""Of the name of a pipeline or of a model package group."""
PROFILE_FIELDS = {
    "region": "AWS_REGION",
    "bucket": "ARTIFACT_BUCKET",
    "pipeline_role_arn": "SAGEMAKER_PIPELINE_ROLE_ARN",
    "image_uri": "IMAGE_URI",
    "training_image_uri": "TRAINING_IMAGE_URI",
    "job_role_arn": "SAGEMAKER_JOB_ROLE_ARN",
    "kms_key": "SAGEMAKER_KMS_KEY_ARN",
    "mlflow_tracking_uri": "MLFLOW_TRACKING_URI",
}
"""Fields of a SageMaker profile that the account decides, and the variables that say them."""


def full_name(environment: Mapping[str, str]) -> str:
    """Return the project's name and id, as SageMaker lets a pipeline and a group be called.

    That is letters, digits and single dashes; whatever else is in the name becomes a dash.
    """
    both = (environment["SAGEMAKER_PROJECT_NAME"], environment["SAGEMAKER_PROJECT_ID"])
    wanted = environment.get("SAGEMAKER_PROJECT_NAME_ID") or "-".join(both)
    return re.sub(r"[^A-Za-z0-9]+", "-", wanted).strip("-")[:MOST_LETTERS].rstrip("-")


def tags(environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Return what marks the pipeline, and what it starts, as the project's."""
    marks = {"sagemaker:project-name": "NAME", "sagemaker:project-id": "ID"}
    return [
        {"Key": key, "Value": _tag_value(environment[f"SAGEMAKER_PROJECT_{word}"])}
        for key, word in marks.items()
    ]


def _tag_value(text: str) -> str:
    """Replace by a dash what AWS refuses in a tag: everything but letters, digits, a few signs."""
    return re.sub(r"[^\w\s.:/=+@-]", "-", text)[:256]


def kwargs(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the keywords of the project templates, and the data set where one is named."""
    name = full_name(environment)
    found = {
        "usecase_name": usecase(environment),
        "region": environment["AWS_REGION"],
        "role": environment["SAGEMAKER_PIPELINE_ROLE_ARN"],
        "default_bucket": environment["ARTIFACT_BUCKET"],
        "pipeline_name": name,
        "model_package_group_name": name,
        "base_job_prefix": name,
        "sagemaker_project_name": _tag_value(environment["SAGEMAKER_PROJECT_NAME"]),
        "sagemaker_project_id": _tag_value(environment["SAGEMAKER_PROJECT_ID"]),
    }
    data = {"dataset": "DATASET_NAME", "download_command": "DOWNLOAD_COMMAND"}
    given = {name: environment.get(variable, "").strip() for name, variable in data.items()}
    return found | {keyword: value for keyword, value in given.items() if value}


def profile(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the site's profile, completed by what the account decides.

    Raises:
        ConfigError: ``SITE_PROFILE`` cannot be read or is no mapping.
    """
    site = _read(environment.get("SITE_PROFILE", ""))
    decided = {name: environment.get(of, "") for name, of in PROFILE_FIELDS.items()}
    # Below the user config, so that a config may keep its data sets elsewhere.
    parameters = {"store": f"s3://{environment['ARTIFACT_BUCKET']}"} | site.get("parameters", {})
    return site | {n: value for n, value in decided.items() if value} | {"parameters": parameters}


def usecase(environment: Mapping[str, str]) -> str:
    """Return the use case, as its pipeline's module is called."""
    return environment.get("USECASE_NAME", "").strip().lower() or "aed"


def module(environment: Mapping[str, str]) -> str:
    """Return the pipeline's module.

    Raises:
        ParameterError: no file of ``pipelines/`` has the use case's name.
    """
    name = usecase(environment)
    known = sorted(path.stem for path in Path("pipelines").glob("[!_]*.py"))
    if name not in known:
        raise ParameterError(f"USECASE_NAME={name}: no such pipeline{nearest(name, known)}")
    return f"pipelines.{name}"


def config(environment: Mapping[str, str]) -> str:
    """Return the user config's path.

    Raises:
        ConfigError: there is no such file.
    """
    path = environment.get("USER_CONFIG", "").strip()
    path = path or f"user_configs/{usecase(environment)}.yaml"
    if not Path(path).is_file():
        raise ConfigError(f"USER_CONFIG={path}: no such user config in this repository")
    return path


def check(environment: Mapping[str, str]) -> str:
    """Say what the build will train and where, or what keeps it from doing so.

    Raises:
        ParameterError: a variable is absent, a template's placeholder still, or no pipeline's name.
        ConfigError: the user config or the site's profile is absent.
    """
    absent = [name for name in NEEDED if not environment.get(name)]
    if absent:
        raise ParameterError(f"{', '.join(absent)}: not set; the build's project defines them")
    unfilled = [n for n in ("DATASET_NAME", "DOWNLOAD_COMMAND") if _unfilled(environment, n)]
    if unfilled:
        raise ParameterError(f"{', '.join(unfilled)}: a placeholder; fill it in, or leave it empty")
    if not profile(environment).get("image_uri"):
        raise ParameterError("IMAGE_URI: not set; name the image that infra/containers/ makes")
    pipeline, settings = module(environment), config(environment)
    data = environment.get("DATASET_NAME") or f"the data set of {settings}"
    bucket = environment["ARTIFACT_BUCKET"]
    return f"{pipeline} by {settings} on {data}, kept in s3://{bucket}/train/datasets/"


def _unfilled(environment: Mapping[str, str], name: str) -> bool:
    return bool(PLACEHOLDER.search(environment.get(name, "")))


def _read(path: str) -> dict[str, Any]:
    if not path:
        return {}
    try:
        values = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"SITE_PROFILE={path}: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict) or not isinstance(values.get("parameters", {}), dict):
        raise ConfigError(f"SITE_PROFILE={path}: expected fields of a SageMaker profile by name")
    return values


ANSWERS: dict[str, Callable[[Mapping[str, str]], Any]] = {
    "check": check,
    "config": config,
    "kwargs": kwargs,
    "module": module,
    "profile": profile,
    "tags": tags,
}


def main(words: Sequence[str]) -> int:
    """Print what is asked for; texts as they are, everything else as JSON."""
    try:
        [asked] = words
        if asked not in ANSWERS:
            raise ParameterError(f"no such question {asked!r}{nearest(asked, ANSWERS)}")
        answer = ANSWERS[asked](os.environ)
    except KeyError as error:
        print(f"infra.project: {error.args[0]}: not set", file=sys.stderr)
        return ParameterError.exit_code
    except SoundgateError as error:
        print(f"infra.project: {error}", file=sys.stderr)
        return error.exit_code
    print(answer if isinstance(answer, str) else json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
