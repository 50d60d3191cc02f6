"""What all stored formats share: JSON objects with a ``format`` field, and files of JSON lines.

A record is the type of one file. Reading checks every field and answers with one line that names
the file, the field and what to do again; ``docs/schemas/`` holds the JSON Schema of each record.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from soundgate.errors import DataError, unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

JsonObject = dict[str, Any]
"""A JSON object that has not been checked yet: it becomes a record, or an error, at once."""

Kind = TypeVar("Kind", bound="Record")
Row = TypeVar("Row")


class Record(BaseModel):
    """A JSON object with known fields; equal files give equal records."""

    # A name such as ``model_sha256`` is a plain field here, not part of pydantic's interface.
    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), use_attribute_docstrings=True
    )

    def as_json(self) -> JsonObject:
        """The object as the file holds it, fields in the order of their declaration."""
        return self.model_dump(mode="json", by_alias=True)


class OpenRecord(Record):
    """A record that keeps fields it does not know, which belong to one kind of system."""

    model_config = ConfigDict(extra="allow")

    def with_fields(self, **fields: object) -> Self:
        """A copy with further fields, checked like the first ones."""
        return type(self).model_validate({**self.as_json(), **fields})


def read_record(
    path: Path,
    kind: type[Kind],
    *,
    remedy: str,
    upgrade: Callable[[JsonObject], JsonObject] = lambda fields: fields,
) -> Kind:
    """Read a file that holds one record.

    Args:
        path: the file.
        kind: what it should hold.
        remedy: what to do about a damaged file, "train the model again".
        upgrade: brings an older version to the present one; gets the object as it was read.

    Raises:
        DataError: the file is missing, damaged or of another format.
    """
    fields = read_object(path, remedy=remedy)
    try:
        fields = upgrade(fields)
        _check_format(path, kind, fields)
        return kind.model_validate(fields)
    except ValidationError as error:
        raise DataError(f"{path}: is damaged; {remedy}: {_first(error)}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path}: is damaged; {remedy}: {error!r}") from error


def write_record(path: Path, record: Record) -> None:
    """Write a record as the whole of a file; the same record gives the same bytes."""
    write_object(path, record.as_json())


def read_object(path: Path, *, remedy: str) -> JsonObject:
    """The JSON object that a file holds, of whatever format.

    Raises:
        DataError: the file is missing or holds no JSON object.
    """
    try:
        fields = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise DataError(f"{path}: is damaged; {remedy}: it is not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise DataError(f"{path}: is damaged; {remedy}: it holds no JSON object")
    return fields


def write_object(path: Path, fields: JsonObject) -> None:
    """Write an object as the whole of a file, a field a line.

    Raises:
        ValueError: a number is NaN or infinite, for which JSON has no word.
    """
    text = json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def read_lines(path: Path, parse: Callable[[JsonObject], Row], *, remedy: str) -> Iterator[Row]:
    """Yield what ``parse`` makes of each line of a file of JSON lines, without loading the file.

    Raises:
        DataError: the file is missing, or a line is no JSON object or not what ``parse`` expects;
            names the line.
    """
    number = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                number += 1
                yield parse(json.loads(line))
    except OSError as error:
        raise unreadable(path, error) from error
    except ValidationError as error:
        raise DataError(f"{path}:{number}: is damaged; {remedy}: {_first(error)}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path}:{number}: is damaged; {remedy}: {error!r}") from error


def write_lines(path: Path, rows: Iterable[JsonObject]) -> None:
    """Write a file of JSON lines as a stream."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _check_format(path: Path, kind: type[Record], fields: JsonObject) -> None:
    """Refuse another format first: that it lacks fields of this one is then no news."""
    expected = kind.model_fields.get("format")
    if expected is not None and fields.get("format") != expected.default:
        raise DataError(f"{path}: format {fields.get('format')!r} is not {expected.default!r}")


def _first(error: ValidationError) -> str:
    """The first fault in words: where, and what is wrong there."""
    fault = error.errors(include_url=False)[0]
    where = ".".join(map(str, fault["loc"]))
    return f"{where}: {fault['msg']}" if where else str(fault["msg"])
