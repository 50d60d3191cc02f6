"""Addresses of embedded registries: from a file to SQLAlchemy's URL and back, whatever its name.

SQLAlchemy decodes ``%XX`` in the path of a URL (since 2.1) and takes what follows ``?`` for options
of the connection; ``#`` means nothing to it. A file is found again only by the same rules:
``urllib`` would cut the path at ``#``.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote

_SCHEME = re.compile(r"sqlite(\+pysqlite)?:///")
_SPECIAL = re.compile(r"[%?#]")


def sqlite_address(file: Path) -> str:
    """The URL of an embedded registry's file, which MLflow and SQLAlchemy take.

    >>> sqlite_address(Path("/runs/mlflow.db"))
    'sqlite:////runs/mlflow.db'
    >>> sqlite_address(Path("/runs#1/50%/mlflow.db"))
    'sqlite+pysqlite:////runs%231/50%25/mlflow.db'
    """
    path = _SPECIAL.sub(lambda found: quote(found[0]), str(file))
    # MLflow makes the folder of a file without decoding its name, a stray one therefore, unless
    # the address names SQLAlchemy's driver
    return f"sqlite{'' if path == str(file) else '+pysqlite'}:///{path}"


def is_sqlite(uri: str) -> bool:
    """Whether an address is of an SQLite database, a usable one or not."""
    return uri.startswith(("sqlite:", "sqlite+"))


def sqlite_file(uri: str) -> Path | None:
    """The file that an address means to SQLAlchemy, absolute; None for any other address.

    ``sqlite:///file:...?uri=true`` names a file as SQLite's own URIs do: decoded once more, by
    SQLite.

    >>> sqlite_file("sqlite:////runs%231/mlflow.db?timeout=5")
    PosixPath('/runs#1/mlflow.db')
    >>> sqlite_file("sqlite:///file:/runs%25231/mlflow.db?uri=true")
    PosixPath('/runs#1/mlflow.db')
    """
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return None
    path, _, options = uri[scheme.end() :].partition("?")
    path = unquote(path)
    if path.startswith("file:") and parse_qs(options).get("uri", [""])[-1].lower() in _TRUE:
        path = unquote(path.removeprefix("file:").partition("?")[0].partition("#")[0])
        path = re.sub(r"^//(localhost)?(?=/)", "", path)  # an authority may stand before the path
    return None if path in {"", "/", ":memory:"} else Path(path).absolute()


_TRUE = {"true", "yes", "on", "y", "t", "1"}


def read_only(file: Path) -> str:
    """The URI by which ``sqlite3.connect(..., uri=True)`` opens a file without changing it."""
    return f"file:{quote(str(file))}?mode=ro"
