"""Which instance types fit a task, and which is taken."""

from __future__ import annotations

import pytest
import toy_graphs as toy
from botocore.session import get_session

from soundgate.errors import DefinitionError
from soundgate.executors.sagemaker.instances import (
    PROCESSING,
    TRAINING,
    Instance,
    fitting,
    parameter_name,
)
from soundgate.pipeline import Pipeline
from soundgate.task import Resources

TABLE = (
    Instance(type="ml.small", cpus=2, memory_gb=4),
    Instance(type="ml.wide", cpus=8, memory_gb=16),
    Instance(type="ml.deep", cpus=4, memory_gb=64),
    Instance(type="ml.gpu", cpus=8, memory_gb=32, gpus=1),
    Instance(type="ml.gpus", cpus=48, memory_gb=192, gpus=4),
)


@pytest.mark.parametrize(
    ("needs", "types"),
    [
        (Resources(cpus=2, memory_gb=4), ["ml.small", "ml.wide", "ml.deep"]),
        (Resources(cpus=2, memory_gb=4.5), ["ml.wide", "ml.deep"]),
        (Resources(cpus=4, memory_gb=16), ["ml.wide", "ml.deep"]),
        (Resources(cpus=5, memory_gb=1), ["ml.wide"]),
        (Resources(cpus=1, memory_gb=1, gpus=1), ["ml.gpu", "ml.gpus"]),
        (Resources(cpus=1, memory_gb=1, gpus=2), ["ml.gpus"]),
        (Resources(cpus=1, memory_gb=33, gpus=1), ["ml.gpus"]),
    ],
)
def test_what_fits_in_the_order_of_the_table(needs, types):
    assert fitting("t", needs, TABLE, table_name="training") == types


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        (
            Resources(cpus=9, memory_gb=16),
            "task 't' needs 9 CPUs, 16 GB, no GPU, but no instance type",
        ),
        (Resources(memory_gb=65.5), "task 't' needs 1 CPUs, 65.5 GB, no GPU, but no instance type"),
        (
            Resources(gpus=8, memory_gb=2),
            "task 't' needs 1 CPUs, 2 GB, 8 GPUs, but no instance type",
        ),
    ],
)
def test_nothing_that_fits_is_one_line_that_names_task_need_and_field(needs, said):
    with pytest.raises(DefinitionError) as error:
        fitting("t", needs, TABLE, table_name="training")
    assert str(error.value).startswith(said)
    assert "`training` in the profile" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_render_says_so_before_anything_is_sent(tmp_path):
    p = Pipeline("toy")
    p.add(toy.fetch, resources=Resources(cpus=400))
    with pytest.raises(DefinitionError, match=r"'fetch' needs 400 CPUs.* `processing`"):
        toy.render(p, tmp_path)


def test_built_in_types_are_types_of_the_service():
    model = get_session().get_service_model("sagemaker")
    for table, name in ((PROCESSING, "ProcessingInstanceType"), (TRAINING, "TrainingInstanceType")):
        types = [each.type for each in table]
        assert len(set(types)) == len(types)
        assert set(types) <= set(model.shape_for(name).enum)


@pytest.mark.parametrize("table", [PROCESSING, TRAINING])
def test_the_first_that_fits_is_no_larger_than_another(table):
    """The order of preference never prefers a machine that has more of everything."""
    for i, first in enumerate(table):
        for later in table[i + 1 :]:
            if bool(later.gpus) == bool(first.gpus):
                smaller = (
                    later.cpus <= first.cpus
                    and later.memory_gb <= first.memory_gb
                    and later.gpus <= first.gpus
                )
                same = (later.cpus, later.memory_gb) == (first.cpus, first.memory_gb)
                assert not smaller or same, f"{later.type} should stand before {first.type}"


def test_one_parameter_a_class_of_resources_and_kind_of_job(tmp_path):
    assert parameter_name("processing", Resources(memory_gb=0.5)) == "processing_1cpu_0_5gb"
    p = Pipeline("toy")
    fetched = p.add(toy.fetch, resources=Resources(cpus=4, memory_gb=8))
    small = Resources(cpus=4, memory_gb=8, hours=3)  # the same machine, for longer
    p.add(toy.evaluate, model=fetched["clips"], resources=small)
    p.add(toy.train, clips=fetched["clips"], resources=small)
    request = toy.render(p, tmp_path, training=TABLE)
    found = {
        each["Name"]: (each["DefaultValue"], each["EnumValues"][:2])
        for each in request.definition["Parameters"]
        if "cpu" in each["Name"]
    }
    assert found == {
        "processing_4cpu_8gb": ("ml.c5.xlarge", ["ml.c5.xlarge", "ml.m5.xlarge"]),
        "training_4cpu_8gb": ("ml.wide", ["ml.wide", "ml.deep"]),
    }
