"""Bring a version of a registered model out of the registry, every byte checked.

Writes  version/   version.json: name, version, aliases, tags, run_id, uri
                   model/, the model's files, where there is such a version

With ``optional`` a version that is not there is no error: ``version.json`` then has a null version.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate.step import OutputPath, main

if TYPE_CHECKING:
    from soundgate.registry.versions import Version


def pull(
    version: OutputPath, *, model_name: str, which: str = "champion", optional: bool = False
) -> None:
    """Fetch the version that an alias or a number names; print which it is."""
    from soundgate.registry.connection import Registry, tracking_uri
    from soundgate.registry.versions import download, find, get
    from soundgate.runs import Context

    registry = Registry(tracking_uri(Path(Context.from_environment().root or "runs")))
    look_up = find if optional else get
    found = look_up(registry, model_name, which)
    version.mkdir(parents=True, exist_ok=True)
    if found is not None:
        download(registry, found, version / "model")
    text = json.dumps(_about(model_name, found), indent=1, ensure_ascii=False)
    (version / "version.json").write_text(f"{text}\n", "utf-8")
    if found is None:
        print(f"no {which} of {model_name} yet")
    else:
        print(f"{model_name} version {found.version} ({which})")


def _about(name: str, found: Version | None) -> dict[str, Any]:
    return {
        "name": name,
        "version": found.version if found else None,
        "aliases": list(found.aliases) if found else [],
        "tags": dict(sorted(found.tags.items())) if found else {},
        "run_id": found.run_id if found else None,
        "uri": found.uri if found else None,
    }


if __name__ == "__main__":
    main(pull)
