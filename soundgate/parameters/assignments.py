"""What ``--set`` names: a parameter, or a key of one of the user configs.

``NAME=VALUE`` sets a parameter, and ``GROUP.NAME=VALUE`` one of a group that is held as a field.
Any other dotted name is a key of the user config that has its section, ``training.epochs=40``; with
the parameter of a file in front, ``config.training.epochs=40``, of that file whatever it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from soundgate.errors import ParameterError, nearest
from soundgate.parameters.config_file import SECTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from soundgate.parameters.table import Parameter


@dataclass(frozen=True, slots=True)
class Assignments:
    """The ``--set`` options of a command line, told apart."""

    own: dict[str, str] = field(default_factory=dict)
    """Text by parameter; the last of a name holds."""
    dotted: list[tuple[str, Any]] = field(default_factory=list)
    """(key of a user config, value), in the order given."""


def split(assignments: Sequence[str], known: Mapping[str, Parameter]) -> Assignments:
    """Tell parameters from keys of user configs.

    Raises:
        ParameterError: an assignment has no ``=``, or no parameter has its name.
    """
    groups = {name.partition(".")[0] for name in known if "." in name}
    found = Assignments()
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise ParameterError(f"--set {assignment!r}: write it as name=value")
        if name in known:
            found.own[name] = text
        elif "." in name and name.partition(".")[0] not in groups:
            found.dotted.append((name, _yaml_value(name, text)))
        else:
            raise ParameterError(f"--set {name}: no such parameter{nearest(name, known)}")
    return found


def _yaml_value(name: str, text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    except RecursionError:
        raise ParameterError(f"--set {name}: its value is nested too deeply") from None


def check_groups(assignments: Assignments, sections: Mapping[str, set[str]]) -> None:
    """Refuse a name that may mean a parameter of a group or a key of a user config.

    Args:
        assignments: what was given.
        sections: sections of each user config, by its parameter.

    Raises:
        ParameterError: it says how to write either.
    """
    for name in assignments.own:
        group, dot, _ = name.partition(".")
        for file in sorted(owner for owner, known in sections.items() if dot and group in known):
            raise ParameterError(
                f"--set {name}: a parameter, and a key of the user config {file!r}; write "
                f"{file}.{name}=... for the key, or set the parameter with --kwargs"
            )


def route(
    dotted: Iterable[tuple[str, Any]], sections: Mapping[str, set[str]]
) -> dict[str, list[tuple[str, Any]]]:
    """Give each key to the user config that it belongs to.

    Args:
        dotted: (key, value) pairs.
        sections: sections of each user config, by its parameter; the first gets what none has.

    Raises:
        ParameterError: several user configs have the key's section; it says how to choose one.
    """
    first = next(iter(sections))
    found: dict[str, list[tuple[str, Any]]] = {name: [] for name in sections}
    for name, value in dotted:
        section, _, rest = name.partition(".")
        if section in sections and "." in rest:  # the file is named: config.training.epochs
            found[section].append((rest, value))
            continue
        owners = [file for file, known in sections.items() if section in known]
        if len(owners) > 1 and section != SECTION:
            ways = " or ".join(f"{owner}.{name}" for owner in owners)
            raise ParameterError(
                f"--set {name}: the user configs {', '.join(owners)} all have a section "
                f"{section!r}; write {ways}"
            )
        found[owners[0] if owners and section != SECTION else first].append((name, value))
    return found
