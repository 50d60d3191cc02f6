"""Bring a version of a registered model out of the registry, every byte checked.

Writes  version/   version.json: name, version, tags, metrics, run_id, uri
                   model/, the model's files, where there is such a version

With ``optional`` a version that is not there is no error: ``version.json`` has a null version.
Tags that reviewers write are left out: what a reviewer says of a model does not change it. A
version of the embedded registry is kept, so that the next run need not fetch the same again.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.step import OutputPath, cache_folder, main

if TYPE_CHECKING:
    from soundgate.audio.formats.version import VersionCard
    from soundgate.registry.service.connection import Registry
    from soundgate.registry.versions.lookup import Version

PROVENANCE = ("dataset.", "git.", "model.", "modelzoo.", "pipeline.")

EXTRAS = ("registry",)


def pull(
    version: OutputPath, *, model_name: str, which: str = "champion", optional: bool = False
) -> None:
    """Fetch the version that an alias or a number names; print which it is."""
    from soundgate.audio.formats.version import read_version, write_version
    from soundgate.registry.service.connection import Registry, tracking_uri
    from soundgate.registry.versions.alias_lookup import alias_state
    from soundgate.registry.versions.bundle import copy_kept
    from soundgate.reuse.digests import digest_text
    from soundgate.runs import Context

    registry = Registry(tracking_uri(Path(Context.from_environment().root or "runs")))
    seen = alias_state(registry.database, model_name, which)
    version.mkdir(parents=True, exist_ok=True)
    kept = cache_folder("versions") if seen.identity else None
    if kept is not None:
        kept = kept / digest_text(registry.uri, model_name, *seen.identity)
    if kept is not None and copy_kept(kept, version, seen.identity[-1]):
        card = read_version(version)
    else:
        absent = seen.known and not seen.identity and optional
        card = _card(model_name, None)
        if not absent:
            card = _fetch(registry, model_name, which, version, optional=optional)
        write_version(version, card)
        if kept is not None and card.version == seen.identity[0]:
            shutil.copytree(version, kept, dirs_exist_ok=True)
    said = f"{model_name} version {card.version} ({which})"
    print(said if card.version else f"no {which} of {model_name} yet")


def _fetch(
    registry: Registry, name: str, which: str, version: Path, *, optional: bool
) -> VersionCard:
    """Ask MLflow, and download what it names."""
    from soundgate.registry.versions.lookup import download, find, get

    found = (find if optional else get)(registry, name, which)
    if found is not None:
        download(registry, found, version / "model")
    return _card(name, found)


def _card(name: str, found: Version | None) -> VersionCard:
    from soundgate.audio.formats.version import VersionCard
    from soundgate.registry.versions.figures import metrics_in

    if found is None:
        return VersionCard(name=name, version=None)
    return VersionCard(
        name=name,
        version=found.version,
        tags={key: found.tags[key] for key in sorted(found.tags) if key.startswith(PROVENANCE)},
        metrics=metrics_in(found.tags),
        run_id=found.run_id,
        uri=found.uri,
    )


if __name__ == "__main__":
    main(pull)
