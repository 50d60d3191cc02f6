"""Whether a candidate that was registered is still where it was registered."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from soundgate.errors import RegistryError
from soundgate.registry.service.addresses import is_sqlite, read_only, sqlite_file
from soundgate.registry.service.connection import Registry
from soundgate.text.masking import masked

if TYPE_CHECKING:
    from pathlib import Path

# MLflow keeps the row of a version that was deleted
VERSION = """
SELECT count(*) FROM model_versions
WHERE name = ? AND version = ? AND run_id = ? AND current_stage != 'Deleted_Internal'
"""
WAIT_S = 1.0


def missing(entry: Path, uri: str) -> str:
    """Return why a registered candidate must be registered again; empty where it is there.

    Args:
        entry: ``entry.json`` as ``register`` wrote it.
        uri: the registry that is meant now.

    Raises:
        RegistryError: the registry does not answer.
    """
    told = json.loads(entry.read_text("utf-8"))
    name, version, run_id = (str(told[key]) for key in ("name", "version", "run_id"))
    # The run's id is unique and moves with its registry. The address changes where a folder of
    # runs is moved, and another registry may hold the same name and number.
    gone = f"{name} version {version} of run {run_id} is not in {masked(uri)}"
    if not is_sqlite(uri):
        return "" if _is_served(uri, name, version, run_id) else gone
    database = sqlite_file(uri)
    if database is None or not database.is_file():
        return f"no registry at {masked(uri)}"
    # read directly: MLflow's import would cost seconds in every run that changes nothing
    try:
        with closing(sqlite3.connect(read_only(database), uri=True, timeout=WAIT_S)) as connection:
            [[count]] = connection.execute(VERSION, (name, int(version), run_id)).fetchall()
    except (sqlite3.Error, ValueError) as error:
        return f"its registry cannot be read ({error})"
    return "" if count else gone


def _is_served(uri: str, name: str, version: str, run_id: str) -> bool:
    registry = Registry(uri)
    client = registry.client
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_model_version(name, version)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise RegistryError(f"MLflow at {masked(uri)}: {error.message}") from error
    return bool(found.run_id == run_id)
