"""The same jobs with their objects on a real S3: Ceph's gateway."""

from __future__ import annotations

from dataclasses import replace

import pytest
import servers
from definition_runner import Cache, Faults
from jobs_by_hand import COPY, WRITE, archived, get, output

pytestmark = [pytest.mark.emulator("definition_runner", "control_plane"), pytest.mark.slow]

TRAIN = """
import pathlib, signal, sys, time
state = pathlib.Path("/opt/ml/checkpoints/deep/epoch")
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
print("restored", state.exists(), flush=True)
if not state.exists():
    state.parent.mkdir()
    state.write_text("1")
    time.sleep(30)
read = pathlib.Path("/opt/ml/input/data/in/value.txt").read_text()
pathlib.Path("/opt/ml/model/weights").write_text(read + state.read_text())
"""


@pytest.fixture(scope="module")
def ceph():
    try:
        with servers.ceph() as url:
            yield url
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture
def on_ceph(world, ceph):
    """The world with its objects on Ceph; the registry is still moto's."""
    here = world.account
    account = replace(here, s3_url=ceph, cache=Cache(), faults=Faults(), on_log=None)
    account.s3.create_bucket(Bucket="artifacts")
    yield replace(world, elsewhere=account)
    account.close()


@pytest.mark.timeout(600)  # Ceph's packages are fetched once
def test_jobs_pass_on_what_they_wrote_through_a_real_s3(on_ceph):
    cached = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P1D"}}
    world = on_ceph
    steps = (
        world.processing("write", WRITE, outputs=("out",), arguments=("é 日本",), **cached),
        world.processing(
            "copy", COPY, inputs={"in": output("write", "out")}, outputs=("out",), **cached
        ),
        world.training(
            "train",
            TRAIN,
            channels={"in": output("copy", "out")},
            arguments={
                "EnableManagedSpotTraining": True,
                "CheckpointConfig": {
                    "S3Uri": "s3://artifacts/checkpoints",
                    "LocalPath": "/opt/ml/checkpoints",
                },
                "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90},
            },
            **cached,
        ),
        world.processing(
            "use",
            "import os; print(os.environ['AWS_ENDPOINT_URL_S3'], os.environ['AWS_ENDPOINT_URL'])",
            inputs={"model": get("Steps.train.ModelArtifacts.S3ModelArtifacts")},
        ),
    )
    world.account.faults.interrupt(
        "train", lambda _: world.listed("checkpoints/") == ["checkpoints/deep/epoch"]
    )
    execution = world.run(*steps)
    assert execution.status == "Succeeded", execution.why()
    assert execution.steps["train"].log == ["restored False", "restored True"]
    model = execution.steps["train"].properties["ModelArtifacts"]["S3ModelArtifacts"]
    assert archived(world.account, model) == {"weights": "é 日本!1".encode()}
    assert execution.steps["use"].log == [f"{world.account.s3_url} {world.plane.url}"]
    again = world.run(*steps)
    assert (again.status, again.executed) == ("Succeeded", ["use"])
    gone = world.processing("look", "print(1)", inputs={"in": "s3://artifacts/nothing/"})
    assert "No S3 objects found" in world.run(gone).steps["look"].reason
