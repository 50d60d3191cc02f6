"""What a tagging run leaves for a review page, made of random scores and a few sounds."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from toy_review import match_of, write_audio

from soundgate.audio.classification.comparison.against_champion import conclude
from soundgate.audio.classification.tagging import comparison
from soundgate.audio.classification.tagging.evaluation import TaggedClips, report_of
from soundgate.audio.clips.families import IRMAS_FAMILIES
from soundgate.audio.formats.model import DESCRIPTION
from soundgate.audio.formats.models.tagger import FrontEndRecord, NetworkRecord, TaggerFile
from soundgate.audio.formats.record import write_record
from soundgate.audio.formats.reports.clip_results import PREDICTIONS, write_results
from soundgate.audio.formats.reports.comparison import (
    NO_CHAMPION,
    Comparison,
    write_comparison,
)
from soundgate.audio.formats.reports.report import write_report
from soundgate.audio.formats.version import VersionCard
from soundgate.audio.formats.waveforms import Row
from soundgate.audio.metrics import multilabel
from soundgate.audio.review.evidence import Folders
from soundgate.audio.signal.front_ends.settings import FrontEndSettings

IRMAS = ("cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi")
WITHOUT = "voi"
"""No test clip has it."""
OPEN = "tru"
"""Half of the clips are not annotated with it."""


def tagger(labels=IRMAS, families=None, *, threshold=0.4):
    """A description; thresholds rise from label to label."""
    settings = FrontEndSettings(name="MEL_SPECTROGRAM", sample_rate_hz=16_000)
    known = families or {
        name: tuple(k for k in own if k in labels) for name, own in IRMAS_FAMILIES.items()
    }
    return TaggerFile(
        architecture="PLAIN",
        classes=labels,
        sample_rate_hz=16_000,
        front_end=FrontEndRecord.of(settings),
        network=NetworkRecord(
            network="PLAIN", head="LINEAR", dropout=0.2, use_fluffy=False, use_rgb=False
        ),
        thresholds={label: round(threshold + 0.01 * k, 2) for k, label in enumerate(labels)},
        families={name: own for name, own in known.items() if own},
        seed=1,
        stages={"all": 3},
        epochs=3,
        best_epoch=2,
        parameters=99_000,
    )


def scores(truth, skill, seed):
    """Float64 (clip, label): of positive clips the higher, the higher ``skill``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 1, truth.shape) + truth * skill * np.linspace(0.4, 1.6, truth.shape[1])
    return 1 / (1 + np.exp(-logits))


def tagged(description, *, clips=48, skill=2.0, seed=1):
    """Clips of one to three labels, two a recording."""
    labels = description.classes
    rng = np.random.default_rng(7)
    truth = rng.random((clips, len(labels))) < 0.25
    truth[:, [label == WITHOUT for label in labels]] = False
    mask = np.ones_like(truth)
    mask[::2, [label == OPEN for label in labels]] = False
    truth &= mask
    rows = [
        Row(
            path=f"audio/{k:03d}.wav",
            labels=tuple(x for x, there in zip(labels, truth[k], strict=True) if there),
            group=f"recording {k // 2}",
            split="test",
            first_sample=0,
            samples=16_000,
        )
        for k in range(clips)
    ]
    thresholds = np.array([description.thresholds[label] for label in labels])
    tags = multilabel.tags(truth, scores(truth, skill, seed), thresholds, mask)
    ones = np.ones(clips, int)
    return TaggedClips(rows, labels, tags, ones, ones)


def write_tag_run(folder, *, labels=IRMAS, families=None, champion=True, audio=True, clips=48):
    """Write all folders of a run of a tagger, and what they hold: its clips and its report."""
    folders = Folders(
        **{name: folder / name for name in ("report", "model", "metrics", "clips", "card")},
        comparison=folder / "comparison",
    )
    for name in ("report", "model", "metrics", "clips", "card", "comparison"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    description = tagger(labels, families)
    scored = tagged(description, clips=clips)
    made = report_of(scored, description, 0.95)
    write_report(folders.report, made)
    write_results(folders.report / PREDICTIONS, scored.results())
    if audio:
        write_audio(folders.clips, scored.rows)
    write_record(folders.model / DESCRIPTION, description)
    history = [
        {"epoch": k, "loss": 1 / k, "validation_loss": 1.2 / k, "validation_macro_f1": 1 - 1 / k}
        for k in range(1, 4)
    ]
    text = "".join(json.dumps(row) + "\n" for row in history)
    (folders.metrics / "history.jsonl").write_text(text)
    card = {"name": "toy", "title": "Toy tags", "licence": "CC0", "clips": 200, "digest": "ab12"}
    (folders.card / "dataset.json").write_text(json.dumps(card))
    if champion:
        _compare(folders, description, scored)
    else:
        nothing = Comparison(compared=False, reason=NO_CHAMPION, confidence_level=0.95)
        write_comparison(folders.comparison, nothing)
    return folders, scored, made


def _compare(folders, description, scored):
    theirs = tagger(description.classes, description.families, threshold=0.5)
    both = match_of(folders, description)
    thresholds = np.array([theirs.thresholds[label] for label in theirs.classes])
    truth, mask = scored.tags.truth, scored.tags.mask
    tags = multilabel.tags(truth, scores(truth, 1.4, 2), thresholds, mask)
    champion = replace(scored, tags=tags)
    version = VersionCard(name="tagging", version="3", run_id="r")
    made = comparison.with_figures(
        both.comparison(version, 0.95), both, (description, champion), 0.95
    )
    conclude(folders.comparison, made, champion.results())
