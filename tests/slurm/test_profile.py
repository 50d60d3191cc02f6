"""A site's profile: what it changes in the scripts, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from soundgate.errors import ConfigError, ParameterError
from soundgate.executors.slurm.jobs import Job
from soundgate.executors.slurm.profile import Container, Partition, Profile, load
from soundgate.executors.slurm.scripts import (
    SlurmRequest,
    dependencies,
    is_held,
    script,
    warning_s,
)
from soundgate.pipeline import Pipeline
from soundgate.runs import Run
from soundgate.task import Resources

ROOT = Path(__file__).resolve().parents[2]


def job(**changes) -> Job:
    given = {
        "name": "train",
        "kind": "gpu",
        "elements": (("train",),),
        "resources": Resources(cpus=8, gpus=2, memory_gb=31.5, hours=4),
    }
    return Job(**{**given, **changes})


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(tmp_path / "runs", "aed", "20261120-000000-0001")


def options(text: str) -> set[str]:
    return {line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#S")}


@pytest.mark.parametrize("name", ["generic", "leonardo", "scc"])
def test_the_profiles_that_come_along_are_valid(name, run):
    profile = load(str(ROOT / "infra" / "slurm" / f"{name}.yaml"))
    assert "#SBATCH --time=240" in script(job(), run, profile)


def test_resources_become_options(run):
    found = options(script(job(), run, Profile()))
    assert {
        "--job-name=aed.train",
        "--comment=soundgate:20261120-000000-0001",
        "--cpus-per-task=8",
        "--mem=32256M",
        "--gres=gpu:2",
        "--time=240",
        "--nodes=1",
        "--signal=B:USR1@180",
        "--requeue",
        "--kill-on-invalid-dep=yes",
        "--open-mode=append",
        "--export=ALL",
    } <= found
    assert not any("array" in option or "partition" in option for option in found)


def test_a_site_s_wishes_become_options(run):
    profile = Profile(
        account="proj",
        gpu=Partition(name="boost", qos="fast", constraint="a100", lines=("--exclusive",)),
        gpu_option="--gpus-per-node=a100:{gpus}",
        memory=False,
        mail_user="a@b.example",
        lines=("--nice=100",),
        export="NONE",
        setup=("module load gcc",),
        python="/shared/venv/bin/python",
    )
    text = script(job(), run, profile)
    assert {
        "--partition=boost",
        "--account=proj",
        "--qos=fast",
        "--constraint=a100",
        "--exclusive",
        "--gpus-per-node=a100:2",
        "--mail-user=a@b.example",
        "--mail-type=FAIL",
        "--nice=100",
        "--export=NONE",
    } <= options(text)
    assert "--mem" not in text
    lines = text.splitlines()
    assert lines.index("module load gcc") < lines.index(f"cd {Path.cwd()}")
    assert lines[-1].startswith(
        "exec /shared/venv/bin/python -m soundgate.executors.slurm.node.worker"
    )


def test_an_array_is_throttled_and_tells_its_worker_which_element_it_is(run):
    array = job(elements=(("a",), ("b",), ("c",)), is_array=True)
    text = script(array, run, Profile(throttle=2))
    assert "--array=0-2%2" in options(text)
    assert any(option.endswith("train.%A_%a.log") for option in options(text))
    assert text.rstrip().endswith('train "$SLURM_ARRAY_TASK_ID"')


def test_edges_become_dependencies_and_only_what_waits_for_nothing_is_held(run):
    waiting = job(name="b", after=("x", "y"), element_wise=("z",))
    assert dependencies(waiting, {"x": "1", "y": "2", "z": "3"}.__getitem__) == (
        "afterany:1,afterany:2,aftercorr:3"
    )
    assert not is_held(waiting)
    jobs = (job(name="x"), waiting)
    scripts = tuple(script(each, run, Profile()) for each in jobs)
    pipeline = Pipeline("p")
    text = str(SlurmRequest(pipeline=pipeline, folder="runs/p", jobs=jobs, scripts=scripts))
    assert "job_x=$(sbatch --parsable --hold <<'SBATCH'" in text
    assert 'job_b=$(sbatch --parsable --dependency="afterany:${job_x},' in text
    assert text.rstrip().endswith('scontrol release "$job_x"')


def test_a_short_job_is_warned_at_half_its_time():
    quick = job(resources=Resources(hours=1 / 60))
    assert warning_s(quick, Profile()) == 30
    assert warning_s(job(), Profile(warn_s=300)) == 300


@pytest.mark.parametrize("name", ["with space", "100%", "quo'te"])
def test_folders_that_slurm_would_misread_are_refused(tmp_path, name):
    with pytest.raises(ParameterError, match=r"Slurm does not accept .* in the path of log files"):
        script(job(), Run(tmp_path / name, "aed", "1"), Profile())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpu: {nme: x}", "unknown field gpu.nme; did you mean 'name'?"),
        ("acount: x", "unknown field acount; did you mean 'account'?"),
        ("throttle: 0", "throttle: Input should be greater than or equal to 1, got 0"),
        ("throttle: many", "throttle: Input should be a valid integer"),
        ("- a", "expected fields with values"),
        ("a: [", "is not YAML: line "),
        ("account: a\naccount: b", "is not YAML: line 2: key 'account' is given twice"),
        ("cpu: {qos: a, qos: b}", "is not YAML: line 1: key 'qos' is given twice"),
        ("account: my group", "account: expected one word, without spaces, quotes or '#', got"),
        ("gpu: {constraint: 'a b'}", "gpu.constraint: expected one word"),
        ('lines: ["--x\\n#SBATCH --y"]', "lines.0: expected one line"),
        ("a: " + "[" * 5000, "is not YAML: "),
        ("container: {binds: []}", "container.image: Field required"),
    ],
)
def test_a_mistake_in_a_profile_is_one_line_that_names_it(tmp_path, text, said):
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as wrong:
        load(str(path))
    assert str(wrong.value).startswith(f"--profile {path}: {said}")
    assert "\n" not in str(wrong.value)


def test_a_profile_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read: No such file"):
        load(str(tmp_path / "absent.yaml"))
    assert load("") == Profile()


@pytest.mark.parametrize("kind", [Profile, Partition, Container])
def test_every_field_is_documented_as_it_is(kind):
    text = (ROOT / "docs" / "slurm.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, flags=re.MULTILINE))
    missing = [name for name in kind.model_fields if name not in rows]
    assert missing == []
