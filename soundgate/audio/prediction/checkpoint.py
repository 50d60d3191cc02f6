"""Results of a prediction that was interrupted, kept so that the next attempt goes on from there.

    settings.json    what the results depend on besides the audio, and the version of these files
    000000.npz       results of some groups of work, one file after another; arrays, never objects

Every attempt divides the work alike. Should the list of clips have changed in between, what was
kept from the first group on that differs is made again. Files that changed under their names go
unnoticed.
"""

from __future__ import annotations

import json
import math
import shutil
import time
import zipfile
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundgate.audio.formats.predictions import Failure
from soundgate.audio.prediction.results import Scored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.prediction.reading import Part

    Array = npt.NDArray[Any]
    Result = Scored | Failure

INTERVAL_S: Final = 30.0
_VERSION: Final = 2


class Checkpoint:
    """Keeps results in ``folder`` as they come in; without a folder it keeps nothing."""

    def __init__(self, folder: Path | None, settings: Mapping[str, Any]) -> None:
        """Forget what an attempt with other settings left."""
        self._folder = folder
        self._waiting: list[Result] = []
        self._identities: list[str] = []
        self._saved_at = time.monotonic()
        self._files = 0
        if folder is None:
            return
        text = json.dumps({**settings, "checkpoint": _VERSION}, sort_keys=True)
        note = folder / "settings.json"
        if not note.is_file() or note.read_text("utf-8") != text:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            note.write_text(text, "utf-8")

    def kept(self) -> Iterator[tuple[list[str], list[Result]]]:
        """Yield, file by file, which groups are kept, and their results.

        Whoever stops asking makes the rest forgotten: later results overwrite it.
        """
        while self._folder is not None:
            found = _read(self._path(self._files))
            if found is None:
                return
            yield found
            self._files += 1

    def add(self, group: Sequence[Part], results: Sequence[Result]) -> None:
        """Keep the results of a group; they are written now and then."""
        if self._folder is None:
            return
        self._identities.append(identity(group))
        self._waiting += results
        if time.monotonic() - self._saved_at >= INTERVAL_S:
            self.save()

    def save(self) -> None:
        """Write what is not written yet, whole or not at all."""
        if self._folder is None or not self._identities:
            return
        path = self._path(self._files)
        temporary = path.with_suffix(".partial")
        with temporary.open("wb") as file:
            arrays: dict[str, Any] = _arrays(self._identities, self._waiting)
            np.savez(file, **arrays)
        temporary.replace(path)
        self._files += 1
        # What an earlier attempt kept behind this is of other groups.
        self._path(self._files).unlink(missing_ok=True)
        self._waiting, self._identities = [], []
        self._saved_at = time.monotonic()

    def _path(self, number: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{number:06d}.npz"


def identity(group: Sequence[Part]) -> str:
    """What a group is, as text: its segments and spans."""
    parts = [
        (part.segment.path, part.segment.start_s, part.segment.end_s, part.spans, part.reason)
        for part in group
    ]
    return json.dumps(parts)


def _arrays(identities: Sequence[str], results: Sequence[Result]) -> dict[str, Array]:
    scored = [result for result in results if isinstance(result, Scored)]
    failures = [result for result in results if isinstance(result, Failure)]
    starts_ends = [(result.start_s, result.end_s) for result in results]
    times = [[math.nan if time is None else time for time in pair] for pair in starts_ends]
    arrays: dict[str, Array] = {
        "identities": np.array(identities, np.str_),
        "paths": np.array([result.path for result in results], np.str_),
        "times": np.array(times, np.float64).reshape(-1, 2),
        "is_failure": np.array([isinstance(result, Failure) for result in results], np.bool_),
        "reasons": np.array([failure.reason for failure in failures], np.str_),
        "remarks": np.array(["\n".join(each.remarks) for each in scored], np.str_),
        "counts": np.array([len(result.patch_scores) for result in scored], np.int64),
    }
    if scored:
        arrays["patch_scores"] = np.concatenate([result.patch_scores for result in scored])
        arrays["patch_times"] = np.concatenate([result.patch_times for result in scored])
    return arrays


def _read(path: Path) -> tuple[list[str], list[Result]] | None:
    """Groups and their results; None where there is no such file, or it is damaged."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    ends = np.cumsum(arrays["counts"])
    clips = iter(zip(ends - arrays["counts"], ends, strict=True))
    reasons, remarks = (iter(arrays[key].tolist()) for key in ("reasons", "remarks"))
    results: list[Result] = []
    for name, (start_s, end_s), failed in zip(
        arrays["paths"].tolist(), arrays["times"].tolist(), arrays["is_failure"], strict=True
    ):
        if failed:
            first, last = (None if math.isnan(time) else time for time in (start_s, end_s))
            results.append(Failure(name, first, last, next(reasons)))
        else:
            begin, end = next(clips)
            scores, times = (arrays[key][begin:end] for key in ("patch_scores", "patch_times"))
            said = tuple(next(remarks).splitlines())
            results.append(Scored(name, start_s, end_s, scores, times, said))
    return arrays["identities"].tolist(), results
