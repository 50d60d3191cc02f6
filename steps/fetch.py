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
downloaded again. What the user brings, or what is rendered, is kept under its digest. A data set is
kept whole; what the config asks for of it is chosen afterwards.
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, cpus, main

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
    from soundgate.audio.config import load
    from soundgate.audio.datasets.plan import make_plan
    from soundgate.audio.formats.datasets.card import read_card, write_card
    from soundgate.reuse.digests import digest_tree
    from soundgate.store import bring_tree, open_store

    if download_script is not None:
        download_command = download_script.read_text("utf-8")
    files = {
        "source": source,
        "validation": validation,
        "test": test,
        "source_labels": source_labels,
        "validation_labels": validation_labels,
        "test_labels": test_labels,
        "description": description,
        "ontology": ontology,
    }
    plan = make_plan(dataset, load(config), files, download_command)
    objects, name, at_once = open_store(store), f"{PREFIX}/{plan.key}", 4 * cpus()
    by_content = not plan.is_downloaded
    key, digest = bring_tree(
        objects, name, clips, plan.make, by_content=by_content, workers=at_once
    )
    digest = digest_tree(clips).digest if plan.narrow(clips) else f"sha256:{digest}"
    described = read_card(clips).with_fields(
        name=plan.name, digest=digest, stored=f"{objects.url}/{key}"
    )
    write_card(card, described)
    print(f"{described.clips} clips of {len(described.classes)} classes, kept as {key} in {store}")


if __name__ == "__main__":
    main(fetch)
