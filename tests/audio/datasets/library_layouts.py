"""Small data sets in the layouts that soundata and mirdata read: real files and an index."""

from __future__ import annotations

import csv
import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from soundgate.audio.datasets.libraries.adapter import load_module

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 16_000


def wav(path: Path, seconds: float = 1.0, channels: int = 1) -> Path:
    """Write noise of its own to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:4])
    noise = np.random.default_rng(seed).normal(0, 0.1, (int(seconds * RATE_HZ), channels))
    soundfile.write(path, noise, RATE_HZ, subtype="PCM_16")
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")
    return path


def table(path: Path, rows, delimiter: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def index_name(name: str, version: str = "default") -> str:
    indexes = load_module(name).INDEXES
    found = indexes[version]
    return (indexes[found] if isinstance(found, str) else found).filename


def write_index(name: str, home: Path, items, folder: Path | None = None) -> Path:
    """Write the library's index of ``items``: {identity: {kind: path or None}}."""
    kind = "clips" if name.startswith("soundata") else "tracks"
    listed = {
        identity: {
            key: [None, None]
            if path is None
            else [path.relative_to(home).as_posix(), hashlib.md5(path.read_bytes()).hexdigest()]
            for key, path in files.items()
        }
        for identity, files in items.items()
    }
    return text((folder or home) / index_name(name), json.dumps({"version": "1.0", kind: listed}))


def urbansound8k(home: Path):
    rows = [
        ["slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"],
        ["7-3-0-0.wav", 7, 0, 1, 1, 1, 3, "dog_bark"],
        ["7-3-0-1.wav", 7, 1, 2, 1, 1, 3, "dog_bark"],
        ["9-8-0-0.wav", 9, 0, 1, 2, 10, 8, "siren"],
    ]
    table(home / "metadata" / "UrbanSound8K.csv", rows)
    return {
        name.removesuffix(".wav"): {"audio": wav(home / "audio" / f"fold{fold}" / name)}
        for name, _, _, _, _, fold, _, _ in rows[1:]
    }


def esc50(home: Path):
    rows = [
        ["filename", "fold", "target", "category", "esc10", "src_file", "take"],
        ["1-100032-A-0.wav", 1, 0, "dog", True, 100032, "A"],
        ["5-9032-A-0.wav", 5, 0, "dog", True, 9032, "A"],
        ["2-4-B-11.wav", 2, 11, "sea_waves", True, 4, "B"],
    ]
    table(home / "meta" / "esc50.csv", rows)
    return {
        row[0].removesuffix(".wav"): {"audio": wav(home / "audio" / row[0])} for row in rows[1:]
    }


def dcase23_task4b(home: Path):
    rows = [
        [0, 1, "people talking", 0.9],
        [1, 2, "people talking", 0.3],
        [0, 1, "furniture dragging", 0.2],
        [1, 2, "cutlery and dishes", 0.5],
    ]
    notes = home / "development_annotation/soft_labels_cafe_restaurant/cafe_restaurant_00.txt"
    table(notes, rows, "\t")
    audio = wav(home / "development_audio/cafe_restaurant/cafe_restaurant_00.wav", 2.0)
    return {"cafe_restaurant_00": {"audio": audio, "annotations": notes}}


def urbansed(home: Path):
    items = {}
    for split, events in (
        ("train", [[0.1, 0.6, "dog_bark"], [0.4, 0.9, "siren"], [0.7, 0.8, "dog_bark"]]),
        ("validate", [[0, 0.5, "siren"]]),
        ("test", [[0.2, 0.3, "dog_bark"]]),
    ):
        clip = f"soundscape_{split}"
        notes = table(home / "annotations" / split / f"{clip}.txt", events, "\t")
        jams = text(home / "annotations" / split / f"{clip}.jams", "{}")
        audio = wav(home / "audio" / split / f"{clip}.wav")
        items[clip] = {"audio": audio, "jams": jams, "txt": notes}
    return items


def tau2019uas(home: Path):
    root = home / "TAU-urban-acoustic-scenes-2019-development"
    files = [("airport-a-1.wav", "airport"), ("park-b-2.wav", "park"), ("park-c-3.wav", "park")]
    rows = [[f"audio/{file}", scene, f"{scene}-x"] for file, scene in files]
    table(root / "meta.csv", [["filename", "scene_label", "identifier"], *rows], "\t")
    for setup, chosen in (("train", rows[:1]), ("evaluate", rows[1:2]), ("test", rows[1:2])):
        lines = [["filename"], *[[row[0]] for row in chosen]]
        table(root / "evaluation_setup" / f"fold1_{setup}.csv", lines, "\t")
    items = {f"development/{f[:-4]}": {"audio": wav(root / "audio" / f)} for f, _ in files}
    for part in ("evaluation", "leaderboard"):
        other = home / f"TAU-urban-acoustic-scenes-2019-{part}"
        table(other / "evaluation_setup/test.csv", [["filename"], [f"audio/{part}.wav"]], "\t")
        items[f"{part}/{part}"] = {"audio": wav(other / "audio" / f"{part}.wav")}
    return items


def starss2022(home: Path):
    items = {}
    for form in ("foa", "mic"):
        notes = home / f"metadata_dev/dev-train-tau/fold3_{form}.csv"
        # frame of 0.1 s, class, source, azimuth, elevation
        rows = [[0, 8, 0, 10, 0], [1, 8, 0, 11, 0], [5, 8, 0, 11, 0], [2, 1, 0, 0, 0]]
        table(notes, rows)
        audio = wav(home / f"{form}_dev/dev-train-tau/fold3_{form}.wav", channels=4)
        items[f"{form}_dev/dev-train-tau/fold3_{form}"] = {"audio": audio, "events": notes}
    return items


def warblrb10k(home: Path):
    rows = [["itemid", "hasbird"], ["a-1", 1], ["b-2", 0]]
    table(home / "warblrb10k_public_metadata.csv", rows)
    table(home / "warblrb10k_public_metadata_2018.csv", rows)
    return {name: {"audio": wav(home / "wav" / f"{name}.wav")} for name, _ in rows[1:]}


def irmas(home: Path):
    train = wav(home / "IRMAS-TrainingData/cla/[cla][cla]0189__2.wav", channels=2)
    test = wav(home / "IRMAS-TestingData-Part1/Part1/02 - And The Body Will Die-8.wav", channels=2)
    notes = text(test.with_suffix(".txt"), "gel\t\nvoi\t\n")
    return {
        "0189__2": {"audio": train, "annotation": None},
        "1": {"audio": test, "annotation": notes},
    }


def medley_solos_db(home: Path):
    rows = [
        ["subset", "instrument", "instrument_id", "song_id", "uuid4"],
        ["training", "piano", 4, 7, "aa"],
        ["validation", "flute", 3, 8, "bb"],
        ["test", "piano", 4, 9, "cc"],
    ]
    table(home / "annotation/Medley-solos-DB_metadata.csv", rows)
    return {
        uuid: {"audio": wav(home / f"audio/Medley-solos-DB_{subset}-{number}_{uuid}.wav.wav")}
        for subset, _, number, _, uuid in rows[1:]
    }


def gtzan_genre(home: Path):
    names = ("blues.00000", "hiphop.00001")
    return {
        name: {
            "audio": wav(home / f"gtzan_genre/genres/{name.split('.')[0]}/{name}.wav"),
            "beats": None,
            "tempo": None,
        }
        for name in names
    }


def giantsteps_key(home: Path):
    items = {}
    for number, genre in ((1, "Techno"), (2, "House")):
        audio = home / f"audio/{number}.LOFI.mp3"
        audio.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(audio, np.random.default_rng(number).normal(0, 0.1, 44_100), 44_100)
        meta = {"genres": [{"name": genre}], "sub_genres": [], "artists": [{"name": "x"}]}
        items[str(number)] = {
            "audio": audio,
            "key": text(home / f"keys/{number}.key", "D major"),
            "meta": text(home / f"meta/{number}.json", json.dumps(meta)),
        }
    return items


def openmic2018(home: Path):
    keys = ("000100_0", "000101_3840")
    head = [["track_id", "track_genres", "sample_key", "start_time"]]
    table(home / "openmic-2018-metadata.csv", head + [[n, "[]", k, 0] for n, k in enumerate(keys)])
    scores = [(0, "piano", 0.9), (0, "voice", 0.5), (0, "flute", 0.3), (1, "flute", 1.0)]
    head = [["sample_key", "instrument", "relevance", "num_responses"]]
    rows = [[keys[n], instrument, score, 3] for n, instrument, score in scores]
    table(home / "openmic-2018-aggregated-labels.csv", head + rows)
    table(home / "partitions/split01_train.csv", [[keys[0]]])
    table(home / "partitions/split01_test.csv", [[keys[1]]])
    return {
        key: {
            "audio": wav(home / f"audio/000/{key}.wav"),
            "vggish": text(home / f"vggish/000/{key}.json", "{}"),
        }
        for key in keys
    }


def tinysol(home: Path):
    head = ["Path", "Fold", "Family", "Abbr", "Full", "TAbbr", "TFull", "Pitch", "ID", "Dyn", "DID"]
    rows = [[*head, "Instance", "String", "Resampled"]]
    items = {}
    for fold, instrument in ((0, "Accordion"), (4, "Oboe")):
        path = f"Winds/{instrument}/{instrument}-C4.wav"
        rows.append([path, fold, "Winds", "X", instrument, "ord", "ordinario", "C4", 60, "mf", 2])
        rows[-1] += [0, "", "FALSE"]
        items[f"{instrument}-C4"] = {"audio": wav(home / "audio" / path)}
    table(home / "annotation/TinySOL_metadata.csv", rows)
    return items


MAKERS = {
    **{f"soundata:{maker.__name__}": maker for maker in (urbansound8k, esc50, dcase23_task4b)},
    **{f"soundata:{maker.__name__}": maker for maker in (urbansed, tau2019uas, starss2022)},
    "soundata:warblrb10k": warblrb10k,
    **{f"mirdata:{maker.__name__}": maker for maker in (irmas, medley_solos_db, gtzan_genre)},
    **{f"mirdata:{maker.__name__}": maker for maker in (giantsteps_key, openmic2018, tinysol)},
}


def make(name: str, home: Path) -> Path:
    """Write a small data set and its index below ``home``."""
    write_index(name, home, MAKERS[name](home))
    return home
