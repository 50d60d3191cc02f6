"""A pipeline as a definition: what is sent, compared whole, and what must never be in it."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import toy_graphs as toy

from pipeline_parameters import AedParameters
from pipelines import aed
from soundgate.arguments import parse
from soundgate.errors import DefinitionError, ParameterError
from soundgate.executors.base import Options
from soundgate.executors.sagemaker import profile
from soundgate.executors.sagemaker.rendering import definition
from soundgate.executors.sagemaker.validation import definition as validation
from soundgate.parameters import load, named
from soundgate.pipeline import Pipeline, Resources
from soundgate.runs import Run

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
ACCOUNT = {
    "region": "eu-west-1",
    "default_bucket": "my-artifacts",
    "role": "arn:aws:iam::111122223333:role/jobs",
    "pipeline_name": "stm32-p-1234",
    "model_package_group_name": "stm32-p-1234",
    "sagemaker_project_name": "stm32",
    "sagemaker_project_id": "p-1234",
}
"""What SageMaker's project templates pass."""
VARIANTS = {
    "aed": ("generic", ()),
    "aed-folds": ("generic", ("folds=1,2",)),
    "aed-spot": ("spot", ("q_worse_than_champion=0.05",)),
}
ON_CACHE = {
    "Processing": ("AppSpecification", "Environment", "ProcessingInputs"),
    "Training": (
        "AlgorithmSpecification",
        "CheckpointConfig",
        "Environment",
        "HyperParameters",
        "InputDataConfig",
    ),
}
"""What SageMaker's cache goes by."""


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.fixture
def data(tmp_path) -> Path:
    folder = tmp_path / "ESC 10"
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"not quite a sound")
    return folder


def rendered(variant: str, root: Path, *assignments: str, run: str = "RUN-ID"):
    name, own = VARIANTS[variant]
    path = str(ROOT / "infra" / "sagemaker" / f"{name}.yaml")
    keywords = ACCOUNT if name == "generic" else {}
    at = profile.load(Options(profile=path, keywords=keywords))
    config = Path("tests/golden/user_config.yaml")
    wanted = (*own, "training.epochs=40", *assignments)
    values = load(AedParameters, config=config, assignments=wanted, defaults=at.parameters)
    return definition.render(aed.get_pipeline(values), Run(root, "aed", run), at)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_definition_is_what_it_was(variant, update_golden, tmp_path, data):
    text = str(rendered(variant, tmp_path / "runs", f"dataset_path={data}"))
    path = GOLDEN / f"{variant}.sagemaker.json"
    if update_golden:
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8"), f"{path.name} changed; if on purpose: --update-golden"


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_run_is_a_value_to_start_with_and_not_in_the_definition(variant, tmp_path):
    one = rendered(variant, tmp_path, run="20261120-000000-0001")
    other = rendered(variant, tmp_path, run="20261121-000000-0002")
    assert str(one) == str(other)
    names = [p["Name"] for p in one.definition["Parameters"]]
    assert len(set(names)) == len(names)
    if "run" in names:
        assert one.parameters["run"] == "20261120-000000-0001"
    assert set(one.parameters) <= set(names)
    assert not {"commit", "fresh"} & set(one.parameters)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_service_would_take_it(variant, tmp_path):
    validation.check(rendered(variant, tmp_path).definition)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_cached_step_has_nothing_that_differs_between_executions(variant, tmp_path):
    request = rendered(variant, tmp_path)
    cached = {n: s for n, s in toy.steps_of(request).items() if "CacheConfig" in s}
    assert {"fetch", "preprocess"} <= set(cached)
    assert not {"champion", "review", "register"} & set(cached)
    for name, step in cached.items():
        assert step["CacheConfig"] == {"Enabled": True, "ExpireAfter": "P30D"}
        keys = {k: step["Arguments"].get(k) for k in ON_CACHE[step["Type"]]}
        text = json.dumps(keys)
        for changing in ("Execution.", "Parameters.run", "Parameters.commit", "RUN-ID"):
            assert changing not in text, f"{name} would never be reused: {changing}"
        # --no-cache changes every key through this one parameter, and the definition not at all
        assert step["Arguments"]["Environment"]["SOUNDGATE_FRESH"] == {"Get": "Parameters.fresh"}


def test_only_what_names_the_run_is_told_the_run(tmp_path):
    steps = toy.steps_of(rendered("aed-spot", tmp_path))
    told = {n for n, s in steps.items() if "SOUNDGATE_RUN" in s["Arguments"].get("Environment", {})}
    assert told == {"review", "register"}
    for name in told:
        assert steps[name]["Arguments"]["Environment"]["SOUNDGATE_COMMIT"] == {
            "Get": "Parameters.commit"
        }


def test_what_judges_again_is_told_the_thresholds_of_its_execution(tmp_path):
    """One that is set in the console must not be judged by what was rendered."""
    request = rendered("aed-spot", tmp_path)
    steps = toy.steps_of(request)
    told = {
        n: s["Arguments"]["Environment"]["SOUNDGATE_THRESHOLDS"]
        for n, s in steps.items()
        if "SOUNDGATE_THRESHOLDS" in s["Arguments"].get("Environment", {})
    }
    assert told["review"] == told["register"]
    assert set(told) == {"review", "register"}
    values = {p["Name"]: p.get("DefaultValue") for p in request.definition["Parameters"]}
    values["q_patch_level_acc_threshold"] = 0.25
    found = toy.resolve(told["review"], values).split()
    assert list(map(float, found))[:2] == [values["q_clip_level_acc_threshold"], 0.25]


def test_the_page_is_made_before_any_gate_and_the_model_is_inside_of_all(tmp_path):
    request = rendered("aed-spot", tmp_path)
    outer = {s["Name"]: s for s in request.definition["Steps"]}
    assert "review" in outer
    clip = outer["gate-clip-accuracy"]
    assert clip["DependsOn"] == ["review"]
    patch = clip["Arguments"]["IfSteps"][0]
    gain = patch["Arguments"]["IfSteps"][0]
    assert [s["Name"] for s in gain["Arguments"]["IfSteps"]] == ["register", "register-package"]
    assert [s["Name"] for s in (patch, gain)] == ["gate-patch-accuracy", "gate-clip-accuracy-gain"]
    assert gain["Arguments"]["Conditions"][0]["RightValue"] == -0.05  # made of a parameter: decided


def test_a_miss_says_what_users_know(tmp_path):
    request = rendered("aed", tmp_path, "q_clip_level_acc_threshold=0.5")
    steps, values = toy.steps_of(request), request.parameters
    said = [
        toy.resolve(steps[f"gate-{which}-accuracy-missed"]["Arguments"]["ErrorMessage"], values)
        for which in ("clip", "patch")
    ]
    assert said == [
        "Execution failed due to clip level acc < 0.5",
        "Execution failed due to patch level acc < 0.5",
    ]
    assert "epochs" in values  # handed straight to a step


def test_folds_are_steps_of_their_own(tmp_path):
    steps = toy.steps_of(rendered("aed-folds", tmp_path))
    assert {"train-1", "train-2", "evaluate-1", "evaluate-2", "pool"} <= set(steps)
    assert not [s for s in steps.values() if s["Type"] == "RegisterModel"]
    words = toy.command(steps["pool"])
    at = words.index("--reports")
    assert words[at + 1 : at + 3] == [f"/opt/ml/processing/input/reports/{i}" for i in (0, 1)]
    assert [toy.command(steps[f"train-{i}"])[-3:-1] for i in (1, 2)] == [
        ["--test-fold", "1"],
        ["--test-fold", "2"],
    ]
    checkpoints = [
        json.dumps(steps[f"train-{i}"]["Arguments"]["CheckpointConfig"]["S3Uri"]) for i in (1, 2)
    ]
    assert checkpoints[0] != checkpoints[1]


def isolated() -> list[str]:
    """A command that takes the network away from what follows it."""
    for words in (["unshare", "-n"], ["unshare", "-Urn"]):
        if (
            shutil.which("unshare")
            and not subprocess.run([*words, "true"], capture_output=True, check=False).returncode
        ):
            return words
    pytest.skip("this machine lets nobody make a network namespace (unshare)")


def test_a_definition_takes_less_than_a_second_and_asks_nobody(tmp_path):
    program = (
        "import sys; from soundgate import cli; code = cli.get_pipeline_definition();"
        "bad = {'boto3', 'botocore', 'mlflow', 'torch', 'kfp', 'sagemaker'} & set(sys.modules);"
        "assert not bad, bad; sys.exit(code)"
    )
    command = [*isolated(), sys.executable, "-c", program]
    command += ["-n", "pipelines.aed", "--executor", "sagemaker"]
    environment = {"PATH": os.environ["PATH"], "SOUNDGATE_RUNS": str(tmp_path), "HOME": "/nowhere"}
    texts, took_s = [], []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert (done.returncode, done.stderr) == (0, b"")
        texts.append(done.stdout)
        took_s.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert texts[0] == texts[1] == texts[2]
    assert json.loads(texts[0])["Version"] == "2020-12-01"
    assert min(took_s) < 1.0, took_s  # processor time: the machine may be busy with other tests


def spoken(tmp_path, *, opened: bool, **values):
    p = Pipeline("toy")
    p.add(toy.speak, **{n: named(v, n) if opened else v for n, v in values.items()})
    request = toy.render(p, tmp_path)
    words = toy.command(toy.steps_of(request)["speak"])
    return request, [toy.resolve(word, request.parameters) for word in words]


ODD = (
    {"offset_s": -1.5, "count": -3},
    {"offset_s": 1e-05, "count": 0},
    {"offset_s": -0.0, "text": "-v"},
    {"text": "--loud"},
    {"text": "a \"quoted\" word, 'another' and a back\\slash"},
    {"text": "Räuber & Glühwürmchen, 録音 🎙"},
    {"text": "$(reboot) `x` ${HOME} {{$}} %s"},
    {"text": ""},
    {"text": " spaces  kept "},
    {"text": "a=b"},
    {"loud": True, "folds": [1, 2]},
    {"folds": []},
)


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("values", ODD)
def test_arguments_arrive_as_they_were(values, opened, tmp_path):
    request, words = spoken(tmp_path, opened=opened, **values)
    found = parse(toy.speak, words)
    assert {name: found[name] for name in values} == values
    assert {name: type(found[name]) for name in values} == {n: type(v) for n, v in values.items()}
    single = {n for n, v in values.items() if type(v) in (str, int, float)}
    declared = {p["Name"] for p in request.definition["Parameters"]}
    assert (declared & set(values)) == (single if opened else set())
    assert json.loads(str(request)) == request.definition
    assert str(request).isascii()


def test_numbers_of_a_service_that_spells_them_otherwise_arrive(tmp_path):
    request, _ = spoken(tmp_path, opened=True, offset_s=1e-05, count=-160)
    words = toy.command(toy.steps_of(request)["speak"])
    spelt = {"offset_s": "1.0E-5", "count": "-160.0"}
    found = parse(toy.speak, [toy.resolve(word, spelt) for word in words])
    assert (found["offset_s"], found["count"]) == (1e-05, -160)


def test_parameters_keep_their_types(tmp_path):
    request, _ = spoken(tmp_path, opened=True, offset_s=0.5, count=7, text="x")
    first = request.definition["Parameters"][:3]
    assert [(p["Name"], p["Type"], p["DefaultValue"]) for p in first] == [
        ("text", "String", "x"),
        ("offset_s", "Float", 0.5),
        ("count", "Integer", 7),
    ]
    assert request.parameters["count"] == 7
    assert type(request.parameters["count"]) is int


def test_a_parameter_with_a_name_of_the_definition_s_own_is_a_value(tmp_path):
    p = Pipeline("toy")
    p.add(toy.speak, text=named("mine", "bucket"))
    request = toy.render(p, tmp_path, bucket="theirs")
    assert toy.command(toy.steps_of(request)["speak"])[-2:] == ["--text", "mine"]
    assert request.parameters["bucket"] == "theirs"


@pytest.mark.parametrize("opened", [False, True])
def test_an_argument_of_more_than_256_characters_is_refused(opened, tmp_path):
    most = 256 - len("--text=") if opened else 256
    spoken(tmp_path, opened=opened, text="x" * most)
    with pytest.raises(DefinitionError) as error:
        spoken(tmp_path, opened=opened, text="x" * (most + 1))
    assert str(error.value).startswith(
        "task 'speak': argument --text has 257 characters, but SageMaker takes at most 256"
    )
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("character", "called"),
    [
        ("\n", "a line break"),
        ("\u2028", "a line break"),
        ("\x85", "a line break"),
        ("\0", r"the character '\\x00'"),
        ("\udc80", r"the character '\\udc80'"),
    ],
)
def test_what_no_argument_may_hold_is_refused(tmp_path, character, called):
    with pytest.raises(DefinitionError, match=f"argument --text has {called}, which"):
        spoken(tmp_path, opened=False, text=f"a{character}b")


def test_too_many_words_are_refused(tmp_path):
    p = Pipeline("toy")
    parts = [p.add(toy.fetch, name=f"f{i}", dataset=str(i))["clips"] for i in range(98)]
    p.add(toy.pool, parts=parts)
    with pytest.raises(
        DefinitionError, match="'pool': its command has 101 words, but SageMaker takes at most 100"
    ):
        toy.render(p, tmp_path)


def test_a_file_is_named_by_its_content(tmp_path, data):
    def request():
        return rendered("aed", tmp_path / "runs", f"dataset_path={data}")

    first = request()
    keys = {u.file.name: u.key for u in first.uploads}
    assert {"ESC 10", "gates.json", "user_config.yaml"} == set(keys)
    assert str(first) == str(request())
    (data / "a.wav").write_bytes(b"another sound, longer")
    second = request()
    changed = {u.file.name: u.key for u in second.uploads}
    assert changed["ESC 10"] != keys["ESC 10"]
    assert changed["gates.json"] == keys["gates.json"]
    step = toy.steps_of(second)["fetch"]
    folder = next(m for m in step["Arguments"]["ProcessingInputs"] if m["InputName"] == "source")
    uri = toy.resolve(folder["S3Input"]["S3Uri"], second.parameters)
    assert f"{uri}ESC 10" == f"s3://my-artifacts/{changed['ESC 10']}"
    assert "/opt/ml/processing/input/source/ESC 10" in toy.command(step)


def test_an_absent_file_is_refused_with_its_task(tmp_path):
    with pytest.raises(ParameterError, match=r"nowhere: no such file .* task 'fetch' reads it as"):
        rendered("aed", tmp_path, "dataset_path=data/nowhere")


def test_an_output_whose_name_begins_another_s_is_read_alone(tmp_path):
    p = Pipeline("toy")
    _, report, _ = toy.trained(p)
    p.add(toy.look, report=report)
    p.add(toy.look, name="low", report=p.tasks["evaluate"]["report_low"])
    steps = toy.steps_of(toy.render(p, tmp_path))
    uris = {
        n: steps[n]["Arguments"]["ProcessingInputs"][0]["S3Input"]["S3Uri"] for n in ("look", "low")
    }
    # S3 prefixes: ".../report" would copy ".../report_low" too
    uri = {"Get": "Steps.evaluate.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri"}
    assert uris["look"] == {"Std:Join": {"On": "/", "Values": [uri, ""]}}
    assert uris["low"] == {"Get": uri["Get"].replace("'report'", "'report_low'")}


def test_a_training_s_archive_is_copied_once_and_led_into(tmp_path):
    steps = toy.steps_of(rendered("aed", tmp_path))
    review = steps["review"]["Arguments"]["ProcessingInputs"]
    archives = [m for m in review if "ModelArtifacts" in json.dumps(m)]
    assert [m["InputName"] for m in archives] == ["model"]
    words = toy.command(steps["review"])
    folder = "/opt/ml/processing/input/model/model.tar.gz"
    assert words[words.index("--model") + 1] == f"{folder}/model"
    assert words[words.index("--metrics") + 1] == f"{folder}/metrics"


def test_spot_waits_longer_than_it_runs_and_keeps_its_checkpoints_apart(tmp_path):
    def train(*assignments):
        return toy.steps_of(rendered("aed-spot", tmp_path, *assignments))["train"]["Arguments"]

    first = train()
    assert first["EnableManagedSpotTraining"] is True
    assert first["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 4 * 3600,
        "MaxWaitTimeInSeconds": 8 * 3600,
    }
    assert first["CheckpointConfig"]["LocalPath"] == "/opt/ml/checkpoints"
    assert first["CheckpointConfig"] == train()["CheckpointConfig"]
    assert first["CheckpointConfig"] != train("epochs=3")["CheckpointConfig"]
    assert first["CheckpointConfig"] == train("model_name=other")["CheckpointConfig"]
    uri = first["CheckpointConfig"]["S3Uri"]
    values = {"bucket": "b", "fresh": ""}
    usual, anew = toy.resolve(uri, values), toy.resolve(uri, {**values, "fresh": "20261120-1"})
    assert usual.startswith("s3://b/soundgate/aed/checkpoints/train/")
    assert usual != anew  # --no-cache begins anew, although a checkpoint is there
    assert not anew.startswith(usual)  # nor are those of one a part of those of the other
    assert first["VpcConfig"]["Subnets"] == ["subnet-00000000000000000"]
    plain = toy.steps_of(rendered("aed", tmp_path))["train"]["Arguments"]
    assert "EnableManagedSpotTraining" not in plain
    assert "VpcConfig" not in plain
    assert plain["StoppingCondition"] == {"MaxRuntimeInSeconds": 4 * 3600}


@pytest.mark.parametrize("asked", [{"nodes": 2, "processes": 1}, {"gpus": 2, "processes": 2}])
def test_tasks_of_several_processes_are_refused(tmp_path, asked):
    p = Pipeline("toy")
    p.add(toy.fetch, resources=Resources(**asked))
    with pytest.raises(DefinitionError, match="SageMaker starts a task's program once"):
        toy.render(p, tmp_path)


def test_resources_retries_and_names_reach_the_jobs(tmp_path):
    p = Pipeline("toy_v2")
    fetched = p.add(toy.fetch, retries=2, display_name="Fetch it", reuse=False)
    p.add(
        toy.train,
        clips=fetched["clips"],
        epochs=3,
        resources=Resources(cpus=6, gpus=1, memory_gb=20, hours=0.5),
    )
    request = toy.render(p, tmp_path, warm_pool_s=600, tags={"b": "2", "a": "1"}, kms_key="key")
    steps = toy.steps_of(request)
    fetch, train = (steps[name]["Arguments"] for name in ("fetch", "train"))
    assert request.name == "toy-v2"
    assert steps["fetch"]["DisplayName"] == "Fetch it"
    assert "CacheConfig" not in steps["fetch"]
    assert "SOUNDGATE_FRESH" not in fetch["Environment"]
    assert fetch["Environment"]["SOUNDGATE_RETRIES"] == "2"
    assert "SOUNDGATE_RETRIES" not in train["Environment"]
    assert fetch["Environment"]["SOUNDGATE_FAILURE"] == "/opt/ml/output/message"
    assert train["Environment"]["SOUNDGATE_FAILURE"] == "/opt/ml/output/failure"
    assert train["HyperParameters"] == {"epochs": "3"}
    assert train["ResourceConfig"]["InstanceCount"] == 1
    assert train["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600
    assert train["StoppingCondition"] == {"MaxRuntimeInSeconds": 1800}
    assert train["AlgorithmSpecification"]["TrainingImage"] == {
        "Get": "Parameters.training_image_uri"
    }
    assert train["Tags"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    assert train["OutputDataConfig"]["KmsKeyId"] == "key"
    assert fetch["ProcessingOutputConfig"]["KmsKeyId"] == "key"
    assert train["ResourceConfig"]["InstanceType"] == {"Get": "Parameters.training_6cpu_20gb_1gpu"}
    open_ones = {p["Name"] for p in request.definition["Parameters"] if "DefaultValue" not in p}
    assert open_ones == {"bucket", "job_role_arn", "image_uri", "training_image_uri"}
    assert not open_ones & set(request.parameters)


def test_a_time_limit_that_no_job_can_have_is_refused(tmp_path):
    p = Pipeline("toy")
    clips = p.add(toy.fetch, resources=Resources(hours=216))["clips"]
    p.add(toy.train, clips=clips, resources=Resources(hours=673))
    with pytest.raises(
        DefinitionError, match=r"'train' asks for 673 h, but a .* Training .* 672 h"
    ):
        toy.render(p, tmp_path)
    p.add(toy.fetch, name="again", resources=Resources(hours=217))
    del p.tasks["train"]
    with pytest.raises(DefinitionError, match=r"'again' asks for 217 h, .* takes 216 h at most"):
        toy.render(p, tmp_path)


def test_a_training_that_is_never_reused_finds_no_checkpoint_of_an_earlier_execution(tmp_path):
    p = Pipeline("toy")
    p.add(toy.train, clips=p.add(toy.fetch)["clips"], reuse=False)
    step = toy.steps_of(toy.render(p, tmp_path))["train"]
    assert "CacheConfig" not in step
    uri = step["Arguments"]["CheckpointConfig"]["S3Uri"]["Std:Join"]["Values"]
    assert {"Get": "Execution.PipelineExecutionId"} in uri


def test_nothing_is_reused_where_the_site_says_so(tmp_path):
    p = Pipeline("toy")
    p.add(toy.fetch)
    request = toy.render(p, tmp_path, cache_days=0)
    assert "CacheConfig" not in toy.steps_of(request)["fetch"]
    assert "fresh" not in {each["Name"] for each in request.definition["Parameters"]}
