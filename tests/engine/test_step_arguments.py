"""A step's signature is its command line: values, lists, defaults and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from soundgate.arguments import interface, parse, spell
from soundgate.errors import DefinitionError
from soundgate.step import CheckpointPath, InputPath, InputPaths, OutputPath  # noqa: TC001 - read from annotations


def every_kind(
    source: InputPath,
    out: OutputPath,
    parts: InputPaths | None = None,
    checkpoints: CheckpointPath | None = None,
    *,
    s: str = "",
    i: int = 0,
    f: float = 0.0,
    b: bool = False,
    ss: list[str] = (),
    ints: list[int] = (),
    floats: list[float] = (),
    bools: list[bool] = (),
) -> None:
    """Do nothing."""


def parsed(*words):
    return parse(every_kind, ["--source", "s", "--out", "o", *words])


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--b", "true"], "b", True),
        (["--b", "True"], "b", True),
        (["--b", "false"], "b", False),
        (["--i", "160"], "i", 160),
        (["--i", "160.0"], "i", 160),
        (["--i", "1e3"], "i", 1000),
        (["--i=-7"], "i", -7),
        (["--i", "9007199254740993"], "i", 9007199254740993),
        (["--f", "1e-05"], "f", 1e-5),
        (["--f", "0.00001"], "f", 1e-5),
        (["--f", "3"], "f", 3.0),
        (["--f=-1e-3"], "f", -1e-3),
        (["--s", ""], "s", ""),
        (["--s=-n"], "s", "-n"),
        (["--s=--epochs"], "s", "--epochs"),
        (["--s", "a 'b' \"c\" $HOME `d`\n\te\\"], "s", "a 'b' \"c\" $HOME `d`\n\te\\"),
        (["--s", "Größe 音"], "s", "Größe 音"),
        (["--s", "[1]"], "s", "[1]"),
        (["--s", "true"], "s", "true"),
        (["--ss", '["a b", "-c", "ü\\n", "[d"]'], "ss", ["a b", "-c", "ü\n", "[d"]),
        (["--ss", "a", "b"], "ss", ["a", "b"]),
        (["--ss", "[]"], "ss", []),
        (["--ints", "[1, 2.0]"], "ints", [1, 2]),
        (["--ints", "3", "4"], "ints", [3, 4]),
        (["--floats", "[1, 1e-05]"], "floats", [1.0, 1e-5]),
        (["--bools", "[true, false]"], "bools", [True, False]),
        (["--parts", "x", "y z"], "parts", [Path("x"), Path("y z")]),
        (["--parts", '["x", "y z"]'], "parts", [Path("x"), Path("y z")]),
    ],
)
def test_a_value_is_read_however_an_engine_spells_it(words, name, value):
    found = parsed(*words)[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "value", ["", "-", "--x", "ü\n'\"$`\\", 0, -3, 10**18, 1e-5, 0.1, -2.5e300, True, False]
)
def test_spelling_a_scalar_and_reading_it_is_the_identity(value):
    name = {str: "s", int: "i", float: "f", bool: "b"}[type(value)]
    assert parsed(f"--{name}={spell(value)}")[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ss", ["", "-a", "[", '"', "\n", "ü"]),
        ("ints", [0, -1]),
        ("floats", [1e-5]),
        ("bools", [True]),
    ],
)
def test_spelling_a_list_and_reading_it_is_the_identity(name, value):
    assert parsed(f"--{name}", spell(value))[name] == value


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--i", "1.5"], "argument --i: '1.5' is not a whole number"),
        (["--i", "inf"], "argument --i: 'inf' is not a whole number"),
        (["--i", "nan"], "argument --i: 'nan' is not a whole number"),
        (["--i", "ten"], "argument --i: 'ten' is not a whole number"),
        (["--f", "a"], "argument --f: could not convert string to float: 'a'"),
        (["--b", "1"], "argument --b: '1' is neither true nor false"),
        (["--b", "yes"], "argument --b: 'yes' is neither true nor false"),
        (["--ints", "[1, null]"], "argument --ints: 'None' is not a whole number"),
        (["--ints", "[1"], "argument --ints: '[1' is not a JSON list"),
        (["--sourse", "x"], "unrecognized arguments: --sourse x; did you mean '--source'?"),
    ],
)
def test_a_wrong_value_is_one_line_and_exit_2(words, said, capsys):
    with pytest.raises(SystemExit) as end:
        parsed(*words)
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines() == [f"python -m {__name__}: error: {said}"]


def test_a_missing_argument_is_one_line_and_exit_2(capsys):
    with pytest.raises(SystemExit) as end:
        parse(every_kind, ["--out", "o"])
    assert end.value.code == 2
    said = "the following arguments are required: --source"
    assert capsys.readouterr().err.splitlines() == [f"python -m {__name__}: error: {said}"]


def test_an_omitted_argument_has_its_default():
    found = parsed()
    assert found["parts"] is None
    assert found["checkpoints"] is None
    assert (found["s"], found["i"], found["b"]) == ("", 0, False)


def test_the_interface_tells_what_a_pipeline_must_supply():
    found = interface(every_kind)
    kinds = {name: argument.kind for name, argument in found.items()}
    assert kinds["source"] == "input"
    assert kinds["parts"] == "inputs"
    assert kinds["out"] == "output"
    assert kinds["checkpoints"] == "checkpoint"
    assert {name for name, argument in found.items() if argument.required} == {"source"}


def takes_any(out: OutputPath, x) -> None: ...


def takes_dict(out: OutputPath, x: dict[str, int]) -> None: ...


def takes_maybe(out: OutputPath, x: str | None = None) -> None: ...


def takes_more(out: OutputPath, **rest) -> None: ...


def takes_bare_list(out: OutputPath, x: list) -> None: ...  # type: ignore[type-arg]


@pytest.mark.parametrize(
    "function", [takes_any, takes_dict, takes_maybe, takes_more, takes_bare_list]
)
def test_a_type_that_cannot_travel_is_refused(function):
    with pytest.raises(DefinitionError, match="a step takes InputPath, InputPaths, NamedInput"):
        interface(function)


def test_an_argument_named_as_a_flag_of_every_step_is_refused():
    def step(out: OutputPath, *, context: str) -> None:
        """Would never see it."""

    with pytest.raises(DefinitionError, match="argument 'context': every step has a flag --con"):
        interface(step)


def test_a_checkpoint_folder_must_be_optional():
    def step(out: OutputPath, kept: CheckpointPath) -> None: ...

    with pytest.raises(DefinitionError, match="its default must be None"):
        interface(step)


def test_help_shows_the_flags_and_a_default_with_a_percent_sign(toy):
    shown = toy.module("steps.spell", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "--floats" in shown.stdout
    assert "parameter, str; default 100%" in shown.stdout


def test_a_list_may_be_left_out():
    def step(out: OutputPath, *, words: list[str] | None = None) -> None:
        """Do nothing."""

    assert interface(step)["words"].is_list
    assert not interface(step)["words"].required
    assert parse(step, ["--out", "o"])["words"] is None
    assert parse(step, ["--out", "o", "--words", '["a", "b"]'])["words"] == ["a", "b"]
