"""Compare all detectors, and pass on the one that found the validation recordings' calls best.

Reads   reports/     of every model with every window, by variant/window
        models/      by variant
        histories/   how their trainings went, by variant
        champion/    version.json of the released detector, where there is one
Writes  report/      the best's, with a leaderboard; metrics.csv and tables of all
        model/       the best's
        metrics/     the best's training
        comparison/  comparison.json: its figures beside those the champion was registered with
"""

from __future__ import annotations

import shutil

from soundgate.step import InputPath, NamedInputPaths, OutputPath, main

EXTRAS = ("spot",)


def compare(
    reports: NamedInputPaths,
    models: NamedInputPaths,
    histories: NamedInputPaths,
    champion: InputPath,
    report: OutputPath,
    model: OutputPath,
    metrics: OutputPath,
    comparison: OutputPath,
) -> None:
    """Write the leaderboard; the benchmark does not choose, it says how good the best is."""
    from soundgate.audio.detection.evaluation import comparison as detectors

    best = detectors.compare(reports, models, report)
    detectors.compare_with_champion(best.report, champion, comparison)
    for source, target in ((models[best.model], model), (histories[best.model], metrics)):
        shutil.copytree(source, target, dirs_exist_ok=True)


if __name__ == "__main__":
    main(compare)
