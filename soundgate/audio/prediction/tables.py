"""The tables of predictions, written as streams; they appear when all of them are written.

The columns are the same in every format. Scores of clips are rounded to six decimals, as in a
report's ``predictions.jsonl``; those of patches too, except in Parquet, which keeps float32.
Multi-label, ``predicted`` is a list, in CSV joined by ";".
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TextIO

import numpy as np

from soundgate.audio.formats.predictions import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    import numpy.typing as npt

    from soundgate.audio.prediction.predictors.base import Decisions
    from soundgate.audio.prediction.results import Scored

    Array = npt.NDArray[Any]
    Block = Mapping[str, Any]

CLIPS: Final = "clips"
PATCHES: Final = "patches"
FAILURES: Final = "failures.jsonl"
FIXED: Final = ("path", "start_s", "end_s", "predicted", "score", "unknown", "remark")

_DECIMALS: Final = 6
# Rows written at once: a row group of Parquet.
_BLOCK_PATCHES: Final = 16_384


class Table(Protocol):
    """A file that rows are appended to, a block of columns at a time."""

    def write(self, block: Block) -> None:
        """Append rows; ``block`` has a list or array for each column."""

    def close(self) -> None:
        """Complete the file."""


def class_columns(classes: Sequence[str]) -> dict[str, str]:
    """The column of each class: its name, or ``class_<name>`` where that is taken.

    Names that differ only in case count as taken, because many readers of tables do not tell them
    apart.
    """
    columns: dict[str, str] = {}
    taken = set(FIXED)
    for name in classes:
        column = name
        while column.casefold() in taken:
            column = f"class_{column}"
        columns[name] = column
        taken.add(column.casefold())
    return columns


class Tables:
    """The files of a prediction; a context manager, and an exception inside leaves none of them."""

    def __init__(
        self,
        folder: Path,
        format: str,  # noqa: A002 - what it is called everywhere else
        decisions: Decisions,
        *,
        unknown_class_threshold: float,
    ) -> None:
        """Prepare to write into ``folder``, which is made if missing."""
        self._folder, self._format, self._decisions = folder, format, decisions
        self._classes, self._multi_label = decisions.classes, decisions.multi_label
        self.columns = class_columns(self._classes)
        self._threshold = unknown_class_threshold
        self._waiting: list[Scored] = []
        self._waiting_patches = 0
        self._failure: Failure | None = None
        self.first_failure = ""
        self.clips = self.patches = self.unknown = self.failures = 0
        self.audio_s = 0.0
        self.remarks: Counter[str] = Counter()

    def __enter__(self) -> Self:
        """Open the files under temporary names."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._names = [f"{name}.{self._format}" for name in (CLIPS, PATCHES)]
        self._open: list[Table] = []
        try:
            for name in self._names:
                is_clips = name.startswith(CLIPS)
                self._open.append(self._table(self._temporary(name), is_clips=is_clips))
            self._failed = JsonTable(self._temporary(FAILURES))
            self._open.append(self._failed)
        except BaseException:
            self._discard()
            raise
        return self

    def add(self, result: Scored | Failure) -> None:
        """Append a clip and its patches, or a failure."""
        if isinstance(result, Failure):
            self._add_failure(result)
            return
        self._waiting.append(result)
        self._waiting_patches += len(result.patch_scores)
        if self._waiting_patches >= _BLOCK_PATCHES:
            self.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the files and give them their names, or remove them after an error."""
        if kind is not None:
            self._discard()
            return
        try:
            self.flush()
            self._flush_failure()
            while self._open:
                self._open.pop().close()
            for name in (*self._names, FAILURES):
                self._temporary(name).replace(self._folder / name)
        finally:
            self._discard()

    def _discard(self) -> None:
        while self._open:
            self._open.pop().close()
        for name in (*self._names, FAILURES):
            self._temporary(name).unlink(missing_ok=True)

    def _temporary(self, name: str) -> Path:
        return self._folder / f".{name}.partial"

    def _table(self, path: Path, *, is_clips: bool) -> Table:
        if self._format == "jsonl":
            return JsonTable(path)
        if self._format == "csv":
            return CsvTable(path)
        return ParquetTable(
            path, self.columns.values(), is_clips=is_clips, multi_label=self._multi_label
        )

    def _add_failure(self, failure: Failure) -> None:
        """Join neighbours: the rest of a long file that is cut short is one row."""
        last = self._failure
        is_next = last and last.end_s is not None and last.end_s == failure.start_s
        if last and is_next and last.path == failure.path:
            self._failure = Failure(last.path, last.start_s, failure.end_s, last.reason)
            return
        self._flush_failure()
        self._failure = failure
        self.failures += 1
        self.first_failure = self.first_failure or f"{failure.path}: {failure.reason}"

    def _flush_failure(self) -> None:
        if self._failure is not None:
            fields = ("path", "start_s", "end_s", "reason")
            self._failed.write({name: [getattr(self._failure, name)] for name in fields})
            self._failure = None

    def flush(self) -> None:
        """Write what is waiting, as a block of rows."""
        results, self._waiting, self._waiting_patches = self._waiting, [], 0
        if not results:
            return
        clips, patches = self._open[:2]
        clips.write(self._clip_block(results))
        patches.write(self._patch_block(results))

    def _clip_block(self, results: Sequence[Scored]) -> Block:
        scores = np.stack([self._decisions.clip_scores(result.patch_scores) for result in results])
        decided = self._decisions.decide(scores)
        best = scores.max(1)
        unknown = best < self._threshold
        rounded = np.round(scores, _DECIMALS)
        self.clips += len(results)
        self.unknown += int(unknown.sum())
        for result in results:
            self.remarks.update(remark.partition(": ")[0] for remark in result.remarks)
        self.audio_s += sum(result.end_s - result.start_s for result in results)
        return {
            "path": [result.path for result in results],
            "start_s": _seconds([result.start_s for result in results]),
            "end_s": _seconds([result.end_s for result in results]),
            "predicted": self._predicted(decided),
            "score": np.round(best, _DECIMALS),
            "unknown": unknown,
            "remark": ["; ".join(result.remarks) for result in results],
            **{column: rounded[:, k] for k, column in enumerate(self.columns.values())},
        }

    def _predicted(self, decided: Array) -> list[Any]:
        if self._multi_label:
            return [
                [name for name, is_given in zip(self._classes, row, strict=True) if is_given]
                for row in decided
            ]
        return [self._classes[k] for k in decided.argmax(1)]

    def _patch_block(self, results: Sequence[Scored]) -> Block:
        times = np.concatenate([result.patch_times for result in results])
        scores = np.concatenate([result.patch_scores for result in results])
        if self._format != "parquet":
            scores = np.round(scores.astype(np.float64), _DECIMALS)
        self.patches += len(scores)
        return {
            "path": [result.path for result in results for _ in result.patch_scores],
            "start_s": _seconds(times[:, 0]),
            "end_s": _seconds(times[:, 1]),
            **{column: scores[:, k] for k, column in enumerate(self.columns.values())},
        }


class JsonTable:
    """One JSON object a line."""

    def __init__(self, path: Path) -> None:
        """Open the file."""
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def write(self, block: Block) -> None:
        """See ``Table``."""
        for values in zip(*map(_plain, block.values()), strict=True):
            row = dict(zip(block, values, strict=True))
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """See ``Table``."""
        self._file.close()


class CsvTable:
    """RFC 4180 with a header, lines ended by a line feed, UTF-8."""

    def __init__(self, path: Path) -> None:
        """Open the file."""
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(_LineFeeds(self._file), lineterminator="\r\n")
        self._has_header = False

    def write(self, block: Block) -> None:
        """See ``Table``."""
        if not self._has_header:
            self._writer.writerow(block)
            self._has_header = True
        columns = {name: _plain(values) for name, values in block.items()}
        if "unknown" in columns:
            columns["unknown"] = ["true" if value else "false" for value in columns["unknown"]]
            columns["predicted"] = [
                ";".join(value) if isinstance(value, list) else value
                for value in columns["predicted"]
            ]
        self._writer.writerows(zip(*columns.values(), strict=True))

    def close(self) -> None:
        """See ``Table``."""
        self._file.close()


class _LineFeeds:
    """Ends lines as the table does, where csv quotes what holds any character of its own ending.

    With "\\n" for an ending it leaves a carriage return in a name as it is, which readers take for
    the end of the row.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        """Write a row, which ends as csv was told."""
        return self._file.write(line.removesuffix("\r\n") + "\n")


class ParquetTable:
    """Apache Parquet; a block of rows is a row group."""

    def __init__(self, path: Path, columns: Any, *, is_clips: bool, multi_label: bool) -> None:
        """Open the file."""
        import pyarrow as pa
        import pyarrow.parquet

        fields = [("path", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64())]
        if is_clips:
            named = pa.list_(pa.string()) if multi_label else pa.string()
            fields += [("predicted", named), ("score", pa.float64())]
            fields += [("unknown", pa.bool_()), ("remark", pa.string())]
        number = pa.float64() if is_clips else pa.float32()
        self._schema = pa.schema([*fields, *((column, number) for column in columns)])
        self._writer = pa.parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, block: Block) -> None:
        """See ``Table``."""
        import pyarrow as pa

        self._writer.write_table(pa.table(dict(block), schema=self._schema))

    def close(self) -> None:
        """See ``Table``."""
        self._writer.close()


def _seconds(values: Any) -> Array:
    """Microseconds tell any two samples apart, and are read more easily than doubles."""
    return np.round(np.asarray(values, np.float64), _DECIMALS)


def _plain(values: Array | list[Any]) -> list[Any]:
    return list(values.tolist()) if isinstance(values, np.ndarray) else values
