"""What a candidate is judged by: its gates, its figures, and a report whose bytes are checked."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from soundgate.checksums import file_sha256
from soundgate.errors import RegistryError
from soundgate.gates import Verdict, label
from soundgate.registry.candidates.registration import (
    GATE_TAG,
    REPORT_DIGEST_TAG,
    REPORT_PATH_TAG,
    TAGS,
    VERDICTS_TAG,
    candidates_of,
)
from soundgate.registry.service.tracking import quoted
from soundgate.registry.versions.figures import Figure, headline_in
from soundgate.registry.versions.lookup import all_versions, download, get

if TYPE_CHECKING:
    from soundgate.registry.service.connection import Registry
    from soundgate.registry.versions.lookup import Version


def get_candidate(registry: Registry, model: str, which: str) -> Version:
    """Return the candidate that a number, an alias or a run's id names.

    The review page gives the run's id: its candidate has no number yet when the page is made.

    Raises:
        RegistryError: there is no such candidate, or MLflow refused or failed.
    """
    name = candidates_of(model)
    if not which.isdecimal():
        of_run = f"tags.`{TAGS['run']}` = {quoted(which)}"
        if made := all_versions(registry, name, of_run):
            return made[-1]  # the lowest, should a race have made two
    return get(registry, name, which)


def gates(version: Version) -> dict[str, str]:
    """``pass`` or ``fail`` by gate: its metric, and its report where several are judged by that.

    Versions of before 2026-12 kept the metric alone.
    """
    said = verdicts(version)
    if said and all(verdict.report for verdict in said):
        found: dict[str, str] = {}
        for verdict in said:
            name = label(verdict, said)
            passed = verdict.passed and found.get(name) != "fail"
            found[name] = "pass" if passed else "fail"
        return dict(sorted(found.items()))
    found = {k: v for k, v in version.tags.items() if k.startswith(GATE_TAG)}
    return {k.removeprefix(GATE_TAG): v for k, v in sorted(found.items())}


def verdicts(version: Version) -> list[Verdict]:
    """What each gate said; none where that was not kept, or is not as it was written."""
    try:
        found = json.loads(version.tags.get(VERDICTS_TAG, "[]"))
        return [Verdict.from_json(fields) for fields in found]
    except (ValueError, TypeError, AttributeError):
        return []  # a reviewer's tool may write any tag; the gates' own tags still tell


def headline(version: Version) -> list[Figure]:
    """The figures that a reviewer sees first; of a version that names none, those of its gates."""
    named = headline_in(version.tags)
    return named or [
        Figure(verdict.metric, verdict.metric, verdict.value)
        for verdict in verdicts(version)
        if verdict.value is not None
    ]


def doubts(version: Version) -> list[str]:
    """Why a candidate must not be released without an override; empty where nothing is wrong."""
    judged = gates(version)
    missed = [metric for metric, verdict in judged.items() if verdict != "pass"]
    found = [f"it missed its gates: {', '.join(missed)}"] if missed else []
    if not judged:
        found.append("no gate judged it")
    if REPORT_DIGEST_TAG not in version.tags:
        found.append(f"it has no tag {REPORT_DIGEST_TAG}, so that its report cannot be checked")
    return found


def report_address(registry: Registry, version: Version) -> str:
    """Where a reviewer opens the report: a file, or the page of a server.

    Raises:
        RegistryError: MLflow refused or failed.
    """
    path = version.tags.get(REPORT_PATH_TAG, "report/evaluation.json")
    with registry.reading() as client:
        info = client.get_run(version.run_id).info
    if registry.uri.startswith("http"):
        run = f"#/experiments/{info.experiment_id}/runs/{info.run_id}"
        return f"{registry.uri.rstrip('/')}/{run}/artifacts/{path}"
    parts = urlsplit(info.artifact_uri)
    if parts.scheme in {"", "file"}:
        return f"{unquote(parts.path)}/{path}"
    return f"{info.artifact_uri}/{path}"


def check(registry: Registry, version: Version) -> str:
    """Check that report and model are the bytes that were registered; returns the report's digest.

    The digest is empty where none was registered, which ``doubts`` tells.

    Raises:
        RegistryError: one of them was altered or is gone, or MLflow refused or failed.
    """
    expected = version.tags.get(REPORT_DIGEST_TAG, "")
    with tempfile.TemporaryDirectory() as folder:
        if expected:
            _check_report(registry, version, expected, folder)
        download(registry, version, Path(folder) / "model")
    return expected


def _check_report(registry: Registry, version: Version, expected: str, folder: str) -> None:
    path = version.tags[REPORT_PATH_TAG]
    registry.require_files()
    try:
        with registry.reading() as client:
            found = file_sha256(Path(client.download_artifacts(version.run_id, path, folder)))
    except RegistryError as error:
        raise RegistryError(f"{path} of {version.uri} cannot be read: {error}") from error
    if found != expected:
        raise RegistryError(
            f"{path} of {version.uri} was altered after registration (its digest is {found}, "
            f"expected {expected}), so it cannot be trusted: register the model again"
        )
