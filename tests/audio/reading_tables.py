"""Read predictions back, whatever their format, with libraries that did not write them."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow.parquet

from soundgate.audio.prediction import prediction

WORDS = {"path", "predicted", "unknown", "remark", "reason"}


def rows(folder, name):
    """The rows of clips, patches or failures as dicts of Python values."""
    for extension in ("csv", "parquet", "jsonl"):
        path = folder / f"{name}.{extension}"
        if path.is_file():
            return {"csv": _csv, "parquet": _parquet, "jsonl": _jsonl}[extension](path)
    raise FileNotFoundError(folder / name)


def _csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    for row in found:
        for key in row.keys() - WORDS:
            row[key] = float(row[key])
        if "unknown" in row:
            row["unknown"] = {"true": True, "false": False}[row["unknown"]]
    return found


def _parquet(path):
    return pyarrow.parquet.read_table(path).to_pylist()


def _jsonl(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def scores(found, columns):
    return np.array([[row[column] for column in columns] for row in found])


def predict(model, audio, out, *, manifest=None, workers=1, **settings):
    """The rows of ``clips``; the other files are in ``out``."""
    chosen = prediction.Settings(**settings)
    prediction.predict(model, audio, out, chosen, manifest=manifest, workers=workers)
    return rows(out, "clips")
