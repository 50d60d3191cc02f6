"""The command line of a container, as KFP's driver and launcher make it of a specification.

- ``IfPresent`` first, then every known placeholder is replaced wherever it stands; ``Concat`` is
  text like any other, so that its JSON arrives at the program;
- the program (the first word of all) is left as it is; an unknown placeholder stays as text, among
  them ``{{$.pipeline_job_uuid}}`` and its like, which are values of inputs only;
- the launcher replaces in random order, so a value that itself holds a placeholder may be replaced
  again: that is refused here.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

STRUCTURED = '{"IfPresent":'
PLACEHOLDER = re.compile(r"\{\{\$.*?\}\}")
INPUT_PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\['(.+?)'\]\}\}")


class PlaceholderError(Exception):
    """A command line cannot be made."""


def vector(
    command: Sequence[str],
    arguments: Sequence[str],
    known: Mapping[str, str],
    present: Collection[str],
) -> list[str]:
    """Return the argument vector.

    Args:
        command: of the container.
        arguments: of the container; the first word of both together is the program.
        known: placeholder to text.
        present: names of the inputs that have a value.

    Raises:
        PlaceholderError: nothing to run, or a value holds a placeholder.
    """
    words = [word for each in [*command, *arguments] for word in _expanded(each, present)]
    if not words:
        raise PlaceholderError(
            "the container has neither command nor arguments: the launcher refuses it"
        )
    return [words[0], *(replace(word, known) for word in words[1:])]


def replace(word: str, known: Mapping[str, str]) -> str:
    """Replace every known placeholder in ``word``.

    Raises:
        PlaceholderError: a value holds a placeholder itself.
    """

    def value(found: re.Match[str]) -> str:
        name = found.group()
        made = known.get(name, name)
        again = [p for p in PLACEHOLDER.findall(made) if p in known] if name in known else []
        if again and name != "{{$}}":
            raise PlaceholderError(
                f"the value of {name} holds {again[0]}: it may be replaced again"
            )
        return made

    return PLACEHOLDER.sub(value, word)


def _expanded(word: str, present: Collection[str]) -> Iterable[str]:
    if not word.startswith(STRUCTURED):
        return [word]
    try:
        return _structured(json.loads(word), present)
    except json.JSONDecodeError as error:
        raise PlaceholderError(f"{word}: {error}") from error


def _structured(value: Any, present: Collection[str]) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [word for each in value for word in _structured(each, present)]
    if "IfPresent" not in value:
        raise PlaceholderError(f"{value}: in IfPresent the driver takes texts alone")
    chosen = value["IfPresent"]
    branch = "Then" if chosen["InputName"] in present else "Else"
    return _structured(chosen.get(branch), present)
