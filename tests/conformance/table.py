"""What holds on which executor: the table that docs/executors.md shows.

``suite.py`` runs every row on every executor. A cell that is listed here as a deviation is run as
well and has to fail: when it no longer does, the table is wrong.
"""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "executors.md"
ENGINES = ("local", "slurm", "sagemaker", "kubeflow", "make (example)")

ROWS: dict[str, str] = {}
"""Sentences by the name of the test that proves them; ``suite.py`` fills it."""

DEVIATIONS: dict[tuple[str, str], str] = {
    ("local", "network"): "tasks are processes of this machine, which has its network",
    ("sagemaker", "network"): "jobs reach whatever their subnets reach",
    ("kubeflow", "network"): "containers reach whatever the cluster's network policies allow",
    ("kubeflow", "mistake"): (
        "Kubeflow's retries do not tell one failure from another: a mistake is tried again, too"
    ),
    ("kubeflow", "reused_outputs"): (
        "Kubeflow's API does not tell where a cached result lies: fetch it from an earlier run"
    ),
    ("make (example)", "network"): "tasks are processes of this machine, which has its network",
    ("make (example)", "reuse"): "`make` looks at one run's folder, never at another run",
    ("make (example)", "no_cache"): "`make` looks at one run's folder, never at another run",
}
"""(executor, row): what happens instead."""

BEGIN, END = "<!-- conformance: begin -->", "<!-- conformance: end -->"


def render() -> str:
    """Return the table and the footnotes as Markdown."""
    notes: list[str] = []
    lines = [f"| | {' | '.join(ENGINES)} |", f"| --- |{' --- |' * len(ENGINES)}"]
    for row, sentence in ROWS.items():
        cells = []
        for engine in ENGINES:
            deviation = DEVIATIONS.get((engine, row))
            if deviation and deviation not in notes:
                notes.append(deviation)
            cells.append(f"no ({notes.index(deviation) + 1})" if deviation else "yes")
        lines.append(f"| {sentence} | {' | '.join(cells)} |")
    footnotes = [f"({number}) {note}." for number, note in enumerate(notes, start=1)]
    return "\n".join([*lines, "", "\n\n".join(footnotes)])


def page(text: str) -> str:
    """Return the page with the table in its place."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{render()}\n{END}{after}"
