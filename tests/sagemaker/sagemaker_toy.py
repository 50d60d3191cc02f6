"""Small pipelines and a site for them, to be run on the loopback AWS."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from submitting import submit

from soundgate import invocation, runs
from soundgate.executors.base import Options, Submission
from soundgate.executors.sagemaker.executor import SageMakerExecutor
from soundgate.parameters import named
from soundgate.pipeline import File, Metric, Pipeline

if TYPE_CHECKING:
    from pathlib import Path

    from control_plane import ControlPlane

BUCKET = "artifacts"
ROLE = "arn:aws:iam::123456789012:role/pipeline"
IMAGE = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/toy@sha256:{'0' * 64}"
ACCURACY = Metric(name="accuracy", json_path="scores['clip'].value", message="accuracy is below")

STEPS = {
    "make": '''
        """Write a text, or fail; ``source`` is put before it."""
        import time
        from pathlib import Path
        from soundgate.errors import DataError
        from soundgate.step import InputPath, OutputPath, main

        def make(out: OutputPath, source: InputPath | None = None, *, text: str = "", n: int = 0,
                 seconds: float = 0.0, fail: bool = False) -> None:
            print("making", text, n, flush=True)
            time.sleep(seconds)
            if fail or text and Path(f"broken-{text}").exists():
                raise DataError("clips/a.wav: not a sound")
            files = [source] if source and source.is_file() else []
            files = sorted(source.rglob("*.txt")) if source and not files else files
            read = "".join(path.read_text("utf-8") for path in files)
            (out / "deep").mkdir()
            (out / "deep" / "made.txt").write_text(f"{read}{text}{n or ''}", "utf-8")
            print("made", text, flush=True)

        if __name__ == "__main__":
            main(make)
        ''',
    "fit": '''
        """A training: it keeps checkpoints."""
        from soundgate.step import CheckpointPath, InputPath, OutputPath, main

        def fit(model: OutputPath, source: InputPath, checkpoints: CheckpointPath | None = None, *,
                epochs: int = 1, fail: str = "") -> None:
            for epoch in range(epochs):
                print("epoch", epoch, flush=True)
            if fail:
                raise ValueError(fail)
            (model / "weights.txt").write_text(f"weights of {epochs}", "utf-8")

        if __name__ == "__main__":
            main(fit)
        ''',
    "score": '''
        """Write a report."""
        import json
        from soundgate.step import InputPath, OutputPath, main

        def score(report: OutputPath, source: InputPath, *, value: float = 0.5) -> None:
            found = {"scores": {"clip": {"value": value}}}
            (report / "evaluation.json").write_text(json.dumps(found), "utf-8")

        if __name__ == "__main__":
            main(score)
        ''',
}


def write_project(folder: Path) -> Path:
    """Write the programs below ``folder``; they are importable here and in containers."""
    package = folder / "toysteps"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", "utf-8")
    for name, text in STEPS.items():
        body = f"from __future__ import annotations\n{textwrap.dedent(text)}"
        (package / f"{name}.py").write_text(body, "utf-8")
    sys.path.insert(0, str(folder))
    return folder


@dataclass
class Site:
    """An executor, its folder of runs, and the AWS it talks to."""

    aws: ControlPlane
    folder: Path
    settings: dict[str, Any]

    @property
    def profile(self) -> Path:
        """The profile as it is now."""
        import yaml

        path = self.folder / "site.yaml"
        path.write_text(yaml.safe_dump(self.settings), "utf-8")
        return path

    def executor(self, **options: Any) -> SageMakerExecutor:
        """Return a fresh executor: nothing is remembered between them."""
        return SageMakerExecutor(Options(profile=str(self.profile), **options))

    def begin(self, pipeline: Pipeline) -> tuple[runs.Run, dict[str, Any]]:
        """Return a new run of a pipeline, as the command line makes it."""
        run = runs.Run(self.folder / "runs", pipeline.name, runs.new_run_id(self.folder / "runs"))
        asked = invocation.Invocation(module="toy", executor="sagemaker")
        record = invocation.new_record(asked, pipeline, None, run)
        run.folder.mkdir(parents=True)
        run.write(record)
        return run, record

    def submit(self, pipeline: Pipeline, *, use_cache: bool = True, **options: Any):
        """Run a pipeline; return the run and its record."""
        run, record = self.begin(pipeline)
        how = Submission(**options)
        return run, submit(self.executor(), pipeline, run, record, how, use_cache=use_cache)

    def resume(self, pipeline: Pipeline, run: runs.Run, **options: Any) -> dict[str, Any]:
        """Go on with a run, as ``--resume`` does."""
        return submit(self.executor(), pipeline, run, run.read(), Submission(**options))


def settings() -> dict[str, Any]:
    """Return the profile of an account that has everything."""
    return {
        "region": "eu-west-1",
        "bucket": BUCKET,
        "image_uri": IMAGE,
        "pipeline_role_arn": ROLE,
        "job_role_arn": ROLE.replace("pipeline", "job"),
        "poll_s": 0.2,
        "tags": {"team": "sound"},
    }


def toy(
    *,
    value: float = 0.7,
    threshold: float = 0.5,
    text: str = "a",
    last: str = "z",
    seconds: float = 0.0,
) -> Pipeline:
    """Make, score and fit; a gate; what follows the gate. The texts can be broken in the image."""
    from toysteps.fit import fit
    from toysteps.make import make
    from toysteps.score import score

    t = Pipeline("toy")
    made = t.add(make, text=text, source=t.file(File("note.txt", text="noted ")))
    scored = t.add(score, source=made["out"], value=value)
    fitted = t.add(fit, source=made["out"], epochs=named(2, "epochs"))
    gate = t.gate(scored["report"], metric=ACCURACY, at_least=named(threshold, "threshold"))
    t.add(make, name="last", source=fitted["model"], after=[gate], text=last, seconds=seconds)
    return t
