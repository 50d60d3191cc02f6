from __future__ import annotations

import pytest
from definition_runner import Image
from jobs_by_hand import archived, get, join, parameter

pytestmark = [pytest.mark.emulator("definition_runner", "control_plane"), pytest.mark.slow]


# Training jobs


TRAIN = """
import json, pathlib, sys
ml = pathlib.Path("/opt/ml")
settings = json.loads((ml / "input/config/hyperparameters.json").read_text())
print("Clip-level accuracy : 0.25")
print("Clip-level accuracy : 0.75 and", sys.argv[1:])
clip = (ml / "input/data/clips/a").read_text()
(ml / "model/weights.txt").write_text(json.dumps(settings) + clip)
(ml / "model/deep").mkdir()
(ml / "model/deep/more").touch()
(ml / "output/data/plot").touch()
"""


def test_a_training_leaves_its_model_its_output_and_its_metrics(world):
    world.put("clips/a", " clip")
    train = world.training(
        "train",
        TRAIN,
        channels={"clips": f"s3://{world.bucket}/clips/"},
        metrics=(("clip:accuracy", r"Clip-level accuracy : ([0-9\.]+)"), ("none", "no (x)")),
        algorithm={"ContainerArguments": ["--epochs", "2"]},
        arguments={"HyperParameters": {"epochs": join(get("Parameters.epochs"), on="")}},
    )
    use = world.processing(
        "use",
        "import os, tarfile\n"
        "archive = '/opt/ml/processing/input/model/model.tar.gz'\n"
        "print(tarfile.open(archive).getnames())",
        inputs={"model": get("Steps.train.ModelArtifacts.S3ModelArtifacts")},
    )
    execution = world.run(train, use, parameters=[parameter("epochs", "Integer", 2)])
    assert execution.status == "Succeeded", execution.why()
    described = execution.steps["train"].properties
    archive = described["ModelArtifacts"]["S3ModelArtifacts"]
    name = described["TrainingJobName"]
    assert archive == f"s3://artifacts/models/{name}/output/model.tar.gz"
    assert archived(world.account, archive) == {
        "weights.txt": b'{"epochs": "2"} clip',
        "deep/more": b"",
    }
    assert archived(world.account, archive.replace("model.tar", "output.tar")) == {"plot": b""}
    assert described["FinalMetricDataList"] == [{"MetricName": "clip:accuracy", "Value": 0.75}]
    assert execution.steps["train"].log[-1] == "Clip-level accuracy : 0.75 and ['--epochs', '2']"
    assert execution.steps["use"].log == ["['deep', 'deep/more', 'weights.txt']"]


def test_hyperparameters_that_are_no_text_are_refused(world):
    train = world.training("train", TRAIN, arguments={"HyperParameters": {"epochs": 2}})
    reason = world.run(train).steps["train"].reason
    assert "Invalid type for parameter HyperParameters.epochs" in reason


def test_a_training_that_fails_says_why_and_leaves_no_model(world):
    code = """
    import pathlib
    pathlib.Path("/opt/ml/model/half").touch()
    pathlib.Path("/opt/ml/output/failure").write_text("clips/a.wav: no audio\\n" + "x" * 2000)
    raise SystemExit(2)
    """
    execution = world.run(world.training("train", code))
    reason = execution.steps["train"].reason
    assert reason.startswith("AlgorithmError: clips/a.wav: no audio\nx")
    assert len(reason) == len("AlgorithmError: , exit code: 2") + 1024
    assert execution.failure_reason == "Step failure: One or multiple steps failed."
    assert world.listed() == []


def test_an_image_without_a_command_is_run_with_the_word_train(world):
    train = world.training("train", "import sys; print(sys.argv[1:])")
    entry = train["Arguments"]["AlgorithmSpecification"].pop("ContainerEntrypoint")
    world.account.image = Image(world.project, entrypoint=tuple(entry))
    assert world.run(train).steps["train"].log == ["['train']"]


SPOT = """
import json, pathlib, signal, sys, time
state = pathlib.Path("/opt/ml/checkpoints/epoch.json")
done = json.loads(state.read_text()) if state.exists() else []
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
print("from", len(done), flush=True)
while len(done) < 4:
    time.sleep(0.15)
    done.append(len(done))
    new = state.with_name("epoch.partial")
    new.write_text(json.dumps(done))
    new.replace(state)
    (state.parent / f"epoch-{len(done)}").touch()
pathlib.Path("/opt/ml/model/done.json").write_text(json.dumps(done))
"""


def spot(world, code: str = SPOT) -> dict:
    return world.training(
        "train",
        code,
        arguments={
            "EnableManagedSpotTraining": True,
            "CheckpointConfig": {
                "S3Uri": f"s3://{world.bucket}/checkpoints",
                "LocalPath": "/opt/ml/checkpoints",
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 30, "MaxWaitTimeInSeconds": 60},
        },
    )


def test_a_training_goes_on_after_its_spot_instance_was_taken_away(world):
    faults = world.account.faults
    faults.interrupt("train", lambda ml: (ml / "checkpoints/epoch-1").exists())
    faults.interrupt("train", lambda ml: (ml / "checkpoints/epoch-3").exists())
    execution = world.run(spot(world))
    assert execution.status == "Succeeded", execution.why()
    [job] = execution.steps["train"].jobs
    began = [int(line.split()[1]) for line in job.lines]
    assert (began[0], len(began)) == (0, 3)
    assert 1 <= began[1] < began[2] < 4
    assert [t.split()[0] for t in job.transitions] == [
        *("Starting", "Interrupted", "Restored", "Interrupted", "Restored", "Completed")
    ]
    archive = execution.steps["train"].properties["ModelArtifacts"]["S3ModelArtifacts"]
    assert archived(world.account, archive) == {"done.json": b"[0, 1, 2, 3]"}
    assert "checkpoints/epoch-4" in world.listed()


def test_a_training_killed_without_grace_goes_on_from_what_was_synchronised(world):
    world.account.grace_s = 0.0
    deaf = SPOT.replace("sys.exit(75)", "None")
    world.account.faults.interrupt(
        "train", lambda _: "checkpoints/epoch-2" in world.listed("checkpoints/")
    )
    try:
        execution = world.run(spot(world, deaf))
    finally:
        world.account.grace_s = 10.0
    began = [int(line.split()[1]) for line in execution.steps["train"].log]
    assert execution.status == "Succeeded", execution.why()
    assert began[0] == 0
    assert began[1] >= 2


def test_an_interruption_of_what_is_no_spot_instance_is_a_mistake_of_the_test(world):
    world.account.faults.interrupt("train", lambda _: True)
    with pytest.raises(NotImplementedError, match="only spot instances"):
        world.run(world.training("train", "pass"))
