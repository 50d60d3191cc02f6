"""The spotting pipeline: what its files make of it, and a whole run on rendered tapes."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import spot_runs

from pipelines.parameters.spot import SpotParameters
from pipelines.spot import get_pipeline
from soundgate.audio.formats.datasets.variant import read_variant_index
from soundgate.audio.formats.reports.report import read_report
from soundgate.errors import ConfigError, ParameterError
from soundgate.parameters import ConfigFile

VARIANTS = ["v1_calm", "v2_loud"]


@pytest.fixture
def declare(tmp_path):
    """Declares the pipeline with copies of the small files; returns its tasks and the folder."""
    folder = shutil.copytree(spot_runs.FILES, tmp_path / "files")

    def declared(**chosen):
        files = {
            name: str(folder / f"{name}.json")
            for name in ("train_variants", "benchmark_variants", "dataset_prep_configs")
        }
        p = SpotParameters(config=ConfigFile(str(spot_runs.CONFIG)), **{**files, **chosen})
        return get_pipeline(p).tasks

    declared.folder = folder
    return declared


def edit(path, change):
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document), "utf-8")


def changed(before, after):
    """Tasks that are new or not what they were."""
    return {name for name, task in after.items() if before.get(name) != task}


def test_a_task_for_every_data_set_variant_and_window(declare):
    tasks = list(declare())
    assert tasks[:5] == [
        "collect-training",
        "collect-benchmark",
        "prepare-calm",
        "prepare-loud",
        "train-v1_calm",
    ]
    window = "len250_hop100"
    for kind in ("predict", "validate", "evaluate"):
        assert [t for t in tasks if t.startswith(kind)] == [
            f"{kind}-{v}-{window}" for v in VARIANTS
        ]
    assert tasks[-5:] == ["compare", "export", "gate-event-f1", "review", "register"]
    assert "export" not in declare(export=False)


def test_evaluation_needs_no_gpu(declare):
    gpus = {name.split("-")[0] for name, task in declare().items() if task.resources.gpus}
    assert gpus == {"train", "predict", "validate"}


def test_editing_a_variant_changes_only_that_variant(declare):
    before = declare()
    path = declare.folder / "train_variants.json"
    edit(path, lambda d: d["variants"]["v2_loud"].update(n_fft=512))
    assert changed(before, declare()) == {"train-v2_loud"}  # what follows reads its new model
    edit(path, lambda d: d["variants"].update(v0={"dataset": "dataset_calm"}))
    assert changed(before, declare()) == {
        "train-v2_loud",
        *(f"{kind}-v0-len250_hop100" for kind in ("predict", "validate", "evaluate")),
        "train-v0",
        "compare",
    }


def test_the_slurm_block_sets_what_a_training_asks_for(declare):
    slurm = {"partition": "kisski", "gpus": "A100:2", "cpus": 12, "time": "01:30:00"}
    edit(declare.folder / "train_variants.json", lambda d: d["globals"].update(slurm=slurm))
    tasks = declare()
    asked = tasks["train-v1_calm"].resources
    # earlier tools reserved two GPUs, and used one
    assert (asked.cpus, asked.hours, asked.gpus) == (12, 1.5, 1)
    assert tasks["predict-v1_calm-len250_hop100"].resources.cpus != 12


def test_names_with_dots_are_names_of_tasks(declare):
    path = declare.folder / "dataset_prep_configs.json"
    edit(path, lambda d: d["strategies"].update({"random_nph_0.5": {"noise_per_hum": 0.5}}))
    document = {"variants": {"v1.5": {"dataset": "dataset_random_nph_0.5"}}}
    (declare.folder / "train_variants.json").write_text(json.dumps(document))
    assert {"prepare-random_nph_0-5", "train-v1-5"} <= set(declare())


def test_editing_a_threshold_predicts_nothing_again(declare):
    before = declare()
    edit(declare.folder / "benchmark_variants.json", lambda d: d[0].update(threshold=0.4))
    assert {name.split("-")[0] for name in changed(before, declare())} == {"evaluate"}


def test_editing_a_strategy_changes_only_its_data_set(declare):
    before = declare()
    path = declare.folder / "dataset_prep_configs.json"
    edit(path, lambda d: d["strategies"]["loud"].update(seed=5))
    assert changed(before, declare()) == {"prepare-loud"}


@pytest.mark.parametrize(
    ("chosen", "error", "told"),
    [
        ({"training_corpus": "absent"}, ParameterError, "training_corpus: absent: is no folder"),
        ({"benchmark_annotations": ["a.txt"]}, ParameterError, "a synthetic corpus takes none"),
        ({"annotation_columns": ["label"]}, ParameterError, "write FIELD=COLUMN"),
        ({"train_variants": "absent.json"}, ConfigError, "absent.json: cannot be read"),
        ({"q_event_f1_threshold": 2}, Exception, "q_event_f1_threshold"),
    ],
)
def test_mistakes_are_found_where_the_pipeline_is_declared(declare, chosen, error, told):
    with pytest.raises(error, match=told):
        declare(**chosen)


def test_a_dry_run_prints_the_tasks_and_runs_nothing(tmp_path):
    done = spot_runs.run(tmp_path / "runs", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "train-v2_loud" in done.stdout
    assert not (tmp_path / "runs/spot").exists()


@pytest.mark.slow
def test_a_run_ends_with_a_candidate(small_spot):
    tasks = spot_runs.tasks_of(small_spot)
    index = read_variant_index(tasks / "prepare-calm/dataset")
    assert (index.meta.variant, index.meta.group_by) == ("calm", "tape")
    report = read_report(tasks / "compare/report")
    assert 0 <= report.metrics["event_f1"].value <= 1
    log = (tasks / "register/log.txt").read_text("utf-8")
    assert "registered spot-candidates version 1" in log
    assert (tasks / "review/review/report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_a_detector_that_fails_costs_only_its_own_predictions(small_spot, tmp_path):
    """A Fourier transform longer than the window fails; mended, only that variant runs again."""
    files = shutil.copytree(spot_runs.FILES, tmp_path / "files")
    variants = files / "train_variants.json"
    good = variants.read_bytes()
    edit(variants, lambda d: d["variants"]["v2_loud"].update(n_fft=65536))
    settings = (
        *spot_runs.SMALL,
        f"train_variants={variants}",
        f"store={tmp_path / 'store'}",
    )
    done = spot_runs.run(tmp_path / "runs", settings=settings)
    assert done.returncode == 1
    assert re.search(r"^spot \S+ failed.*: train-v2_loud$", done.stdout, re.MULTILINE)
    tasks = spot_runs.tasks_of(tmp_path / "runs")
    assert (tasks / "evaluate-v1_calm-len250_hop100/report/evaluation.json").is_file()
    assert not (tasks / "predict-v2_loud-len250_hop100/task.json").is_file()
    variants.write_bytes(good)
    again = spot_runs.run(tmp_path / "runs", settings=settings)
    assert again.returncode == 0, again.stdout + again.stderr
    rows = [line.split() for line in again.stdout.splitlines()]
    ran = {row[0] for row in rows if row[1:2] == ["running"]}
    assert ran == {
        "champion",
        "train-v2_loud",
        *(f"{kind}-v2_loud-len250_hop100" for kind in ("predict", "validate", "evaluate")),
        *("compare", "gate-event-f1", "review", "register"),
    }
    [best] = (tmp_path / "runs").glob("spot/2*/tasks/compare/report/evaluation.json")
    assert spot_runs.report_digest(best.read_bytes()) == spot_runs.report_digest(
        spot_runs.local_report(small_spot)
    )
