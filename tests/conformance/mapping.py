"""Rows about maps over several axes, what they pass on, and joins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from conformance.table import row

OWN_PROJECT = Path(__file__).resolve().parents[2] / "examples" / "own_project"
WINDOWS = """
windows: list[int] = field(default_factory=lambda: [1, 2])
"""
PRODUCT = """
from steps.join import join
from steps.tabulate import tabulate
models = Axis("model", {"small": {"text": "s"}, "large": {"text": "l"}})
windows = Axis("window", {f"w{n}": {"text": str(n)} for n in p.windows})
trained = t.map(join, name="train", over=models)
scored = t.map(join, name="score", over=[trained, windows], source=trained["out"])
t.map(tabulate, name="by", over=trained, parts=scored["out"].by("model"))
"""
FAILING = """
from steps.join import join
from steps.trouble import trouble
models = Axis("model", {"good": {"how": "slow:1"}, "bad": {"how": "break"}})
windows = Axis("window", {"w1": {"text": "1"}, "w2": {"text": "2"}})
first = t.map(trouble, name="first", over=models)
second = t.map(join, name="second", over=[first, windows], source=first["out"])
t.map(join, name="each", over=first, parts=second["out"].by("model"))
t.add(join, name="all", parts=second["out"])
"""


class Mapping:
    """Part of the suite."""

    @row
    def test_names(self, engine, shapes):
        """A step is told the names of the items that it joins, in their order."""
        word = json.loads(engine.read("handed", "values.json"))["s"]
        found = json.loads(engine.read("named", "table.json"))
        items = {f"n{k}": f"{k}," for k in range(12)}
        assert list(found.items()) == [*items.items(), ("top/out", word)]

    @row
    def test_product(self, engine, product):
        """A mapped output goes item by item to a map over more axes."""
        assert engine.read("score-large-w2") == "2l"
        assert engine.read("score-small-w1") == "1s"

    @row
    def test_partial_join(self, engine, product):
        """A partial join reads the items that agree with its own."""
        found = json.loads(engine.read("by-large", "table.json"))
        assert found == {"large/w1": "1l", "large/w2": "2l"}
        assert list(json.loads(engine.read("by-small", "table.json"))) == ["small/w1", "small/w2"]

    @row
    def test_added_item(self, engine, product):
        """An item added later runs alone, with what joins it."""
        engine.ran()
        ended = engine.run(product, "--set", "windows=[0, 1, 2]")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        ran = ["by-large", "by-small", "score-large-w0", "score-small-w0"]
        assert sorted(engine.ran()) == ran
        assert next(iter(json.loads(engine.read("by-small", "table.json")))) == "small/w0"

    @row
    def test_two_reports(self, engine):
        """Gates on two reports of one name are judged each by its own."""
        body = """
        from steps.judge import judge
        from steps.measure import measure
        f1 = Metric(name="f1", json_path="clip.value", message="f1 <", values=Bounds(0, 1))
        for name, value in (("desed", 0.9), ("maestro", 0.1)):
            measured = t.add(measure, name=name, value=value)
            t.gate(measured["report"], metric=f1, at_least=0.5, advisory=True, name=f"gate-{name}")
        t.add(judge, gates=t.declared_gates(), judged=t.judged_reports())
        """
        ended = engine.run(engine.toy.pipeline("two_reports", body))
        assert ended.returncode == 0, ended.stdout + ended.stderr
        found = json.loads(engine.read("judge", "verdicts.json"))
        assert [(v["report"], v["value"], v["passed"]) for v in found] == [
            ("desed/report", 0.9, True),
            ("maestro/report", 0.1, False),
        ]

    @row
    def test_product_failure(self, engine):
        """One failed item of an axis cancels only the combinations and joins that read it."""
        assert engine.run(engine.toy.pipeline("halved", FAILING)).returncode == 1
        states = engine.states()
        assert {n for n, state in states.items() if state == "succeeded"} == {
            *("first-good", "second-good-w1", "second-good-w2", "each-good")
        }
        assert states["first-bad"] == "failed"
        assert {n for n, state in states.items() if state == "skipped"} == {
            *("second-bad-w1", "second-bad-w2", "each-bad", "all")
        }

    @row
    def test_own_project(self, engine):
        """A project of its own, `examples/own_project/`, runs without a file of Soundgate's."""
        for path in OWN_PROJECT.glob("*/*.py"):
            if path.name != "__init__.py":
                shutil.copy(path, engine.toy.folder / path.parent.name)
        ended = engine.run("pipelines.bursts")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert set(engine.states().values()) == {"succeeded"}
        scores = {}
        for name in ("sensitive", "strict"):
            f1 = json.loads(engine.read(f"summarise-{name}", "evaluation.json", "report"))["f1"]
            assert list(f1["items"]) == [f"{name}/near", f"{name}/far"]
            scores[name] = f1["value"]
        assert scores["sensitive"] > 0.8
        assert 0.7 < scores["strict"] != scores["sensitive"]
