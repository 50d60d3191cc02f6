"""Which tasks share a job, and what each job waits for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from soundgate.errors import DefinitionError
from soundgate.executors.slurm.jobs import lower
from soundgate.executors.slurm.profile import Partition, Profile
from soundgate.pipeline import Axis, Metric, Pipeline, Resources
from soundgate.step import InputPath, InputPaths, OutputPath  # noqa: TC001 - interfaces are read from annotations

SHORT = Resources(hours=0.05)  # three minutes
LONG = Resources(hours=2)
OWN = Profile(short_minutes=0)


def make(out: OutputPath, source: InputPath | None = None, *, number: int = 0) -> None:
    """Write something."""


def join(sources: InputPaths, out: OutputPath) -> None:
    """Read several."""


def shape(jobs):
    return [
        (job.name, [list(e) for e in job.elements], job.after, job.element_wise) for job in jobs
    ]


def chain(*resources: Resources) -> Pipeline:
    pipeline, before = Pipeline("p"), None
    for number, needs in enumerate(resources):
        source = before["out"] if before else None
        before = pipeline.add(make, name=f"t{number}", source=source, resources=needs)
    return pipeline


def test_long_tasks_have_jobs_of_their_own():
    jobs = lower(chain(LONG, LONG, LONG), Profile())
    assert shape(jobs) == [
        ("t0", [["t0"]], (), ()),
        ("t1", [["t1"]], ("t0",), ()),
        ("t2", [["t2"]], ("t1",), ()),
    ]
    assert [job.resources for job in jobs] == [LONG] * 3
    assert not any(job.why for job in jobs)


def test_a_chain_of_short_tasks_is_one_job_with_the_sum_of_their_time():
    [job] = lower(chain(*[SHORT] * 5), Profile())
    assert job.elements == (("t0", "t1", "t2", "t3", "t4"),)
    assert job.resources.hours == pytest.approx(0.25)
    assert "in one job: time limits of at most 10 min" in job.why
    assert [j.name for j in lower(chain(*[SHORT] * 3), OWN)] == ["t0", "t1", "t2"]


def test_a_shared_job_ends_where_its_time_would_be_too_long():
    jobs = lower(chain(*[SHORT] * 5), Profile(job_minutes=7))
    assert [job.tasks for job in jobs] == [["t0", "t1"], ["t2", "t3"], ["t4"]]
    assert [job.after for job in jobs] == [(), ("t0",), ("t2",)]


def test_a_short_task_never_waits_for_more_than_it_did():
    pipeline = chain(SHORT, LONG)
    pipeline.add(make, name="late", source=pipeline.tasks["t1"]["out"], resources=SHORT)
    pipeline.add(make, name="early", source=pipeline.tasks["t0"]["out"], resources=SHORT)
    jobs = {job.name: job for job in lower(pipeline, Profile())}
    assert jobs["t0"].tasks == ["t0", "early"]
    assert jobs["late"].after == ("t1",)


def test_gates_of_one_report_share_a_job():
    pipeline = chain(LONG)
    report = pipeline.tasks["t0"]["out"]
    metric = Metric(name="m", json_path="a", message="low <")
    gates = [pipeline.gate(report, metric=replace(metric, name=n), at_least=0) for n in "ab"]
    pipeline.add(make, name="last", after=gates, resources=LONG)
    jobs = lower(pipeline, Profile())
    assert [job.tasks for job in jobs] == [["t0"], ["gate-a", "gate-b"], ["last"]]
    assert jobs[2].after == ("gate-a",)


def test_a_map_is_an_array_its_followers_go_element_by_element_and_the_join_waits_for_all():
    pipeline = chain(LONG)
    first = pipeline.map(
        make,
        name="a",
        over={"number": [0, 1, 2]},
        source=pipeline.tasks["t0"]["out"],
        resources=LONG,
    )
    second = pipeline.map(make, name="b", over=first, source=first["out"], resources=LONG)
    pipeline.add(join, sources=second["out"], resources=LONG)
    jobs = lower(pipeline, Profile())
    assert shape(jobs)[1:] == [
        ("a", [["a-0"], ["a-1"], ["a-2"]], ("t0",), ()),
        ("b", [["b-0"], ["b-1"], ["b-2"]], (), ("a",)),
        ("join", [["join"]], ("b",), ()),
    ]
    assert [job.is_array for job in jobs] == [False, True, True, False]


def test_short_elements_share_jobs_but_as_many_run_at_a_time_as_may():
    pipeline = Pipeline("p")
    pipeline.map(make, name="a", over={"number": list(range(50))}, resources=SHORT)
    [job] = lower(pipeline, Profile(throttle=2, job_minutes=120))
    assert [len(element) for element in job.elements] == [25, 25]
    assert job.resources.hours == pytest.approx(25 * 0.05)
    [job] = lower(pipeline, Profile(throttle=50))
    assert [len(element) for element in job.elements] == [1] * 50
    [job] = lower(pipeline, Profile(throttle=1, job_minutes=30))
    assert {len(element) for element in job.elements} == {10}


def test_items_that_ask_for_other_resources_are_an_array_of_their_own():
    pipeline = Pipeline("p")
    big = replace(LONG, gpus=1, memory_gb=64)
    items = {"a": {}, "b": {"resources": big}, "c": {}}
    mapped = pipeline.map(make, name="m", over=Axis("model", items), resources=LONG, number=1)
    pipeline.map(make, name="n", over=mapped, source=mapped["out"], resources=LONG, number=1)
    jobs = lower(pipeline, Profile())
    assert [(job.name, job.kind, job.tasks) for job in jobs] == [
        ("m-1", "cpu", ["m-a", "m-c"]),
        ("m-2", "gpu", ["m-b"]),
        ("n", "cpu", ["n-a", "n-b", "n-c"]),
    ]
    assert [job.resources.memory_gb for job in jobs[:2]] == [LONG.memory_gb, 64]
    assert (jobs[2].after, jobs[2].element_wise) == (("m-1", "m-2"), ())


def test_an_array_that_is_too_large_is_several():
    pipeline = Pipeline("p")
    mapped = pipeline.map(make, name="a", over={"number": list(range(25))}, resources=LONG)
    pipeline.map(make, name="b", over=mapped, source=mapped["out"], resources=LONG)
    jobs = lower(pipeline, Profile(array_size=10))
    assert [(j.name, len(j.elements)) for j in jobs] == [
        ("a-1", 10),
        ("a-2", 10),
        ("a-3", 5),
        ("b-1", 10),
        ("b-2", 10),
        ("b-3", 5),
    ]
    assert [j.element_wise for j in jobs[3:]] == [("a-1",), ("a-2",), ("a-3",)]


def test_what_is_there_already_is_not_waited_for():
    pipeline = chain(LONG, LONG, LONG)
    assert shape(lower(pipeline, Profile(), ["t1", "t2"])) == [
        ("t1", [["t1"]], (), ()),
        ("t2", [["t2"]], ("t1",), ()),
    ]
    mapped = pipeline.map(
        make,
        name="a",
        over={"number": [0, 1, 2]},
        source=pipeline.tasks["t2"]["out"],
        resources=LONG,
    )
    pipeline.map(make, name="b", over=mapped, source=mapped["out"], resources=LONG)
    jobs = lower(pipeline, Profile(), ["a-1", "b-0", "b-1"])
    # b-0's input is there, so that element numbers no longer fit: it waits for all that is left
    assert shape(jobs) == [
        ("a", [["a-1"]], (), ()),
        ("b", [["b-0"], ["b-1"]], ("a",), ()),
    ]


def test_gpus_and_the_network_have_places_of_their_own():
    pipeline = Pipeline("p")
    pipeline.add(make, name="g", resources=Resources(gpus=2, hours=0.1))
    pipeline.add(make, name="c", resources=SHORT)
    pipeline.add(make, name="n", needs_network=True, resources=SHORT)
    jobs = lower(pipeline, Profile(network=Partition(name="serial")))
    assert [(job.name, job.kind) for job in jobs] == [("g", "gpu"), ("c", "cpu"), ("n", "network")]


def test_a_node_that_has_less_gives_what_it_has():
    needs = Resources(cpus=8, gpus=2, memory_gb=32, hours=2)
    small = Partition(max_cpus=2, max_memory_gb=6, max_gpus=1)
    [job] = lower(chain(needs), Profile(gpu=small))
    assert job.resources == Resources(cpus=2, gpus=1, memory_gb=6, hours=2)
    [job] = lower(chain(needs), Profile(gpu=Partition(max_gpus=0)))
    assert (job.resources.gpus, job.resources.cpus) == (0, 8)


def test_more_time_than_the_partition_gives_is_refused():
    with pytest.raises(
        DefinitionError, match=r"task 't0' asks for 2 h, but its partition allows 1 h"
    ):
        lower(chain(LONG), Profile(cpu=Partition(max_hours=1)))


def test_ten_thousand_tasks_are_some_arrays():
    pipeline = Pipeline("p")
    mapped = pipeline.map(make, name="a", over={"number": list(range(5000))}, resources=LONG)
    second = pipeline.map(make, name="b", over=mapped, source=mapped["out"], resources=SHORT)
    pipeline.add(join, sources=second["out"], resources=LONG)
    jobs = lower(pipeline, Profile())
    assert sum(len(job.tasks) for job in jobs) == 10_001
    assert [len(job.elements) for job in jobs] == [1000] * 5 + [250] + [1]
    assert jobs[-1].after == ("b",)
