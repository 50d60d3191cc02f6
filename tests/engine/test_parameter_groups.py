"""Parameters of one pipeline made of groups, choices, ranges and several user configs."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest

from soundgate.bounds import Bounds, Fraction
from soundgate.errors import ConfigError, DefinitionError, ParameterError
from soundgate.parameters import (
    ConfigFile,
    Group,
    describe,
    load,
    parameter_of,
    resolve,
    to_json,
)


class Window(enum.StrEnum):
    HANN = "hann"
    BOX = "box"


@dataclass(frozen=True, kw_only=True)
class Data(Group):
    store: str = "runs/store"
    """Where data sets are kept."""
    test_fold: Annotated[int, Bounds(0)] = 0
    """Fold that is tested on."""


@dataclass(frozen=True, kw_only=True)
class Release(Group):
    gate: Fraction | None = 0.5
    """Least accuracy."""
    model_name: str = "model"
    """Registered model."""


@dataclass(frozen=True, kw_only=True)
class Stage(Group):
    epochs: Annotated[int, Bounds(1)] = 10
    """Passes over the clips."""
    rate: float = 0.1


@dataclass(frozen=True, kw_only=True)
class System(Data, Release):
    config: ConfigFile = field(
        default=ConfigFile("absent.yaml", must_exist=False), metadata={"sections": ("training",)}
    )
    events: ConfigFile = field(
        default=ConfigFile("absent-events.yaml", must_exist=False),
        metadata={"sections": ("decoding",)},
    )
    model_name: str = "system"
    format: Literal["csv", "parquet"] = "csv"
    patch_s: Literal[1, 2] = 1
    window: Window = Window.HANN
    hops: list[Annotated[int, Bounds(1)]] = field(default_factory=list)
    teacher: Stage = Stage(epochs=20)
    student: Stage = Stage()


def test_inherited_and_held_parameters_are_listed_with_their_meaning():
    rows = {row.name: row for row in describe(System)}
    assert rows["store"].meaning == "Where data sets are kept."
    assert rows["store"].group == "Data"
    assert rows["model_name"].meaning == "Registered model."  # the override has no text of its own
    assert (rows["model_name"].default, rows["model_name"].group) == ("system", "System")
    assert rows["student.epochs"].meaning == "Passes over the clips."
    assert rows["gate"].type == "float or none, 0 to 1"
    assert rows["format"].type == "csv | parquet"
    assert rows["window"].type == "hann | box"
    assert rows["patch_s"].type == "1 | 2"
    assert (rows["hops"].type, rows["hops"].default) == ("list of int", "[]")
    assert (rows["config"].type, rows["config"].default) == ("file", "absent.yaml")


def test_defaults_are_values_not_source_text():
    assert [row.name for row in describe(System) if "(" in row.default or "<" in row.default] == []


def test_inherited_and_held_parameters_are_set_alike():
    p = load(
        System,
        kwargs={"student": {"epochs": 3}, "teacher.rate": 0.5},
        assignments=["store=s3://b/s", "teacher.epochs=7", "window=box", "patch_s=2"],
    )
    assert (p.store, p.student.epochs, p.teacher.rate, p.teacher.epochs) == ("s3://b/s", 3, 0.5, 7)
    assert (p.window, p.patch_s, p.student.rate) == (Window.BOX, 2, 0.1)
    assert load(System).teacher.epochs == 20  # the default of this group, not of its class
    assert parameter_of(p.teacher.epochs) == "teacher_epochs"
    assert parameter_of(p.store) == "store"
    assert to_json(p)["student"] == {"epochs": 3, "rate": 0.1}


def test_an_optional_parameter_may_have_no_value():
    assert load(System, assignments=["gate=none"]).gate is None
    assert load(System, kwargs={"gate": None}).gate is None
    assert load(System).gate == 0.5
    assert load(System, assignments=["store=none"]).store == "none"  # not optional: a name
    with pytest.raises(ParameterError, match=r"^--kwargs store: expected str, not None$"):
        load(System, kwargs={"store": None})


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("test_fold=-1", "--set test_fold: expected 0 or more, not -1"),
        ("gate=1.5", "--set gate: expected 0 to 1, not 1.5"),
        ("gate=nan", "--set gate: expected 0 to 1, not nan"),
        ("gate=75", "--set gate: expected 0 to 1, not 75.0"),
        ("teacher.rate=inf", "--set teacher.rate: expected a finite number, not inf"),
        ("hops=1,0", "--set hops: expected 1 or more, not [1, 0]"),
        (
            "format=parqet",
            "--set format: expected csv or parquet, not 'parqet'; did you mean 'parquet'?",
        ),
        ("format=xml", "--set format: expected csv or parquet, not 'xml'"),
        ("window=hamming", "--set window: expected hann or box, not 'hamming'"),
        ("patch_s=3", "--set patch_s: expected 1 or 2, not '3'"),
        (
            "teacher.epoch=3",
            "--set teacher.epoch: no such parameter; did you mean 'teacher.epochs'?",
        ),
        ("teacher=3", "--set teacher: no such parameter; did you mean 'teacher.rate'?"),
    ],
)
def test_a_value_outside_its_range_or_choices_is_one_line(assignment, said):
    with pytest.raises(ParameterError) as error:
        load(System, assignments=[assignment])
    assert str(error.value) == said


def test_ranges_hold_for_objects_made_in_python_too():
    with pytest.raises(ParameterError, match=r"^gate: expected 0 to 1, not 2$"):
        System(gate=2)
    with pytest.raises(ParameterError, match=r"^epochs: expected 1 or more, not 0$"):
        Stage(epochs=0)


@dataclass(frozen=True, kw_only=True)
class OtherData(Group):
    store: str = "elsewhere"


def test_groups_that_define_one_name_differently_are_refused():
    @dataclass(frozen=True, kw_only=True)
    class Clash(Data, OtherData):
        pass

    @dataclass(frozen=True, kw_only=True)
    class Settled(Data, OtherData):
        store: str = "here"

    said = "Clash: Data and OtherData define 'store' differently; define it in Clash too, or rename"
    with pytest.raises(DefinitionError, match=said):
        load(Clash)
    assert load(Settled).store == "here"


def test_names_that_are_one_to_an_engine_are_refused():
    @dataclass(frozen=True, kw_only=True)
    class Twice:
        stage: Stage = Stage()
        stage_epochs: int = 0

    Twice.__annotations__.update(stage=Stage, stage_epochs=int)
    said = "stage.epochs and stage_epochs are both 'stage_epochs' to an engine; rename one"
    with pytest.raises(DefinitionError, match=said):
        load(Twice)


@pytest.fixture
def files(tmp_path):
    def write(**texts):
        for name, text in texts.items():
            (tmp_path / f"{name}.yaml").write_text(text, "utf-8")
        return tmp_path

    return write


def test_several_user_configs_are_set_and_their_keys_go_where_their_sections_are(files):
    folder = files(main="training: {a: 1}\n", events="decoding: {b: 1}\nlabels: {c: 1}\n")
    p = load(
        System,
        config=folder / "main.yaml",
        assignments=[
            f"events={folder}/events.yaml",
            *("training.a=2", "decoding.b=2", "labels.c=2", "new.d=2", "events.training.e=2"),
        ],
    )
    assert p.config.values == {"training": {"a": 2}, "new": {"d": 2}}
    assert p.events.values == {
        "decoding": {"b": 2},
        "labels": {"c": 2},
        "training": {"e": 2},
    }


def test_a_key_of_an_absent_file_goes_where_its_section_is_declared():
    p = load(System, assignments=["decoding.b=2", "training.a=3"])
    assert (p.events.values, p.config.values) == ({"decoding": {"b": 2}}, {"training": {"a": 3}})


def test_a_key_that_several_files_have_is_refused_with_the_way_to_choose(files):
    folder = files(main="labels: {}\n", events="labels: {}\n")
    with pytest.raises(ParameterError) as error:
        load(
            System,
            config=folder / "main.yaml",
            assignments=["labels.a=1", f"events={folder}/events.yaml"],
        )
    assert str(error.value) == (
        "--set labels.a: the user configs config, events all have a section 'labels'; "
        "write config.labels.a or events.labels.a"
    )


def test_a_name_that_may_be_a_parameter_or_a_key_is_refused(files):
    folder = files(main="student: {epochs: 1}\n")
    with pytest.raises(ParameterError) as error:
        load(System, config=folder / "main.yaml", assignments=["student.epochs=3"])
    assert str(error.value) == (
        "--set student.epochs: a parameter, and a key of the user config 'config'; "
        "write config.student.epochs=... for the key, or set the parameter with --kwargs"
    )
    assert load(System, config=folder / "main.yaml", kwargs={"student.epochs": 3})


def test_the_first_user_config_may_name_the_others_and_set_held_parameters(files):
    folder = files(
        main="pipeline: {events: EVENTS, student: {epochs: 4}, teacher.epochs: 5}\n",
        events="pipeline: {test_fold: 2}\ndecoding: {b: 1}\n",
    )
    main = folder / "main.yaml"
    main.write_text(main.read_text().replace("EVENTS", str(folder / "events.yaml")))
    found = resolve(System, config=main)
    p = found.build()
    assert (p.student.epochs, p.teacher.epochs, p.test_fold) == (4, 5, 2)
    assert p.events.values == {"decoding": {"b": 1}}
    assert found.origins["student.epochs"] == str(main)
    assert found.origins["test_fold"] == str(folder / "events.yaml")
    assert "store" not in found.origins


def test_two_user_configs_that_set_one_parameter_are_refused(files):
    folder = files(main="pipeline: {test_fold: 1}\n", events="pipeline: {test_fold: 2}\n")
    with pytest.raises(ConfigError) as error:
        load(
            System,
            config=folder / "main.yaml",
            assignments=[f"events={folder}/events.yaml"],
        )
    assert str(error.value) == (
        f"{folder}/events.yaml: pipeline.test_fold: {folder}/main.yaml sets it too; "
        "keep one of them"
    )


def test_a_user_config_that_was_named_must_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"nope\.yaml: no such user config$"):
        _ = load(System, assignments=[f"events={tmp_path}/nope.yaml"])
