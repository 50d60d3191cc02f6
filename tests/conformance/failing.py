"""Rows about what one failure costs the others."""

from __future__ import annotations

from conformance.table import row

PARTIAL = """
from steps.join import join
from steps.trouble import trouble
items = {"one": {"how": "slow:3"}, "bad": {"how": "break"}, "two": {"how": "slow:4"}}
m = t.map(trouble, name="m", over=Axis("item", items))
e = t.map(join, name="e", over=m, source=m["out"])
t.add(join, name="all", parts=e["out"])
t.add(join, name="some", text="some", parts=[e["out"].outputs[0], e["out"].outputs[2]])
t.add(join, name="first", text="first", source=m["out"].outputs[0])
"""
GATES = """
from steps.join import join
from steps.measure import measure
from steps.trouble import trouble
clip = Metric(name="clip", json_path="clip.value", message="clip accuracy is below")
bad = t.add(measure, name="bad", value=0.3125)
good = t.add(measure, name="good", value=0.6875)
missed = t.gate(bad["report"], metric=clip, at_least=0.5, name="missed")
passed = t.gate(good["report"], metric=clip, at_least=0.5, name="passed")
t.add(join, name="behind", text="x", after=[missed])
slow = t.add(trouble, name="slow", how="slow:3", reuse=False, after=[passed])
t.add(join, name="beside", source=slow["out"], text="beside")
"""


class Failing:
    """Part of the suite."""

    @row
    def test_partial_failure(self, engine):
        """One failed item of a map cancels only the tasks that read it."""
        engine.ran()
        module = engine.toy.pipeline("partial", PARTIAL)
        ended = engine.run(module)
        assert ended.returncode == 1, ended.stdout + ended.stderr
        tasks = engine.record()["tasks"]
        one, bad, two, *_ = tasks  # the items of the map come first
        followers = [name for name, task in tasks.items() if task["group"] == "e"]
        assert {n: tasks[n]["state"] for n in (one, bad, two)} == {
            one: "succeeded",
            bad: "failed",
            two: "succeeded",
        }
        assert [tasks[n]["state"] for n in followers] == ["succeeded", "skipped", "succeeded"]
        states = {name: tasks[name]["state"] for name in ("all", "some", "first")}
        assert states == {"all": "skipped", "some": "succeeded", "first": "succeeded"}
        assert tasks["all"]["reason"] == tasks[followers[1]]["reason"] == f"{bad} failed"
        assert "all" not in engine.ran()

    @row
    def test_partial_resume(self, engine):
        """`--resume` after one failed item runs that item and the tasks that read it."""
        needed = engine.outside / "item"
        needed.unlink(missing_ok=True)
        engine.ran()
        body = PARTIAL.replace('"break"', '"need:item"').replace('t.add(join, name="some"', "#")
        assert engine.run(engine.toy.pipeline("again", body)).returncode == 1
        before = engine.ran()
        needed.touch()
        ended = engine.cli("run-pipeline", "--resume", "last")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert set(engine.states().values()) <= {"succeeded", "reused"}
        after = engine.ran()
        assert after[0] in before  # the item that failed
        assert set(before) & set(after) == {after[0]}
        assert engine.read("all") == "slow:3need:itemslow:4"

    @row
    def test_partial_gate(self, engine):
        """A missed gate holds back only the tasks that wait for it."""
        ended = engine.run(engine.toy.pipeline("gates", GATES))
        assert ended.returncode == 1, ended.stdout + ended.stderr
        tasks = engine.record()["tasks"]
        assert tasks["missed"]["state"] == "failed"
        assert tasks["behind"]["state"] == "skipped"
        assert tasks["behind"]["reason"] == "missed failed"
        assert (tasks["passed"]["state"], tasks["beside"]["state"]) == ("succeeded", "succeeded")
