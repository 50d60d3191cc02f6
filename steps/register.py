"""Register a model that may be released as a candidate for review.

Reads   model/     the classifier         report/    its evaluation
        card/      which data it learnt from
        gates      JSON file of the gates, as the pipeline declared them
        judged/    every report that a gate reads, by ``task/output``
        exported/  programs that run it   review/    the page its reviewer opens
        comparison/  the candidate beside the champion
Writes  entry/     entry.json: name, version, where the registry is

A candidate is a version of ``<name>-candidates`` with the evidence a reviewer needs: signature,
figures, verdicts, commit, run and data digest. A run registers once, however often this is tried.
The gates have been passed, or were advisory; they are judged once more for the record, because not
every engine has a gate write down what it said.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.errors import GateMissed
from soundgate.gates import judge_all
from soundgate.step import InputPath, NamedInputPaths, OutputPath, main
from soundgate.text.masking import masked_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.registry.versions.changes import Compared

EXTRAS = ("registry",)


def undone(outputs: Mapping[str, Path], root: Path) -> str:
    """Return why an unchanged candidate must be registered again; empty where it need not."""
    from soundgate.registry.candidates.presence import missing
    from soundgate.registry.service.connection import tracking_uri

    return missing(outputs["entry"] / "entry.json", tracking_uri(root))


def register(
    model: InputPath,
    report: InputPath,
    card: InputPath,
    gates: InputPath,
    judged: NamedInputPaths,
    entry: OutputPath,
    *,
    model_name: str,
    exported: InputPath | None = None,
    review: InputPath | None = None,
    comparison: InputPath | None = None,
    modelzoo_version: str = "",
) -> None:
    """Create the candidate version; print its name and version."""
    from soundgate.audio.formats.datasets.card import read_card
    from soundgate.audio.formats.reports.clip_results import clips_digest
    from soundgate.audio.formats.reports.events import calls_digest
    from soundgate.audio.formats.reports.report import read_report
    from soundgate.registry.candidates.registration import register_candidate
    from soundgate.registry.candidates.signatures import classes_of, signature_of
    from soundgate.registry.service.connection import Registry, tracking_uri
    from soundgate.registry.versions.figures import TEST_TAG, Headline
    from soundgate.runs import Context

    context = Context.from_environment()
    root = Path(context.root or "runs")
    figures = read_report(report)
    data = read_card(card)
    verdicts = judge_all(gates, judged)
    for verdict in verdicts:
        if not (verdict.passed or verdict.advisory):
            raise GateMissed(f"not registered: {verdict.message}")
    found = register_candidate(
        Registry(tracking_uri(root)),
        model=model,
        report=report,
        exported=exported,
        review=review,
        name=model_name,
        provenance={
            "run": context.run or "by-hand",
            "pipeline": context.pipeline,
            "commit": context.commit,
            "dataset": data.digest,
            "dataset.name": data.name,
            "dataset.licence": data.licence,
            TEST_TAG: clips_digest(report, figures) or calls_digest(report, figures),
            "modelzoo.version": modelzoo_version,
        },
        verdicts=verdicts,
        signature=signature_of(model, exported),
        metrics={name: metric.value for name, metric in figures.metrics.items()},
        headline=[Headline(line.metric, line.title) for line in figures.headline],
        classes=classes_of(model),
        compared=compared_in(comparison) if comparison else None,
    )
    entry.mkdir(parents=True, exist_ok=True)
    (entry / "entry.json").write_text(
        json.dumps(masked_values(found.as_json()), indent=1) + "\n", "utf-8"
    )
    print(f"registered {found.name} version {found.version} in {found.tracking_uri}")


def compared_in(comparison: Path) -> Compared | None:
    """How the candidate was held against the champion; None where there was no champion."""
    from soundgate.audio.formats.reports.comparison import read_comparison
    from soundgate.registry.versions.changes import Compared

    found = read_comparison(comparison)
    if found.champion is None:
        return None
    return Compared(
        version=found.champion.version,
        run_id=found.champion.run_id or "",
        compared=found.compared,
        paired=found.paired,
        clips=found.clips,
        left_out=sum(found.left_out.values()),
        few=found.few_compared,
        reason=found.reason,
    )


if __name__ == "__main__":
    main(register)
