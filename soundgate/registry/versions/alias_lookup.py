"""What an embedded registry says of an alias, without importing MLflow, which takes seconds.

A shortcut and nothing more: it reads four columns of MLflow's tables, and where they are not as
expected (a server, another schema, a locked file) it knows nothing and MLflow is asked.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.registry.service.addresses import read_only
from soundgate.registry.versions.bundle import DIGEST_TAG

if TYPE_CHECKING:
    from pathlib import Path

WAIT_S = 1.0

ALIAS = "SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?"
VERSION = """
SELECT v.source, v.run_id, t.value FROM model_versions v JOIN model_version_tags t
ON t.name = v.name AND t.version = v.version AND t.key = ? WHERE v.name = ? AND v.version = ?
"""


@dataclass(frozen=True, slots=True)
class AliasState:
    """What was seen."""

    known: bool
    """False: nothing could be seen, ask MLflow."""
    identity: tuple[str, ...] = ()
    """Of the version: number, source, run, digest of its files; empty: the alias is nowhere."""


def alias_state(database: Path | None, name: str, alias: str) -> AliasState:
    """Look where ``alias`` of the model ``name`` is.

    Args:
        database: the embedded registry's file; None for a server.
        name: the registered model's.
        alias: an alias; of a version's number nothing is known here.
    """
    # A number is no row of the table of aliases; MLflow is asked about it.
    if database is None or alias.isdecimal():
        return AliasState(known=False)
    if not database.is_file():
        return AliasState(known=True)
    try:
        with closing(sqlite3.connect(read_only(database), uri=True, timeout=WAIT_S)) as connection:
            aliases = connection.execute(ALIAS, (name, alias)).fetchall()
            if not aliases:
                return AliasState(known=True)
            numbers = [str(row[0]) for row in aliases]
            rows = connection.execute(VERSION, (DIGEST_TAG, name, numbers[0])).fetchall()
    except sqlite3.Error:
        return AliasState(known=False)
    if len(numbers) != 1 or len(rows) != 1:  # the same name in several workspaces
        return AliasState(known=False)
    return AliasState(known=True, identity=(numbers[0], *(str(value) for value in rows[0])))
