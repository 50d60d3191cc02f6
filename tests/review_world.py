"""A registry with candidates and a record of decisions, for the tests of reviewing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.gates import Verdict
from soundgate.registry.candidates.registration import register_candidate
from soundgate.registry.candidates.signatures import patch_signature
from soundgate.registry.review.decisions import DecisionLog
from soundgate.registry.review.session import ReviewSession
from soundgate.registry.versions.lookup import find
from soundgate.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from soundgate.registry.service.connection import Registry

USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"
PASSED = {
    "metric": "clip:accuracy",
    "value": 0.9,
    "bound": "at_least",
    "threshold": 0.8,
    "passed": True,
    "advisory": True,
    "message": "",
}
MISSED = {**PASSED, "value": 0.7, "passed": False, "message": "clip level acc < 0.8"}


@dataclass
class World:
    """One model of one registry."""

    registry: Registry
    folder: Path
    model: str = "aed"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def candidate(
        self,
        run: str,
        verdict=PASSED,
        *,
        weights: str = "",
        test: str = "t",
        classes=(),
        compared=None,
    ) -> str:
        """Register a candidate; returns its version. Without ``weights`` it has its own."""
        model, report, review = (self.folder / run / n for n in ("model", "report", "review"))
        for folder in (model, report, review):
            folder.mkdir(parents=True)
        (model / "model.json").write_text("{}")
        (model / "weights.safetensors").write_bytes((weights or run).encode())
        (report / "evaluation.json").write_text("{}")
        (review / "report.html").write_text(f"<p>{run}</p>")
        done = register_candidate(
            self.registry,
            model=model,
            report=report,
            review=review,
            name=self.model,
            provenance={"run": run, "commit": "abc", "test.digest": test},
            verdicts=[Verdict.from_json(verdict)],
            signature=patch_signature(64, 2),
            metrics={"clip_accuracy": verdict["value"]},
            classes=classes,
            compared=compared,
        )
        return done.version

    def session(
        self, by: str = "ann", comment: str | Callable[[], str] = "why not"
    ) -> ReviewSession:
        return ReviewSession(
            registry=self.registry,
            log=DecisionLog(open_store(str(self.store)), self.model),
            by=by,
            account=by,
            comment=(lambda: comment) if isinstance(comment, str) else comment,
        )

    def at(self, alias: str) -> str | None:
        """The version of the model that an alias is at."""
        found = find(self.registry, self.model, alias)
        return found.version if found else None

    def tags(self, name: str, version: str) -> dict[str, str]:
        return self.registry.client.get_model_version(name, version).tags

    def records(self) -> list[str]:
        return sorted(path.name for path in (self.store / "reviews" / self.model).iterdir())

    def record(self, name: str) -> dict:
        return json.loads((self.store / "reviews" / self.model / name).read_text())


def said(error) -> str:
    """The text of an error, which is one line."""
    text = str(error.value)
    assert "\n" not in text
    return text
