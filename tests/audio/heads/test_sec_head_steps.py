"""The heads of the sec pipeline: what is declared, and the steps as functions."""

from __future__ import annotations

import json

import pytest
import toy_embeddings

from pipelines.parameters.sec_heads import SecHeadParameters
from pipelines.parts import sec_heads
from soundgate.errors import ParameterError
from soundgate.parameters import ConfigFile
from soundgate.pipeline import File, Pipeline
from steps.sec.choose import choose
from steps.sec.compare import compare
from steps.sec.evaluate import evaluate
from steps.sec.train_head import train_head
from steps.spot.collect import collect


def declared(**parameters):
    """A pipeline whose embeddings come from a stand-in; the names of its tasks."""
    sec = Pipeline("sec")
    data = sec.add(collect, plan=File("plan.json", text="{}"), store="store")
    config = ConfigFile("user_configs/spot.yaml")
    p = SecHeadParameters(**parameters)
    embedded = sec_heads.Embedded(data["corpus"], data["corpus"], data["card"])
    sec_heads.add_heads(sec, p, config, embedded)
    return list(sec.tasks)


def test_every_head_of_the_grids_is_a_task_and_gates_are_those_asked_for():
    tasks = declared(heads=["ridge", "mlp:hidden=8"], q_macro_f05_threshold=0.4)
    heads = [name for name in tasks if name.startswith("train-head")]
    assert len(heads) == 10
    assert {"choose", "evaluate", "compare", "review", "register"} <= set(tasks)
    gates = {name for name in tasks if name.startswith("gate")}
    assert gates == {"gate-clip-accuracy", "gate-macro-f05"}


def test_an_unknown_head_is_refused_before_anything_runs():
    with pytest.raises(ParameterError, match="did you mean 'ridge'"):
        SecHeadParameters(heads=["rigde"])


def test_the_steps_lead_from_embeddings_to_a_report_and_a_comparison(tmp_path):
    embeddings = toy_embeddings.write(tmp_path / "embeddings")
    models, histories = {}, {}
    for name, settings in (("weak", ["regularisation=1"]), ("strong", ["regularisation=1000"])):
        models[name], histories[name] = tmp_path / name / "model", tmp_path / name / "metrics"
        train_head(
            embeddings, models[name], histories[name], head="ridge", settings=settings, variant=name
        )
    best = {each: tmp_path / "best" / each for each in ("model", "metrics", "leaderboard")}
    choose(embeddings, models, histories, **best)
    chosen = json.loads((best["model"] / "model.json").read_text("utf-8"))
    ranked = json.loads((best["leaderboard"] / "leaderboard.json").read_text("utf-8"))["heads"]
    assert chosen["name"] == ranked[0]["name"]
    report = tmp_path / "report"
    evaluate(embeddings, best["model"], report, best["leaderboard"], confidence=0.9)
    made = json.loads((report / "evaluation.json").read_text("utf-8"))
    assert made["confidence_level"] == 0.9
    assert made["leaderboard"]["heads"] == ranked
    champion = tmp_path / "champion"
    champion.mkdir()
    (champion / "version.json").write_text(
        json.dumps({"format": "soundgate.version/2", "name": "sec", "version": None})
    )
    compare(embeddings, report, best["model"], champion, tmp_path / "comparison")
    told = json.loads((tmp_path / "comparison/comparison.json").read_text("utf-8"))
    assert told["reason"] == "there is no champion yet"
