"""The notebook of detectors' metrics: both forms are one, and it runs on tables of any content."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "notebooks" / "metrics_analysis.py"
HEADER = (
    "n_gt,n_pred,tp,fp,fn,precision,recall,f1,mean_dstart_ms,mean_dend_ms,recall_q1,f1_q1,"
    "recall_q2,f1_q2,recall_q3,f1_q3,pearson_calls,spearman_calls,model,variant,layer"
)


def test_notebook_and_script_are_one(update_golden):
    jupytext = pytest.importorskip("jupytext")
    notebook = SCRIPT.with_suffix(".ipynb")
    script = jupytext.read(SCRIPT)
    if update_golden:
        script.nbformat_minor = 4  # later ones give each cell a random id
        for cell in script.cells:
            cell.pop("id", None)
        notebook.write_text(jupytext.writes(script, fmt="ipynb") + "\n", "utf-8")
    pair = jupytext.read(notebook)
    said = "run pytest tests/test_notebook.py --update-golden"
    assert [(c.cell_type, c.source) for c in pair.cells] == [
        (c.cell_type, c.source) for c in script.cells
    ], said


def run(folder: Path, figures: Path) -> str:
    words = [sys.executable, "-W", "error::FutureWarning", str(SCRIPT), str(folder), str(figures)]
    environment = {**os.environ, "MPLCONFIGDIR": str(folder)}
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env=environment, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def row(*, n_pred: int, f1: float, of: tuple[str, str, str], tail: str = ",,") -> str:
    return f"10,{n_pred},5,1,5,0.8,0.5,{f1},40.0,55.0,0.6,0.7,0.4,0.5,,,{tail}{','.join(of)}"


@pytest.mark.slow  # pandas and matplotlib are loaded anew
def test_it_runs_as_a_script_and_draws_every_figure(tmp_path):
    variants = ("len400_hop050_th50", "len400_hop050_th995", "len800_hop050_th42_trim250")
    rows = [
        row(n_pred=8 - k, f1=0.5 + 0.1 * k, of=("v1", variant, layer), tail="0.9,0.8,")
        for k, variant in enumerate(variants)
        for layer in ("evaluation", "postrf")
    ]
    (tmp_path / "metrics.csv").write_text("\n".join([HEADER, *rows]) + "\n", "utf-8")
    header = HEADER.replace(",pearson_calls,spearman_calls", "") + ",tape"
    tapes = [
        f"{row(n_pred=3, f1=0.4, of=('v1', variant, 'evaluation'), tail='')},{tape}"
        for variant in variants
        for tape in ("north", "south")
    ]
    (tmp_path / "metrics_per_tape.csv").write_text("\n".join([header, *tapes]) + "\n", "utf-8")
    said = run(tmp_path, tmp_path / "figures")
    first = said.split("Leaderboard\n")[1].splitlines()[1].split()
    assert first[1:5] == ["v1", "len800_hop050_th42_trim250", "evaluation", "0.7"]
    drawn = {path.stem for path in (tmp_path / "figures").glob("*.png")}
    assert drawn == {
        *("over_thresholds", "forest_arrows", "forest_reduction"),
        *("by_quality", "boundaries", "tapes"),
    }


@pytest.mark.slow
def test_it_runs_where_nothing_was_found(tmp_path):
    """One model without hits, as the first try of a user may be; no second stage."""
    empty = "10,0,0,0,10,0.0,0.0,0.0,,,0.0,0.0,,,,,"
    (tmp_path / "metrics.csv").write_text(
        f"{HEADER}\n{empty},,v1,len400_hop050_th90,evaluation\n", "utf-8"
    )
    header = HEADER.replace(",pearson_calls,spearman_calls", "") + ",tape"
    (tmp_path / "metrics_per_tape.csv").write_text(
        f"{header}\n{empty}v1,len400_hop050_th90,evaluation,north\n", "utf-8"
    )
    said = run(tmp_path, tmp_path / "figures")
    assert "There are no rows of a random forest" in said
