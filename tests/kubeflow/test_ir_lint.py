"""Faults that are seeded into a good pipeline: each is found, and the finding says where."""

import copy

import ir_lint
import ir_samples
import pytest
import yaml
from ir_samples import dsl

pytestmark = pytest.mark.emulator("ir_lint")


def sound(text: str = "hello", times: int = 2):
    made = ir_samples.write(text=text)
    known = ir_samples.read(made=made.outputs["made"]).set_env_variable("A", "b")
    known.set_cpu_limit("2").set_memory_limit("4Gi")
    number = ir_samples.count(number=times).after(known)
    with dsl.If(number.outputs["counted"] > 1):
        ir_samples.say(word=known.outputs["text"])


@pytest.fixture(scope="module")
def good():
    return ir_samples.compiled(sound)


def test_a_good_pipeline_has_no_findings(good):
    assert ir_lint.lint(good) == []


def root(doc):
    return doc["root"]["dag"]["tasks"]


def executor(doc, name="exec-read"):
    return doc["deploymentSpec"]["executors"][name]["container"]


def inner(doc):
    return doc["components"]["comp-condition-1"]["dag"]["tasks"]["say"]


def change(path, value):
    """Return a function that sets one thing of a document."""

    def do(doc):
        *before, last = path
        for key in before:
            doc = doc[key]
        doc[last] = value

    return do


def drop(path):
    def do(doc):
        *before, last = path
        for key in before:
            doc = doc[key]
        del doc[last]

    return do


TASKS = ("root", "dag", "tasks")
READ = (*TASKS, "read")
EXECUTORS = ("deploymentSpec", "executors")
PRODUCER = (*READ, "inputs", "artifacts", "made", "taskOutputArtifact")
CONDITION = (*TASKS, "condition-1", "triggerPolicy", "condition")
INPUT = ("components", "comp-read", "inputDefinitions", "artifacts", "made", "artifactType")
SAY = ("components", "comp-condition-1", "dag", "tasks", "say")
ARGUMENTS = (*EXECUTORS, "exec-read", "container", "args")

FAULTS = {
    # the thirteen that the SDK was tried with
    "missing executor": (drop((*EXECUTORS, "exec-read")), "comp-read", "executorLabel"),
    "missing component": (drop(("components", "comp-read")), "root/read", "componentRef"),
    "dangling producer": (
        change((*PRODUCER, "producerTask"), "writer"),
        "root/read: inputs.made",
        "producerTask: there is no task 'writer'",
    ),
    "dangling dependency": (
        change((*READ, "dependentTasks"), ["ghost"]),
        "root/read",
        "dependentTasks: there is no task 'ghost'",
    ),
    "broken CEL": (change(CONDITION, "inputs.parameter_values['x' > "), "condition-1", "condition"),
    "unsupplied input": (drop((*READ, "inputs", "artifacts")), "root/read", "inputs.made"),
    "artifact type": (
        change((*INPUT, "schemaTitle"), "system.Model"),
        "root/read: inputs.made",
        "system.Dataset given, system.Model wanted",
    ),
    "undeclared placeholder": (
        change(ARGUMENTS, ["{{$.inputs.parameters['speed']}}"]),
        "comp-read: exec-read",
        "inputs.parameters 'speed' is not declared",
    ),
    "illegal name": (change(("pipelineInfo", "name"), "AED Train!"), "pipelineInfo.name", "AED"),
    "unknown task field": (change((*READ, "retries"), 3), "root/read", '"retries"'),
    "wrong type": (
        change((*READ, "cachingOptions", "enableCache"), "often"),
        "root/read",
        "enableCache",
    ),
    "bad enum": (
        change((*READ, "triggerPolicy"), {"strategy": "SOMETIMES"}),
        "root/read",
        "strategy",
    ),
    "unknown executor field": (
        change((*EXECUTORS, "exec-read", "container", "entrypoint"), ["sh"]),
        "executors.exec-read",
        '"entrypoint"',
    ),
    # and more
    "no command": (
        change((*EXECUTORS, "exec-read", "container"), {"image": "i"}),
        "comp-read: exec-read",
        "container.command and container.args are empty",
    ),
    "no image": (
        drop((*EXECUTORS, "exec-read", "container", "image")),
        "comp-read: exec-read",
        "container.image",
    ),
    "placeholder as program": (
        change(
            (*EXECUTORS, "exec-read", "container", "command"),
            ["{{$.inputs.parameters['text']}}"],
        ),
        "comp-read: exec-read",
        "command[0]",
    ),
    "path without .path": (
        change(ARGUMENTS, ["{{$.inputs.artifacts['made']}}"]),
        "comp-read: exec-read",
        "nothing of inputs.artifacts",
    ),
    "run id in an argument": (
        change(ARGUMENTS, ["--run={{$.pipeline_job_uuid}}"]),
        "comp-read: exec-read",
        "replaced in inputs of tasks only",
    ),
    "placeholder in the environment": (
        change(
            (*EXECUTORS, "exec-read", "container", "env", 0, "value"), "{{$.pipeline_job_uuid}}"
        ),
        "comp-read: exec-read",
        "env A",
    ),
    "output nobody writes": (
        change(ARGUMENTS, ["cat"]),
        "comp-read: exec-read",
        "outputs.parameters 'text'",
    ),
    "circle": (change((*TASKS, "write", "dependentTasks"), ["count"]), "root", "write"),
    "quantity": (
        change((*EXECUTORS, "exec-read", "container", "resources", "resourceMemoryLimit"), "4 GB"),
        "executors.exec-read",
        "resource_memory_limit: '4 GB'",
    ),
    "condition on what is not given": (
        change(CONDITION, "inputs.parameter_values['speed'] > 1.0"),
        "condition-1",
        "'speed'",
    ),
    "condition on a quoted name": (
        change(CONDITION, "'inputs.parameter_values[\\'counted\\']' >= '1'"),
        "condition-1",
        "quoted",
    ),
    "unknown pipeline input": (
        change((*SAY, "inputs", "parameters", "word", "componentInputParameter"), "speech"),
        "comp-condition-1/say: inputs.word",
        "no input 'speech'",
    ),
    "parameter nobody takes": (
        change((*SAY, "inputs", "parameters", "speed"), {"runtimeValue": {"constant": 1}}),
        "comp-condition-1/say: inputs.speed",
        "no such parameter",
    ),
    "parameter type": (
        change(
            ("components", "comp-count", "inputDefinitions", "parameters", "number"),
            {"parameterType": "LIST"},
        ),
        "root/count: inputs.number",
        "NUMBER_INTEGER given, LIST wanted",
    ),
    "unused executor": (
        change((*EXECUTORS, "exec-old"), {"container": {"image": "i", "command": ["a"]}}),
        "executors.exec-old",
        "no component uses it",
    ),
    "component of nothing": (
        drop(("components", "comp-read", "executorLabel")),
        "comp-read",
        "neither dag nor executorLabel",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found_with_its_place(good, name):
    seed, place, what = FAULTS[name]
    document = copy.deepcopy(yaml.safe_load(good))
    seed(document)
    findings = ir_lint.lint(yaml.safe_dump(document))
    assert any(place in each and what in each for each in findings), findings


def test_a_key_that_is_written_twice_is_found(good):
    text = good.replace("pipelineInfo:\n", "pipelineInfo:\n  name: a\n")
    (finding,) = ir_lint.lint(text)
    line = text[: text.index("name: sound")].count("\n") + 1
    assert finding == f"line {line}: the key 'name' is written twice"


@pytest.mark.parametrize(
    ("text", "said"), [("a: [", "not YAML"), ("", "no pipeline"), ("- 1", "no pipeline")]
)
def test_what_is_no_pipeline_is_said(text, said):
    assert said in ir_lint.lint(text)[0]


PLATFORM = "platforms: {kubernetes: {deploymentSpec: {executors: {EXECUTOR: {FIELD: 60}}}}}"


@pytest.mark.parametrize(
    ("executor", "field", "said"),
    [
        ("exec-read", "activeDeadlineSeconds", ""),
        ("exec-reed", "activeDeadlineSeconds", "platforms.kubernetes.exec-reed: there is no such"),
        ("exec-read", "deadline", 'platforms.kubernetes.exec-read: Message type "kfp_kubernetes'),
    ],
)
def test_the_platform_document_is_looked_at(good, executor, field, said):
    platform = PLATFORM.replace("EXECUTOR", executor).replace("FIELD", field)
    findings = ir_lint.lint(f"{good}---\n{platform}\n")
    assert [each[: len(said)] for each in findings] == ([said] if said else [])


def test_as_a_program_it_prints_findings_and_fails(good, tmp_path, capsys):
    (tmp_path / "good.yaml").write_text(good)
    (tmp_path / "bad.yaml").write_text(good.replace("system.Dataset", "system.Model", 1))
    assert ir_lint.main([str(tmp_path / "good.yaml")]) == 0
    assert capsys.readouterr().out == ""
    assert ir_lint.main([str(tmp_path / "bad.yaml")]) == 1
    assert "given" in capsys.readouterr().out
