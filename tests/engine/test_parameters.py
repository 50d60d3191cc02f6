from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

import pipeline_parameters
from soundgate import parameters
from soundgate.arguments import spell
from soundgate.errors import ConfigError, ParameterError
from soundgate.invocation import split_keywords
from soundgate.parameters import (
    ConfigFile,
    Description,
    NamedFloat,
    NamedInt,
    NamedStr,
    describe,
    load,
    named,
    parameter_of,
    parse_keywords,
    to_json,
)
from soundgate.pipeline import Pipeline
from soundgate.step import OutputPath  # noqa: TC001 - read from annotations


@dataclass(frozen=True, kw_only=True)
class Toy:
    """Parameters of a toy."""

    config: ConfigFile = ConfigFile("absent.yaml", must_exist=False)  # noqa: RUF009
    epochs: int = 1
    """Passes over
    the clips."""
    rate: float = 0.5
    name: str = "toy"
    verbose: bool = False
    folds: list[int] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "user.yaml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.mark.parametrize("section", [None, 2])
@pytest.mark.parametrize("keyword", [None, 3])
@pytest.mark.parametrize("assigned", [None, 4])
def test_default_then_user_config_then_kwargs_then_set(config, section, keyword, assigned):
    path = config(f"pipeline: {{epochs: {section}}}\n") if section else config("training: {a: 1}")
    found = load(
        Toy,
        config=path,
        kwargs={"epochs": keyword} if keyword else {},
        assignments=[f"epochs={assigned}"] if assigned else [],
    )
    assert found.epochs == (assigned or keyword or section or 1)
    assert type(found.epochs) is NamedInt


def test_the_last_assignment_of_a_name_holds():
    assert load(Toy, assignments=["epochs=2", "epochs=3"]).epochs == 3


def test_defaults_are_kept_and_lists_are_not_shared():
    one, two = load(Toy), load(Toy)
    assert one.folds == [] == two.folds
    assert one.folds is not two.folds
    assert dataclasses.replace(one, config=None) == Toy(config=None)


@pytest.mark.parametrize(
    ("assignment", "name", "value"),
    [
        ("epochs=160.0", "epochs", 160),
        ("rate=1e-05", "rate", 1e-5),
        ("rate=3", "rate", 3.0),
        ("name=", "name", ""),
        ("name=a=b c", "name", "a=b c"),
        ("name=-x", "name", "-x"),
        ("name=Größe\n", "name", "Größe\n"),
        ("verbose=true", "verbose", True),
        ("verbose=False", "verbose", False),
        ("folds=[1, 2]", "folds", [1, 2]),
        ("folds=1,2", "folds", [1, 2]),
        ("folds=3", "folds", [3]),
        ("folds=", "folds", []),
        ('words=["a,b", "c"]', "words", ["a,b", "c"]),
    ],
)
def test_a_value_is_read_in_its_type(assignment, name, value):
    assert getattr(load(Toy, assignments=[assignment]), name) == value


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("epochs=ten", "--set epochs: expected int, not 'ten'"),
        ("epochs=1.5", "--set epochs: expected int, not '1.5'"),
        ("epochs=1e999", "--set epochs: expected int, not '1e999'"),
        ("epochs=true", "--set epochs: expected int, not 'true'"),
        ("rate=fast", "--set rate: expected float, not 'fast'"),
        ("verbose=1", "--set verbose: expected bool, not '1'"),
        ("folds=[1, x]", "--set folds: expected list of int, not '[1, x]'"),
        ("folds=1,x", "--set folds: expected list of int, not '1,x'"),
        ("config=x.yaml", "--set config: give it with --config FILE"),
        ("epoch=1", "--set epoch: no such parameter; did you mean 'epochs'?"),
        ("epochs", "--set 'epochs': write it as name=value"),
        ("=1", "--set '=1': write it as name=value"),
    ],
)
def test_a_wrong_assignment_is_one_line(assignment, said):
    with pytest.raises(ParameterError) as error:
        load(Toy, assignments=[assignment])
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"epochs": "ten"}, "--kwargs epochs: expected int, not 'ten'"),
        ({"epochs": True}, "--kwargs epochs: expected int, not True"),
        ({"epochs": math.inf}, "--kwargs epochs: expected int, not inf"),
        ({"epochs": None}, "--kwargs epochs: expected int, not None"),
        ({"epochs": [1]}, "--kwargs epochs: expected int, not [1]"),
        ({"name": {"a": 1}}, "--kwargs name: expected str, not {'a': 1}"),
        ({"folds": {"a": 1}}, "--kwargs folds: expected list of int, not {'a': 1}"),
        ({"verbos": True}, "--kwargs verbos: no such parameter; did you mean 'verbose'?"),
    ],
)
def test_a_wrong_keyword_is_one_line(kwargs, said):
    with pytest.raises(ParameterError) as error:
        load(Toy, kwargs=kwargs)
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("pipeline: {epoch: 3}", ParameterError, "pipeline.epoch: no such parameter; did you mean"),
        ("pipeline: {epochs: x}", ParameterError, "pipeline.epochs: expected int, not 'x'"),
        (
            "pipeline: [epochs]",
            ConfigError,
            "pipeline: expected parameters by name, not ['epochs']",
        ),
        ("pipeline: 3", ConfigError, "pipeline: expected parameters by name, not 3"),
        ("- a", ConfigError, "a user config is a mapping of sections"),
        ("a: [1", ConfigError, "not YAML: line "),
        ("a: {b: 1, b: 2}", ConfigError, "not YAML: line 1: key 'b' is given twice"),
        ("a: " + "{b: " * 5000, ConfigError, "not YAML: "),
        ("a: !!python/object:os.system {}", ConfigError, "not YAML: "),
    ],
)
def test_a_wrong_user_config_is_one_line_that_names_the_file(config, text, error, said):
    path = config(text)
    with pytest.raises(error) as raised:
        load(Toy, config=path)
    assert str(raised.value).startswith(f"{path}: {said}")
    assert "\n" not in str(raised.value)


def test_a_user_config_that_was_asked_for_must_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml: no such user config$"):
        load(Toy, config=tmp_path / "absent.yaml")
    assert load(Toy).config.values == {}


def test_an_empty_user_config_is_one(config):
    assert load(Toy, config=config("")).config.values == {}
    assert load(Toy, config=config("pipeline:\n")).epochs == 1


def test_dotted_names_override_the_user_config(config):
    path = config("training: {epochs: 3, rate: 0.1}\nempty:\npipeline: {epochs: 7}\n")
    assignments = [
        "training.epochs=5",
        "training.optimizer.name=adam",
        "empty.x=[1, 2]",
        "new.a.b=true",
        "training.note=a: b: c",
        "training.rate=1e-3",
        "pipeline.epochs=8",
    ]
    found = load(Toy, config=path, assignments=assignments)
    assert found.config.values == {
        "training": {
            "epochs": 5,
            "rate": found.config.get("training.rate"),
            "optimizer": {"name": "adam"},
            "note": "a: b: c",
        },
        "empty": {"x": [1, 2]},
        "new": {"a": {"b": True}},
    }
    assert float(found.config.get("training.rate")) == 1e-3
    assert found.epochs == 8
    assert yaml.safe_load(path.read_text("utf-8"))["training"]["epochs"] == 3


def test_an_override_below_a_scalar_is_one_line(config):
    path = config("training: {epochs: 3}")
    with pytest.raises(ConfigError) as error:
        _ = load(Toy, config=path, assignments=["training.epochs.x=1"]).config.values
    assert str(error.value) == f"--set training.epochs.x: 'epochs' in {path} has no fields"


def test_a_value_is_looked_up_by_its_dotted_key(config):
    found = ConfigFile(config("a: {b: {c: 0}}\nd:\n"))
    assert found.get("a.b.c") == 0
    assert found.get("a.b.c.d", "no") == "no"
    assert found.get("a.x", "no") == "no"
    assert found.get("d", "no") == "no"


def test_an_artifact_of_some_sections_holds_them_alone(config):
    found = ConfigFile(config("a: {x: 1}\nb: {y: ü}\npipeline: {epochs: 3}\nc: 1\n"))
    part = found.only("b", "a", "pipeline", "absent")
    assert yaml.safe_load(part.text) == {"b": {"y": "ü"}, "a": {"x": 1}}
    assert part.name == "user_config.yaml"


def test_an_artifact_of_some_sections_changes_only_with_them(config):
    before = ConfigFile(config("a: {x: 1}\nb: 1\n")).only("a")
    assert ConfigFile(config("b: 2\n# a comment\na:\n  x: 1\n")).only("a") == before
    assert ConfigFile(config("a: {x: 2}\nb: 1\n")).only("a") != before


def test_declaring_reads_no_user_config(monkeypatch, config):
    file = ConfigFile(config("a: 1"))
    monkeypatch.setattr(Path, "read_text", lambda *_: pytest.fail("read"))
    assert repr(file).startswith("ConfigFile(")


@dataclass(frozen=True)
class Plain:
    x: int = 0


@dataclass(frozen=True)
class Demanding:
    x: int


def test_a_pipeline_without_user_config_refuses_one(config):
    with pytest.raises(ParameterError, match=r"^Plain takes no user config$"):
        load(Plain, config=config("a: 1"))
    with pytest.raises(ParameterError, match=r"^Plain takes no user config$"):
        load(Plain, assignments=["a.b=1"])


def test_a_parameter_without_default_is_asked_for():
    with pytest.raises(ParameterError, match=r"^parameter x has no default; pass --set x=VALUE$"):
        load(Demanding)
    assert load(Demanding, assignments=["x=3"]).x == 3


@pytest.mark.parametrize(
    ("value", "kind", "changed"),
    [
        (3, NamedInt, lambda v: v + 1),
        (0.5, NamedFloat, lambda v: v * 2),
        ("a", NamedStr, lambda v: v + "b"),
        ("a", NamedStr, lambda v: f"{v}"),
        (3, NamedInt, float),
    ],
)
def test_a_value_handed_on_keeps_its_name_and_arithmetic_loses_it(value, kind, changed):
    carried = named(value, "p")
    assert type(carried) is kind
    assert carried == value
    assert hash(carried) == hash(value)
    assert json.dumps(carried) == json.dumps(value)
    assert spell(carried) == spell(value)
    assert type(spell(carried)) is str
    assert parameter_of(carried) == "p"
    assert parameter_of(changed(carried)) is None


@pytest.mark.parametrize("value", [True, [1], None, ConfigFile("x")])
def test_bools_and_lists_carry_no_name(value):
    assert named(value, "p") is value
    assert parameter_of(value) is None


def test_a_name_survives_being_passed_to_a_task():
    def step(out: OutputPath, *, epochs: int, rate: float, name: str) -> None: ...
    def other(out: OutputPath, *, epochs: int, rate: float, word: str) -> None: ...

    p = load(Toy)
    task = Pipeline("t").add(other, epochs=p.epochs + 1, rate=p.rate, word=p.name)
    names = {name: parameter_of(value) for name, value in task.arguments.items()}
    assert names == {"epochs": None, "rate": "rate", "word": "name"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None),
        ("", None),
        ('{"a": true, "b": null}', {"a": True, "b": None}),
        ("{'a': True, 'b': None}", {"a": True, "b": None}),
        ('[{"Key": "k", "Value": "v"}]', [{"Key": "k", "Value": "v"}]),
        ("[{'Key': 'it\\'s', 'Value': 'v'}]", [{"Key": "it's", "Value": "v"}]),
        ('{"a": "true"}', {"a": "true"}),
    ],
)
def test_keywords_are_json_first_and_a_python_literal_second(text, value):
    assert parse_keywords(text, "--kwargs") == value


@pytest.mark.parametrize(
    "text", ["{", "a", "__import__('os')", "{[]: 1}", "dict(a=1)", "{'a': x}", "(" * 5000]
)
def test_what_is_neither_is_one_line(text):
    with pytest.raises(ParameterError, match=r"^--tags: neither JSON nor a Python literal: "):
        parse_keywords(text, "--tags")


def test_the_keywords_of_project_templates_are_accepted_and_kept_apart():
    site = dict.fromkeys(parameters.TEMPLATE_KEYWORDS, "x")
    assert split_keywords({**site, "epochs": 3}, Toy) == ({"epochs": 3}, site)
    assert split_keywords(site, None) == ({}, site)
    assert {"region", "role", "default_bucket", "sagemaker_project_name"} <= set(site)
    assert "sagemaker_project_arn" in site  # the buildspec of the provider's own template


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"epoch": 3}, "--kwargs: no such parameter 'epoch'; did you mean 'epochs'?"),
        ({"regin": 3}, "--kwargs: no such parameter 'regin'; did you mean 'region'?"),
    ],
)
def test_other_keywords_are_not(kwargs, said):
    with pytest.raises(ParameterError) as error:
        split_keywords(kwargs, Toy)
    assert str(error.value) == said


def test_a_description_has_the_docstring_below_each_field():
    rows = describe(Toy)
    assert rows[1] == Description("epochs", "int", "1", "Passes over the clips.", "Toy")
    assert [row.name for row in rows] == [f.name for f in dataclasses.fields(Toy)]


@pytest.mark.parametrize(
    "kind", [v for n, v in vars(pipeline_parameters).items() if n.endswith("Parameters")]
)
def test_every_parameter_of_every_pipeline_is_documented(kind):
    assert [row.name for row in describe(kind) if not row.meaning] == []


def test_parameters_are_recorded_as_json():
    found = load(Toy, assignments=["epochs=3", "a.b=2", "folds=[1]"])
    assert json.loads(json.dumps(to_json(found))) == {
        "config": {"path": "absent.yaml", "overrides": [["a.b", 2]]},
        "epochs": 3,
        "rate": 0.5,
        "name": "toy",
        "verbose": False,
        "folds": [1],
        "words": [],
    }
    assert to_json(None) == {}


def test_a_kept_check_is_dropped_when_code_beside_the_checking_package_changes(
    tmp_path, monkeypatch
):
    import os

    from soundgate.invocation import _stamp

    for path in ("stamped/checks/__init__.py", "stamped/options.py", "stamped/__init__.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    monkeypatch.syspath_prepend(tmp_path)
    before = _stamp("stamped.checks")
    assert before == _stamp("stamped.checks")
    os.utime(tmp_path / "stamped/options.py", ns=(1, 1))
    assert _stamp("stamped.checks") != before


def test_overrides_a_value_that_the_file_spells_in_an_older_way(toy):
    """In the spelling of ``--set``; the file's own value goes."""
    toy.write(
        "checking.py",
        """
        from soundgate.errors import ConfigError
        import yaml

        def check(text, name):
            data = yaml.safe_load(text)["data"]
            if "path" in data and "audio" in data:
                raise ConfigError(f"{name}:1: audio: says the same as path")
            return {"data": {"path": data.get("path", data.get("audio"))}}, ""
    """,
    )
    toy.write("user.yaml", "data: {audio: old}\n")
    parameters = (
        "config: ConfigFile = field(default=ConfigFile('user.yaml'), "
        "metadata={'check': 'checking:check'})\n"
    )
    module = toy.pipeline("c", 't.add(work, text=p.config.get("data.path"))', parameters)
    assert "--text old" in toy.run(module, "--dry-run").stdout
    assert "--text new" in toy.run(module, "--dry-run", "--set", "data.path=new").stdout
