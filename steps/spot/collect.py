"""Bring a corpus of long recordings into the object store.

Reads   plan          JSON file: which corpus; how annotation tables are read
        folder/       the corpus: recordings with an index, in the folders of its users or with
                      annotation tables (optional: a synthetic one is rendered)
        annotations/  tables that do not lie in it (optional)
Writes  corpus/       corpus_index.json, dataset.json and the audio it names
        card/         dataset.json and the digest of the corpus

The corpus is kept under the digest of its content, as ``fetch`` keeps what a user brings.
"""

from __future__ import annotations

from soundgate.step import InputPath, InputPaths, OutputPath, cpus, main

KEY = "train/datasets/corpora"


def collect(
    plan: InputPath,
    corpus: OutputPath,
    card: OutputPath,
    folder: InputPath | None = None,
    annotations: InputPaths | None = None,
    *,
    store: str,
) -> None:
    """Collect the recordings; say how many calls there are in them."""
    from soundgate.audio.datasets.corpora import collection
    from soundgate.audio.formats.datasets.card import read_card, write_card
    from soundgate.audio.formats.datasets.corpus import read_corpus_index
    from soundgate.store import bring_tree, open_store

    planned = collection.read_plan(plan)
    objects = open_store(store)
    key, digest = bring_tree(
        objects,
        KEY,
        corpus,
        lambda out: collection.collect(planned, folder, annotations or [], out),
        by_content=True,
        workers=4 * cpus(),
    )
    described = read_card(corpus).with_fields(
        digest=f"sha256:{digest}", stored=f"{objects.url}/{key}"
    )
    write_card(card, described)
    index = read_corpus_index(corpus)
    minutes = sum(recording.duration_s for recording in index.recordings) / 60
    print(
        f"{len(index.entries)} calls in {len(index.recordings)} recordings, {minutes:.1f} minutes, "
        f"kept as {key} in {store}"
    )


if __name__ == "__main__":
    main(collect)
