"""What Slurm's commands are asked, and how their answers are read."""

from __future__ import annotations

import pytest

from soundgate.executors.slurm.service import client as slurm
from soundgate.executors.slurm.service.client import Client, QueuedJob, SlurmRefused, outside_jobs

DOWN = (1, "", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n")


@pytest.fixture
def client():
    return Client(tries=3, pause_s=0.01)


@pytest.mark.parametrize(
    "answer",
    [
        "123\n",
        "123;cluster\n",
        "sbatch: a notice\n123\n",
        "123\nYou will be charged for 1 CPU\n",
        "Welcome\n123;cluster\nYou will be charged for 16 CPUs\n",
        "Submitted batch job 123 on cluster x\n",
        "123\r\n",
    ],
)
def test_a_job_id_is_read_from_every_form_of_answer(fake, client, answer):
    fake.answers("sbatch", (0, answer, ""))
    assert client.submit("#!/bin/bash\n", ["--hold"]) == "123"
    assert fake.calls("sbatch") == [(["--parsable", "--hold"], "#!/bin/bash\n")]


@pytest.mark.parametrize("answer", ["", "\n", "Submitted\n", "You have 16 jobs\n"])
def test_an_answer_without_a_job_id_is_an_error(fake, client, answer):
    fake.answers("sbatch", (0, answer, ""))
    with pytest.raises(SlurmRefused, match="instead of a job id"):
        client.submit("", [])


def test_a_refusal_is_one_line_and_is_not_tried_again(fake, client):
    said = "sbatch: error: invalid partition specified: gpuu\nsbatch: error: Batch job failed\n"
    fake.answers("sbatch", (1, "", said))
    with pytest.raises(SlurmRefused) as refused:
        client.submit("", [])
    assert "invalid partition specified: gpuu" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(fake.calls()) == 1


def test_a_controller_that_is_being_restarted_is_asked_again(fake, client):
    fake.answers("squeue", DOWN, DOWN, (0, "7|RUNNING|None\n", ""))
    assert client.queue() == {"7": QueuedJob("7", "RUNNING", "None")}
    fake.answers("squeue", DOWN)
    with pytest.raises(SlurmRefused, match="Unable to contact"):
        client.queue()
    assert len(fake.calls("squeue")) == 6


def test_the_queue_is_one_query_of_all_own_jobs_in_every_state(fake, client):
    lines = [
        "12_3|RUNNING|None",
        "12_4|PENDING|JobArrayTaskLimit",
        "13|CANCELLED by 1000|Dependency|with bars",
        "14|OUT_OF_MEMORY|OutOfMemory",
        "",
        "damaged",
    ]
    fake.answers("squeue", (0, "\n".join(lines), ""))
    assert client.queue() == {
        "12_3": QueuedJob("12_3", "RUNNING", "None"),
        "12_4": QueuedJob("12_4", "PENDING", "JobArrayTaskLimit"),
        "13": QueuedJob("13", "CANCELLED", "Dependency|with bars"),
        "14": QueuedJob("14", "OUT_OF_MEMORY", "OutOfMemory"),
    }
    [(arguments, _)] = fake.calls()
    assert "--me" in arguments
    assert "--states=all" in arguments


def test_a_job_that_left_the_queue_is_asked_for_at_the_controller_then_in_the_books(fake, client):
    fake.answers(
        "scontrol", (0, "JobId=5 JobName=a b JobState=NODE_FAIL Reason=NodeDown X=1\n", "")
    )
    assert client.ask("5") == {"5": QueuedJob("5", "NODE_FAIL", "NodeDown")}
    fake.answers("scontrol", (1, "", "slurm_load_jobs error: Invalid job id specified\n"))
    fake.answers("sacct", (0, "5|CANCELLED by 1000|0:15\n", ""))
    assert client.ask("5") == {"5": QueuedJob("5", "CANCELLED", "0:15")}
    fake.answers("sacct", (1, "", "Slurm accounting storage is disabled\n"))
    assert client.ask("5") == {}


def test_an_array_that_left_the_queue_is_asked_for_once(fake, client):
    lines = [
        "JobId=8 ArrayJobId=8 ArrayTaskId=5-6,9%2 JobName=m JobState=PENDING Reason=Priority",
        "JobId=11 ArrayJobId=8 ArrayTaskId=0 JobName=m JobState=TIMEOUT Reason=TimeLimit",
    ]
    fake.answers("scontrol", (0, "\n".join(lines), ""))
    found = client.ask("8")
    assert {i: job.state for i, job in found.items()} == {
        "8_5": "PENDING",
        "8_6": "PENDING",
        "8_9": "PENDING",
        "8_0": "TIMEOUT",
    }
    fake.answers("scontrol", (1, "", "Invalid job id specified"))
    fake.answers("sacct", (0, "8_0|TIMEOUT|0:0\n8_1|COMPLETED|0:0\n8_[2-9%2]|PENDING|0:0\n", ""))
    booked = client.ask("8")
    assert [booked[i].state for i in ("8_0", "8_1")] == ["TIMEOUT", "COMPLETED"]
    assert len(fake.calls()) == 3


def test_a_job_that_runs_is_told_from_one_that_was_ended_or_put_back(fake, client):
    for state, found in (("RUNNING", True), ("PENDING", False), ("CANCELLED", False)):
        fake.answers("scontrol", (0, f"JobId=5 JobState={state} Reason=None X=1\n", ""))
        assert client.is_running("5") is found
    fake.answers("scontrol", (1, "", "Invalid job id specified"))
    assert client.is_running("5") is False


def test_a_host_without_slurm_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SlurmRefused, match="squeue is not on PATH; submit from a host of the"):
        Client().queue()


def test_many_ids_are_some_commands(fake, client):
    client.cancel(str(number) for number in range(450))
    assert [len(arguments) for arguments, _ in fake.calls("scancel")] == [200, 200, 50]


def test_a_submission_from_inside_a_job_does_not_inherit_its_options(fake, client, monkeypatch):
    inside = {"SLURM_JOB_ID": "1", "SBATCH_PARTITION": "p", "SLURM_CONF": "/c", "HOME": "/h"}
    assert outside_jobs(inside) == {"SLURM_CONF": "/c", "HOME": "/h"}


def test_every_state_of_slurm_is_known_to_be_over_or_not():
    assert not slurm.ENDED & slurm.WAITING
    assert {"COMPLETED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL"} <= slurm.ENDED
    assert not {"RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STAGE_OUT"} & slurm.ENDED
