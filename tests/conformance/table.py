"""What works on which executor: the table in docs/executors.md.

``suite.py`` runs every row on every executor. A row is one test: its name after ``test_`` is the
row's key, its docstring the sentence in the table. A deviation listed here is run as well and must
fail; if it passes, the table is wrong.
"""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "executors.md"
ENGINES = ("local", "slurm", "sagemaker", "kubeflow", "make (example)")

ROWS: dict[str, str] = {}
"""Sentences by the name of the test that proves them; ``suite.py`` fills it."""

STOPS_ALL = (
    "AWS does not document what becomes of the other steps after one failed; assumed, and tested, "
    "is that those that run are stopped and no other is started"
)
DEVIATIONS: dict[tuple[str, str], str] = {
    ("local", "network"): "tasks are processes on this machine and share its network",
    ("sagemaker", "network"): "jobs can reach everything their subnets can reach",
    ("kubeflow", "network"): "containers can reach everything the cluster's network policies allow",
    ("kubeflow", "mistake"): ("Kubeflow retries every failure alike, including a user's mistake"),
    ("kubeflow", "reused_outputs"): (
        "Kubeflow's API does not say where a cached result is stored: fetch it from the earlier run"
    ),
    ("sagemaker", "partial_failure"): STOPS_ALL,
    ("sagemaker", "partial_gate"): STOPS_ALL,
    ("sagemaker", "partial_resume"): (
        "steps that SageMaker stopped because another failed run again, too"
    ),
    ("sagemaker", "product_failure"): STOPS_ALL,
    ("make (example)", "added_item"): "`make` looks only at the folder of one run",
    ("make (example)", "network"): "tasks are processes on this machine and share its network",
    ("make (example)", "reuse"): "`make` looks only at the folder of one run",
    ("make (example)", "no_cache"): "`make` looks only at the folder of one run",
}
"""(executor, row): what happens instead."""


def row(test):
    """Make a test a row of the table, and expect it to fail where the table says so."""
    key = test.__name__.removeprefix("test_")
    ROWS[key] = " ".join(test.__doc__.split()).rstrip(".")

    @functools.wraps(test)
    def run(self, engine, **fixtures):
        deviation = DEVIATIONS.get((engine.name, key))
        if deviation is None:
            test(self, engine, **fixtures)
            return
        with pytest.raises(AssertionError):
            test(self, engine, **fixtures)

    return run


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
