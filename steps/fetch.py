"""Bring a data set into the object store, once, and lay its clips out for the next step.

Reads   source/    a folder the user brings, and a table of its labels (both optional; likewise
                   validation/ and test/ for splits of their own)
        description  YAML file that describes a data set of the user's own (optional)
        ontology   AudioSet's ontology.json, for FSD50K in folders of the user's (optional)
        download_script  the download command, where it is long (optional)
        config     sections dataset and dataset_specific of the user config
Writes  clips/     manifest.jsonl, dataset.json, audio/
        card/      dataset.json and the digest of the clips

A downloaded data set is in the store when its manifest is, which is written last; then nothing is
downloaded again: by name for the catalogue's own command, by command and description for the
user's. What the user brings, or what is rendered, is kept under its digest. A data set is kept
whole; what the config asks for of it is chosen afterwards.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.step import InputPath, OutputPath, cpus, main

if TYPE_CHECKING:
    from soundgate.audio.config import UserConfig
    from soundgate.audio.datasets.base import Source
    from soundgate.store import Store

PREFIX = "train/datasets"


def fetch(
    config: InputPath,
    clips: OutputPath,
    card: OutputPath,
    source: InputPath | None = None,
    source_labels: InputPath | None = None,
    validation: InputPath | None = None,
    validation_labels: InputPath | None = None,
    test: InputPath | None = None,
    test_labels: InputPath | None = None,
    description: InputPath | None = None,
    ontology: InputPath | None = None,
    download_script: InputPath | None = None,
    *,
    dataset: str,
    store: str,
    download_command: str = "",
) -> None:
    """Fetch ``dataset`` through the store; say how many clips of how many classes there are."""
    from soundgate.audio import datasets
    from soundgate.audio.config import load
    from soundgate.store import get_tree, has_tree, open_store, put_tree

    splits = ((source, source_labels), (validation, validation_labels), (test, test_labels))
    sources = _sources(splits)
    settings = load(config)
    if download_script is not None:
        download_command = download_script.read_text("utf-8")
    own = datasets.CUSTOM if sources or download_command else dataset
    name = str(description or dataset)
    name = datasets.resolve(name if datasets.is_known(name) else own, sources)
    known = datasets.load(name)
    label = known.name if datasets.is_description(name) else dataset
    options, chosen = _options(name, settings, ontology)
    place = open_store(store)
    key = f"{PREFIX}/{label}"
    if recipe := _recipe(name, download_command, known.download_command, options):
        key = f"{key}/{recipe}"
    downloaded = not sources and known.render is None
    if downloaded and has_tree(place, key):
        digest = get_tree(place, key, clips, workers=4 * cpus())
    else:
        if downloaded:
            datasets.acquire(name, clips, command=download_command or None, options=options)
        else:
            datasets.prepare(name, sources, clips, options=options)
            key = f"{key}/{_digest(clips)[:16]}"
        digest = put_tree(place, key, clips, workers=4 * cpus())
        if sources:
            _detach(place, key, clips)
    if chosen and datasets.narrow(name, clips, chosen):
        digest = _digest(clips)
    about = json.loads((clips / "dataset.json").read_text("utf-8"))
    digest = f"sha256:{digest}"
    _write_card(card, {**about, "name": label, "digest": digest, "stored": f"{place.url}/{key}"})
    print(f"{about['clips']} clips of {len(about['classes'])} classes, kept as {key} in {store}")


def _sources(splits: tuple[tuple[Path | None, Path | None], ...]) -> list[Source]:
    from soundgate.audio.datasets.base import Source

    names: tuple[str | None, ...] = ("training", "validation", "test")
    if not any(audio for audio, _ in splits[1:]):
        names = (None, None, None)  # one folder for everything: it is divided by folds
    pairs = zip(names, splits, strict=True)
    return [Source(audio, table, split) for split, (audio, table) in pairs if audio]


def _options(
    name: str, settings: UserConfig, ontology: Path | None
) -> tuple[dict[str, object], dict[str, object]]:
    """What the data set is read with, and what is then chosen of it."""
    classes = () if settings.dataset.use_garbage_class else settings.dataset.class_names
    if name == "FSD50K":
        monolabel = settings.dataset_specific.fsd50k.only_keep_monolabel
        chosen = {"only_keep_monolabel": monolabel, "classes": classes}
        return {"ontology": str(ontology)} if ontology else {}, chosen
    if name == "synthetic":
        return settings.dataset_specific.synthetic.model_dump(), {}
    options: dict[str, object] = {}
    if name in ("csv", "folder") and not settings.dataset.use_garbage_class:
        options["classes"] = classes
    if name == "csv":
        options["file_extension"] = settings.dataset.file_extension
    return options, {}


def _detach(place: Store, key: str, clips: Path) -> None:
    """Give the run bytes of its own: until now its clips are links to the user's files.

    Someone who edits a clip in place must not edit finished runs with it.
    """
    from soundgate.store import get_tree

    if place.url.startswith("s3://"):  # they would come back over the network: copy them here
        for path in [p for p in clips.rglob("*") if p.is_file() and p.stat().st_nlink > 1]:
            copy = path.with_name(f"{path.name}.copy")
            shutil.copy2(path, copy)
            copy.replace(path)
        return
    for child in clips.iterdir():
        shutil.rmtree(child) if child.is_dir() else child.unlink()
    get_tree(place, key, clips, workers=4 * cpus())  # links to the store's objects


def _recipe(name: str, command: str, usual: str | None, options: dict[str, object]) -> str:
    """Tell what one command or description of the user's own brought from what another did."""
    from soundgate.audio import datasets
    from soundgate.reuse.digests import digest_text

    text = json.dumps(options, sort_keys=True)
    if datasets.is_description(name):
        return digest_text(Path(name).read_text("utf-8"), command, text)[:16]
    return digest_text(command, text)[:16] if command and command != usual else ""


def _digest(clips: Path) -> str:
    from soundgate.reuse.digests import digest_tree

    return digest_tree(clips).digest.removeprefix("sha256:")


def _write_card(card: Path, about: dict[str, object]) -> None:
    card.mkdir(parents=True, exist_ok=True)
    text = json.dumps(about, indent=1, ensure_ascii=False)
    (card / "dataset.json").write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    main(fetch)
