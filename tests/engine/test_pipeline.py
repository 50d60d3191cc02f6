from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from soundgate.commands.mermaid import mermaid
from soundgate.errors import DefinitionError
from soundgate.executors.base import (
    OpenArgument,
    argument_vector,
    argument_words,
    open_parameters,
)
from soundgate.executors.running.schedule import Schedule
from soundgate.parameters import named
from soundgate.pipeline import Axis, Candidate, Metric, Output, Pipeline, Resources
from soundgate.step import CheckpointPath, InputPath, InputPaths, OutputPath  # noqa: TC001 - interfaces are read from annotations

ACCURACY = Metric(name="clip:accuracy", json_path="clip.value", message="too low <")
EPOCHS = {"1": {"epochs": 1}, "2": {"epochs": 2}}


def fetch(clips: OutputPath, card: OutputPath, *, dataset: str) -> None: ...


def train(
    features: InputPath,
    model: OutputPath,
    checkpoints: CheckpointPath | None = None,
    *,
    epochs: int = 1,
    rate: float = 0.1,
    verbose: bool = False,
    widths: list[int] = (),
    rates: list[float] = (),
    note: str = "",
) -> None: ...


def evaluate(features: InputPath, model: InputPath, report: OutputPath) -> None: ...
def pool(reports: InputPaths, report: OutputPath) -> None: ...
def named_badly(out: OutputPath, *, name: str, retries: int = 0) -> None: ...


@pytest.fixture
def p():
    return Pipeline("toy")


@pytest.fixture
def clips(p):
    return p.add(fetch, dataset="ESC-10")["clips"]


def wrong(text):
    return pytest.raises(DefinitionError, match=f"^{text}$")


def literally(text):
    return wrong(re.escape(text))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"epoch": 3}, "task 'train' takes no argument 'epoch'; did you mean 'epochs'?"),
        ({"model": "x"}, "task 'train' takes no argument 'model'"),
        ({"checkpoints": "x"}, "task 'train' takes no argument 'checkpoints'"),
        ({"epochs": "3"}, "task 'train': argument 'epochs' takes int, not '3'"),
        ({"epochs": 3.0}, "task 'train': argument 'epochs' takes int, not 3.0"),
        ({"epochs": True}, "task 'train': argument 'epochs' takes int, not True"),
        ({"rate": True}, "task 'train': argument 'rate' takes float, not True"),
        ({"rate": math.nan}, "task 'train': argument 'rate' is nan; it must be finite"),
        ({"rate": -math.inf}, "task 'train': argument 'rate' is -inf; it must be finite"),
        ({"verbose": 1}, "task 'train': argument 'verbose' takes bool, not 1"),
        ({"note": 1}, "task 'train': argument 'note' takes str, not 1"),
        ({"note": Path("x")}, "task 'train': argument 'note' takes str, not PosixPath('x')"),
        ({"widths": 3}, "task 'train': argument 'widths' takes a list, not 3"),
        ({"widths": "[3]"}, "task 'train': argument 'widths' takes a list, not '[3]'"),
        ({"widths": [1, True]}, "task 'train': argument 'widths' takes int, not True"),
        ({"rates": [1, math.inf]}, "task 'train': argument 'rates' is inf; it must be finite"),
    ],
)
def test_a_wrong_argument_is_answered_with_what_was_expected(p, clips, arguments, said):
    with pytest.raises(DefinitionError) as error:
        p.add(train, features=clips, **arguments)
    assert str(error.value).partition("; known:")[0] == said
    assert "train" not in p.tasks


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ("clips/", "takes another task's output or file(), not 'clips/'"),
        (Path("clips"), "takes another task's output or file(), not PosixPath('clips')"),
        (3, "takes another task's output or file(), not 3"),
    ],
)
def test_a_raw_path_is_not_an_artifact(p, features, said):
    with literally(f"task 'train': argument 'features' {said}"):
        p.add(train, features=features)


def test_a_task_in_place_of_its_output_is_answered_with_its_outputs(p):
    fetched = p.add(fetch, dataset="x")
    with literally(
        "task 'train': argument 'features' takes one output of 'fetch', "
        "fetch['clips'] say; known: clips, card"
    ):
        p.add(train, features=fetched)


def test_a_misspelt_output_is_answered_with_the_nearest(p):
    fetched = p.add(fetch, dataset="x")
    with literally("task 'fetch' has no output 'clip'; did you mean 'clips'?"):
        fetched["clip"]
    mapped = p.map(train, over={"epochs": [1, 2]}, features=fetched["clips"])
    with literally("task 'train-1' has no output 'modle'; did you mean 'model'?"):
        mapped["modle"]


def test_missing_arguments_are_named(p):
    with literally("task 'evaluate' lacks features, model"):
        p.add(evaluate)
    with literally("task 'f' lacks dataset"):
        p.add(fetch, name="f")


def test_a_name_is_used_once(p, clips):
    p.add(train, features=clips)
    with literally("two tasks are called 'train'; pass name="):
        p.add(train, features=clips)
    p.add(train, features=clips, name="train2")
    assert list(p.tasks) == ["fetch", "train", "train2"]


def test_an_output_of_another_pipeline_is_refused(p):
    elsewhere = Pipeline("other").add(fetch, name="fetched", dataset="x")
    p.add(fetch, dataset="x")
    said = "task 'train' depends on 'fetched', which is not in this pipeline"
    with literally(f"{said}; did you mean 'fetch'?"):
        p.add(train, features=elsewhere["clips"])
    with literally(f"{said}; did you mean 'fetch'?"):
        p.add(train, features=p.tasks["fetch"]["clips"], after=[elsewhere])


@pytest.mark.parametrize("name", ["", "1a", "a b", "-a", "a/b", "a.b", "ü", "a" * 64, "a\n"])
def test_a_bad_name_is_refused(p, name):
    rule = "a letter, then at most 62 letters, digits, '-' or '_'"
    with literally(f"pipeline name {name!r}: {rule}"):
        Pipeline(name)
    if name:
        with literally(f"task name {name!r}: {rule}"):
            p.add(fetch, name=name, dataset="x")


def test_a_step_whose_argument_add_takes_for_itself_is_refused(p):
    with literally(
        "task 'x': add() has a meaning of its own for name, retries; "
        "rename these arguments of the step"
    ):
        p.add(named_badly, name="x")


def test_values_keep_their_type_and_whole_numbers_become_floats_where_asked(p, clips):
    task = p.add(train, features=clips, rate=1, rates=[1, 2.5], widths=(3, 4), verbose=True)
    assert task.arguments["rate"] == 1.0
    assert type(task.arguments["rate"]) is float
    assert task.arguments["rates"] == [1.0, 2.5]
    assert task.arguments["widths"] == [3, 4]
    assert task.arguments["verbose"] is True


def test_none_means_that_the_default_is_kept(p, clips):
    task = p.add(train, features=clips, epochs=None)
    assert "epochs" not in task.arguments


def test_the_argument_vector_is_what_every_executor_shares(p, clips):
    task = p.add(train, features=clips, epochs=3, rate=-1e-5, note="-n a", widths=[1, 2])
    words = argument_vector(
        task,
        location=lambda item: f"/in/{item.task}/{item.name}",
        output=lambda name: f"/out/{name}",
        checkpoint="/kept",
    )
    assert words == [
        *("python", "-m", task.module),
        *("--features", "/in/fetch/clips", "--model", "/out/model", "--checkpoints", "/kept"),
        *("--epochs", "3", "--rate=-1e-05", "--widths", "[1, 2]", "--note=-n a"),
    ]


def test_after_orders_tasks_without_passing_anything(p, clips):
    first = p.add(train, name="first", features=clips)
    both = p.map(train, over={"epochs": [1, 2]}, features=clips)
    last = p.add(train, name="last", features=clips, after=[first, both, first])
    assert last.depends_on == ["fetch", "first", "train-1", "train-2"]


@pytest.mark.parametrize("after", ["fetch", ["fetch"], [None], 3])
def test_after_takes_a_list_of_tasks(p, clips, after):
    with literally(f"task 'train': after takes a list of tasks, not {after!r}"):
        p.add(train, features=clips, after=after)


def test_after_takes_a_list_even_of_one_task(p, clips):
    with wrong(r"task 'train': after takes a list of tasks, not Task\(.*"):
        p.add(train, features=clips, after=p.tasks["fetch"])


def test_a_map_is_one_task_for_each_combination(p, clips):
    rates = Axis("rate", {"fast": {"rate": 0.5}, "slow": {"rate": 1e-5}})
    mapped = p.map(train, over=[Axis("epochs", EPOCHS), rates], features=clips, note="n")
    names = ["train-1-fast", "train-1-slow", "train-2-fast", "train-2-slow"]
    assert [task.name for task in mapped.tasks] == names
    assert [task.item for task in mapped.tasks][1] == {"epochs": "1", "rate": "slow"}
    assert [task.arguments["rate"] for task in mapped.tasks] == [0.5, 1e-5, 0.5, 1e-5]
    assert {task.group for task in mapped.tasks} == {"train"}
    assert {task.arguments["note"] for task in mapped.tasks} == {"n"}
    assert [p.tasks[name].arguments["epochs"] for name in names] == [1, 1, 2, 2]
    assert all(p.tasks[task.name] is task for task in mapped.tasks)


def test_a_map_over_the_same_axis_is_element_wise(p, clips):
    trained = p.map(train, over={"epochs": [1, 2]}, features=clips)
    scored = p.map(evaluate, over=trained, features=clips, model=trained["model"])
    assert [task.name for task in scored.tasks] == ["evaluate-1", "evaluate-2"]
    assert scored.tasks[0].arguments["model"] == Output("train-1", "model")
    assert scored.tasks[1].arguments["model"] == Output("train-2", "model")
    assert scored.tasks[1].depends_on == ["fetch", "train-2"]


def test_a_join_takes_all_of_a_map_in_order(p, clips):
    trained = p.map(train, over={"epochs": [2, 1, 3]}, features=clips)
    scored = p.map(evaluate, over=trained, features=clips, model=trained["model"])
    pooled = p.add(pool, reports=scored["report"])
    assert pooled.inputs["reports"] == tuple(Output(f"evaluate-{n}", "report") for n in (2, 1, 3))
    assert pooled.depends_on == ["evaluate-2", "evaluate-1", "evaluate-3"]
    assert Schedule(p).lose(p.tasks["train-1"]) == ["evaluate-1", "pool"]


def test_a_map_over_another_axis_is_refused(p, clips):
    one = p.map(train, over={"epochs": [1, 2]}, features=clips)
    two = p.map(train, over={"epochs": [1, 2, 3]}, name="t", features=clips)
    with literally(
        "task 'evaluate-1': argument 'model' is 'model' of a map over epochs: another axis "
        "'epochs', with other items; add the axis to over=, or join it in an InputPaths argument"
    ):
        p.map(evaluate, over=two, features=clips, model=one["model"])


def test_a_join_needs_an_argument_of_several_inputs(p, clips):
    mapped = p.map(train, over={"epochs": [1, 2]}, features=clips)
    with literally(
        "task 'evaluate': argument 'model' takes one output; a join needs an InputPaths argument"
    ):
        p.add(evaluate, features=clips, model=mapped["model"])


@pytest.mark.parametrize("value", [[], "x", ["x"], 3])
def test_several_inputs_are_outputs(p, value):
    with wrong("task 'pool': argument 'reports' takes outputs of tasks, not .*"):
        p.add(pool, reports=value)


def test_several_inputs_may_be_one_output_or_a_list_of_them(p, clips):
    card = p.tasks["fetch"]["card"]
    assert p.add(pool, name="a", reports=clips).inputs["reports"] == (clips,)
    assert p.add(pool, name="b", reports=[clips, card]).inputs["reports"] == (clips, card)


@pytest.mark.parametrize("over", [{}, {"epochs": []}, {"epochs": [1], "rate": []}])
def test_an_empty_map_is_refused(p, clips, over):
    with wrong("map 'train': .*there is nothing to map over.*"):
        p.map(train, over=over, features=clips)


def test_a_map_over_a_misspelt_argument_is_answered(p, clips):
    with literally(
        "map 'train': item '1' of axis 'epoch' sets 'epoch', which the step does not take; did you "
        "mean 'epochs'?"
    ):
        p.map(train, over={"epoch": [1]}, features=clips)


def test_a_gate_is_a_task_and_data(p, clips):
    report = p.add(evaluate, features=clips, model=clips)["report"]
    gate = p.gate(report, metric=ACCURACY, at_least=0.5)
    assert gate.name == "gate-clip-accuracy"
    assert (gate.gate.bound, gate.gate.threshold, gate.gate.report) == ("at_least", 0.5, report)
    assert gate.arguments["threshold"] == 0.5
    assert gate.arguments["json_path"] == "clip.value"
    assert gate.outputs == ["verdict"]
    assert p.gate(report, metric=ACCURACY, at_most=0, name="g").gate.threshold == 0.0
    with literally("two tasks are called 'gate-clip-accuracy'; pass name="):
        p.gate(report, metric=ACCURACY, at_least=0.5)


@pytest.mark.parametrize("bounds", [{}, {"at_least": 0.5, "at_most": 0.9}])
def test_a_gate_has_exactly_one_bound(p, clips, bounds):
    with literally("gate-clip-accuracy: pass exactly one of at_least and at_most"):
        p.gate(clips, metric=ACCURACY, **bounds)


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        (math.nan, "is nan; it must be finite"),
        (math.inf, "is inf; it must be finite"),
        (True, "takes float, not True"),
        ("0.5", "takes float, not '0.5'"),
    ],
)
def test_a_gate_needs_a_finite_bound(p, clips, bound, said):
    with literally(f"task 'gate-clip-accuracy': argument 'threshold' {said}"):
        p.gate(clips, metric=ACCURACY, at_least=bound)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"cpus": 0}, r"Resources\(cpus=0\) is below 1"),
        ({"gpus": -1}, r"Resources\(gpus=-1\) is below 0"),
        ({"nodes": 0}, r"Resources\(nodes=0\) is below 1"),
        ({"nodes": 2}, r"Resources\(nodes=2\) needs processes=: how many run on each node"),
        (
            {"gpus": 1, "processes": 2},
            r"Resources\(processes=2\) is more than gpus=1: each process needs a GPU of its own",
        ),
        ({"memory_gb": 0}, r"Resources\(.*\): memory_gb and hours must be above zero, and finite"),
        ({"hours": -1}, r"Resources\(.*\): memory_gb and hours must be above zero, and finite"),
        ({"hours": math.nan}, r"Resources\(.*\): memory_gb and hours must be above zero.*"),
        ({"memory_gb": math.inf}, r"Resources\(.*\): memory_gb and hours must be above zero.*"),
    ],
)
def test_resources_that_no_machine_has_are_refused(wanted, said):
    with wrong(said):
        Resources(**wanted)


def test_the_graph_labels_edges_with_what_is_passed(p):
    fetched = p.add(fetch, dataset="x", display_name="Fetch x")
    trained = p.add(train, features=fetched["clips"])
    scored = p.add(evaluate, features=fetched["clips"], model=trained["model"])
    gate = p.gate(scored["report"], metric=ACCURACY, at_least=0.5)
    p.add(pool, reports=[scored["report"], fetched["card"], fetched["clips"]], after=[gate])
    assert mermaid(p).splitlines() == [
        "flowchart LR",
        "    fetch[Fetch x]",
        "    train[train]",
        "    evaluate[evaluate]",
        "    gate-clip-accuracy{{gate-clip-accuracy}}",
        "    pool[pool]",
        "    fetch -- clips --> train",
        "    fetch -- clips --> evaluate",
        "    train -- model --> evaluate",
        "    evaluate -- report --> gate-clip-accuracy",
        "    evaluate -- report --> pool",
        "    fetch -- card, clips --> pool",
        "    gate-clip-accuracy -.-> pool",
    ]


def test_a_file_is_named_after_its_path_unless_told(p):
    assert p.file("a/b.csv").name == "b.csv"
    assert p.file("a/b.csv", "labels").name == "labels"
    assert p.file(p.file("a/b.csv")) == p.file("a/b.csv")


def register(
    model: InputPath, report: InputPath, card: InputPath, entry: OutputPath, *, model_name: str
) -> None: ...


def test_parameters_handed_straight_on_stay_open(p, clips):
    task = p.add(
        train,
        features=clips,
        epochs=named(-3, "epochs"),
        rate=named(0.1, "rate") * 2,
        note=named("a b", "note"),
    )
    scored = p.add(evaluate, features=clips, model=task["model"])
    gate = p.gate(scored["report"], metric=ACCURACY, at_least=named(0.0, "threshold"))
    assert open_parameters(p) == {"epochs": -3, "note": "a b", "threshold": 0.0}
    assert gate.gate.threshold.parameter == "threshold"  # also where it is zero
    locations = {"location": str, "output": str, "checkpoint": ""}
    words = argument_words(task, **locations, opened={"epochs", "threshold"})
    assert words[5:] == [
        "--model",
        "model",
        OpenArgument("--epochs", "epochs"),
        "--rate",
        "0.2",
        "--note",
        "a b",
    ]
    closed = argument_words(task, **locations)
    assert closed == argument_vector(task, **locations)
    assert closed[7] == "--epochs=-3"


def test_a_candidate_is_known_by_its_evidence(p, clips):
    model = p.add(train, features=clips)["model"]
    report = p.add(evaluate, features=clips, model=model)["report"]
    card = p.tasks["fetch"]["card"]
    task = p.candidate(register, model_name="aed", model=model, report=report, card=card)
    assert task.candidate == Candidate("aed", model, report, card)
    assert (task.names_run, task.arguments["model_name"]) == (True, "aed")
    assert p.tasks["register"] is task
    assert not p.tasks["train"].names_run
