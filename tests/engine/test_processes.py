"""How a task becomes a process."""

from __future__ import annotations

import signal
import sys

import pytest

from soundgate.executors.running.machine import Machine, Share
from soundgate.executors.running.processes import environment, exit_reason, process_argv
from soundgate.task import Resources

COMMAND = ["python", "-m", "steps.train", "--epochs", "3"]


def test_a_task_runs_under_this_interpreter():
    share = Share(cpus=4, memory_gb=8, gpus=(1,))
    assert process_argv(COMMAND, share) == [sys.executable, *COMMAND[1:]]


def test_several_gpus_alone_start_the_program_once():
    share = Machine(cpus=8, memory_gb=8, gpus=(0, 1)).take(Resources(gpus=2))
    assert process_argv(COMMAND, share) == [sys.executable, *COMMAND[1:]]


@pytest.mark.parametrize(("here", "started"), [((), 1), ((0,), 1), ((0, 1), 2), ((0, 1, 2, 3), 4)])
def test_processes_are_at_most_one_a_gpu_of_this_machine(here, started):
    share = Machine(cpus=8, memory_gb=8, gpus=here).take(Resources(cpus=8, gpus=4, processes=4))
    assert share.processes == started
    assert environment(share, gpus_here=True)["OMP_NUM_THREADS"] == str(8 // started)


def test_processes_that_are_asked_for_are_started_by_torchrun():
    share = Share(cpus=4, memory_gb=8, gpus=(0, 2, 3), processes=3)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3"]
    assert process_argv(COMMAND, share) == [sys.executable, *torchrun, *COMMAND[1:]]


def test_a_task_stays_within_its_share():
    given = environment(Share(cpus=3, memory_gb=8, gpus=(0, 2)), gpus_here=True)
    assert given["OMP_NUM_THREADS"] == given["MKL_NUM_THREADS"] == "3"
    assert given["CUDA_VISIBLE_DEVICES"] == "0,2"
    hidden = environment(Share(cpus=1, memory_gb=1, gpus=()), gpus_here=True)
    assert hidden["CUDA_VISIBLE_DEVICES"] == ""  # it asked for none
    assert "CUDA_VISIBLE_DEVICES" not in environment(Share(1, 1, ()), gpus_here=False)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0, "ended without a finished mark"),
        (3, "exit code 3"),
        (-signal.SIGKILL, "killed by SIGKILL (out of memory?)"),
        (-signal.SIGSEGV, "killed by SIGSEGV"),
        (-63, "killed by signal 63"),
    ],
)
def test_the_end_of_a_process_without_a_mark_is_explained(status, said):
    assert exit_reason(status) == said
