"""Choose the best of several heads by segments that none of them was trained on.

Reads   embeddings/   of which ``valid`` chooses
        models/       heads by name
        histories/    how their trainings went, by name
Writes  model/        the best
        metrics/      its training
        leaderboard/  leaderboard.json and leaderboard.csv: all heads, the best first
"""

from __future__ import annotations

import shutil

from soundgate.step import InputPath, NamedInputPaths, OutputPath, main


def choose(
    embeddings: InputPath,
    models: NamedInputPaths,
    histories: NamedInputPaths,
    model: OutputPath,
    metrics: OutputPath,
    leaderboard: OutputPath,
) -> None:
    """Rank the heads by macro F0.5, then by accuracy, and pass on the first."""
    from soundgate.audio.classification.heads import choosing

    best = choosing.choose(embeddings, models, leaderboard)
    for source, target in ((models[best.name], model), (histories[best.name], metrics)):
        shutil.copytree(source, target, dirs_exist_ok=True)


if __name__ == "__main__":
    main(choose)
