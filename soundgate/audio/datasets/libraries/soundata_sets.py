"""The data sets of soundata 1.0, and why some of them are not read."""

from __future__ import annotations

from typing import Final

from soundgate.audio.datasets.libraries.row import Row

# One MD5 stands for several different files there.
_CHECKSUMS: Final = "soundata states wrong checksums of its archives, so it cannot download them"
_BIRD: Final = {"0": "no_bird", "1": "bird"}
# TAU Urban Acoustic Scenes: the same development clips are listed as "evaluate" with their labels
# and as "test" without; the challenge's own clips have none.
_SCENES: Final = {
    "*development.train": "training",
    "*development.evaluate": "test",
    "*development.test": "test",
    "*evaluation": "",
    "leaderboard": "",
}
_SPATIAL: Final = "one of two recordings of the same sounds is read: first-order ambisonics"

ROWS: Final = {
    "dcase23_task4b": Row(labels="events", note="soft labels of 1 s; those of 0.5 and more count"),
    "dcase_bioacoustic": Row(labels="POSevents", separator=",", split="split"),
    "dcase_birdVox20k": Row(labels="has_bird", names=_BIRD, request=_CHECKSUMS),
    "eigenscape": Row(labels="tags", source="location"),
    "eigenscape_raw": Row(labels="tags", source="location"),
    "esc50": Row(labels="tags", fold="fold", folds=5, source="src_file", note="ESC-50 is the same"),
    "freefield1010": Row(labels="has_bird", names=_BIRD, request=_CHECKSUMS),
    "fsd50k": Row(
        labels="tags", split="split", note="with the labels that others imply; FSD50K has none"
    ),
    "fsdnoisy18k": Row(labels="tags", split="split"),
    "singapura": Row(labels="events", note="of several annotators the first"),
    "starss2022": Row(
        labels="spatial_events", split="split", only={"format": "foa"}, note=_SPATIAL
    ),
    "tau2019sse": Row(labels="spatial_events", split="set", only={"format": "foa"}, note=_SPATIAL),
    "tau2019uas": Row(labels="tags", split="split", splits=_SCENES),
    "tau2020sse_nigens": Row(labels="spatial_events", only={"format": "foa"}, note=_SPATIAL),
    "tau2020uas_mobile": Row(labels="tags", split="split", splits=_SCENES),
    "tau2021sse_nigens": Row(
        labels="spatial_events", split="split", only={"format": "foa"}, note=_SPATIAL
    ),
    "tau2022uas_mobile": Row(labels="tags", split="split", splits=_SCENES),
    "tut2017se": Row(labels="events", split="split", splits={"development*": "training"}),
    "urbansed": Row(labels="events", split="split", splits={"validate": "validation"}),
    "urbansound8k": Row(labels="tags", fold="fold", folds=10, source="freesound_id"),
    "warblrb10k": Row(labels="has_bird", names=_BIRD, request=_CHECKSUMS),
}

UNSUPPORTED: Final = {
    "dcase23_task2": "has no tags or events: its attributes describe machines, not sounds",
    "dcase23_task6a": "has captions and free keywords, no tags or events",
    "dcase23_task6b": "has captions and free keywords, no tags or events",
    "marco": "has neither tags nor events",
}
