from __future__ import annotations

import math
import re

import pytest

from soundgate.bounds import Bounds
from soundgate.errors import DefinitionError
from soundgate.executors.base import argument_vector
from soundgate.executors.running.schedule import Schedule
from soundgate.pipeline import Axis, Metric, Output, Pipeline, Resources
from soundgate.step import InputPath, InputPaths, NamedInputPaths, OutputPath  # noqa: TC001 - interfaces are read from annotations


def train(model: OutputPath, *, width: int = 1, config: InputPath | None = None) -> None: ...


def score(
    model: InputPath, scores: OutputPath, audio: InputPath | None = None, *, window_s: float = 1.0
) -> None: ...


def table(parts: InputPaths, out: OutputPath) -> None: ...


def named_table(
    parts: NamedInputPaths, out: OutputPath, model: InputPath | None = None
) -> None: ...


def named_badly(out: OutputPath, *, name: str = "") -> None: ...


MODEL = Axis("model", {"small": {"width": 8}, "large": {"width": 64}})
WINDOW = Axis("window", {"1s": {"window_s": 1.0}, "2s": {"window_s": 2.0}})
SHARE = Metric(name="f1", json_path="f1", message="", values=Bounds(0, 1))


@pytest.fixture
def p():
    return Pipeline("p")


def says(text):
    return pytest.raises(DefinitionError, match=f"^{re.escape(text)}$")


def begins(text):
    return pytest.raises(DefinitionError, match=f"^{re.escape(text)}")


def product(p, *, window=WINDOW):
    trained = p.map(train, over=MODEL)
    return trained, p.map(score, over=[MODEL, window], model=trained["model"])


def test_a_mapped_output_is_broadcast_over_further_axes(p):
    _, scored = product(p)
    found = {
        task.name: (task.arguments["model"], task.arguments["window_s"]) for task in scored.tasks
    }
    assert found == {
        "score-small-1s": (Output("train-small", "model"), 1.0),
        "score-small-2s": (Output("train-small", "model"), 2.0),
        "score-large-1s": (Output("train-large", "model"), 1.0),
        "score-large-2s": (Output("train-large", "model"), 2.0),
    }
    assert scored.tasks[3].item == {"model": "large", "window": "2s"}


def test_the_order_of_the_axes_does_not_matter_for_what_is_passed(p):
    trained = p.map(train, over=MODEL)
    scored = p.map(score, over=[WINDOW, MODEL], model=trained["model"])
    assert p.tasks["score-2s-large"].arguments["model"] == Output("train-large", "model")
    each = p.map(table, over=[MODEL, WINDOW], parts=scored["scores"].by("model", WINDOW))
    assert [t.arguments["parts"] for t in each.tasks][1] == (Output("score-2s-small", "scores"),)


def test_a_failed_item_loses_only_what_reads_it(p):
    _, scored = product(p)
    p.map(table, name="each", over=MODEL, parts=scored["scores"].by(MODEL))
    p.add(table, name="all", parts=scored["scores"])
    lost = Schedule(p).lose(p.tasks["train-large"])
    assert lost == ["score-large-1s", "score-large-2s", "each-large", "all"]
    assert Schedule(p).lose(p.tasks["score-small-2s"]) == ["each-small", "all"]


def test_an_added_item_changes_no_other_task(p):
    product(p)
    more = Pipeline("p")
    axis = Axis("window", {"half": {"window_s": 0.5}, **WINDOW.items})
    product(more, window=axis)
    assert {name: more.tasks[name] for name in p.tasks} == p.tasks
    assert set(more.tasks) - set(p.tasks) == {"score-small-half", "score-large-half"}


def test_a_partial_join_reads_the_items_that_agree(p):
    _, scored = product(p)
    p.map(named_table, name="by-model", over=MODEL, parts=scored["scores"].by("model"))
    assert p.tasks["by-model-large"].arguments["parts"] == {
        "large/1s": Output("score-large-1s", "scores"),
        "large/2s": Output("score-large-2s", "scores"),
    }
    p.map(table, name="by-window", over=WINDOW, parts=scored["scores"].by(WINDOW))
    assert p.tasks["by-window-2s"].arguments["parts"] == (
        Output("score-small-2s", "scores"),
        Output("score-large-2s", "scores"),
    )


def test_a_join_in_a_map_is_whole_unless_by_says_otherwise(p):
    _, scored = product(p)
    joined = p.map(table, over=MODEL, parts=scored["scores"])
    assert [len(task.arguments["parts"]) for task in joined.tasks] == [4, 4]


def test_joins_single_outputs_and_files_stand_in_one_argument(p):
    trained, scored = product(p)
    card = p.add(train, name="card")
    p.add(table, parts=[trained["model"], card["model"], p.file("a/notes.txt"), scored["scores"]])
    names = [str(item) for item in p.tasks["table"].arguments["parts"]]
    assert names[:4] == ["train-small/model", "train-large/model", "card/model", "notes.txt"]
    assert names[4:] == [f"score-{m}-{w}/scores" for m in ("small", "large") for w in ("1s", "2s")]
    mixed = {"models": trained["model"], "card": card["model"]}
    p.map(named_table, over=MODEL, parts={**mixed, "scores": scored["scores"].by("model")})
    assert list(p.tasks["named_table-large"].arguments["parts"]) == [
        *("models/small", "models/large", "card", "scores/large/1s", "scores/large/2s")
    ]


def test_the_step_is_told_the_names_of_what_it_joins(p):
    trained = p.map(train, over=MODEL)
    task = p.add(named_table, parts=[trained["model"], p.add(train, name="card")["model"]])
    words = argument_vector(
        task, location=lambda item: f"/in/{item}", output=lambda name: f"/out/{name}", checkpoint=""
    )
    assert words[3:] == [
        *("--parts", "small=/in/train-small/model", "large=/in/train-large/model"),
        *("card/model=/in/card/model", "--out", "/out/out"),
    ]


def test_two_inputs_of_one_name_are_refused_where_the_step_is_told_names(p):
    trained, scored = product(p)
    other = p.map(train, name="other", over=MODEL)
    with says(
        "task 'named_table': argument 'parts': two inputs are called 'small'; name them: "
        "{NAME: ..., NAME: ...}"
    ):
        p.add(named_table, parts=[trained["model"], other["model"]])
    with begins("task 'named_table': argument 'parts': 'a b.txt' cannot be the name of an input"):
        p.add(named_table, parts=[trained["model"], p.file("a b.txt")])
    p.add(table, parts=[trained["model"], other["model"], p.file("a b.txt"), scored["scores"]])


def test_files_and_resources_differ_by_item(p):
    big = Resources(gpus=1, memory_gb=16)
    files = [p.file("small.yaml"), p.file("large.yaml")]
    axis = Axis(
        "model", {"small": {"config": files[0]}, "large": {"config": files[1], "resources": big}}
    )
    trained = p.map(train, over=axis, resources=Resources(cpus=2))
    assert [task.arguments["config"] for task in trained.tasks] == files
    assert [task.resources for task in trained.tasks] == [Resources(cpus=2), big]
    follows = p.map(score, over=trained, model=trained["model"])
    assert [task.resources for task in follows.tasks] == [Resources(), big]
    own = Resources(cpus=3)
    again = p.map(score, name="again", over=trained, model=trained["model"], resources=own)
    assert [task.resources for task in again.tasks] == [own, own]


def test_items_may_set_nothing(p):
    p.map(train, over=Axis("seed", ["a", "b"]))
    assert list(p.tasks) == ["train-a", "train-b"]


def test_an_earlier_map_is_followed_with_what_the_step_takes(p):
    trained = p.map(train, over=MODEL)
    p.map(score, over=trained, model=trained["model"])
    p.map(score, name="wide", over=[trained, WINDOW], model=trained["model"])
    assert p.tasks["score-large"].arguments == {"model": Output("train-large", "model")}
    assert "wide-large-2s" in p.tasks


@pytest.mark.parametrize(
    ("name", "items", "said"),
    [
        ("a b", ["x"], "axis name 'a b': a letter, then letters, digits, '-' or '_'"),
        ("", ["x"], "axis name ''"),
        ("v", [], "axis 'v': there is nothing to map over; pass items by name, not []"),
        ("v", {}, "axis 'v': there is nothing to map over; pass items by name, not {}"),
        ("v", 3, "axis 'v': there is nothing to map over; pass items by name, not 3"),
        ("v", ["a b"], "axis 'v': item name 'a b': a letter or a digit, then letters"),
        ("v", ["a/b"], "axis 'v': item name 'a/b'"),
        ("v", {0.5: {}}, "axis 'v': item name 0.5"),
        ("v", ["a", "a"], "axis 'v': items 'a' and 'a' need names that differ"),
        ("v", ["V3", "v3"], "axis 'v': items 'V3' and 'v3' need names that differ by more than"),
        ("v", ["v_3", "v-3"], "axis 'v': items 'v_3' and 'v-3' need names that differ"),
        ("v", {"x": 3}, "axis 'v', item 'x' takes arguments of the step by name, not 3"),
        ("v", {"x": {"resources": [1]}}, "axis 'v', item 'x': resources takes Resources(...)"),
    ],
)
def test_an_axis_that_names_nothing_clearly_is_refused(name, items, said):
    with begins(said):
        Axis(name, items)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ([], "map 'train': there is nothing to map over"),
        ({}, "map 'train': there is nothing to map over"),
        ([MODEL, MODEL], "map 'train': axis 'model' stands twice in over"),
        ("model", "map 'train': over takes Axis(...) or a map, not 'model'"),
        ({"width": 3}, "map 'train': over 'width': there is nothing to map over, it takes a list"),
        (
            {"width": [1, 1]},
            "map 'train': over 'width': 1 stands in it twice; name the items: Axis(",
        ),
        ({"width": ["a b"]}, "map 'train': over 'width': 'a b' cannot be part of a task's name"),
        ({"width": [-1]}, "map 'train': over 'width': -1 cannot be part of a task's name"),
        (
            {"config": [Output("a", "b")]},
            "map 'train': over 'config': Output(task='a', name='b') c",
        ),
        (
            Axis("m", {"a": {"widht": 1}}),
            "map 'train': item 'a' of axis 'm' sets 'widht', which the",
        ),
        (
            Axis("m", {"a": {"name": "x"}}),
            "map 'train': item 'a' of axis 'm' sets 'name', which the",
        ),
        (
            [MODEL, Axis("n", {"a": {"width": 2}})],
            "map 'train': item 'a' of axis 'n' sets 'width', and so does another axis",
        ),
    ],
)
def test_a_map_over_something_else_is_refused(p, over, said):
    with begins(said):
        p.map(train, over=over)


def test_what_an_item_sets_is_not_passed_as_well(p):
    with begins("map 'train': item 'small' of axis 'model' sets 'width', which is passed to map()"):
        p.map(train, over=MODEL, width=3)


def test_joins_of_what_is_not_mapped_or_not_over_that_axis_are_refused(p):
    trained, scored = product(p)
    single = p.add(train, name="one")["model"]
    with says("one/model: by(model) joins the items of a map(), and this is one task's output"):
        single.by("model")
    with says(
        "'scores' of a map over model, window: by('windows'): it has no such axis; did you mean "
        "'window'?"
    ):
        scored["scores"].by("windows")
    with begins("'scores' of a map over model, window: by(): name an axis"):
        scored["scores"].by()
    with begins(
        "task 'table': argument 'parts' is 'scores' of a map over model, window joined by model: "
        "this takes a map over model"
    ):
        p.add(table, parts=scored["scores"].by("model"))
    with begins("task 'table-1s': argument 'parts' is 'scores' of a map over model, window joined"):
        p.map(table, over=WINDOW, parts=scored["scores"].by("model"))
    with begins(
        "task 'score2-1s': argument 'model' is 'model' of a map over model: axis 'model', which "
        "this map does not run over"
    ):
        p.map(score, name="score2", over=WINDOW, model=trained["model"])
    with begins("task 'score3': argument 'model' takes one output; a join needs an InputPaths"):
        p.add(score, name="score3", model=scored["scores"])
    with begins("task 'x': argument 'width' takes int, not an artifact"):
        p.add(train, name="x", width=single)


def test_names_that_an_engine_could_not_tell_apart_are_refused(p):
    p.map(train, over=MODEL)
    with says("two maps are called 'train'; pass name="):
        p.map(train, over=WINDOW)
    with begins(
        "task 'Train-small' and 'train-small' need names that differ by more than capitals"
    ):
        p.add(train, name="Train-small")
    with says("two tasks are called 'train'; pass name="):
        p.add(train)
    crossed = [Axis("a", ["x", "x-y"]), Axis("b", ["z", "y-z"])]
    with begins("two tasks are called 'm-x-y-z'"):
        p.map(train, name="m", over=crossed)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"resources": [1]}, "resources takes Resources(...), not [1]"),
        ({"resources": {"cpus": 1}}, "resources takes Resources(...), not {'cpus': 1}"),
        ({"retries": "2"}, "retries takes a whole number, not '2'"),
        ({"retries": True}, "retries takes a whole number, not True"),
        ({"retries": -1}, "retries must be 0 or more, got -1"),
        ({"needs_network": 1}, "needs_network takes True or False, not 1"),
        ({"reuse": "no"}, "reuse takes True or False, not 'no'"),
        ({"environment": "HOME"}, "environment takes a list of names of variables, not 'HOME'"),
        ({"environment": [3]}, "environment takes a list of names of variables, not (3,)"),
        ({"display_name": None}, "display_name takes a text, not None"),
    ],
)
def test_what_is_said_of_a_task_is_checked(p, about, said):
    with says(f"task 'train': {said}"):
        p.add(train, **about)
    with says(f"task 'train-small': {said}"):
        p.map(train, over=MODEL, **about)


def test_a_reserved_argument_of_a_step_is_refused_in_a_map_too(p):
    said = "task 'named_badly': add() has a meaning of its own for name; rename these arguments"
    for over in ({"name": ["a"]}, MODEL):
        with begins(said):
            p.map(named_badly, over=over)
    with begins(said):
        p.add(named_badly)


@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        ("", None, "file(''): pass the path of a file or folder"),
        (None, None, "file(None): pass the path of a file or folder"),
        (".", None, "file('.', name=None): pass a name without '/'"),
        ("/", None, "file('/', name=None): pass a name without '/'"),
        ("a/..", None, "file('a/..', name=None): pass a name without '/'"),
        ("a", "", "file('a', name=''): pass a name without '/'"),
        ("a", "b/c", "file('a', name='b/c'): pass a name without '/'"),
    ],
)
def test_a_file_without_path_or_name_is_refused(p, path, name, said):
    with says(said):
        p.file(path, name)


@pytest.mark.parametrize(
    ("threshold", "said"),
    [
        (80, "threshold 80 is outside the range of f1, 0 to 1; did you mean 0.8?"),
        (-0.5, "threshold -0.5 is outside the range of f1, 0 to 1"),
        (1.001, "threshold 1.001 is outside the range of f1, 0 to 1; did you mean 0.01001?"),
    ],
)
def test_a_threshold_outside_the_metrics_range_is_refused(p, threshold, said):
    report = p.add(train)["model"]
    with says(f"gate-f1: {said}"):
        p.gate(report, metric=SHARE, at_least=threshold)
    assert list(p.tasks) == ["train"]
    gate = p.gate(report, metric=SHARE, at_most=1)
    assert (gate.arguments["least"], gate.arguments["most"]) == (0.0, 1.0)
    with begins("task 'nan': argument 'threshold' is nan; it must be finite"):
        p.gate(report, metric=SHARE, at_least=math.nan, name="nan")


def test_scopes_prefix_names_and_nest(p):
    for number in (1, 2):
        with p.scope(f"iteration-{number}"), p.scope("student"):
            trained = p.map(train, over=MODEL)
            gate = p.gate(trained.tasks[0]["model"], metric=SHARE, at_least=0.5)
            assert gate.gate.threshold == 0.5
    assert list(p.tasks)[3:] == [
        "iteration-2-student-train-small",
        "iteration-2-student-train-large",
        "iteration-2-student-gate-f1",
    ]
    assert p.tasks["iteration-1-student-train-small"].group == "iteration-1-student-train"
    assert p.add(train).name == "train"
    with begins("scope name 'a b'"), p.scope("a b"):
        pass
