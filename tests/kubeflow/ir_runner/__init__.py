"""Runs compiled Kubeflow pipelines on this machine, container commands as processes.

    outcome = run(ir_text, {"epochs": 2}, work, Platform(project=checkout))
    outcome.states, outcome.tasks["train"].artifacts["model"].path, outcome.executed

It parses strictly, walks the graph, and treats every container as KFP's driver and launcher would:
its own file system, only the environment it is given, artifacts through an object store. What is
not here: images, resources, volumes, and the clock (back-offs do not wait unless asked to).
"""

from __future__ import annotations

from ir_runner.artifacts import Artifact
from ir_runner.cache import Cache
from ir_runner.messages import IR, IRError, load, of_documents
from ir_runner.outcome import Outcome, State, Task
from ir_runner.platform import Clock, Platform
from ir_runner.runner import Runner, run

__all__ = [
    "IR",
    "Artifact",
    "Cache",
    "Clock",
    "IRError",
    "Outcome",
    "Platform",
    "Runner",
    "State",
    "Task",
    "load",
    "of_documents",
    "run",
]
