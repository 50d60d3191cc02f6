from __future__ import annotations

import pytest

from soundgate.executors.running import machine
from soundgate.executors.running.machine import Machine, Share
from soundgate.pipeline import Resources


def test_it_gives_what_is_free_and_takes_it_back():
    of = Machine(cpus=4, memory_gb=8, gpus=(0, 1))
    first = of.take(Resources(cpus=3, memory_gb=2, gpus=1))
    assert first == Share(3, 2, (0,))
    assert of.take(Resources(cpus=2)) is None
    second = of.take(Resources(cpus=1, memory_gb=6, gpus=1))
    assert second.gpus == (1,)
    assert of.take(Resources(cpus=1, memory_gb=0.1)) is None
    of.give_back(first)
    assert of.take(Resources(cpus=3, memory_gb=3)) is None  # memory
    third = of.take(Resources(cpus=3, memory_gb=2, gpus=1))
    assert third.gpus == (0,)


def test_a_task_that_wants_more_than_there_is_gets_all_of_it_alone():
    of = Machine(cpus=2, memory_gb=4, gpus=())
    share = of.take(Resources(cpus=64, memory_gb=512, gpus=8))
    assert share == Share(2, 4, ())
    assert of.take(Resources(cpus=1, memory_gb=0.1)) is None


def test_equal_shares_are_given_back_one_at_a_time():
    of = Machine(cpus=2, memory_gb=4, gpus=())
    shares = [of.take(Resources(memory_gb=1)) for _ in range(2)]
    of.give_back(shares[0])
    assert of.take(Resources(memory_gb=1)) is not None
    assert of.take(Resources(memory_gb=1)) is None


@pytest.mark.parametrize(
    ("text", "gpus"), [("", ()), ("0", (0,)), ("2,3", (2, 3)), ("-1", ()), (" 1, 2", (1, 2))]
)
def test_visible_gpus_are_respected(monkeypatch, text, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
    assert machine.available_gpus() == gpus


def test_what_this_machine_has_is_read_off_it():
    of = Machine()
    assert of.cpus >= 1
    assert 0 < of.memory_gb < 2**20


@pytest.mark.parametrize(("text", "at_most"), [("1073741824\n", 1.0), ("max\n", 2.0**20)])
def test_the_memory_of_a_container_counts(monkeypatch, tmp_path, text, at_most):
    (tmp_path / "memory.max").write_text(text)
    monkeypatch.setattr(machine, "CGROUP_LIMIT", tmp_path / "memory.max")
    assert 0 < machine.available_memory_gb() <= at_most
