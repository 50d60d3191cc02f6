"""Steps and pipelines for tests of the rendering half, and a reader of what is rendered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate.executors.base import Options
from soundgate.executors.sagemaker import profile
from soundgate.executors.sagemaker.rendering import definition
from soundgate.pipeline import Metric, Output, Pipeline
from soundgate.runs import Run
from soundgate.step import (  # steps' signatures are read
    CheckpointPath,  # noqa: TC001
    InputPath,  # noqa: TC001
    InputPaths,  # noqa: TC001
    OutputPath,  # noqa: TC001
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCURACY = Metric(name="clip:accuracy", json_path="clip.value", message="clip acc <", regex=r"(\d)")
LOSS = Metric(name="loss", json_path="loss.value", message="loss >", file="figures/loss.json")
PATCH = Metric(name="patch:accuracy", json_path="patch.value", message="patch acc <")


def fetch(clips: OutputPath, card: OutputPath, *, dataset: str = "") -> None:
    """Fetch."""


def train(
    clips: InputPath,
    model: OutputPath,
    checkpoints: CheckpointPath | None = None,
    *,
    epochs: int = 1,
) -> None:
    """Train."""


def evaluate(model: InputPath, report: OutputPath, report_low: OutputPath) -> None:
    """Evaluate."""


def look(report: InputPath, page: OutputPath) -> None:
    """Show a report."""


def enter(
    model: InputPath, report: InputPath, card: InputPath, entry: OutputPath, *, model_name: str
) -> None:
    """Enter a candidate."""


def conclude(verdict: InputPath, page: OutputPath) -> None:
    """Read a verdict."""


def pool(parts: InputPaths, pooled: OutputPath, extra: InputPaths | None = None) -> None:
    """Join."""


def broad(  # noqa: PLR0917 - a step reads what it reads
    a: InputPath,
    b: InputPath,
    c: InputPath,
    d: InputPath,
    e: InputPath,
    f: InputPath,
    g: InputPath,
    h: InputPath,
    parts: InputPaths,
    out: OutputPath,
) -> None:
    """Read eight artifacts and a join."""


def speak(
    said: OutputPath,
    *,
    text: str = "",
    offset_s: float = 0.0,
    count: int = 0,
    loud: bool = False,
    folds: list[int] = (),
) -> None:
    """Take every kind of scalar."""


def trained(pipeline: Pipeline) -> tuple[Output, Output, Output]:
    """Add fetch, train, evaluate; return model, report and card."""
    fetched = pipeline.add(fetch, dataset="ESC-10")
    model = pipeline.add(train, clips=fetched["clips"])["model"]
    return model, pipeline.add(evaluate, model=model)["report"], fetched["card"]


def render(pipeline: Pipeline, root: Path, run: str = "RUN", **fields: Any) -> Any:
    """Render with a profile of these fields."""
    return definition.render(pipeline, Run(root, pipeline.name, run), profile.Profile(**fields))


def site(name: str) -> profile.Profile:
    """Return a profile that comes along."""
    path = Path(__file__).resolve().parents[2] / "infra" / "sagemaker" / f"{name}.yaml"
    return profile.load(Options(profile=str(path)))


def walk(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield every step, those inside of conditions too."""
    for step in steps:
        yield step
        if step["Type"] == "Condition":
            for branch in ("IfSteps", "ElseSteps"):
                yield from walk(step["Arguments"][branch])


def steps_of(request: Any) -> dict[str, dict[str, Any]]:
    """Return every step by its name."""
    found = list(walk(request.definition["Steps"]))
    assert len({step["Name"] for step in found}) == len(found), "two steps have one name"
    return {step["Name"]: step for step in found}


def command(step: dict[str, Any]) -> list[Any]:
    """Return the container's arguments."""
    arguments = step["Arguments"]
    container = arguments.get("AppSpecification") or arguments["AlgorithmSpecification"]
    return list(container.get("ContainerArguments", []))


def resolve(value: Any, parameters: dict[str, Any]) -> Any:
    """Evaluate joins and parameters as the service does: everything in a join becomes text."""
    if isinstance(value, dict) and "Std:Join" in value:
        parts = value["Std:Join"]["Values"]
        return value["Std:Join"]["On"].join(str(resolve(p, parameters)) for p in parts)
    if isinstance(value, dict) and "Get" in value:
        return parameters[value["Get"].removeprefix("Parameters.")]
    return value
