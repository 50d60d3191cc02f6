"""Register a model that may be released as a candidate for review.

Reads   model/     the classifier         report/    its evaluation
        card/      which data it learnt from
        gates      JSON file of the gates, as the pipeline declared them
        judged/    every report that a gate reads, by ``task/output``
        exported/  programs that run it   review/    the page its reviewer opens
Writes  entry/     entry.json: name, version, where the registry is

A candidate is a version of ``<name>-candidates`` with the evidence a reviewer needs: signature,
figures, verdicts, commit, run and data digest. A run registers once, however often this is tried.
The gates have been passed, or were advisory; they are judged once more for the record, because not
every engine has a gate write down what it said.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from soundgate.errors import GateMissed
from soundgate.gates import judge_all
from soundgate.step import InputPath, NamedInputPaths, OutputPath, main

EXTRAS = ("registry",)


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
    modelzoo_version: str = "",
) -> None:
    """Create the candidate version; print its name and version."""
    from soundgate.registry.candidates import register_candidate
    from soundgate.registry.connection import Registry, tracking_uri
    from soundgate.registry.signatures import patch_signature, waveform_signature
    from soundgate.runs import Context

    context = Context.from_environment()
    root = Path(context.root or "runs")
    description = json.loads((model / "model.json").read_text("utf-8"))
    figures = json.loads((report / "evaluation.json").read_text("utf-8"))
    data = json.loads((card / "dataset.json").read_text("utf-8"))
    verdicts = judge_all(gates, judged)
    for verdict in verdicts:
        if not (verdict["passed"] or verdict["advisory"]):
            raise GateMissed(f"not registered: {verdict['message']}")
    classes = len(description["classes"])
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
            "dataset": data["digest"],
            "dataset.name": data["name"],
            "dataset.licence": data["licence"],
            "modelzoo.version": modelzoo_version,
        },
        verdicts=verdicts,
        signature=(
            waveform_signature(classes)
            if exported is not None
            else patch_signature(description["input"]["n_mels"], classes)
        ),
        metrics=_metrics(figures),
    )
    entry.mkdir(parents=True, exist_ok=True)
    (entry / "entry.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(f"registered {found['name']} version {found['version']} in {found['tracking_uri']}")


def _metrics(figures: dict[str, Any]) -> dict[str, float]:
    """The headline figures, and those of the quantised model where it was evaluated."""
    accuracies = figures["multiclass_classification_metrics"]
    metrics = {
        "clip_accuracy": accuracies["clip_acc"]["value"],
        "patch_accuracy": accuracies["patch_acc"]["value"],
        "macro_f1": figures["macro_f1"],
        "calibration_error": figures["calibration"]["ece"],
    }
    if quantised := figures.get("quantized"):
        metrics |= {
            "quantized_clip_accuracy": quantised["clip_acc"]["value"],
            "quantized_patch_accuracy": quantised["patch_acc"]["value"],
            "quantized_agreement": quantised["agreement"],
            "quantized_size_bytes": quantised["size_bytes"],
        }
    return metrics


if __name__ == "__main__":
    main(register)
