"""The runner against what the backend is known to do: each rule by a pipeline kfp compiled."""

import os
from pathlib import Path

import ir_runner
import ir_samples
import pytest
import yaml
from ir_runner import IRError, State, values
from ir_samples import compiled, dsl, kubernetes, lines, shell_task

pytestmark = pytest.mark.emulator("ir_runner")

SKIPPED, FAILED, SUCCEEDED = State.SKIPPED, State.FAILED, State.SUCCEEDED


# values


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (1e-5, "0.00001"),
        (160.0, "160"),
        (160, "160"),
        (-0.25, "-0.25"),
        (1.5e-7, "0.00000015"),
        (1e22, "10000000000000000000000"),
        (0.1 + 0.2, "0.30000000000000004"),
        (True, "true"),
        ("it's", "it's"),
        ([1.0, 0.5, "a<b", None], '[1,0.5,"a\\u003cb",null]'),
        ({"b": 1e-7, "a": [True]}, '{"a":[true],"b":1e-7}'),
        ("", ""),
    ],
)
def test_values_are_printed_as_go_prints_them(value, printed):
    assert values.text(value) == printed


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("STRING", " a\n", " a\n"),
        ("NUMBER_INTEGER", " 160\n", 160.0),
        ("NUMBER_INTEGER", "160.0", None),
        ("NUMBER_DOUBLE", "1e-05", 1e-5),
        ("BOOLEAN", "True\n", True),
        ("BOOLEAN", "yes", None),
        ("LIST", "[1]", [1.0]),
        ("LIST", '{"a": 1}', None),
        ("STRUCT", "", None),
    ],
)
def test_output_parameters_are_read_as_the_launcher_reads_them(kind, text, value):
    number = values.Type.ParameterTypeEnum.Value(kind)
    if value is None:
        with pytest.raises(values.ValueMismatchError, match=kind):
            values.of_text(text, number)
    else:
        assert values.of_text(text, number) == value


ARGUMENTS = {
    "text": 'it\'s "ü" $HOME --x',
    "number": -3,
    "rate": 1e-5,
    "flag": False,
    "words": ["a b", 1, 0.5],
    "table": {"rate": 1e-05, "n": 2},
}
PRINTED = [
    '<it\'s "ü" $HOME --x>',
    "<-3>",
    "<0.00001>",
    "<false>",
    '<["a b",1,0.5]>',
    '<{"n":2,"rate":0.00001}>',
]


def test_parameters_of_every_type_arrive_and_come_back(execute):
    def p(text: str, number: int, rate: float, flag: bool, words: list, table: dict):
        made = ir_samples.typed(
            text=text, number=number, rate=rate, flag=flag, words=words, table=table
        )
        with dsl.If(made.outputs["flag_out"] == False, name="no"):  # noqa: E712 - kfp's way
            ir_samples.say(word=f"rate {made.outputs['rate_out']}")

    outcome = execute(p, ARGUMENTS)
    assert lines(outcome.tasks["typed"]) == PRINTED, outcome.report()
    made = outcome.tasks["typed"].parameters
    assert made == {
        "words_out": ["a b", 1.0, 0.5],
        "table_out": {"rate": 1e-5, "n": 2.0},
        "rate_out": 1e-5,
        "flag_out": False,
    }
    assert lines(outcome.tasks["condition-1/say"]) == ["rate 0.00001"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "neither value nor default for the parameter 'needed'"),
        ({"needed": 1, "speed": 2}, "no parameter speed"),
        ({"needed": "one"}, "expect NUMBER_INTEGER, got 'one'"),
        ({"needed": True}, "expect NUMBER_INTEGER, got True"),
    ],
)
def test_arguments_are_checked_before_anything_runs(execute, arguments, said):
    def p(needed: int, given: int = 4):
        ir_samples.count(number=needed)

    with pytest.raises(IRError, match=said):
        execute(p, arguments)


# containers


def test_artifacts_travel_by_path_through_the_store(execute, tmp_path):
    def p():
        made = ir_samples.write(text="a drum")
        ir_samples.read(made=made.outputs["made"])

    outcome = execute(p)
    assert lines(outcome.tasks["read"]) == ["a drum"]
    stored = outcome.tasks["write"].artifacts["made"]
    assert stored.path.joinpath("deep/text.txt").read_text() == "a drum"
    assert stored.path.is_relative_to(tmp_path / "work" / "store")
    told, given = outcome.tasks["write"].argv[-1], outcome.tasks["read"].argv[-2]
    assert told != given
    assert told.endswith(given.split("/minio/")[1])
    assert not Path(given).exists()  # the pod is gone


def test_an_object_store_keeps_neither_empty_folders_nor_modes_nor_links(execute):
    def p():
        @dsl.container_component
        def make(made: dsl.Output[dsl.Dataset]):
            text = (
                'mkdir -p "$0/empty" "$0/full"; echo a > "$0/full/a"; chmod 700 "$0/full/a"; '
                'ln -s "$0/full/a" "$0/link"; touch "$0/ü b"'
            )
            return ir_samples.shell(text, made.path)

        @dsl.container_component
        def show(made: dsl.Input[dsl.Dataset]):
            return ir_samples.shell('cd "$0"; find . | LC_ALL=C sort; stat -c %a full/a', made.path)

        show(made=make().outputs["made"])

    outcome = execute(p)
    found = lines(outcome.tasks["show"])
    assert found == [".", "./full", "./full/a", "./link", "./ü b", "644"], outcome.report()


def test_a_step_that_writes_into_its_input_is_caught(execute):
    def p():
        @dsl.container_component
        def spoil(made: dsl.Input[dsl.Dataset]):
            return ir_samples.shell('echo b >> "$0/deep/text.txt"', made.path)

        made = ir_samples.write(text="a")
        broken = spoil(made=made.outputs["made"]).set_retry(num_retries=3)
        ir_samples.read(made=made.outputs["made"]).after(broken)

    outcome = execute(p)
    assert outcome.tasks["spoil"].reason == "it wrote into its input 'made'"
    assert outcome.tasks["spoil"].attempts == 1
    assert outcome.states["read"] == SKIPPED
    path = outcome.tasks["write"].artifacts["made"].path
    assert path.joinpath("deep/text.txt").read_text() == "a"


def test_nothing_of_the_host_leaks_into_a_container(execute, monkeypatch, cluster):
    monkeypatch.setenv("SOUNDGATE_LEAK", "leaked")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")

    def p():
        shell_task("env; pwd").set_env_variable("GIVEN", "it is")

    outcome = execute(p, environment={"FROM_THE_CLUSTER": "1"})
    *shown, cwd = lines(outcome.tasks["script"])
    names = {each.partition("=")[0] for each in shown}
    pod = {"KFP_POD_NAME", "KFP_POD_UID", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"}
    # PWD and its like are the shell's own
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {
        *("PATH", "HOME", "GIVEN", "FROM_THE_CLUSTER"),
        *pod,
    }
    assert cwd == str(cluster.project)
    home = next(each for each in shown if each.startswith("HOME="))
    assert home != f"HOME={os.environ.get('HOME')}"


def test_secrets_come_from_the_cluster_or_the_pod_does_not_start(execute):
    def p():
        task = shell_task('echo "$TOKEN"')
        kubernetes.use_secret_as_env(task, "registry", {"token": "TOKEN"})

    outcome = execute(p, secrets={"registry": {"token": "hush"}})
    assert lines(outcome.tasks["script"]) == ["hush"]
    outcome = execute(p)
    assert outcome.tasks["script"].logs[-1].exists() is False
    assert 'secret "registry" has no key "token"' in outcome.tasks["script"].reason


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda spec: (spec.pop("command"), spec.pop("args")), "neither command nor arguments"),
        (lambda spec: spec.update(command=["{{$.inputs.parameters['word']}}"]), "executable file"),
        (lambda spec: spec.update(command=["no-such-program"]), "executable file not found"),
    ],
)
def test_a_program_that_is_not_there_fails_as_in_the_launcher(execute, edit, said):
    def p():
        ir_samples.say(word="true")

    outcome = execute(
        p, edit=lambda docs: edit(docs[0]["deploymentSpec"]["executors"]["exec-say"]["container"])
    )
    assert said in outcome.tasks["say"].reason
    assert outcome.state == FAILED


def test_placeholders_of_the_run_are_values_of_inputs_only(execute):
    def p():
        ir_samples.say(word=dsl.PIPELINE_JOB_ID_PLACEHOLDER).set_display_name("input")
        shell_task(f"echo 'id={dsl.PIPELINE_JOB_ID_PLACEHOLDER}'")

    def into_argument(documents):
        arguments = documents[0]["deploymentSpec"]["executors"]["exec-script"]["container"]
        arguments["command"] = ["echo", "{{$.pipeline_job_uuid}}", "{{$.inputs.parameters['no']}}"]

    outcome = execute(p, edit=into_argument)
    assert lines(outcome.tasks["say"]) == [outcome.run_id]
    verbatim = "{{$.pipeline_job_uuid}} {{$.inputs.parameters['no']}}"
    assert lines(outcome.tasks["script"]) == [verbatim]


def test_a_value_that_holds_a_placeholder_is_refused(execute):
    def p(word: str):
        ir_samples.say(word=word)

    outcome = execute(p, {"word": "{{$.inputs.parameters['word']}}"})
    assert "may be replaced again" in outcome.tasks["say"].reason
    assert lines(execute(p, {"word": "{{$.other}}"}).tasks["say"]) == ["{{$.other}}"]


def test_optional_arguments(execute):
    @dsl.container_component
    def tell(name: str, tags: list = None, rate: float = 0.5):  # noqa: RUF013 - kfp's way
        words = [
            name,
            dsl.IfPresentPlaceholder("tags", then=["--tags", tags], else_=["--untagged"]),
            rate,
        ]
        return dsl.ContainerSpec(image=ir_samples.IMAGE, command=["printf", "%s|"], args=words)

    def p():
        tell(name="a b", tags=["x"]).set_display_name("with")
        tell(name="c")

    outcome = execute(p)
    assert lines(outcome.tasks["tell"]) == ['a b|--tags|["x"]|0.5|']
    assert lines(outcome.tasks["tell-2"]) == ["c|--untagged|0.5|"]


METADATA = """
import json, sys, pathlib
told = json.loads(sys.argv[1])
made = told["outputs"]["artifacts"]["metrics"]["artifacts"][0]
made["metadata"] = {"clip_accuracy": 0.75}
file = pathlib.Path(told["outputs"]["outputFile"])
file.parent.mkdir(parents=True, exist_ok=True)
values = {"count": told["inputs"]["parameterValues"]["number"] + 1}
text = json.dumps({"artifacts": {"metrics": {"artifacts": [made]}}, "parameterValues": values})
file.write_text(text if len(sys.argv) < 3 else text[:-4])
"""


@pytest.mark.parametrize("broken", [False, True])
def test_executor_output_is_read(execute, broken):
    @dsl.container_component
    def judge(number: int, metrics: dsl.Output[dsl.Metrics], count: dsl.OutputPath(int)):
        words = [METADATA, "{{$}}", *(["broken"] if broken else [])]
        return dsl.ContainerSpec(image="i", command=["python", "-c"], args=words)

    def p():
        judge(number=3)

    task = execute(p).tasks["judge"]
    if broken:
        assert "executor_output.json" in task.reason
    else:
        assert task.parameters == {"count": 4.0}
        assert task.artifacts["metrics"].metadata == {"clip_accuracy": 0.75}


def test_a_declared_output_parameter_that_is_not_written_fails_the_task(execute):
    @dsl.container_component
    def silent(counted: dsl.OutputPath(int)):
        return ir_samples.shell("true", counted)

    def p():
        silent()

    assert "failed to read output parameter 'counted'" in execute(p).tasks["silent"].reason


@pytest.mark.parametrize("again", [False, True])
def test_an_imported_artifact_is_downloaded_and_known_by_its_address(execute, tmp_path, again):
    (tmp_path / "bucket" / "clips" / "deep").mkdir(parents=True)
    (tmp_path / "bucket" / "clips" / "deep" / "text.txt").write_text("imported")

    def p(address: str):
        clips = dsl.importer(artifact_uri=address, artifact_class=dsl.Dataset, reimport=again)
        ir_samples.read(made=clips.output)

    buckets = {"s3://sounds": tmp_path / "bucket"}
    outcome = execute(p, {"address": "s3://sounds/clips"}, buckets=buckets)
    assert lines(outcome.tasks["read"]) == ["imported"]
    second = execute(p, {"address": "s3://sounds/clips"}, buckets=buckets)
    assert second.states["read"] == (SUCCEEDED if again else State.CACHED)
    lost = execute(p, {"address": "s3://other/clips"}, buckets=buckets)
    assert "failed to download input artifact 'made'" in lost.tasks["read"].reason


# documents


def test_what_does_not_parse_is_refused_by_its_place():
    def p():
        ir_samples.say(word="a")

    text = compiled(p)
    document = yaml.safe_load(text)
    document["deploymentSpec"]["executors"]["exec-say"]["container"]["entrypoint"] = ["sh"]
    with pytest.raises(IRError, match="entrypoint"):
        ir_runner.load(yaml.safe_dump(document))
    platform = "platforms: {kubernetes: {deploymentSpec: {executors: {exec-say: {speed: 1}}}}}"
    with pytest.raises(IRError, match=r"exec-say.*speed"):
        ir_runner.load(f"{text}---\n{platform}\n")


def test_a_circle_is_refused(execute):
    def p():
        first = ir_samples.say(word="a")
        ir_samples.say(word="b").after(first)

    def circle(documents):
        documents[0]["root"]["dag"]["tasks"]["say"]["dependentTasks"] = ["say-2"]

    with pytest.raises(IRError, match=r"cannot be ordered: \['say', 'say-2'\]"):
        execute(p, edit=circle)
