"""Every command of the migration page is accepted as it stands."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from soundgate import cli
from soundgate.audio.files.reading import write

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/spot_migration.md").read_text("utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
DOCUMENT = (
    *("prepare_datasets.py", "training_factory.py", "train_models.sbatch", "start_training.py"),
    *("benchmark_factory.py", "pred_models.batch", "eval_factory.py", "eval_models.batch"),
    *("start_evaluation.py", "build_pred_index.py", "evaluate_benchmark.py"),
    *("metrics_analysis.py", "squeue", "purge"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Corpora and files as their users have them."""
    folder = tmp_path_factory.mktemp("alpacas")
    generator = np.random.RandomState(0)
    for corpus, tapes in (
        ("training_corpus_v1", range(1, 5)),
        ("benchmark_corpus_v1", range(7, 9)),
    ):
        for number in tapes:
            clip = f"388_2025020{number}_cut.wav_0_20.wav"
            sound = (0.01 * generator.standard_normal(20 * 8000)).astype("float32")
            for name, samples in (
                (f"labelled_recordings/{clip}", sound),
                (f"segmented/{clip}_2_2.5Q2.wav", sound[16000:20000]),
                (f"segmented/{clip}_9.25_10Q{number % 3 + 1}.wav", sound[74000:80000]),
            ):
                path = folder / "data" / corpus / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path, samples, 8000)
    shutil.copytree(ROOT / "tests/spot_small", folder / "tools")
    return folder


def answer(folder: Path, command: str) -> list[str]:
    """The words of a command, with paths of the page made those of the folder."""
    words = shlex.split(re.sub(r"(?<![\w/])(data|tools)/", rf"{folder}/\1/", command))
    return [str(folder / word) if word == "tables" else word for word in words]


def test_the_page_answers_every_command_of_the_document():
    assert [name for name in DOCUMENT if name not in PAGE] == []


def test_corpora_are_indexed_and_data_sets_prepared(folder, capsys):
    for command in [line for line in COMMANDS if "corpus" in line and "soundgate" in line][:3]:
        assert cli.main(answer(folder, command)[1:]) == 0, capsys.readouterr().err
    made = folder / "data/training_corpus_v1/dataset_calm"
    assert {p.name for p in made.iterdir() if p.suffix != ".wav"} == {
        *("train.csv", "val.csv", "test.csv", "variant_index.json"),
        *("selection_tables", "spectrograms"),
    }
    index = json.loads((made / "variant_index.json").read_text("utf-8"))
    names = [entry["fn"] for entry in index["entries"]]
    assert any(
        re.match(r"target-Q2_\d{6}_2025_388-20250201-cut_0002000_0002500\.wav", n) for n in names
    )
    assert len(list((folder / "tables").iterdir())) == 4


def test_the_run_passes_a_dry_run(folder, tmp_path, monkeypatch, capsys):
    [command] = [line for line in COMMANDS if line.startswith("run-pipeline")]
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SOUNDGATE_RUNS", str(tmp_path))
    assert cli.main([*answer(folder, command), "--dry-run"]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert "train-v1_calm" in told
    assert "predict-v2_loud-len250_hop100" in told


def test_the_other_commands_exist():
    others = {shlex.split(line)[1] for line in COMMANDS if line.startswith("soundgate ")}
    assert others <= set(cli.COMMANDS)
    assert (ROOT / "notebooks/metrics_analysis.ipynb").is_file()
