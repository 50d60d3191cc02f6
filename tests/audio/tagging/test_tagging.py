"""A tagger is trained, resumed, judged and compared on a small set of tones."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import fields

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle
from tagging_world import CONFIG, TONES_HZ, write_clips, write_waveforms

from soundgate.audio.classification.comparison.against_champion import Candidate
from soundgate.audio.classification.tagging import comparison
from soundgate.audio.classification.tagging.evaluation import evaluate
from soundgate.audio.classification.tagging.fit import Asked, fit
from soundgate.audio.classification.tagging.inference import joined, load
from soundgate.audio.classification.tagging.network import fresh, read_network
from soundgate.audio.config.tagging import EPOCH_FIGURES, parse_tagging
from soundgate.audio.formats.models.tagger import FrontEndRecord, NetworkRecord, read_tagger
from soundgate.audio.formats.reports.clip_results import read_results
from soundgate.audio.formats.version import VersionCard, write_version
from soundgate.audio.formats.waveforms import read_waveforms
from soundgate.audio.learning import checkpoints
from soundgate.audio.metrics.thresholds import best_thresholds
from soundgate.audio.networks.tagger import TaggerSettings
from soundgate.audio.signal.front_ends import FrontEndSettings
from soundgate.errors import ConfigError, DataError, ParameterError, Stopped

LABELS = tuple(TONES_HZ)


def config(**training):
    parsed = parse_tagging(CONFIG, "tagging.yaml")
    section = parsed.training.model_copy(update=training)
    return parsed.model_copy(update={"training": section})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Clips, waveforms, a trained model and its report."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("tagging")
    write_waveforms(write_clips(root / "clips"), root / "waveforms")
    fit(
        root / "waveforms",
        root / "model",
        root / "metrics",
        config(),
        Asked(checkpoints=root / "checkpoints"),
    )
    evaluate(root / "waveforms", root / "model", root / "report")
    return root


@pytest.fixture(scope="module")
def report(world):
    return json.loads((world / "report/evaluation.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("metric", "close"), [("VAL_F2", "did you mean 'VAL_F1'"), ("accuracy", "known: VAL_F1, VAL_H")]
)
def test_a_metric_that_no_epoch_has_is_refused_when_the_config_is_read(metric, close):
    text = f"training:\n  metric: {metric}\n"
    with pytest.raises(ConfigError, match=rf"^c\.yaml.*{metric}.*{close}") as told:
        parse_tagging(text, "c.yaml")
    assert "\n" not in str(told.value)


def test_a_range_test_sets_the_rates_or_ends(world, tmp_path, capsys):
    def asked(**values):
        parsed = config()
        training = parsed.training.model_copy(update={**values, "epochs": 2})
        return parsed.model_copy(update={"training": training})

    arguments = world / "waveforms", tmp_path / "model", tmp_path / "metrics"
    with pytest.raises(ConfigError, match=r"suggests .*e-\d\d as highest.*; see .*plot\.png"):
        fit(*arguments, asked(scheduler="AUTO_LR"), Asked(plot=tmp_path / "plot.png"))
    assert (tmp_path / "plot.png").is_file()
    assert not (tmp_path / "model").exists()
    fit(*arguments, asked(lr_range_test="go_on"))
    line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("range test"))
    highest = float(line.split()[2])
    rows = (tmp_path / "metrics/history.jsonl").read_text("utf-8").splitlines()
    rates = [json.loads(row)["learning_rate"] for row in rows]
    given = asked().training
    assert (tmp_path / "metrics/lr_range_test.png").is_file()
    assert given.highest_rate == given.lr_onecycle_max != pytest.approx(highest)
    assert 0 < max(rates) <= highest * 1.01


def test_every_metric_of_the_config_is_a_figure_of_an_epoch(world):
    [first, *_] = (world / "metrics/history.jsonl").read_text("utf-8").splitlines()
    assert set(EPOCH_FIGURES.values()) <= set(json.loads(first))


def test_tones_are_found(report):
    assert report["metrics"]["macro_f1"]["value"] >= 0.95
    assert report["metrics"]["mean_average_precision"]["value"] >= 0.98
    assert (report["clips"], report["sources"]) == (12, 12)


def test_the_figures_are_those_of_scikit_learn_on_the_rows(world, report):
    rows = list(read_results(world / "report/predictions.jsonl"))
    truth = np.array([[label in row.truth for label in LABELS] for row in rows])
    given = np.array([[label in row.predicted for label in LABELS] for row in rows])
    scores = np.array([[row.scores[label] for label in LABELS] for row in rows])
    found = {name: value["value"] for name, value in report["metrics"].items()}
    expected = {
        "macro_f1": oracle.f1_score(truth, given, average="macro"),
        "micro_f1": oracle.f1_score(truth, given, average="micro"),
        "mean_average_precision": oracle.average_precision_score(truth, scores),
        "macro_roc_auc": oracle.roc_auc_score(truth, scores),
        "hamming_distance": oracle.hamming_loss(truth, given),
        "subset_accuracy": oracle.accuracy_score(truth, given),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_decisions_are_made_by_the_model_s_own_thresholds(world):
    thresholds = read_tagger(world / "model").thresholds
    for row in read_results(world / "report/predictions.jsonl"):
        given = [label for label in LABELS if row.scores[label] >= round(thresholds[label], 6)]
        assert list(row.predicted) == given


def test_thresholds_are_chosen_on_validation_clips_alone(world):
    description, scorer = load(world / "model", torch.device("cpu"))
    clips = read_waveforms(world / "waveforms")
    rows = clips.of("validation")
    chunks = scorer.chunk_scores([clips.waveform(row) for row in rows])
    scores = np.stack([joined(each, "max") for each in chunks])
    chosen = best_thresholds(clips.targets(rows) >= 0.5, scores)
    expected = dict(zip(LABELS, chosen.values, strict=True))
    assert description.thresholds == pytest.approx(expected, abs=1e-6)


def test_the_head_alone_learns_first_then_everything(world):
    lines = (world / "metrics/history.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3, 4]
    assert read_tagger(world / "model").stages == {"head": 1, "whole": 3}
    content = (world / "checkpoints/head" / checkpoints.NAME).read_bytes()
    learnt = torch.load(io.BytesIO(content[32:]), weights_only=True)["network"]
    torch.manual_seed(7)
    untouched = fresh(config(), read_waveforms(world / "waveforms")).state_dict()
    same = {name for name, value in learnt.items() if torch.equal(value, untouched[name])}
    assert {name for name in learnt if name.startswith("backbone")} <= same
    assert not {name for name in learnt if name.startswith("head")} & same


def test_a_stopped_training_resumes_to_the_same_bytes(world, tmp_path):
    calls = iter([False] * 11 + [True] * 10)
    stopped = Asked(checkpoints=tmp_path / "checkpoints", stop=lambda: next(calls))
    with pytest.raises(Stopped):
        fit(world / "waveforms", tmp_path / "model", tmp_path / "metrics", config(), stopped)
    resumed = Asked(checkpoints=tmp_path / "checkpoints")
    fit(world / "waveforms", tmp_path / "model", tmp_path / "metrics", config(), resumed)
    for name in ("model.json", "weights.safetensors", "split.jsonl"):
        assert (tmp_path / "model" / name).read_bytes() == (world / "model" / name).read_bytes()
    history = (tmp_path / "metrics/history.jsonl").read_text("utf-8")
    assert history == (world / "metrics/history.jsonl").read_text("utf-8")


def test_a_training_that_is_asked_to_finish_writes_what_it_learnt(world, tmp_path):
    fit(
        world / "waveforms",
        tmp_path / "model",
        tmp_path / "metrics",
        config(),
        Asked(finish=lambda: True),
    )
    assert read_tagger(tmp_path / "model").stages == {"head": 1}
    read_network(tmp_path / "model")


def test_a_new_training_starts_from_an_earlier_model(world, tmp_path):
    begun = config(epochs=1, finetune_head=False, lr_onecycle_max=1e-9, lr=1e-9)
    begun = begun.starting_from(world / "model")
    fit(world / "waveforms", tmp_path / "model", tmp_path / "metrics", begun)
    before, after = (read_network(folder / "model")[1] for folder in (world, tmp_path))
    for name, value in before.head.state_dict().items():
        assert torch.allclose(value, after.head.state_dict()[name], atol=1e-6), name
    pretrained = read_tagger(tmp_path / "model").pretrained
    assert pretrained.name == "weights.safetensors"
    assert len(pretrained.sha256) == 64


def test_a_model_is_compared_with_itself(world, tmp_path):
    champion = tmp_path / "champion"
    write_version(champion, VersionCard(name="tagging", version="3", metrics={}))
    shutil.copytree(world / "model", champion / "model")
    # it was tested on these clips, and never trained on them
    made = comparison.compare(_candidate(world), champion, tmp_path / "comparison")
    assert made.compared
    assert made.clips == 12
    gaps = {name: pair.difference.value for name, pair in made.metrics.items()}
    assert set(gaps.values()) == {0.0}
    assert "macro_f1" in gaps
    assert [row.label for row in made.per_class] == list(LABELS)
    rows = (tmp_path / "comparison/champion_predictions.jsonl").read_text("utf-8")
    assert rows == (world / "report/predictions.jsonl").read_text("utf-8")
    assert '"patches": 2' in rows


def _candidate_of_two_labels(world, folder):
    """Nobody looked for high tones in its clips, which the champion knows."""
    known = ("low", "middle")
    clips, rows = (
        [json.loads(line) for line in (world / name).read_text("utf-8").splitlines()]
        for name in ("clips/manifest.jsonl", "report/predictions.jsonl")
    )
    for clip in clips:
        clip["judged"] = {label: float(label in clip["labels"]) for label in known}
        clip["labels"] = [label for label in clip["labels"] if label in known]
    for row in rows:
        row["scores"] = {label: row["scores"][label] for label in known}
        for name in ("truth", "predicted"):
            row[name] = [label for label in row[name] if label in known]
    model = json.loads((world / "model/model.json").read_text("utf-8"))
    model |= {"classes": known, "thresholds": {k: model["thresholds"][k] for k in known}}
    for name in ("clips", "model", "report"):
        (folder / name).mkdir()
    (folder / "model/model.json").write_text(json.dumps(model), "utf-8")
    for path, lines in (("clips/manifest", clips), ("report/predictions", rows)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{path}.jsonl").write_text(text, "utf-8")
    return Candidate(folder / "clips", world / "waveforms", folder / "model", folder / "report")


def test_what_nobody_looked_for_is_no_mistake_of_the_champion(world, tmp_path):
    champion = tmp_path / "champion"
    write_version(champion, VersionCard(name="tagging", version="3", metrics={}))
    shutil.copytree(world / "model", champion / "model")
    made = comparison.compare(
        _candidate_of_two_labels(world, tmp_path), champion, tmp_path / "comparison"
    )
    assert (made.compared, made.clips) == (True, 12)
    rows = list(read_results(tmp_path / "comparison/champion_predictions.jsonl"))
    assert any("high" in row.predicted for row in rows)
    for row in rows:
        right = all((k in row.predicted) == (k in row.truth) for k in ("low", "middle"))
        assert (row.judged, row.correct, row.false_alarms) == (
            ("low", "middle"),
            right,
            tuple(k for k in row.predicted if k not in (*row.truth, "high")),
        )
    right = sum(row.correct for row in rows)
    assert right / len(rows) == pytest.approx(made.metrics["subset_accuracy"].champion.value)


def test_the_model_file_has_every_setting_of_front_end_and_network():
    """A setting that the file lacks would be lost from the training to the prediction."""
    front_end, network = (
        {each.name for each in fields(kind)} for kind in (FrontEndSettings, TaggerSettings)
    )
    assert set(FrontEndRecord.model_fields) == front_end
    where_weights_come_from = {"front_end", "architecture", "weights", "other_labels"}
    assert set(NetworkRecord.model_fields) == network - where_weights_come_from


def test_without_a_champion_nothing_is_worse(world, tmp_path):
    write_version(tmp_path / "champion", VersionCard(name="tagging", version=None, metrics={}))
    made = comparison.compare(_candidate(world), tmp_path / "champion", tmp_path / "comparison")
    assert not made.compared
    assert made.metrics["macro_f1"].difference.value == 0.0


def test_a_champion_of_another_system_is_not_compared(world, tmp_path):
    champion = tmp_path / "champion"
    write_version(champion, VersionCard(name="tagging", version="1", metrics={}))
    (champion / "model").mkdir()
    (champion / "model/model.json").write_text('{"format": "soundgate.model/1"}', "utf-8")
    made = comparison.compare(_candidate(world), champion, tmp_path / "comparison")
    assert not made.compared
    assert "is no tagger" in made.reason


def _candidate(world):
    return Candidate(world / "clips", world / "waveforms", world / "model", world / "report")


def test_a_model_is_not_judged_on_other_labels(world, tmp_path):
    folder = tmp_path / "waveforms"
    shutil.copytree(world / "waveforms", folder)
    info = json.loads((folder / "waveforms.json").read_text("utf-8"))
    info["labels"] = [*info["labels"], "new"]
    (folder / "waveforms.json").write_text(json.dumps(info), "utf-8")
    with pytest.raises(DataError, match="labels is low, middle, high, new, but the model was"):
        evaluate(folder, world / "model", tmp_path / "report")


def test_augmentations_by_name_change_the_training(world, tmp_path):
    augmented = parse_tagging(
        CONFIG + "augmentation: {names: [SUM_N_SAMPLES, time_shift, FREQ_MASK], "
        "aug_kwargs: {freq_mask_param: 4}}\n",
        "tagging.yaml",
    )
    fit(world / "waveforms", tmp_path / "model", tmp_path / "metrics", augmented)
    weights = [(p / "model/weights.safetensors").read_bytes() for p in (tmp_path, world)]
    assert weights[0] != weights[1]


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"backbone_after": "layer9"}, ConfigError, "has no part 'layer9'"),
        ({"loss_function": "NONE"}, ConfigError, "no loss 'NONE'"),
        ({"scheduler": "PLATEAU", "skip_validation": True}, ConfigError, "watches validation"),
        ({"metric": "val_nothing"}, ConfigError, "'val_nothing' is watched"),
    ],
)
def test_what_a_config_gets_wrong_is_one_line(world, tmp_path, changes, error, text):
    with pytest.raises(error, match=text):
        fit(world / "waveforms", tmp_path / "model", tmp_path / "metrics", config(**changes))


def test_epochs_that_leave_the_second_stage_none_are_refused(world, tmp_path):
    with pytest.raises(ParameterError, match="leave none after training"):
        fit(world / "waveforms", tmp_path / "m", tmp_path / "n", config(), Asked(epochs=1))


def test_without_validation_the_thresholds_are_a_half_and_said_to_be_undecided(world, tmp_path):
    fit(
        world / "waveforms",
        tmp_path / "model",
        tmp_path / "metrics",
        config(skip_validation=True, epochs=2),
    )
    description = read_tagger(tmp_path / "model")
    assert set(description.thresholds.values()) == {0.5}
    assert description.undecided == LABELS
