"""Versions of registered models: finding one by alias or number, and fetching its files checked."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.errors import DataError, RegistryError, nearest
from soundgate.registry.service.tracking import quoted
from soundgate.registry.versions.bundle import (
    DIGEST_TAG,
    digest_of,
    downloaded_files,
    refuse_pickles,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

    from soundgate.registry.service.connection import Registry

ABSENT = "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True)
class Version:
    """One version of a registered model, as it was when it was looked up.

    ``source`` is where MLflow says it came from; ``created_at`` is UTC, ISO 8601.
    """

    name: str
    version: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    run_id: str
    source: str
    description: str
    created_at: str

    @property
    def uri(self) -> str:
        """``models:/<name>/<version>``, which every MLflow tool takes."""
        return f"models:/{self.name}/{self.version}"


def find(registry: Registry, name: str, which: str) -> Version | None:
    """Return the version that an alias or a number names; None where there is none.

    No registry yet, no such model, no such alias and no such number are all None: ``get`` tells
    them apart for a person.

    Args:
        registry: where; an embedded one that does not exist is not made.
        name: the registered model's.
        which: an alias such as ``champion``, or a version's number.

    Raises:
        RegistryError: MLflow refused or failed.
    """
    if not registry.exists:
        return None
    with registry.reading() as client:
        model = registered_model(client, name)
        if model is None:
            return None
        number = which if which.isdecimal() else model.aliases.get(which)
        return None if number is None else _version(client, model, str(number))


def get(registry: Registry, name: str, which: str) -> Version:
    """Return the version that an alias or a number names.

    Raises:
        RegistryError: there is no such registry, model, alias or number (the text says which, and
            what there is), or MLflow refused or failed.
    """
    registry.require()
    with registry.reading() as client:
        model = registered_model(client, name)
        if model is None:
            known = _names(client)
            hint = nearest(name, known) or "; no model is registered there"
            raise RegistryError(f"{registry.uri} has no model {name!r}{hint}")
        number = which if which.isdecimal() else model.aliases.get(which)
        found = None if number is None else _version(client, model, str(number))
        if found is None:
            raise RegistryError(_no_such(client, model, which))
        return found


def all_versions(registry: Registry, name: str, condition: str = "") -> list[Version]:
    """Every version of a model, newest first; none where there is no such model or registry.

    Args:
        registry: where.
        name: the registered model's, without quotes.
        condition: more of MLflow's filter language, ``tags.`a` = 'b'``.

    Raises:
        RegistryError: MLflow refused or failed.
    """
    if not registry.exists:
        return []
    with registry.reading() as client:
        model = registered_model(client, name)
        if model is None:
            return []
        found: list[ModelVersion] = []
        token: str | None = None
        words = [f"name = {quoted(model.name)}", *([condition] if condition else [])]
        while True:
            page = client.search_model_versions(" and ".join(words), page_token=token)
            found += page
            token = page.token
            if not token:
                break
        versions = [_as_version(entry, model) for entry in found]
    return sorted(versions, key=lambda version: int(version.version), reverse=True)


def model_names(registry: Registry) -> list[str]:
    """Names of the registered models.

    Raises:
        RegistryError: MLflow refused or failed.
    """
    with registry.reading() as client:
        return _names(client)


def download(registry: Registry, version: Version, folder: Path) -> None:
    """Write the model's files to ``folder``, whole and checked, or leave it as it was.

    The files are the model's own, at the paths they were registered under, without what MLflow
    wrote beside them; nothing is loaded.

    Args:
        registry: where.
        version: from ``find`` or ``get``.
        folder: absent or empty.

    Raises:
        RegistryError: the files are not those that were registered, the version has no digest,
            ``folder`` is not empty, or MLflow refused or failed.
    """
    expected = version.tags.get(DIGEST_TAG)
    if not expected:
        raise RegistryError(
            f"{version.uri} has no tag {DIGEST_TAG}, so its files cannot be verified; register "
            "it with Soundgate"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RegistryError(f"{folder} is not empty; give a new folder for {version.uri}")
    registry.require_files()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        # Beside the target, so that the last step is a rename within one file system.
        files = downloaded_files(_fetched(registry, version, Path(scratch)))
        try:
            refuse_pickles({name: Path(name) for name in files})
        except DataError as error:
            raise RegistryError(f"{version.uri}: {error}") from error
        found = digest_of(files)
        if found != expected:
            raise RegistryError(
                f"{version.uri}: its files differ from the registered ones (their digest is "
                f"{found}, expected {expected}); register the model again"
            )
        whole = Path(scratch) / "whole"
        for name, path in files.items():
            target = whole / name
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        whole.rename(folder)  # the only step that others see


def registered_model(client: MlflowClient, name: str) -> RegisteredModel | None:
    """The registered model, None where there is none; inside a transaction."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
        return None


def _names(client: MlflowClient) -> list[str]:
    return [found.name for found in client.search_registered_models()]


def _fetched(registry: Registry, version: Version, scratch: Path) -> Path:
    from mlflow.artifacts import download_artifacts

    target = scratch / "fetched"
    with registry.reading() as client:
        source = client.get_model_version_download_uri(version.name, version.version)
        return Path(download_artifacts(source, dst_path=str(target), tracking_uri=registry.uri))


def _version(client: MlflowClient, model: RegisteredModel, number: str) -> Version | None:
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_model_version(model.name, number)
    except MlflowException as error:
        if error.error_code != ABSENT:
            raise
        return None
    return _as_version(found, model)


def _as_version(found: ModelVersion, model: RegisteredModel) -> Version:
    number = str(found.version)
    at = datetime.fromtimestamp(found.creation_timestamp / 1000, UTC)
    return Version(
        name=found.name,
        version=number,
        aliases=tuple(sorted(a for a, of in model.aliases.items() if str(of) == number)),
        tags=dict(found.tags),
        run_id=found.run_id or "",
        source=found.source or "",
        description=found.description or "",
        created_at=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


def _no_such(client: MlflowClient, model: RegisteredModel, which: str) -> str:
    if not which.isdecimal():
        known = nearest(which, sorted(model.aliases)) or "; it has no alias yet"
        return f"model {model.name!r} has no alias {which!r}{known}"
    versions = client.search_model_versions(f"name = {quoted(model.name)}")
    numbers = sorted((int(found.version) for found in versions), reverse=True)
    listed = ", ".join(str(number) for number in numbers[:10]) or "none"
    more = ", ..." if len(numbers) > 10 else ""
    return f"model {model.name!r} has no version {which}; there are: {listed}{more}"
