"""The definition: what is sent, compared whole; each rule by an example; what is refused."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format

from pipeline_parameters import AedParameters
from pipelines import aed
from soundgate.arguments import (  # noqa: TC001 - signatures of steps are read
    CheckpointPath,
    InputPath,
    InputPaths,
    OutputPath,
)
from soundgate.errors import DefinitionError, ParameterError
from soundgate.executors.kubeflow.profile import Pool, Profile, Secret, Toleration, Volume
from soundgate.executors.kubeflow.rendering.compile import render
from soundgate.executors.kubeflow.rendering.components import LONGEST_TEXT_BYTES
from soundgate.executors.kubeflow.rendering.literals import carried_bytes
from soundgate.parameters import load, named
from soundgate.pipeline import Axis, Metric, Pipeline, Resources
from soundgate.programs.place import place
from soundgate.task import File

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "aed.kubeflow.yaml"
SITE = Profile(
    image=f"registry.example/soundgate@sha256:{'0' * 64}",
    files="s3://pipelines/files",
    pipeline_root="s3://pipelines/artifacts",
    mlflow_tracking_uri="http://mlflow.mlflow:5000",
)


@pytest.fixture(scope="module")
def declared():
    config = ROOT / "tests" / "golden" / "user_config.yaml"
    assignments = ("training.epochs=40", "dataset_path=data/ESC 10")
    return aed.get_pipeline(load(AedParameters, config=config, assignments=assignments))


def test_the_definition_is_what_it_was(declared, update_golden):
    text = str(render(declared, SITE))
    assert text == str(render(declared, SITE)), "rendering is not deterministic"
    # a patch release of kfp changes its name, and nothing else
    steady = re.sub(r"^sdkVersion: kfp-.*$", "sdkVersion: kfp", text, flags=re.MULTILINE)
    if update_golden:
        GOLDEN.write_text(steady, "utf-8")
    assert steady == GOLDEN.read_text("utf-8"), (
        "the definition changed; if on purpose: --update-golden"
    )


def toy(
    out: OutputPath,
    source: InputPath | None = None,
    parts: InputPaths | None = None,
    *,
    text: str = "",
    rate: float = 0.0,
    items: list[str] = [],  # noqa: B006 - a step's default is only read
    flag: bool = False,
    count: int = 0,
) -> None:
    """Only declared."""


def documents(pipeline: Pipeline, profile: Profile = SITE, **options):
    found = list(yaml.safe_load_all(str(render(pipeline, profile, **options))))
    return found[0], found[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def container(spec, name):
    return spec["deploymentSpec"]["executors"][f"exec-{name}"]["container"]


def test_values_reach_the_command_line_as_they_are():
    pipeline = Pipeline("p")
    pipeline.add(
        toy, name="odd", text='it\'s "so" $HOME }} -1', items=["a{{b", "$$", "é"], flag=True
    )
    pipeline.add(toy, name="empty", text="", rate=-1e-05)
    spec, _ = documents(pipeline)
    assert container(spec, "odd")["command"] == ["python", "-m", __name__]
    assert container(spec, "odd")["args"] == [
        "--out",
        "{{$.outputs.artifacts['out'].path}}",
        "--text",
        'it\'s "so" $HOME }} -1',
        "--items",
        r'["a\u007b\u007bb", "\u0024\u0024", "é"]',
        "--flag",
        "true",
    ]
    assert container(spec, "empty")["args"][2:] == ["--text", "", "--rate=-1e-05"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a {{workflow.name}}", "'{{'"),
        ("{{$.inputs.parameters['x']}}", "'{{'"),
        ("costs $$5", "'$$'"),
        ("$(HOME)/clips", "'$(HOME)'"),
        ('{"Concat": ["a"]}', "'{\"Concat\":'"),
        ("a\0b", r"'\x00'"),
        ("not UTF-8: \udcff", r"'\udcff'"),
    ],
)
def test_what_somebody_would_replace_is_refused(text, told):
    for value in (text, named(text, "x")):  # in the definition, and when a run starts
        pipeline = Pipeline("p")
        pipeline.add(toy, name="t", text=value)
        with pytest.raises(DefinitionError, match=re.escape(f"would expand {told}")):
            render(pipeline, SITE)


def test_text_that_yaml_would_change_is_escaped():
    pipeline = Pipeline("p")
    pipeline.add(toy, name="t", text="next\x85line\u2028 é", items=["\udcff$$"])
    spec, _ = documents(pipeline)
    args = container(spec, "t")["args"]
    assert args[3] == "next\x85line\u2028 é"
    assert json.loads(args[5]) == ["\udcff$$"]


def test_whole_numbers_that_kfp_would_round_are_constants():
    pipeline = Pipeline("p")
    pipeline.add(toy, name="a", count=named(2**53, "even"))
    pipeline.add(toy, name="b", count=named(-(2**53) - 1, "odd"))
    spec, _ = documents(pipeline)
    assert list(spec["root"]["inputDefinitions"]["parameters"]) == ["even"]
    assert f"--count=-{2**53 + 1}" in container(spec, "b")["args"]


def test_a_command_that_linux_would_not_take_is_refused():
    pipeline = Pipeline("p")
    pipeline.add(toy, name="t", items=["0123456789"] * 10_000)
    with pytest.raises(
        DefinitionError, match=r"task 't': its command has 1\d{5} bytes, but Kubeflow"
    ):
        render(pipeline, SITE)


@pytest.mark.parametrize("character", ["\n", '"', "<", "\u2028", "x", "é", "\udcff"])
def test_every_text_that_is_taken_fits_an_argument(character):
    size = len(character.encode("utf-8", "surrogateescape"))
    file = File("a.txt", text=character * (LONGEST_TEXT_BYTES // size))
    pipeline = Pipeline("p")
    pipeline.add(toy, name="t", source=file)
    spec, _ = documents(pipeline)
    found = container(spec, "place-1-a-txt")
    assert carried_bytes(found) < 2**17
    text = next(word for word in found["args"] if word.startswith("--text=")).partition("=")[2]
    if "--encoded=true" in found["args"]:
        text = base64.b64decode(text).decode("utf-8", "surrogateescape")
    assert text == file.text


def test_without_gpus_at_the_site_a_task_fits_the_other_nodes():
    site = Profile(cpu=Pool(max_cpus=4, image="cpu@sha256:1"), gpu=Pool(max_gpus=0, max_cpus=64))
    pipeline = Pipeline("p")
    pipeline.add(toy, name="t", resources=Resources(gpus=1, cpus=64))
    spec, _ = documents(pipeline, site)
    found = container(spec, "t")
    assert found["image"] == "cpu@sha256:1"
    assert found["resources"]["resourceCpuLimit"] == "4"
    assert "accelerator" not in found["resources"]


def test_parameters_stay_open_with_their_types_and_defaults():
    pipeline = Pipeline("p")
    made = pipeline.add(toy, name="t", text=named("", "Store"), rate=named(-0.5, "rate"))
    metric = Metric(name="acc", json_path="a", message="m")
    pipeline.gate(made["out"], metric=metric, at_most=named(1e-05, "limit"))
    spec, _ = documents(pipeline)
    assert spec["root"]["inputDefinitions"]["parameters"] == {
        "Store": {"parameterType": "STRING", "defaultValue": "", "isOptional": True},
        "limit": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 1e-05, "isOptional": True},
        "rate": {"parameterType": "NUMBER_DOUBLE", "defaultValue": -0.5, "isOptional": True},
    }
    # one word each: argparse takes a negative number that stands alone for a flag
    assert container(spec, "t")["args"][2:] == [
        "--text={{$.inputs.parameters['store']}}",
        "--rate={{$.inputs.parameters['rate']}}",
        "--context=executor_input={{$}}",
    ]
    given = spec["root"]["dag"]["tasks"]["t"]["inputs"]["parameters"]
    assert given["store"] == {"componentInputParameter": "Store"}
    assert "--threshold={{$.inputs.parameters['limit']}}" in container(spec, "gate-acc")["args"]


def test_a_map_is_unrolled_and_a_join_has_an_input_for_each_item():
    pipeline = Pipeline("p")
    axis = Axis("seed", {"a": {"text": "a"}, "B": {"text": "B!"}, "c_d": {"text": "b"}})
    seeds = pipeline.map(toy, over=axis, name="train")
    scored = pipeline.map(toy, over=seeds, source=seeds["out"], name="score")
    pipeline.add(toy, name="pool", parts=scored["out"], source=pipeline.tasks["train-a"]["out"])
    request = render(pipeline, SITE)
    assert dict(request.tasks) == {
        "train-a": "train-a",
        "train-B": "train-b",  # KFP knows lower case only
        "train-c_d": "train-c-d",
        "score-a": "score-a",
        "score-B": "score-b",
        "score-c_d": "score-c-d",
        "pool": "pool",
    }
    spec, _ = documents(pipeline)
    assert container(spec, "pool")["args"] == [
        "--out",
        "{{$.outputs.artifacts['out'].path}}",
        "--source",
        "{{$.inputs.artifacts['source'].path}}",
        "--parts",
        *(f"{{{{$.inputs.artifacts['parts_{k}'].path}}}}" for k in (1, 2, 3)),
    ]
    inputs = spec["root"]["dag"]["tasks"]["pool"]["inputs"]["artifacts"]
    producers = [inputs[f"parts_{k}"]["taskOutputArtifact"]["producerTask"] for k in (1, 2, 3)]
    assert producers == ["score-a", "score-b", "score-c-d"]
    read = spec["root"]["dag"]["tasks"]["score-c-d"]["inputs"]["artifacts"]["source"]
    assert read["taskOutputArtifact"]["producerTask"] == "train-c-d"


def test_caching_is_decided_task_by_task():
    pipeline = Pipeline("p")
    pipeline.add(toy, name="cached")
    pipeline.add(toy, name="fresh", reuse=False)
    pipeline.add(toy, name="names", names_run=True)
    for use_cache in (True, False):
        tasks = documents(pipeline, use_cache=use_cache)[0]["root"]["dag"]["tasks"]
        enabled = {n: t["cachingOptions"].get("enableCache", False) for n, t in tasks.items()}
        assert enabled == {"cached": use_cache, "fresh": False, "names": False}
    spec, _ = documents(pipeline)
    words = container(spec, "names")["args"][2:]
    assert words == [
        "--context=run={{$.inputs.parameters['run_id']}}",
        "--context=commit={{$.inputs.parameters['commit']}}",
    ]
    given = spec["root"]["dag"]["tasks"]["names"]["inputs"]["parameters"]
    assert given["run_id"] == {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}
    own = Pipeline("p")
    own.add(toy, name="names", names_run=True, text=named("mine", "run_id"))
    words = container(documents(own)[0], "names")["args"][2:4]
    assert words == [
        "--text={{$.inputs.parameters['run_id']}}",
        "--context=run={{$.inputs.parameters['run_id_value']}}",
    ]
    told = str(container(spec, "cached"))  # nothing that differs between runs, and no clock
    assert "run_id" not in told
    assert "commit" not in told


def test_a_gate_waits_for_its_report_alone():
    pipeline = Pipeline("p")
    report = pipeline.add(toy, name="evaluate")
    gate = pipeline.gate(
        report["out"], metric=Metric(name="a", json_path="a", message=""), at_least=0
    )
    side = pipeline.add(toy, name="side", source=report["out"])
    pipeline.add(toy, name="page", source=side["out"])
    pipeline.add(toy, name="register", source=side["out"], after=[gate])
    pipeline.add(toy, name="alone")
    tasks = documents(pipeline)[0]["root"]["dag"]["tasks"]
    assert tasks["gate-a"]["dependentTasks"] == ["evaluate"]
    assert tasks["register"]["dependentTasks"] == ["gate-a", "side"]


def test_a_judged_report_shows_figures_and_confusions():
    pipeline = Pipeline("p")
    report = pipeline.add(toy, name="evaluate")
    model = pipeline.add(exported, source=report["out"])
    pipeline.gate(report["out"], metric=Metric(name="a", json_path="a", message=""), at_least=0)
    pipeline.add(toy, name="reader", parts=[report["out"], model["model"]])
    spec, _ = documents(pipeline)
    outputs = spec["components"]["comp-evaluate"]["outputDefinitions"]["artifacts"]
    kinds = {name: each["artifactType"]["schemaTitle"] for name, each in outputs.items()}
    assert kinds == {
        "out": "system.Dataset",
        "out_confusion": "system.ClassificationMetrics",
        "out_metrics": "system.Metrics",
    }
    assert container(spec, "evaluate")["args"][-1] == "--context=executor_input={{$}}"
    read = spec["components"]["comp-reader"]["inputDefinitions"]["artifacts"]
    assert read["parts_2"]["artifactType"]["schemaTitle"] == "system.Model"


def exported(model: OutputPath, source: InputPath) -> None:
    """Only declared."""


def test_resources_limits_and_attempts_become_pods():
    site = SITE.model_copy(
        update={
            "gpu": Pool(
                image="gpu@sha256:1",
                max_gpus=1,
                max_memory_gb=24,
                node_selector={"gpu": "a100"},
                tolerations=(Toleration(key="gpu", operator="Exists", effect="NoSchedule"),),
            ),
            "secrets": (
                Secret(name="bucket", keys={"id": "AWS_ACCESS_KEY_ID"}),
                Secret(name="registry", keys={"password": "MLFLOW_TRACKING_PASSWORD"}),
            ),
            "volumes": (Volume(claim="scratch", at="/scratch"),),
            "checkpoints": "/scratch/checkpoints",
            "image_pull_secrets": ("pull",),
            "environment": {"HF_HOME": "/scratch/hf"},
        }
    )
    pipeline = Pipeline("p")
    needs = Resources(cpus=8, gpus=2, memory_gb=31.5, hours=0.5)
    pipeline.add(resumable, name="train", resources=needs, retries=3)
    pipeline.add(
        toy, name="register", environment=["MLFLOW_TRACKING_URI"], resources=Resources(hours=2)
    )
    spec, pods = documents(pipeline, site)
    train = container(spec, "train")
    assert train["image"] == "gpu@sha256:1"
    assert train["resources"]["accelerator"]["resourceCount"] == "1"
    assert train["resources"]["resourceCpuLimit"] == "8"
    assert train["resources"]["resourceMemoryLimit"] == "24576Mi"
    variables = {each["name"]: each["value"] for each in train["env"]}
    assert (variables["SOUNDGATE_CPUS"], variables["HF_HOME"]) == ("8", "/scratch/hf")
    assert "MLFLOW_TRACKING_URI" not in variables
    registry = {each["name"]: each["value"] for each in container(spec, "register")["env"]}
    assert registry["MLFLOW_TRACKING_URI"] == "http://mlflow.mlflow:5000"
    retried = spec["root"]["dag"]["tasks"]["train"]["retryPolicy"]
    assert (retried["maxRetryCount"], retried["backoffDuration"]) == (3, "30s")
    assert int(retried["backoffMaxDuration"].rstrip("s")) == 10 * 365 * 24 * 3600
    pod = pods["exec-train"]
    assert pod["activeDeadlineSeconds"] == "1800"
    assert pod["nodeSelector"] == {"labels": {"gpu": "a100"}}
    assert pod["tolerations"] == [{"effect": "NoSchedule", "key": "gpu", "operator": "Exists"}]
    [shared] = pod["emptyDirMounts"]
    assert (shared["mountPath"], shared["medium"], shared["sizeLimit"]) == (
        "/dev/shm",
        "Memory",
        "12288Mi",
    )
    assert [each["secretName"] for each in pod["secretAsEnv"]] == ["bucket"]
    assert [each["mountPath"] for each in pod["pvcMount"]] == ["/scratch"]
    assert pod["imagePullSecret"][0]["secretName"] == "pull"
    assert [e["secretName"] for e in pods["exec-register"]["secretAsEnv"]] == ["bucket", "registry"]
    [kept] = [w for w in train["args"] if w.startswith("/scratch/checkpoints/train/")]
    other = Pipeline("p")
    other.add(resumable, name="train", epochs=3)
    assert kept not in container(documents(other, site)[0], "train")["args"]


def test_pods_are_described_as_kfp_s_own_functions_do():
    from kfp import components, dsl, kubernetes

    site = SITE.model_copy(
        update={
            "gpu": Pool(
                node_selector={"gpu": "a100", "zone": "b"},
                tolerations=(
                    Toleration(key="gpu", operator="Exists", effect="NoSchedule"),
                    Toleration(key="spot", value="yes", effect="NoExecute", seconds=60),
                ),
                shm_gb=1.5,
            ),
            "secrets": (Secret(name="bucket", keys={"id": "AWS_ACCESS_KEY_ID", "k": "KEY"}),),
            "volumes": (Volume(claim="scratch", at="/scratch"), Volume(claim="in", at="/in")),
            "image_pull_secrets": ("pull", "other"),
        }
    )
    pipeline = Pipeline("p")
    pipeline.add(toy, name="train", resources=Resources(gpus=1, hours=0.5))
    ours = documents(pipeline, site)[1]["exec-train"]
    text = "{name: train, implementation: {container: {image: i, command: [c]}}}"
    component = components.load_component_from_text(text)

    @dsl.pipeline(name="p")
    def by_hand():
        task = component()
        kubernetes.set_timeout(task, 1800)
        kubernetes.set_image_pull_secrets(task, ["pull", "other"])
        kubernetes.add_node_selector(task, "gpu", "a100")
        kubernetes.add_node_selector(task, "zone", "b")
        kubernetes.add_toleration(task, "gpu", "Exists", effect="NoSchedule")
        kubernetes.add_toleration(task, "spot", "Equal", "yes", "NoExecute", 60)
        kubernetes.mount_pvc(task, "scratch", "/scratch")
        kubernetes.mount_pvc(task, "in", "/in")
        kubernetes.use_secret_as_env(task, "bucket", {"id": "AWS_ACCESS_KEY_ID", "k": "KEY"})
        kubernetes.empty_dir_mount(task, "shared-memory", "/dev/shm", "Memory", "1536Mi")

    platforms = json_format.MessageToDict(by_hand.platform_spec)["platforms"]
    assert ours == platforms["kubernetes"]["deploymentSpec"]["executors"]["exec-train"]


def resumable(model: OutputPath, state: CheckpointPath | None = None, *, epochs: int = 1) -> None:
    """Only declared."""


def test_texts_are_written_by_a_task_of_their_own_once_each():
    pipeline = Pipeline("p")
    plain, odd = File("c.yaml", text="- a: 1\n"), File("c.yaml", text="{{x}} é\n")
    pipeline.add(toy, name="t", source=plain, parts=[odd, plain])
    pipeline.add(toy, name="u", source=plain)
    spec, _ = documents(pipeline)
    placed = [n for n in spec["root"]["dag"]["tasks"] if n.startswith("place")]
    assert placed == ["place-1-c-yaml", "place-2-c-yaml"]
    assert container(spec, placed[0])["args"][:2] == ["--name=c.yaml", "--text=- a: 1\n"]
    words = container(spec, placed[1])["args"]
    assert words[1] == f"--text={base64.b64encode(odd.text.encode()).decode()}"
    assert words[2] == "--encoded=true"
    assert "{{$.inputs.artifacts['source'].path}}/c.yaml" in container(spec, "t")["args"]


def test_a_placed_text_is_the_text(tmp_path):
    for encoded, text in ((False, "a\r\nb é"), (True, base64.b64encode("{{é".encode()).decode())):
        place(tmp_path / str(encoded), name="c", text=text, encoded=encoded)
    assert (tmp_path / "False" / "c").read_bytes() == "a\r\nb é".encode()
    assert (tmp_path / "True" / "c").read_text("utf-8") == "{{é"
    with pytest.raises(ParameterError, match="is not a file name"):
        place(tmp_path / "x", name="../c", text="")
    with pytest.raises(ParameterError, match="is not Base64"):
        place(tmp_path / "x", name="c", text="é", encoded=True)


def test_files_are_imported_by_an_address_known_when_the_run_starts(tmp_path):
    pipeline = Pipeline("p")
    pipeline.add(toy, name="t", source=pipeline.file(tmp_path / "My clips"))
    request = render(pipeline, SITE)
    assert {n: f.path for n, f in request.files.items()} == {
        "file_1_my_clips": tmp_path / "My clips"
    }
    spec, _ = documents(pipeline)
    assert spec["root"]["inputDefinitions"]["parameters"]["file_1_my_clips"] == {
        "parameterType": "STRING"
    }
    assert spec["deploymentSpec"]["executors"]["exec-importer"]["importer"]["artifactUri"] == {
        "runtimeParameter": "uri"
    }
    assert str(tmp_path) not in str(request)  # the same definition wherever it is submitted
    shared = SITE.model_copy(update={"files": "/shared"})
    alone = container(documents(pipeline, shared)[0], "t")
    assert alone["args"][-1] == "{{$.inputs.parameters['source']}}"
    # KFP caches by the command: what another task reads must not change it
    more = Pipeline("p")
    more.add(toy, name="first", source=more.file(tmp_path / "Another"))
    more.add(toy, name="t", source=more.file(tmp_path / "My clips"))
    assert container(documents(more, shared)[0], "t") == alone


def test_what_kubeflow_cannot_do_is_refused_with_the_reason(tmp_path):
    pipeline = Pipeline("p")
    pipeline.add(toy, name="t", resources=Resources(nodes=2, processes=1))
    with pytest.raises(DefinitionError, match="'t' asks for nodes=2, processes=1; Kubeflow"):
        render(pipeline, SITE)
    pipeline = Pipeline("p")
    pipeline.add(toy, name="t", source=pipeline.file(tmp_path))
    with pytest.raises(DefinitionError, match=r"'t' reads .* set files: in the profile"):
        render(pipeline, Profile())
    pipeline = Pipeline("p")
    pipeline.add(toy, name="t", source=File("big", text="x" * 100_000))
    with pytest.raises(DefinitionError, match="big: 100000 bytes of text"):
        render(pipeline, SITE)


def test_the_table_of_executors_loads_without_kfp():
    code = (
        "import sys\n"
        "from soundgate import executors\n"
        "executors.load('kubeflow').parameter_defaults\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'kfp', 'kubernetes', 'torch'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
