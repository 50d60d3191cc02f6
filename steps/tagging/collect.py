"""Bring the clips of a user's own folders and tables into the object store, as one data set.

Reads   sources/   folders of audio, and tables of labels, each an artifact
        plan       JSON file: their types (irmastrain, csv ...), their sides, overrides of labels
Writes  clips/     manifest.jsonl, dataset.json, audio/
        card/      dataset.json and the digest of the clips

The data set is kept under the digest of its clips, as ``fetch`` keeps what a user brings.
"""

from __future__ import annotations

from soundgate.step import InputPath, NamedInputPaths, OutputPath, cpus, main

KEY = "train/datasets/tagging"


def collect(
    sources: NamedInputPaths, plan: InputPath, clips: OutputPath, card: OutputPath, *, store: str
) -> None:
    """Collect the clips; say how many clips of how many labels there are."""
    from soundgate.audio.datasets.layouts import collection
    from soundgate.audio.formats.datasets.card import read_card, write_card
    from soundgate.store import bring_tree, open_store

    planned = collection.read_plan(plan)
    objects = open_store(store)
    key, digest = bring_tree(
        objects,
        KEY,
        clips,
        lambda out: collection.collect(planned, sources, out),
        by_content=True,
        workers=4 * cpus(),
    )
    described = read_card(clips).with_fields(
        digest=f"sha256:{digest}", stored=f"{objects.url}/{key}"
    )
    write_card(card, described)
    print(f"{described.clips} clips of {len(described.classes)} labels, kept as {key} in {store}")


if __name__ == "__main__":
    main(collect)
