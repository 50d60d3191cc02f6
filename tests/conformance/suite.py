"""What every executor must do alike; each inherits this and runs it for real.

Rows about what is sent to an engine stand in ``sending.py``, those about maps over several axes in
``mapping.py``.
"""

from __future__ import annotations

import json
import time

import pytest
from toy_project import wait_for

from conformance.failing import Failing
from conformance.mapping import Mapping
from conformance.sending import Sending
from conformance.table import row

TEXTS = ["", "a b", "it's", 'say "x"', "été 日本", "$HOME `id` \\ %s {{x}} {}", "-0", "true", "[1"]
NUMBERS = [-3, 0, 160, 2**40]
FLOATS = [-0.5, 1e-05, 1e-300, 0.1, 160.0, 1e22]
PARAMETERS = """
word: str = "it's a \\"test\\" of 100% été"
none: str = ""
minus: int = -7
tiny: float = 1e-05
large: float = 160.0
"""
SHAPES = f"""
    from steps.join import join
    from steps.listing import listing
    from steps.odd import odd
    from steps.tabulate import tabulate
    top = t.add(join, name="top", text=p.word)
    left = t.add(join, name="left", source=top["out"], text="l:")
    right = t.add(work, name="right", source=top["out"], text="r:")
    diamond = t.add(join, name="diamond", parts=[left["out"], right["out"]], text="d:")
    over = Axis("number", {{f"n{{k}}": {{"text": f"{{k}},"}} for k in range(12)}})
    first = t.map(join, name="m", over=over)
    pooled = t.add(join, name="pooled", parts=first["out"])
    t.add(tabulate, name="named", parts=[first["out"], top["out"]])
    few = t.map(join, name="f", over={{"text": ["x", "y", "z"]}}, source=top["out"])
    each = t.map(join, name="e", over=few, source=few["out"])
    paired = t.add(join, name="paired", parts=each["out"])
    constants = t.add(spell, name="constants", s={TEXTS[4]!r}, i={NUMBERS[0]}, f={FLOATS[1]!r},
        b=True, ss={TEXTS!r}, ints={NUMBERS!r}, floats={FLOATS!r}, bools=[True, False])
    handed = t.add(spell, name="handed", s=p.word, i=p.minus, f=p.tiny, ss=[])
    more = t.add(spell, name="more", s=p.none, f=p.large, b=False)
    carried = t.add(odd, name="carried", megabytes=24)
    listed = t.add(listing, name="listed", source=carried["out"])
    late = t.add(join, name="late", text="late", after=[diamond, paired])
    t.add(join, name="all", after=[late], parts=[diamond["out"], pooled["out"], paired["out"],
        constants["out"], handed["out"], more["out"], listed["out"]])
"""


@pytest.mark.timeout(280)
class Conformance(Sending, Failing, Mapping):
    """The suite; a subclass provides the fixture ``engine``."""

    @row
    def test_chain(self, engine, read):
        """A task reads the output of an earlier task; two branches are joined."""
        word = json.loads(read("handed", "values.json"))["s"]
        assert read("diamond") == f"d:l:{word}r:{word}"

    @row
    def test_map(self, engine, read):
        """A join reads the 12 items of a map in their order."""
        assert read("pooled") == "".join(f"{k}," for k in range(12))

    @row
    def test_elements(self, engine, read):
        """A map over a map passes outputs item by item."""
        word = json.loads(read("handed", "values.json"))["s"]
        assert read("paired") == "".join(f"{k}{k}{word}" for k in "xyz")

    @row
    def test_after(self, engine, shapes):
        """`after=` orders tasks that share no artifact."""
        started = shapes[2]
        assert started.index("late") > max(started.index("diamond"), started.index("paired"))
        assert started[-1] == "all"

    @row
    def test_constants(self, engine, read):
        """Constants of every type arrive: empty text, quotes, spaces, Unicode, lists, booleans."""
        found = json.loads(read("constants", "values.json"))
        assert (found["s"], found["i"], found["f"], found["b"]) == (TEXTS[4], -3, 1e-05, True)
        assert (found["ss"], found["ints"], found["bools"]) == (TEXTS, NUMBERS, [True, False])
        assert found["floats"] == FLOATS
        more = json.loads(read("more", "values.json"))
        assert (more["s"], more["b"], more["ss"]) == ("", False, ["a", "b"])

    @row
    def test_parameters(self, engine, read):
        """Parameters passed straight to a step arrive: negative, tiny, quoted, empty."""
        found = json.loads(read("handed", "values.json"))
        assert (found["s"], found["i"]) == ('it\'s a "test" of 100% été', -7)
        assert (found["f"], found["ss"]) == (1e-05, [])
        assert json.loads(read("more", "values.json"))["f"] == 160.0

    @row
    def test_artifact(self, engine, read):
        """An artifact keeps its bytes and file names, including unusual names and large files."""
        from hashlib import sha256, shake_256

        names = {}
        exec((engine.toy.folder / "steps" / "odd.py").read_text().split("def odd")[0], names)
        found = json.loads(read("listed", "listing.json"))
        large = sha256(shake_256(b"large").digest(24 * 2**20)).hexdigest()
        expected = {
            name: sha256(b"" if name == "empty.txt" else name.encode()).hexdigest()
            for name in names["NAMES"]
        }
        assert found == {**expected, "large.bin": large}

    @row
    def test_record(self, engine, shapes):
        """The run's record shows each task's state and duration."""
        tasks = shapes[3]["tasks"]
        assert {task["state"] for task in tasks.values()} == {"succeeded"}
        assert all(task["duration_s"] >= 0 for task in tasks.values())
        assert shapes[3]["state"] == "succeeded"

    @row
    def test_logs(self, engine, shapes):
        """`show-logs` prints what a task printed."""
        shown = engine.cli("show-logs", shapes[3]["run"], "left")
        assert shown.returncode == 0, shown.stderr
        assert "joined: l:" in shown.stdout

    @row
    def test_definition(self, engine, shapes):
        """`get-pipeline-definition` prints the same bytes every time."""
        texts = {
            engine.cli("get-pipeline-definition", "-n", shapes[0], *engine.words).stdout
            for _ in range(2)
        }
        assert len(texts) == 1
        assert "diamond" in texts.pop()

    @row
    def test_reuse(self, engine, shapes):
        """An unchanged run reuses every result."""
        engine.ran()
        ended = engine.run(shapes[0])
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert engine.ran() == []
        assert set(engine.states().values()) == {"reused"}

    @row
    def test_reused_outputs(self, engine, shapes):
        """`get-output` fetches the output of a task that was reused from an earlier run."""
        ended = engine.run(shapes[0])
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert engine.read("pooled") == "".join(f"{k}," for k in range(12))

    @row
    def test_changed(self, engine, shapes):
        """After a parameter changes, the tasks that depend on it run again and give the new
        result."""
        engine.ran()
        ended = engine.run(shapes[0], "--set", "minus=8")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "all" in engine.ran()
        assert json.loads(engine.read("handed", "values.json"))["i"] == 8

    @row
    def test_gate_holds(self, engine):
        """Tasks that wait for a gate run when the gate passes."""
        ended = engine.run(gated(engine, "0.75"))
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert set(engine.states().values()) == {"succeeded"}
        assert engine.read("after") == "passed"

    @row
    def test_gate_missed(self, engine):
        """A missed gate fails the run with the gate's message, and tasks after it do not run."""
        engine.ran()
        ended = engine.run(gated(engine, "0.25"))
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert "clip accuracy is below 0.5" in ended.stdout + ended.stderr
        record = engine.record()
        assert "clip accuracy is below 0.5" in record["reason"]
        states = {name: task["state"] for name, task in record["tasks"].items()}
        assert states == {"measure": "succeeded", "gate-clip": "failed", "after": "skipped"}
        assert engine.ran() == []

    @row
    def test_advisory_gate(self, engine):
        """The run goes on after a missed advisory gate."""
        ended = engine.run(gated(engine, "0.25", advisory=True))
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert engine.read("after") == "passed"

    @row
    def test_failure(self, engine):
        """A failed task fails the run with its reason; tasks that depend on it are skipped."""
        engine.ran()
        ended = engine.run(troubled(engine, "break"))
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert "ValueError: something broke" in ended.stdout + ended.stderr
        record = engine.record()
        assert record["state"] == "failed"
        assert "something broke" in record["tasks"]["bad"]["reason"]
        assert (record["tasks"]["bad"]["state"], record["tasks"]["lost"]["state"]) == (
            "failed",
            "skipped",
        )
        assert "lost" not in engine.ran()

    @row
    def test_retry(self, engine):
        """A task that fails once succeeds on its retry."""
        engine.ran()
        ended = engine.run(troubled(engine, f"once:first-{engine.toy.folder.name}", retries=1))
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert engine.ran().count("bad") == 2
        assert engine.states()["lost"] == "succeeded"

    @row
    def test_mistake(self, engine):
        """A task that fails because of a user's mistake is not retried."""
        engine.ran()
        ended = engine.run(troubled(engine, "mistake", retries=1))
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert "clips/a.wav: not a sound" in engine.record()["tasks"]["bad"]["reason"]
        assert engine.ran() == ["bad"]

    @row
    def test_killed(self, engine):
        """A task killed by a signal fails at once."""
        ended = engine.run(troubled(engine, "die"))
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert engine.states()["bad"] == "failed"
        assert engine.record()["tasks"]["bad"]["reason"]

    @row
    def test_time_limit(self, engine):
        """A task is stopped at its time limit."""
        began = time.monotonic()
        ended = engine.run(troubled(engine, "sleep", hours=3 / 3600))
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert engine.states()["bad"] == "failed"
        assert time.monotonic() - began < 60

    @row
    def test_cancel(self, engine):
        """Cancelling a run stops the run and every process it started."""
        (engine.outside / "asleep").unlink(missing_ok=True)
        module = troubled(engine, "sleep")
        started = engine.run(module, "--no-wait")
        assert started.returncode == 0, started.stdout + started.stderr
        wait_for((engine.outside / "asleep").exists, 60)
        assert engine.record()["state"] == "running"
        cancelled = engine.cli("cancel-run", "last")
        assert cancelled.returncode == 0, cancelled.stderr
        assert wait_for(lambda: engine.record()["state"] not in ("running", "pending"), 60)
        record = engine.record()
        assert record["state"] == "cancelled"
        assert record["tasks"]["lost"]["state"] in ("cancelled", "skipped")
        wait_for(lambda: time.time() - (engine.outside / "asleep").stat().st_mtime > 1, 30)

    @row
    def test_resume(self, engine):
        """`--resume` runs only the unfinished tasks of a failed run."""
        engine.ran()
        needed = engine.outside / "needed"
        module = engine.toy.pipeline(
            "resumed",
            """
            from steps.join import join
            from steps.trouble import trouble
            first = t.add(join, name="first", text="first", reuse=False)
            bad = t.add(trouble, name="bad", source=first["out"], how="need:needed")
            t.add(join, name="last", parts=[first["out"], bad["out"]])
            """,
        )
        assert engine.run(module).returncode == 1
        assert engine.ran() == ["first", "bad"]
        needed.touch()
        ended = engine.cli("run-pipeline", "--resume", "last")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert engine.ran() == ["bad", "last"]
        assert engine.read("last") == "firstneed:needed"

    @row
    def test_no_cache(self, engine):
        """`--no-cache` runs tasks whose results could be reused."""
        module = engine.toy.pipeline(
            "once", 'from steps.join import join\nt.add(join, name="one", text="1")\n'
        )
        assert engine.run(module).returncode == 0
        engine.ran()
        assert engine.run(module).returncode == 0
        assert engine.ran() == []
        assert engine.run(module, "--no-cache").returncode == 0
        assert engine.ran() == ["one"]

    @row
    def test_network(self, engine):
        """A task without `needs_network` cannot use the network and fails with a message that says
        so."""
        body = 'from steps.call import call\nt.add(call, url="http://models.invalid/")\n'
        ended = engine.run(engine.toy.pipeline("calling", body))
        assert ended.returncode == 1, ended.stdout + ended.stderr
        assert "needs_network" in engine.record()["tasks"]["call"]["reason"]


def gated(engine, value: str, *, advisory: bool = False) -> str:
    """Declare a report, a gate at 0.5 and a task that waits for it."""
    return engine.toy.pipeline(
        f"gated{value[2:]}{'advisory' if advisory else ''}",
        f"""
        from steps.join import join
        from steps.measure import measure
        report = t.add(measure, value={value})
        clip = Metric(name="clip", json_path="clip.value", message="clip accuracy is below")
        gate = t.gate(report["report"], metric=clip, at_least=p.threshold, advisory={advisory})
        t.add(join, name="after", text="passed", after=[gate])
        """,
        "threshold: float = 0.5",
    )


def troubled(engine, how: str, *, hours: float = 0.1, retries: int = 0) -> str:
    """Declare a task that fails, and one that depends on it."""
    return engine.toy.pipeline(
        f"troubled{how.partition(':')[0]}{'again' if retries else ''}",
        f"""
        from steps.join import join
        from steps.trouble import trouble
        bad = t.add(
            trouble, name="bad", how={how!r}, retries={retries}, resources=Resources(hours={hours})
        )
        t.add(join, name="lost", source=bad["out"])
        """,
    )
