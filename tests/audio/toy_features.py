"""A features/ folder small enough to train on in a second: each class is loud in its own bands."""

from __future__ import annotations

import json

import numpy as np

from soundgate.audio.classification import inference
from soundgate.audio.config import UserConfig
from soundgate.audio.formats.feature_set import read_features

MELS = 16
PATCH = 16
CLASSES = ("bell", "dog", "other", "rain")


def write_features(folder, *, clips_per_class=10, multi_label=False, classes=CLASSES, **options):
    """Five folds of clips of 10 to 60 frames; the sources of a class are pairs of clips."""
    folder.mkdir(parents=True)
    spec = {"n_mels": MELS, "patch_length": PATCH, "overlap": 0.25} | options
    mels = spec["n_mels"]
    width = mels // 4
    rng = np.random.default_rng(4)
    rows, parts, first = [], [], 0
    for take in range(clips_per_class):
        for k, name in enumerate(classes):
            labels = [name]
            frames = rng.normal(-4.0, 1.0, (int(rng.integers(10, 60)), mels))
            frames[:, width * k : width * (k + 1)] += 2.0
            if multi_label and take % 3 == 0:
                extra = (k + 1) % len(classes)
                frames[:, width * extra : width * (extra + 1)] += 2.0
                labels = sorted((name, classes[extra]))
            row = {
                "path": f"audio/{name}-{take:03d}.wav",
                "labels": labels,
                "fold": take // 2 % 5 + 1,
                "split": None,
                "source": f"{name}-{take // 2}",
                "first_frame": first,
                "frames": len(frames),
                "duration_s": len(frames) / 100,
            }
            rows.append(row)
            parts.append(frames)
            first += len(frames)
    np.save(folder / "frames.npy", np.concatenate(parts).astype(np.float16))
    write_rows(folder, rows)
    description = {
        "format": "soundgate.features/1",
        "classes": list(classes),
        "multi_label": multi_label,
        "sample_rate_hz": 16000,
        "preprocessing": {},
        "feature_extraction": spec,
    }
    (folder / "features.json").write_text(json.dumps(description))
    return folder


def read_rows(folder):
    return [json.loads(line) for line in (folder / "clips.jsonl").read_text().splitlines()]


def write_rows(folder, rows):
    (folder / "clips.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def config(**sections):
    """A config for the features above: float32, so that every machine computes alike."""
    training = {"precision": "float32", "epochs": 4, "batch_size": 8, "model": {"width": 0.25}}
    augmentation = {"gain": {}, "mixup": {}, "SpecAug": {"freq_mask_param": 3}}
    return UserConfig.model_validate(
        {
            **sections,
            "data_augmentation": sections.get("data_augmentation", augmentation),
            "training": training | sections.get("training", {}),
        }
    )


def history(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def accuracy_on_test_clips(features, model):
    opened = read_features(features)
    classifier = inference.load(model)
    split = [json.loads(line) for line in (model / "split.jsonl").read_text().splitlines()]
    rows = [row for row, entry in zip(opened.rows, split, strict=True) if entry["split"] == "test"]
    scores = [inference.clip_scores(s) for s in inference.score_clips(classifier, opened, rows)]
    truth = opened.targets(rows)
    decided = inference.decide(np.array(scores), multi_label=classifier.multi_label)
    return float((decided == truth).all(1).mean())
