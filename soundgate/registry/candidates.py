"""Registering a candidate: a model, its signature, and what a reviewer needs to judge it.

A candidate is a version of the registered model ``<name>-candidates``, tagged ``gate.<metric>``,
``review.status=pending``, ``git.commit``, ``dataset.digest`` and ``pipeline.run``. A reviewer
releases it by copying it to ``<name>``: MLflow grants rights for each registered model, so that
whoever trains cannot release.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate.errors import DataError, RegistryError
from soundgate.registry.tracking import RUN_TAG, find_run, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

    from soundgate.registry.connection import Registry

ALIAS = "candidate"
BOUNDS = {"at_least": "≥", "at_most": "≤"}
DIGEST_TAG = "model.digest"
TAGS = {
    "run": "pipeline.run",
    "pipeline": "pipeline.name",
    "commit": "git.commit",
    "dataset": "dataset.digest",
}
PICKLES = {".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}


@dataclass(frozen=True)
class TensorDescription:
    """A tensor a model takes or gives; -1 in ``shape`` is a dimension of any size."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class Signature:
    """What a model takes and what it gives."""

    input: TensorDescription
    output: TensorDescription


def patch_signature(mel_bands: int, classes: int) -> Signature:
    """Of a classifier: log-mel patches (patch, 1, mel, frame) to scores (patch, class)."""
    return Signature(
        TensorDescription("patches", (-1, 1, mel_bands, -1)),
        TensorDescription("scores", (-1, classes)),
    )


@dataclass(frozen=True)
class _Candidate:
    """What is being registered; ``digest`` is of the model's files."""

    run: str
    registered_name: str
    model: Path
    digest: str
    signature: Signature
    report: Path
    metrics: Mapping[str, float]
    verdicts: Sequence[Mapping[str, Any]]
    tags: Mapping[str, str]


def register_candidate(  # noqa: PLR0913 # each is one thing a reviewer needs, all by name
    registry: Registry,
    *,
    model: Path,
    report: Path,
    name: str,
    provenance: Mapping[str, str],
    verdicts: Sequence[Mapping[str, Any]],
    signature: Signature,
    metrics: Mapping[str, float],
) -> dict[str, str]:
    """Register the model of a run as a candidate for review, once.

    A run registers one version however often this is called: a call after one that was killed
    continues where that one stopped, and a call after one that finished returns the same version.

    Args:
        registry: where.
        model: folder with ``model.json`` and ``weights.safetensors``; no pickles.
        report: folder with ``evaluation.json``; all its files become artifacts of the MLflow run.
        name: of the model; the version goes to ``<name>-candidates``.
        provenance: ``run`` (the Soundgate run's id, required), ``commit``, ``dataset`` (digest),
            ``pipeline``; any other key becomes a tag of that name.
        verdicts: of the gates, ``verdict.json`` each: metric, value, bound, threshold, passed.
        signature: what the model takes and gives.
        metrics: of the evaluation, by name.

    Returns:
        ``{"name", "version", "run_id", "model_uri", "tracking_uri"}``.

    Raises:
        DataError: a file is missing, or the model holds a pickle.
        RegistryError: the run registered other bytes before, or MLflow refused or failed.
    """
    if not provenance.get("run"):
        raise RegistryError("provenance lacks 'run', the id that a candidate is registered under")
    candidate = _Candidate(
        run=provenance["run"],
        registered_name=f"{name}-{ALIAS}s",
        model=model,
        digest=_checked(model, report),
        signature=signature,
        report=report,
        metrics=metrics,
        verdicts=verdicts,
        tags={TAGS.get(key, key): str(value) for key, value in provenance.items() if value},
    )
    with registry.transaction() as client:
        tracked = find_run(registry, client, candidate.run)
        version = _version_of(client, candidate)
        if version is None:
            logged = _logged_model(client, tracked, candidate)
            _log_evidence(client, tracked, logged, candidate)
            version = _create_version(registry, client, logged, candidate)
        elif version.tags.get(DIGEST_TAG) != candidate.digest:
            raise RegistryError(
                f"run {candidate.run!r} registered other bytes before, as "
                f"{candidate.registered_name} version {version.version}; start a new run to "
                "register this model"
            )
        _point_alias(client, version)
    return {
        "name": candidate.registered_name,
        "version": str(version.version),
        "run_id": tracked.info.run_id,
        "model_uri": f"models:/{candidate.registered_name}/{version.version}",
        "tracking_uri": registry.uri,
    }


def _checked(model: Path, report: Path) -> str:
    """SHA-256 over the model's files, which must all be there and none of them a pickle."""
    for needed in (model / "model.json", model / "weights.safetensors", report / "evaluation.json"):
        if not needed.is_file():
            raise DataError(f"{needed} is missing; it is needed to register a model")
    digest = hashlib.sha256()
    for path in sorted(path for path in model.rglob("*") if path.is_file()):
        if path.suffix in PICKLES:
            raise DataError(f"{path} may run code when it is read; save weights as .safetensors")
        with path.open("rb") as stream:
            of_file = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{of_file}  {path.relative_to(model).as_posix()}\n".encode())
    return digest.hexdigest()


def _version_of(client: MlflowClient, candidate: _Candidate) -> ModelVersion | None:
    """The version that the run registered; the lowest, should a race have made two."""
    found = client.search_model_versions(
        f"name = {quoted(candidate.registered_name)} "
        f"and tags.`{TAGS['run']}` = {quoted(candidate.run)}"
    )
    return min(found, key=lambda version: int(version.version), default=None)


def _logged_model(client: MlflowClient, tracked: Run, candidate: _Candidate) -> LoggedModel:
    """The MLflow model with these bytes, uploaded whole; one an earlier call began is completed."""
    tags = {RUN_TAG: candidate.run, DIGEST_TAG: candidate.digest}
    same = " and ".join(f"tags.`{key}` = {quoted(value)}" for key, value in tags.items())
    found = client.search_logged_models([tracked.info.experiment_id], same, max_results=1)
    if found:
        logged = found[0]
    else:
        logged = client.create_logged_model(
            tracked.info.experiment_id,
            name="model",
            source_run_id=tracked.info.run_id,
            tags=tags,
            model_type="soundgate",
        )
    if logged.status != "READY":
        client.log_model_artifacts(logged.model_id, str(candidate.model))
        with tempfile.TemporaryDirectory() as folder:
            description = Path(folder) / "MLmodel"
            _ml_model(logged, tracked, candidate.signature).save(str(description))
            client.log_model_artifact(logged.model_id, str(description))
        logged = client.finalize_logged_model(logged.model_id, "READY")
    return logged


def _ml_model(logged: LoggedModel, tracked: Run, signature: Signature) -> Any:
    """MLflow's description of the model: a flavor of our own, so that no pickle is involved."""
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(tensor: TensorDescription) -> Schema:
        return Schema([TensorSpec(np.dtype(tensor.dtype), tensor.shape, tensor.name)])

    return Model(
        run_id=tracked.info.run_id,
        model_id=logged.model_id,
        signature=ModelSignature(schema(signature.input), schema(signature.output)),
        flavors={"soundgate": {"config": "model.json", "weights": "weights.safetensors"}},
    )


def _log_evidence(
    client: MlflowClient, tracked: Run, logged: LoggedModel, candidate: _Candidate
) -> None:
    """Report, tags, metrics and the link to the model; the same again changes nothing."""
    from mlflow.entities import LoggedModelOutput, Metric, RunTag

    run_id = tracked.info.run_id
    # One fixed time, so that a repeated call does not add points to the metrics' histories.
    at_ms = tracked.info.start_time
    metrics = [
        Metric(key, float(value), at_ms, 0, model_id=logged.model_id, run_id=run_id)
        for key, value in candidate.metrics.items()
    ]
    client.log_artifacts(run_id, str(candidate.report), "report")
    client.log_batch(run_id, metrics, tags=[RunTag(*tag) for tag in candidate.tags.items()])
    outputs = client.get_run(run_id).outputs
    linked = {output.model_id for output in outputs.model_outputs} if outputs else set()
    if logged.model_id not in linked:
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])


def _create_version(
    registry: Registry, client: MlflowClient, logged: LoggedModel, candidate: _Candidate
) -> ModelVersion:
    """Create the version with its tags in one request; of two that raced, the lower stays."""
    from mlflow.exceptions import MlflowException

    name = candidate.registered_name
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    with registry.as_process_wide():
        created: ModelVersion = client.create_model_version(
            name,
            f"models:/{logged.model_id}",
            run_id=logged.source_run_id,
            tags={
                **candidate.tags,
                **_gate_tags(candidate.verdicts),
                DIGEST_TAG: candidate.digest,
                "review.status": "pending",
            },
            description=_description(logged, candidate),
            model_id=logged.model_id,
        )
    first = _version_of(client, candidate) or created
    if int(first.version) != int(created.version):
        client.delete_model_version(name, str(created.version))
    return first


def _point_alias(client: MlflowClient, version: ModelVersion) -> None:
    """Point the alias at ``version`` unless it is at a later one."""
    at = client.get_registered_model(version.name).aliases.get(ALIAS)
    if at is None or int(at) < int(version.version):
        client.set_registered_model_alias(version.name, ALIAS, str(version.version))


def _gate_tags(verdicts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """``gate.<metric>``: pass where every gate on that metric passed."""
    tags: dict[str, str] = {}
    for verdict in verdicts:
        tag = f"gate.{verdict['metric']}"
        passed = verdict["passed"] is True and tags.get(tag) != "fail"
        tags[tag] = "pass" if passed else "fail"
    return tags


def _description(logged: LoggedModel, candidate: _Candidate) -> str:
    """Markdown for the version's page: the gates as a table, and a link to the report."""
    lines = ["| gate | value | bound | verdict |", "| --- | --- | --- | --- |"]
    for verdict in candidate.verdicts:
        word = "passed" if verdict["passed"] is True else "missed"
        bound = f"{BOUNDS[verdict['bound']]} {verdict['threshold']}"
        lines.append(f"| {verdict['metric']} | {verdict['value']} | {bound} | {word} |")
    pages = sorted(path.name for path in candidate.report.glob("*.html"))
    page = pages[0] if pages else "evaluation.json"
    run = f"#/experiments/{logged.experiment_id}/runs/{logged.source_run_id}"
    lines += ["", f"[evaluation report]({run}/artifacts/report/{page})"]
    return "\n".join(lines)
