"""Versions of the libraries a program loads, also of those that its libraries load in turn.

A step that imports librosa runs scipy's code, too: the version of every distribution that an
imported one requires counts. Optional requirements (extras) count where a module imports them.
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

from soundgate import runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Libraries:
    """Looks distributions up; remembers them until something is installed or removed."""

    def __init__(self, memory: Path) -> None:
        """Use ``memory`` (a JSON file), which is valid for one state of the installed packages."""
        self.memory = memory
        self._installed: Mapping[str, Any] | None = None

    def versions(self, imported: Iterable[str]) -> dict[str, str]:
        """Return versions by distribution.

        Args:
            imported: top-level import names, ``PIL`` say.

        Returns:
            Every installed distribution that provides one of them, and every installed one that
            these require, ``{"numpy": "2.4.0", "pillow": "12.0.0"}``, in order of their names.
        """
        installed = self._read()
        waiting = [d for name in imported for d in installed["provided_by"].get(name, ())]
        found: dict[str, str] = {}
        while waiting:
            name = waiting.pop()
            known = installed["distributions"].get(name)
            if known is not None and name not in found:
                found[name] = known["version"]
                waiting += known["requires"]
        return dict(sorted(found.items()))

    def _read(self) -> Mapping[str, Any]:
        if self._installed is None:
            stamp = _stamp()
            found = runs.read_json(self.memory)
            if not isinstance(found, dict) or found.get("stamp") != stamp:
                found = {"stamp": stamp, **_look()}
                runs.write_json(self.memory, found)
            self._installed = found
        return self._installed


def _stamp() -> list[list[Any]]:
    """What changes when something is installed, removed or put on another path."""
    folders = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    return [[path, os.stat(path).st_mtime_ns] for path in folders if os.path.isdir(path)]  # noqa: PTH112, PTH116


def _look() -> dict[str, Any]:
    """Read the metadata of everything installed: some 0.2 s, once after each installation."""
    from importlib import metadata

    distributions: dict[str, dict[str, Any]] = {}
    for each in metadata.distributions():
        name = normalised(each.metadata["Name"] or "")
        required = [r for r in each.requires or () if "extra ==" not in r.partition(";")[2]]
        names = [NAME.match(r) for r in required]
        requires = sorted({normalised(n.group()) for n in names if n})
        distributions.setdefault(name, {"version": each.version, "requires": requires})
    provided = {
        top: sorted({normalised(name) for name in names})
        for top, names in metadata.packages_distributions().items()
    }
    return {"distributions": distributions, "provided_by": provided}


def normalised(name: str) -> str:
    """Return a distribution's name as the packaging standards compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
