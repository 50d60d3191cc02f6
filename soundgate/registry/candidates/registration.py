"""Registering a candidate: a model, its signature, and what a reviewer needs to judge it.

A candidate is a version of the registered model ``<name>-candidates``, tagged ``gate.<metric>``,
``metric.<name>``, ``metrics.headline``, ``classes``, ``comparison.summary``,
``review.status=pending``, ``git.commit``, ``dataset.digest``, ``pipeline.run``, and the digests of
the model's files and of the page that it is reviewed by. A reviewer releases it by copying it to
``<name>``: MLflow grants rights for each registered model, so that whoever trains cannot release.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.checksums import file_sha256
from soundgate.errors import RegistryError
from soundgate.registry.candidates.contents import evidence_files, lay_out, model_files
from soundgate.registry.candidates.datasets import DATASET_DIGEST_TAG, dataset_inputs
from soundgate.registry.candidates.description import ONNX, version_page, write_ml_model
from soundgate.registry.service.tracking import RUN_TAG, find_run, quoted
from soundgate.registry.versions.bundle import (
    DIGEST_TAG,
    digest_of,
)
from soundgate.registry.versions.changes import Compared, change_tags
from soundgate.registry.versions.figures import Headline, figure_tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

    from soundgate.gates import Verdict
    from soundgate.registry.candidates.signatures import Signature
    from soundgate.registry.service.connection import Registry

ALIAS = "candidate"
PENDING = "pending"
STATUS_TAG = "review.status"
REPORT_DIGEST_TAG = "report.digest"
REPORT_PATH_TAG = "report.path"
VERDICTS_TAG = "gates.verdicts"
GATE_TAG = "gate."
ENTRY_FORMAT = "soundgate.entry/1"
TAGS = {
    "run": "pipeline.run",
    "pipeline": "pipeline.name",
    "commit": "git.commit",
    "dataset": DATASET_DIGEST_TAG,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """Where a candidate was registered."""

    name: str
    """Of the registered model, ``<model>-candidates``."""
    version: str
    run_id: str
    """MLflow's, of the run that it came from."""
    tracking_uri: str

    @property
    def model_uri(self) -> str:
        """``models:/<name>/<version>``, which every MLflow tool takes."""
        return f"models:/{self.name}/{self.version}"

    def as_json(self) -> dict[str, str]:
        """What ``entry.json`` holds."""
        return {"format": ENTRY_FORMAT, **asdict(self), "model_uri": self.model_uri}


@dataclass(frozen=True)
class _Candidate:
    """What is being registered; ``digest`` is of ``files``, the model's."""

    run: str
    registered_name: str
    files: Mapping[str, Path]
    digest: str
    signature: Signature | None
    evidence: Mapping[str, Path]
    report_path: str
    metrics: Mapping[str, float]
    headline: Sequence[Headline]
    classes: Sequence[str]
    compared: Compared | None
    verdicts: Sequence[Verdict]
    tags: Mapping[str, str]


def register_candidate(  # noqa: PLR0913 # each is one thing a reviewer needs, all by name
    registry: Registry,
    *,
    model: Path,
    report: Path,
    name: str,
    provenance: Mapping[str, str],
    verdicts: Sequence[Verdict],
    signature: Signature | None,
    metrics: Mapping[str, float],
    headline: Sequence[Headline] = (),
    classes: Sequence[str] = (),
    compared: Compared | None = None,
    exported: Path | None = None,
    review: Path | None = None,
) -> Registered:
    """Register the model of a run as a candidate for review, once.

    A run registers one version however often this is called: a call after one that was killed
    continues where that one stopped, and a call after one that finished returns the same version.
    So does a later run with the same bytes and the same verdicts.

    Args:
        registry: where.
        model: folder with ``model.json`` and weights, ``weights.safetensors`` say; no pickles.
        report: folder with ``evaluation.json``; its files become artifacts of the MLflow run.
        name: of the model; the version goes to ``<name>-candidates``.
        provenance: ``run`` (the Soundgate run's id, required), ``commit``, ``dataset`` (digest),
            ``pipeline``; any other key becomes a tag of that name.
        verdicts: of the gates.
        signature: what the model takes and gives; None where its folder does not say.
        metrics: of the report, by name.
        headline: the metrics that a reviewer sees first, the most telling one at the beginning.
        classes: names of the model's classes, in the order of its scores; none where it has none.
        compared: how it was held against the champion; None where it was not.
        exported: folder with ``model.onnx`` and what else a user of the model needs; it becomes
            ``export/`` beside the model's own files.
        review: folder with ``report.html``, the page a reviewer judges the candidate by; its files
            become artifacts too. Without it, ``evaluation.json`` is that page.

    Returns:
        Which version it is, and where.

    Raises:
        DataError: a file is missing, or the model holds a pickle.
        RegistryError: the run registered other bytes before, or MLflow refused or failed.
    """
    if not provenance.get("run"):
        raise RegistryError(
            "provenance must contain 'run', the id of the run that registers the candidate"
        )
    files = model_files(model, exported)
    evidence, report_path = evidence_files(report, review)
    candidate = _Candidate(
        run=provenance["run"],
        registered_name=candidates_of(name),
        files=files,
        digest=digest_of(files),
        signature=signature,
        evidence=evidence,
        report_path=report_path,
        metrics=metrics,
        headline=headline,
        classes=classes,
        compared=compared,
        verdicts=verdicts,
        tags={TAGS.get(key, key): str(value) for key, value in provenance.items() if value},
    )
    with registry.transaction() as client:
        tracked = find_run(registry, client, candidate.run)
        version = _version_of(client, candidate) or _same_before(client, candidate)
        if version is None:
            logged = _logged_model(client, tracked, candidate)
            _log_evidence(client, tracked, logged, candidate)
            version = _create_version(registry, client, logged, candidate)
        elif version.tags.get(DIGEST_TAG) != candidate.digest:
            raise RegistryError(
                f"run {candidate.run!r} has already registered a different model, as "
                f"{candidate.registered_name} version {version.version}; start a new run to "
                "register this model"
            )
        # Last: whoever follows the alias finds a version with all its evidence.
        _point_alias(client, version)
    return Registered(
        name=candidate.registered_name,
        version=str(version.version),
        run_id=tracked.info.run_id,
        tracking_uri=registry.uri,
    )


def candidates_of(name: str) -> str:
    """The registered model that holds the candidates of the model ``name``."""
    return f"{name}-{ALIAS}s"


def _version_of(client: MlflowClient, candidate: _Candidate) -> ModelVersion | None:
    """The version that the run registered; the lowest, should a race have made two."""
    found = client.search_model_versions(
        f"name = {quoted(candidate.registered_name)} "
        f"and tags.`{TAGS['run']}` = {quoted(candidate.run)}"
    )
    return min(found, key=lambda version: int(version.version), default=None)


def _same_before(client: MlflowClient, candidate: _Candidate) -> ModelVersion | None:
    """The newest version with the same bytes and verdicts, whichever run registered it.

    A run repeats an earlier one where only the champion has changed since: that makes no candidate.
    """
    found = client.search_model_versions(
        f"name = {quoted(candidate.registered_name)} "
        f"and tags.`{DIGEST_TAG}` = {quoted(candidate.digest)}"
    )
    same = [v for v in found if _says(v.tags.get(VERDICTS_TAG, ""), candidate.verdicts)]
    return max(same, key=lambda version: int(version.version), default=None)


def _says(text: str, verdicts: Sequence[Verdict]) -> bool:
    """Whether a version's verdicts are these; an older version has some fields fewer."""
    try:
        kept = json.loads(text)
    except ValueError:
        return False
    # What an older version did not record is no difference: only what both have is compared.
    return len(kept) == len(verdicts) and all(
        old.items() <= new.as_json().items() for old, new in zip(kept, verdicts, strict=True)
    )


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
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder)
            lay_out(candidate.files, whole)
            write_ml_model(whole, logged, candidate.signature, exported=ONNX in candidate.files)
            client.log_model_artifacts(logged.model_id, folder)
        logged = client.finalize_logged_model(logged.model_id, "READY")
    return logged


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
    with tempfile.TemporaryDirectory() as folder:
        lay_out(candidate.evidence, Path(folder))
        client.log_artifacts(run_id, folder)
    client.log_batch(run_id, metrics, tags=[RunTag(*tag) for tag in candidate.tags.items()])
    if data := dataset_inputs(candidate.tags):
        client.log_inputs(run_id, data)
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
                **figure_tags(candidate.metrics, candidate.headline),
                **change_tags(candidate.classes, candidate.compared),
                DIGEST_TAG: candidate.digest,
                REPORT_DIGEST_TAG: file_sha256(candidate.evidence[candidate.report_path]),
                REPORT_PATH_TAG: candidate.report_path,
                VERDICTS_TAG: json.dumps([verdict.as_json() for verdict in candidate.verdicts]),
                STATUS_TAG: PENDING,
            },
            description=version_page(logged, candidate.report_path, candidate.verdicts),
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


def _gate_tags(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """``gate.<metric>``: pass where every gate on that metric passed."""
    tags: dict[str, str] = {}
    for verdict in verdicts:
        tag = f"{GATE_TAG}{verdict.metric}"
        passed = verdict.passed and tags.get(tag) != "fail"
        tags[tag] = "pass" if passed else "fail"
    return tags
