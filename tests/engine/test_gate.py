from __future__ import annotations

import json
import math
import shutil

import pytest

from soundgate.errors import GateMissed
from steps import gate as gate_program
from steps.gate import gate

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
        "metric": "clip:accuracy",
        "value": value,
        "bound": bound,
        "threshold": threshold,
        "passed": True,
        "message": said,
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


def test_as_a_program_a_miss_is_one_line_and_no_verdict(toy):
    shutil.copy(gate_program.__file__, toy.folder / "steps")
    toy.write("report/evaluation.json", '{"a": {"b": 0.25}}')
    words = ["--report", "report", "--verdict", "v", "--metric", "m", "--json-path", "a.b"]
    ended = toy.module("steps.gate", *words, "--threshold", "0.5", "--message", "low <")
    assert (ended.returncode, ended.stderr) == (1, "error: low < 0.5 (m is 0.25)\n")
    assert not (toy.folder / "v").exists()
    ended = toy.module("steps.gate", *words, "--threshold", "0.25")
    assert (ended.returncode, ended.stdout) == (0, "m 0.25 >= 0.25: passed\n")
    assert (toy.folder / "v" / "verdict.json").is_file()
