"""Declarations of toy pipelines, for the tests of the local executor."""

from __future__ import annotations

TWO = 't.add(work, name="a", seconds=0.5)\nt.add(work, name="b", seconds=0.5)'
FAILING = """
a = t.add(work, name="a", text="a", fail="bug")
b = t.add(work, name="b", source=a["out"])
c = t.add(work, name="c", text="c", seconds=0.3)
t.add(work, name="d", text="d", source=c["out"], after=[b])
t.add(work, name="e", text="e", source=c["out"])
"""
