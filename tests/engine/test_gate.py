from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from soundgate.errors import GateMissed, ParameterError
from soundgate.gates import Verdict, judge_all, label
from soundgate.pipeline import Metric, Output, Pipeline, Task
from soundgate.programs import gate as gate_program
from soundgate.programs.gate import gate

SCHEMA = Path(__file__).parents[2] / "docs/schemas/verdict.schema.json"
MESSAGE = "Execution failed due to clip level acc <"


@pytest.fixture
def judge(tmp_path):
    """Judge the value at ``a.b`` of a report."""

    def judged(value, threshold=0.5, bound="at_least", message=MESSAGE):
        (tmp_path / "evaluation.json").write_text(json.dumps({"a": {"b": value}}), "utf-8")
        gate(
            tmp_path,
            tmp_path / "verdict",
            metric="clip:accuracy",
            json_path="a.b",
            threshold=threshold,
            bound=bound,
            message=message,
        )
        return json.loads((tmp_path / "verdict" / "verdict.json").read_text("utf-8"))

    return judged


@pytest.mark.parametrize(
    ("value", "threshold", "bound"),
    [
        (0.5, 0.5, "at_least"),
        (0.50001, 0.5, "at_least"),
        (1, 0.5, "at_least"),
        (0, 0, "at_least"),
        (-2, -2.5, "at_least"),
        (0.5, 0.5, "at_most"),
        (0.1, 0.5, "at_most"),
        (-1e300, 0.0, "at_most"),
    ],
)
def test_it_passes_at_the_bound_and_beyond(judge, value, threshold, bound, capsys):
    verdict = judge(value, threshold, bound)
    sign = {"at_least": ">=", "at_most": "<="}[bound]
    said = f"clip:accuracy {float(value)} {sign} {threshold}"
    assert verdict == {
        "format": "soundgate.verdict/1",
        "metric": "clip:accuracy",
        "value": value,
        "bound": bound,
        "threshold": threshold,
        "passed": True,
        "advisory": False,
        "message": said,
        "low": None,
        "high": None,
        "report": "",
    }
    assert capsys.readouterr().out == f"{said}: passed\n"


@pytest.mark.parametrize(
    ("value", "bound", "message", "said"),
    [
        (0.4, "at_least", MESSAGE, f"{MESSAGE} 0.5 (clip:accuracy is 0.4)"),
        (math.nextafter(0.5, 0), "at_least", MESSAGE, None),
        (0.6, "at_most", "too high >", "too high > 0.5 (clip:accuracy is 0.6)"),
        (0.4, "at_least", "", "clip:accuracy misses its bound: not >= 0.5 (clip:accuracy is 0.4)"),
        (0.6, "at_most", "", "clip:accuracy misses its bound: not <= 0.5 (clip:accuracy is 0.6)"),
    ],
)
def test_a_miss_says_the_message_and_the_figures(judge, tmp_path, value, bound, message, said):
    with pytest.raises(GateMissed) as missed:
        judge(value, 0.5, bound, message)
    assert said is None or str(missed.value) == said
    assert missed.value.exit_code == 1
    assert not list(tmp_path.glob("verdict/*"))


@pytest.mark.parametrize("bound", ["at_least", "at_most"])
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, "0.9", True, False, None, [0.9], {"value": 0.9}]
)
def test_what_is_not_a_finite_number_never_passes(judge, value, bound):
    with pytest.raises(GateMissed, match=r"cannot be judged: evaluation\.json has a\.b = .*finite"):
        judge(value, 0.0, bound)


@pytest.mark.parametrize("bound", ["at_least", "at_most"])
def test_a_bound_that_is_not_a_number_never_passes(judge, bound):
    with pytest.raises(GateMissed):
        judge(0.9, math.nan, bound)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "evaluation.json is missing from the report"),
        ("", "evaluation.json is not JSON"),
        ("{", "evaluation.json is not JSON"),
        ("{}", "evaluation.json has no a.b"),
        ('{"a": {"c": 1}}', "evaluation.json has no a.b"),
        ('{"a": [1]}', "evaluation.json has no a.b"),
        ('{"a": 1}', "evaluation.json has no a.b"),
        ("[1]", "evaluation.json has no a.b"),
        ('{"reason": "no class\\nis shared"}', "evaluation.json has no a.b (no class is shared)"),
        ('{"a": {"b": 1' + "0" * 400 + "}}", "evaluation.json has a.b"),
    ],
)
def test_a_report_that_cannot_be_read_never_passes(tmp_path, text, said):
    if text is not None:
        (tmp_path / "evaluation.json").write_text(text, "utf-8")
    with pytest.raises(GateMissed) as missed:
        gate(tmp_path, tmp_path / "v", metric="m", json_path="a.b", threshold=0.0)
    assert str(missed.value).startswith(f"the gate on m cannot be judged: {said}")
    assert "\n" not in str(missed.value)


def test_an_advisory_miss_is_recorded_and_the_run_goes_on(tmp_path, capsys):
    (tmp_path / "evaluation.json").write_text('{"a": {"b": 0.4, "c": NaN}}', "utf-8")
    bounds = {"metric": "m", "threshold": 0.5, "message": "low <", "advisory": True}
    gate(tmp_path, tmp_path / "v", json_path="a.b", **bounds)
    verdict = json.loads((tmp_path / "v" / "verdict.json").read_text("utf-8"))
    assert (verdict["passed"], verdict["advisory"], verdict["value"]) == (False, True, 0.4)
    assert verdict["message"] == "low < 0.5 (m is 0.4)"
    assert "low < 0.5 (m is 0.4): missed; advisory" in capsys.readouterr().out
    gate(tmp_path, tmp_path / "w", json_path="a.c", **bounds)
    verdict = json.loads((tmp_path / "w" / "verdict.json").read_text("utf-8"))
    assert (verdict["passed"], verdict["value"]) == (False, None)


def test_a_bound_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="unknown bound 'at_last'; did you mean 'at_least'"):
        gate(tmp_path, tmp_path / "v", metric="m", json_path="a", threshold=0, bound="at_last")


def test_declared_gates_are_judged_as_their_tasks_judge_them(tmp_path):
    pipeline = Pipeline("p")
    low = Metric(name="m", json_path="a.b", message="low <")
    report, other = Output("scored", "report"), Output("compared", "comparison")
    pipeline.tasks["scored"] = pipeline.tasks["compared"] = Task(
        name="t", module="m", interface={}, arguments={}
    )
    pipeline.gate(report, metric=low, at_least=0.5)
    pipeline.gate(other, metric=replace(low, name="n", file="x.json"), at_most=0.1, advisory=True)
    gates = tmp_path / "gates.json"
    gates.write_text(pipeline.declared_gates().text, "utf-8")
    (tmp_path / "evaluation.json").write_text('{"a": {"b": 0.4}}', "utf-8")
    assert pipeline.judged_reports() == [report, other]
    both = {"scored/report": tmp_path, "compared/comparison": tmp_path}
    first, second = judge_all(gates, both)
    assert first.as_json() == {
        "format": "soundgate.verdict/1",
        "metric": "m",
        "value": 0.4,
        "bound": "at_least",
        "threshold": 0.5,
        "passed": False,
        "advisory": False,
        "message": "low < 0.5 (m is 0.4)",
        "low": None,
        "high": None,
        "report": "scored/report",
    }
    assert (second.passed, second.advisory, second.bound) == (False, True, "at_most")
    assert "x.json is missing" in second.message
    alone = judge_all(gates, {"scored/report": tmp_path})[1]
    assert "report 'compared/comparison' was not passed" in alone.message


def test_two_reports_of_one_name_are_judged_each_for_itself(tmp_path):
    pipeline = Pipeline("p")
    f1 = Metric(name="f1", json_path="f1.value", message="f1 <")
    step = Task(name="t", module="m", interface={}, arguments={})
    for task, value in (("evaluate-desed", 0.9), ("evaluate-maestro", 0.1)):
        pipeline.tasks[task] = step
        pipeline.gate(Output(task, "report"), metric=f1, at_least=0.5, name=f"gate-{task}")
        report = {"f1": {"value": value, "low": value / 2, "high": "?"}}
        (tmp_path / task).mkdir()
        (tmp_path / task / "evaluation.json").write_text(json.dumps(report), "utf-8")
    gates = tmp_path / "gates.json"
    gates.write_text(pipeline.declared_gates().text, "utf-8")
    verdicts = judge_all(gates, {str(o): tmp_path / o.task for o in pipeline.judged_reports()})
    assert [(v.report, v.value, v.low, v.high, v.passed) for v in verdicts] == [
        ("evaluate-desed/report", 0.9, 0.45, None, True),
        ("evaluate-maestro/report", 0.1, 0.05, None, False),
    ]
    assert [label(v, verdicts) for v in verdicts] == [
        "f1 of evaluate-desed/report",
        "f1 of evaluate-maestro/report",
    ]
    assert label(verdicts[0], verdicts[:1]) == "f1"


def test_a_verdict_is_read_back_and_so_is_one_of_before_it_had_a_format(judge):
    written = judge(0.75)
    jsonschema.validate(written, json.loads(SCHEMA.read_text("utf-8")))
    assert Verdict.from_json(written).as_json() == written
    older = {name: written[name] for name in ("metric", "value", "bound", "threshold", "passed")}
    assert Verdict.from_json(older) == replace(Verdict.from_json(written), message="")
    for change in ({"passed": "no"}, {"format": "soundgate.verdict/9"}, {"unknown": 1}):
        with pytest.raises(ValueError, match=r"passed|format|unknown"):
            Verdict.from_json(written | change)


def test_a_file_of_gates_that_names_outputs_alone_still_reads(tmp_path):
    gates = tmp_path / "gates.json"
    gate = {"report": "report", "metric": "m", "json_path": "a", "threshold": 0.5}
    gates.write_text(json.dumps([gate]), "utf-8")
    for name, value in (("a", 0.6), ("b", 0.1)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "evaluation.json").write_text(json.dumps({"a": value}), "utf-8")
    reports = {"evaluate/report": tmp_path / "a", "compare/comparison": tmp_path / "b"}
    (verdict,) = judge_all(gates, reports)
    assert (verdict.passed, verdict.report) == (True, "evaluate/report")
    (unclear,) = judge_all(gates, {**reports, "other/report": tmp_path / "b"})
    assert (unclear.passed, unclear.value) == (False, None)


def test_a_threshold_outside_the_metrics_range_never_passes(tmp_path):
    """An engine may be told one when an execution starts, past what the declaration checks."""
    (tmp_path / "evaluation.json").write_text('{"a": 0.6}', "utf-8")
    share = {"metric": "m", "json_path": "a", "least": 0.0, "most": 1.0}
    with pytest.raises(GateMissed, match=r"its threshold -5 is outside the metric's range, 0 to 1"):
        gate(tmp_path, tmp_path / "v", threshold=-5.0, **share)
    gate(tmp_path, tmp_path / "v", threshold=0.5, **share)


def test_thresholds_that_a_start_was_given_count(tmp_path, monkeypatch):
    """The file was made before; a gate that was declared after it is not in it."""
    pipeline = Pipeline("p")
    report = Output("scored", "report")
    pipeline.tasks["scored"] = Task(name="t", module="m", interface={}, arguments={})
    for name in ("a", "b"):
        pipeline.gate(report, metric=Metric(name=name, json_path=name, message=""), at_least=0.5)
    gates = tmp_path / "gates.json"
    gates.write_text(pipeline.declared_gates().text, "utf-8")
    (tmp_path / "evaluation.json").write_text('{"a": 0.4, "b": 0.6}', "utf-8")
    monkeypatch.setenv("SOUNDGATE_THRESHOLDS", "3.0E-1 0.75 0.5")
    verdicts = judge_all(gates, {"scored/report": tmp_path})
    assert [(v.passed, v.threshold) for v in verdicts] == [(True, 0.3), (False, 0.75)]


def test_as_a_program_a_miss_is_one_line_and_no_verdict(toy):
    shutil.copy(gate_program.__file__, toy.folder / "steps")
    toy.write("report/evaluation.json", '{"a": {"b": 0.25}}')
    words = ["--report", "report", "--verdict", "v", "--metric", "m", "--json-path", "a.b"]
    ended = toy.module(
        "soundgate.programs.gate", *words, "--threshold", "0.5", "--message", "low <"
    )
    assert (ended.returncode, ended.stderr) == (1, "error: low < 0.5 (m is 0.25)\n")
    assert not (toy.folder / "v").exists()
    ended = toy.module("soundgate.programs.gate", *words, "--threshold", "0.25")
    assert (ended.returncode, ended.stdout) == (0, "m 0.25 >= 0.25: passed\n")
    assert (toy.folder / "v" / "verdict.json").is_file()
