"""Bring a version of a registered model out of the registry, every byte checked.

Writes  version/   version.json: name, version, tags, run_id, uri
                   model/, the model's files, where there is such a version

With ``optional`` a version that is not there is no error: ``version.json`` has a null version.
Tags that reviewers write are left out: what a reviewer says of a model does not change it. A
version of the embedded registry is kept, so that the next run need not fetch the same again.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate.step import OutputPath, cache_folder, main

if TYPE_CHECKING:
    from soundgate.registry.versions import Version

PROVENANCE = ("dataset.", "git.", "model.", "modelzoo.", "pipeline.")

EXTRAS = ("registry",)


def pull(
    version: OutputPath, *, model_name: str, which: str = "champion", optional: bool = False
) -> None:
    """Fetch the version that an alias or a number names; print which it is."""
    from soundgate.registry.connection import Registry, tracking_uri
    from soundgate.registry.glance import glance
    from soundgate.reuse.digests import digest_text
    from soundgate.runs import Context

    registry = Registry(tracking_uri(Path(Context.from_environment().root or "runs")))
    seen = glance(registry.database, model_name, which)
    version.mkdir(parents=True, exist_ok=True)
    kept = cache_folder("versions") if seen.identity else None
    if kept is not None:
        kept = kept / digest_text(registry.uri, model_name, *seen.identity)
    if kept is not None and _take(kept, version, seen.identity[-1]):
        about = json.loads((version / "version.json").read_text("utf-8"))
    else:
        absent = seen.known and not seen.identity and optional
        about = _about(model_name, None)
        if not absent:
            about = _fetch(registry, model_name, which, version, optional=optional)
        text = json.dumps(about, indent=1, ensure_ascii=False)
        (version / "version.json").write_text(f"{text}\n", "utf-8")
        if kept is not None and about["version"] == seen.identity[0]:
            shutil.copytree(version, kept, dirs_exist_ok=True)
    number = about["version"]
    said = f"{model_name} version {number} ({which})"
    print(said if number else f"no {which} of {model_name} yet")


def _fetch(
    registry: Any, name: str, which: str, version: Path, *, optional: bool
) -> dict[str, Any]:
    """Ask MLflow, and download what it names."""
    from soundgate.registry.versions import download, find, get

    found = (find if optional else get)(registry, name, which)
    if found is not None:
        download(registry, found, version / "model")
    return _about(name, found)


def _take(kept: Path, version: Path, digest: str) -> bool:
    """Copy a version that was fetched before, if all of it is still what it was."""
    from soundgate.registry.bundle import digest_of, files_of

    if not (kept / "version.json").is_file() or digest_of(files_of(kept / "model")) != digest:
        return False
    shutil.copytree(kept, version, dirs_exist_ok=True)
    return True


def _about(name: str, found: Version | None) -> dict[str, Any]:
    tags = found.tags if found else {}
    return {
        "name": name,
        "version": found.version if found else None,
        "tags": {key: tags[key] for key in sorted(tags) if key.startswith(PROVENANCE)},
        "run_id": found.run_id if found else None,
        "uri": found.uri if found else None,
    }


if __name__ == "__main__":
    main(pull)
