"""Pipelines like those in kfp's own test data on which runner or linter were wrong.

Each is compiled here, run, and held to what KFP's driver and launcher do: the right result, or one
line that says what they do not do.
"""

import json
from typing import List, Optional  # noqa: UP035 - kfp reads these names

import ir_lint
import ir_samples
import pytest
from ir_runner import State
from ir_samples import compiled, dsl, lines

pytestmark = pytest.mark.emulator("ir_runner", "ir_lint")


@dsl.container_component
def tell(status: dict):
    """Print a final status."""
    return ir_samples.shell('printf %s "$0"', status)


def with_status(documents, dag="root", task="tell"):
    """Give a task's ``status`` the final status of the exit handler, as a decorated step has it."""
    document = documents[0]
    graph = document["root"] if dag == "root" else document["components"][dag]
    body = graph["dag"]["tasks"][task]
    final = {"taskFinalStatus": {"producerTask": "exit-handler-1"}}
    body["inputs"] = {"parameters": {"status": final}}
    component = document["components"][body["componentRef"]["name"]]
    component["inputDefinitions"]["parameters"]["status"] = {"parameterType": "TASK_FINAL_STATUS"}


def edited(function, edit):
    """Return the document of a pipeline, with a change that the compiler makes for Python steps."""
    documents = list(ir_samples.yaml.safe_load_all(compiled(function)))
    edit(documents)
    return ir_samples.yaml.safe_dump_all(documents)


def status_of_success():
    """Read the final status of tasks that succeeded."""
    with dsl.ExitHandler(tell(status={})):
        ir_samples.say(word="fine")


@dsl.pipeline
def farewell(status: dict):
    """A pipeline that is an exit task; its step takes the status for a structure."""
    tell(status=status)


def status_to_pipeline():
    """Give the final status to a pipeline."""
    with dsl.ExitHandler(farewell(status={})):
        ir_samples.say(word="fine")


@pytest.mark.parametrize(
    ("function", "outer", "inner"),
    [(status_of_success, "tell", "tell"), (status_to_pipeline, "farewell", "farewell/tell")],
)
def test_an_exit_task_is_told_that_its_tasks_are_complete(execute, function, outer, inner):
    text = edited(function, lambda documents: with_status(documents, task=outer))
    assert ir_lint.lint(text) == []
    outcome = execute(text)
    told = json.loads(lines(outcome.tasks[inner])[0])
    assert (told["state"], told["error"]) == ("COMPLETE", {}), outcome.report()


LEAVE = """
import json, pathlib, sys
told = json.loads(sys.argv[1])
made = told["outputs"]["artifacts"]["made"]["artifacts"][0]
file = pathlib.Path(sys.argv[2])
(file / "deep").mkdir(parents=True)
(file / "deep" / "text.txt").write_text("elsewhere")
made["customPath"] = str(file)
out = pathlib.Path(told["outputs"]["outputFile"])
out.write_text(json.dumps({"artifacts": {"made": {"artifacts": [made]}}}))
"""


def test_an_artifact_lies_where_its_author_set_its_path(execute, tmp_path):
    @dsl.container_component
    def leave(folder: str, made: dsl.Output[dsl.Dataset]):
        words = [LEAVE, "{{$}}", folder]
        return dsl.ContainerSpec(image="i", command=["python", "-c"], args=words)

    def p(folder: str):
        ir_samples.read(made=leave(folder=folder).outputs["made"])

    folder = tmp_path / "elsewhere"
    outcome = execute(p, {"folder": str(folder)})
    assert lines(outcome.tasks["read"]) == ["elsewhere"], outcome.report()
    assert outcome.tasks["read"].argv[-2] == str(folder)
    stored = outcome.tasks["leave"].artifacts["made"].path
    assert stored.joinpath("deep/text.txt").read_text() == "elsewhere"
    assert not folder.exists()  # both pods are gone


def test_a_task_that_ignores_failures_is_given_an_empty_text(execute):
    @dsl.container_component
    def broken(word: dsl.OutputPath(str)):
        return ir_samples.shell("exit 1", word)

    @dsl.container_component
    def after(word: str = "default"):
        return ir_samples.shell('printf "<%s>" "$0"', word)

    def p():
        after(word=broken().outputs["word"]).ignore_upstream_failure()

    outcome = execute(p)
    assert outcome.states["broken"] == State.FAILED
    assert lines(outcome.tasks["after"]) == ["<>"], outcome.report()


@dsl.container_component
def optional(made: Optional[dsl.Input[dsl.Dataset]] = None):  # noqa: UP045 - kfp reads it
    """Choose the whole command by whether there is an artifact."""
    chosen = dsl.IfPresentPlaceholder("made", then=["printf", "%s", "there"], else_=["echo", "no"])
    return dsl.ContainerSpec(image="i", command=[chosen])


@pytest.mark.parametrize(("given", "said"), [(True, "there"), (False, "no")])
def test_a_command_is_chosen_by_what_is_present(execute, given, said):
    def p():
        if given:
            optional(made=ir_samples.write(text="a").outputs["made"])
        else:
            optional()

    assert ir_lint.lint(compiled(p)) == []
    assert lines(execute(p).tasks["optional"]) == [said]


def test_arguments_alone_are_a_command(execute):
    @dsl.container_component
    def bare():
        return dsl.ContainerSpec(image="i", args=["echo", "bare"])

    def p():
        bare()

    assert ir_lint.lint(compiled(p)) == []
    assert lines(execute(p).tasks["bare"]) == ["bare"]


def test_joined_words_arrive_as_the_text_they_are(execute):
    @dsl.container_component
    def joined(name: str):
        word = dsl.ConcatPlaceholder(["--name=", name])
        return dsl.ContainerSpec(image="i", command=["printf", "%s"], args=[word])

    def p():
        joined(name="a")

    found = ir_lint.lint(compiled(p))
    assert len(found) == 1
    assert "Concat is not expanded" in found[0]
    assert json.loads(lines(execute(p).tasks["joined"])[0]) == {"Concat": ["--name=", "a"]}


SEVERAL = """
import json, pathlib, sys
told = json.loads(sys.argv[1])
out = pathlib.Path(told["outputs"]["outputFile"])
made = []
for word in ("a", "b"):
    file = out.parent / word
    (file / "deep").mkdir(parents=True)
    (file / "deep" / "text.txt").write_text(word)
    made.append({"name": word, "uri": str(file), "metadata": {"word": word}})
out.write_text(json.dumps({"artifacts": {"made": {"artifacts": made}}}))
"""


@dsl.container_component
def several(made: dsl.Output[dsl.Dataset]):
    """Make a list of artifacts below the folder of the task's outputs."""
    return dsl.ContainerSpec(image="i", command=["python", "-c"], args=[SEVERAL, "{{$}}"])


def test_a_list_of_artifacts_lies_below_the_root_of_its_task(execute):
    def p():
        several()

    def listed(documents):
        outputs = documents[0]["components"]["comp-several"]["outputDefinitions"]
        outputs["artifacts"]["made"]["isArtifactList"] = True

    outcome = execute(p, edit=listed)
    made = outcome.tasks["several"].artifacts["made"]
    assert [each.metadata for each in made] == [{"word": "a"}, {"word": "b"}], outcome.report()
    assert len({each.id for each in made}) == 2
    for each, word in zip(made, "ab", strict=True):
        assert each.uri.startswith("minio://mlpipeline/v2/artifacts/p/")
        assert each.path.joinpath("deep/text.txt").read_text() == word


def test_a_loop_over_artifacts_is_refused_in_one_line(execute):
    def p():
        ir_samples.read(made=several().outputs["made"])

    def looped(documents):
        loop = {"items": {"inputArtifact": "made"}, "itemInput": "made"}
        documents[0]["root"]["dag"]["tasks"]["read"]["artifactIterator"] = loop

    outcome = execute(p, edit=looped)
    assert outcome.states["several"] == State.SUCCEEDED, outcome.report()
    assert outcome.tasks["read"].state == State.FAILED
    said = "it loops over artifacts, which KFP's driver does not implement"
    assert outcome.tasks["read"].reason == said


def test_an_item_that_made_no_artifact_fails_what_reads_all_of_them(execute):
    @dsl.container_component
    def gather(made: dsl.Input[List[dsl.Dataset]]):  # noqa: UP006 - kfp reads it
        return dsl.ContainerSpec(image="i", command=["echo"], args=["{{$}}"])

    def p():
        with dsl.ParallelFor(["a", "b"]) as word:
            made = ir_samples.write(text=word)
        gather(made=dsl.Collected(made.outputs["made"]))

    def without(documents):
        components = documents[0]["components"]
        task = components["comp-for-loop-2"]["dag"]["tasks"]["write"]
        value = next(iter(components["comp-for-loop-2"]["inputDefinitions"]["parameters"]))
        task["inputs"]["parameters"]["when"] = {"componentInputParameter": value}
        task["triggerPolicy"] = {"condition": "inputs.parameter_values['when'] == 'a'"}

    outcome = execute(p, edit=without)
    assert (
        outcome.tasks["gather"].reason == "'made': for-loop-2 made no 'pipelinechannel--write-made'"
    )


def test_an_import_with_other_metadata_is_another_artifact(execute, tmp_path):
    (tmp_path / "clips").mkdir()

    def p(kind: str):
        dsl.importer(
            artifact_uri="s3://sounds/clips", artifact_class=dsl.Dataset, metadata={"of": "a"}
        )

    def other(documents):
        executors = documents[0]["deploymentSpec"]["executors"]
        executors["exec-importer"]["importer"]["metadata"] = {"of": "b"}

    buckets = {"s3://sounds": tmp_path}
    runs = [execute(p, {"kind": "x"}, edit=e, buckets=buckets) for e in (None, None, other)]
    made = [next(iter(each.tasks["importer"].artifacts.values())) for each in runs]
    assert made[0].id == made[1].id != made[2].id


@pytest.mark.parametrize(("second", "state"), [("mine", State.CACHED), ("yours", State.SUCCEEDED)])
def test_a_named_key_decides_what_is_reused(execute, second, state):
    def p(word: str, key: str):
        ir_samples.say(word=word)

    def named(key):
        def edit(documents):
            documents[0]["root"]["dag"]["tasks"]["say"]["cachingOptions"] = {
                "enableCache": True,
                "cacheKey": key,
            }

        return edit

    execute(p, {"word": "a", "key": ""}, edit=named("mine"))
    outcome = execute(p, {"word": "b", "key": ""}, edit=named(second))
    assert outcome.states["say"] == state
