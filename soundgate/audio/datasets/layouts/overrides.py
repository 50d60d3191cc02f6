"""Tables that override labels of training clips: a column ``filename``, and 0 and 1 for labels.

A name is the last part of a clip's path, with or without its extension. A label without a column in
the table stays as it was.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from soundgate.audio.datasets.layouts.tables import Row, read_rows
from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.clips.manifest import Clip

FILE_NAME: Final = "filename"


def override(clips: Sequence[Clip], table: Path) -> list[Clip]:
    """The clips with the labels that a table gives some of them.

    Raises:
        DataError: the table is wrong, or a name in it is no clip's, or that of several.
    """
    places: defaultdict[str, set[int]] = defaultdict(set)
    for number, clip in enumerate(clips):
        name = PurePosixPath(clip.path)
        places[name.name].add(number)
        places[name.stem].add(number)
    changed, seen = list(clips), dict[int, str]()
    for row in read_rows(table, file=FILE_NAME):
        number = _only(row, places)
        twin = seen.setdefault(number, row.where)
        if twin != row.where:
            raise DataError(f"{row.where}: {row.name!r} is already listed at {twin}: keep one row")
        changed[number] = _changed(clips[number], row)
    return changed


def _only(row: Row, places: Mapping[str, set[int]]) -> int:
    found = places.get(PurePosixPath(row.name.replace("\\", "/")).name, set())
    if not found:
        hint = nearest(row.name, places) if len(places) < 1000 else ""
        hint = hint if "did you mean" in hint else ""
        raise DataError(
            f"{row.where}: column {FILE_NAME!r}: no training clip is called {row.name!r}{hint}"
        )
    if len(found) > 1:
        raise DataError(
            f"{row.where}: column {FILE_NAME!r}: {len(found)} training clips are called "
            f"{row.name!r}: rename them"
        )
    return next(iter(found))


def _changed(clip: Clip, row: Row) -> Clip:
    kept = [label for label in clip.labels if row.labels.get(label, True)]
    judged = clip.judged
    if judged is not None:
        judged = judged | {label: float(here) for label, here in row.labels.items()}
    return replace(clip, labels=tuple(dict.fromkeys((*kept, *row.present))), judged=judged)
