"""Report the F1 score of a detector: each recording's, and the mean."""

import json
from statistics import fmean

from soundgate.step import NamedInputPaths, OutputPath, main


def summarise(counts: NamedInputPaths, report: OutputPath) -> None:
    """Read the counts of every recording; an item is called ``detector/recording``."""
    scores = {}
    for name, folder in counts.items():
        n = json.loads((folder / "counts.json").read_text())
        hits = 2 * n["hits"]
        scores[name] = hits / (hits + n["false_alarms"] + n["misses"])
    f1 = {"value": fmean(scores.values()), "items": scores}
    (report / "evaluation.json").write_text(json.dumps({"f1": f1}))
    print({name: round(score, 3) for name, score in scores.items()})


if __name__ == "__main__":
    main(summarise)
