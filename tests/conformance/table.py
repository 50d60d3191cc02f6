"""What works on which executor: the table in docs/executors.md.

``suite.py`` runs every row on every executor. A deviation listed here is run as well and must
fail; if it passes, the table is wrong.
"""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "executors.md"
ENGINES = ("local", "slurm", "sagemaker", "kubeflow", "make (example)")

ROWS: dict[str, str] = {}
"""Sentences by the name of the test that proves them; ``suite.py`` fills it."""

DEVIATIONS: dict[tuple[str, str], str] = {
    ("local", "network"): "tasks are processes on this machine and share its network",
    ("sagemaker", "network"): "jobs can reach everything their subnets can reach",
    ("kubeflow", "network"): "containers can reach everything the cluster's network policies allow",
    ("kubeflow", "mistake"): ("Kubeflow retries every failure alike, including a user's mistake"),
    ("kubeflow", "reused_outputs"): (
        "Kubeflow's API does not say where a cached result is stored: fetch it from the earlier run"
    ),
    ("make (example)", "network"): "tasks are processes on this machine and share its network",
    ("make (example)", "reuse"): "`make` looks only at the folder of one run",
    ("make (example)", "no_cache"): "`make` looks only at the folder of one run",
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
