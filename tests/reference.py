"""Writes docs/reference.md from the code: commands, parameters, user config."""

from __future__ import annotations

import argparse
import types
import typing
from typing import Any

import annotated_types
from pydantic import BaseModel

import pipeline_parameters
from soundgate import cli
from soundgate.audio.config import UserConfig
from soundgate.audio.config.sec import SecConfig
from soundgate.audio.config.spot import SpotConfig
from soundgate.audio.config.tagging import TaggingConfig
from soundgate.bounds import bare, choices
from soundgate.parameters import describe, meanings, spelled

CONFIGS = {
    "pipelines.aed": UserConfig,
    "pipelines.tagging": TaggingConfig,
    "pipelines.spot": SpotConfig,
    "pipelines.sec": SecConfig,
}

HEAD = """# Reference

Written by `pytest tests/test_docs.py --update-golden` from the code; a test compares it.
"""


def reference() -> str:
    parts = [HEAD, "## Commands"]
    for command, (run, _) in cli.COMMANDS.items():
        rows = [(f"`{name}`", about) for name, about in options(command)]
        parts += [f"### {command}", run.__doc__ or "", table(("option", "meaning"), *rows)]
    parts.append("## Parameters")
    for kind in parameter_types():
        rows = [
            (f"`{d.name}`", d.type, d.default and f"`{d.default}`", d.meaning, d.group)
            for d in describe(kind)
        ]
        head = ("parameter", "type", "default", "meaning", "group")
        parts += [f"### {kind.__name__}", kind.__doc__ or "", table(head, *rows)]
    for pipeline, config in CONFIGS.items():
        parts.append(f"## User config of {pipeline}")
        rows = [
            (f"`{key}`", kind, f"`{default}`", text)
            for key, kind, default, text in config_keys(config)
        ]
        parts.append(table(("key", "type", "default", "meaning"), *rows))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def parser(command: str) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=command, add_help=False)
    cli.COMMANDS[command][1](found)
    return found


def options(command: str) -> list[tuple[str, str]]:
    rows = []
    for action in parser(command)._actions:
        metavar = "|".join(action.choices or ()) or action.metavar or action.dest.upper()
        name = ", ".join(action.option_strings) or action.dest
        rows.append((name if action.nargs == 0 else f"{name} {metavar}", action.help or ""))
    return rows


def parameter_types() -> list[type]:
    found = vars(pipeline_parameters).items()
    return [v for name, v in found if name.endswith("Parameters") and isinstance(v, type)]


def table(*rows: tuple[str, ...]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("---" for _ in rows[0]) + " |")
    return "\n".join(lines)


def config_keys(
    section: type[BaseModel] = UserConfig, prefix: str = ""
) -> list[tuple[str, str, str, str]]:
    """Rows of (dotted key, type, default, meaning), the sections' own rows left out."""
    rows = []
    for name, field in section.model_fields.items():
        key, inner = f"{prefix}{field.alias or name}", bare(field.annotation)
        nested = isinstance(inner, type) and issubclass(inner, BaseModel)
        if not nested or field.default is None:
            default = field.get_default(call_default_factory=True)
            kind = "section" if nested else config_type(field.annotation, field.metadata)
            rows.append(
                (
                    key,
                    kind,
                    null(default),
                    inherited_meanings(getattr(section, "options", section)).get(name, ""),
                )
            )
        if nested:
            rows += config_keys(inner, f"{key}.")
    return rows


def inherited_meanings(section: type) -> dict[str, str]:
    """What the fields of a section mean, those it has from others among them."""
    found: dict[str, str] = {}
    for each in reversed(section.__mro__):
        if each not in (object, BaseModel):
            found |= meanings(each)
    return found


def null(value: Any) -> str:
    return "null" if value is None else "[]" if value == () else spelled(value)


def config_type(hint: Any, metadata: typing.Sequence[Any] = ()) -> str:
    """A type in words, with the choices and the range that pydantic checks."""
    if typing.get_origin(hint) is typing.Annotated:
        inner, *extras = typing.get_args(hint)
        return config_type(inner, [*getattr(extras[0], "metadata", extras), *metadata])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        named = [config_type(each, metadata) for each in typing.get_args(hint)]
        return (", or " if "," in named[0] else " or ").join(named)
    if hint is types.NoneType:
        return "null"
    if choices(hint):
        return " | ".join(spelled(each) for each in choices(hint))
    if typing.get_origin(hint) in (tuple, list):
        items = [each for each in typing.get_args(hint) if each is not ...]
        return f"list of {config_type(items[0])}"
    return ", ".join([getattr(hint, "__name__", str(hint)), *limits(metadata)])


def limits(metadata: typing.Sequence[Any]) -> list[str]:
    words = {
        annotated_types.Ge: "{:g} or more",
        annotated_types.Gt: "above {:g}",
        annotated_types.Le: "at most {:g}",
        annotated_types.Lt: "below {:g}",
    }
    found = []
    for kind, text in words.items():
        name = kind.__name__.lower()
        found += [text.format(getattr(m, name)) for m in metadata if isinstance(m, kind)]
    return found
