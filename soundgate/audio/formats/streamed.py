"""What folders of one large array have in common: the array, a row a clip, and what both are.

The array and the rows are written as streams, so that their length does not matter, and the array
is mapped from its file rather than loaded.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TextIO

import numpy as np

from soundgate.audio.formats.record import write_object
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray

    from soundgate.audio.formats.record import JsonObject


class StreamedFolder:
    """Write an array, JSON lines and an object; all of them appear when all of it is written.

    Used as a context manager; an exception inside leaves no file behind.
    """

    def __init__(
        self,
        folder: Path,
        names: tuple[str, str, str],
        info: JsonObject,
        dtype: np.dtype[Any],
        row_shape: tuple[int, ...] = (),
    ) -> None:
        """Prepare to write into ``folder``, which is made if missing.

        Args:
            folder: the folder.
            names: of the array, the JSON lines and the object.
            info: the object.
            dtype: of the array.
            row_shape: shape of the array without its first axis.
        """
        self._folder, self._names, self._info = folder, names, info
        self._dtype, self._row_shape = dtype, row_shape
        self.count = 0
        """Length of the array's first axis so far."""

    def __enter__(self) -> Self:
        """Open the files under temporary names."""
        array, rows, _ = self._names
        self._folder.mkdir(parents=True, exist_ok=True)
        self._array: BinaryIO = self._temporary(array).open("wb")
        self._rows: TextIO = self._temporary(rows).open("w", encoding="utf-8", newline="\n")
        self._head = self._write_header()
        return self

    def add(self, values: NDArray[Any], row: JsonObject) -> None:
        """Append ``values`` (first axis, *row_shape) to the array, and a line to the rows."""
        assert values.dtype == self._dtype
        assert values.shape[1:] == self._row_shape
        self._array.write(np.ascontiguousarray(values).data)
        self._rows.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.count += len(values)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the files and give them their names, or remove them after an error."""
        try:
            if kind is None:
                self._array.seek(0)
                length = self._write_header()
                assert length == self._head, "the header leaves room for the number of rows"
        finally:
            self._array.close()
            self._rows.close()
        if kind is None:
            write_object(self._temporary(self._names[-1]), self._info)
        for name in self._names:
            if kind is None:
                self._temporary(name).replace(self._folder / name)
            else:
                self._temporary(name).unlink(missing_ok=True)

    def _temporary(self, name: str) -> Path:
        return self._folder / f".{name}.partial"

    def _write_header(self) -> int:
        """Write the .npy header; numpy pads it so that the number of rows may grow."""
        np.lib.format.write_array_header_1_0(
            self._array,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self.count, *self._row_shape),
            },
        )
        return self._array.tell()


def map_array(path: Path, *, remedy: str) -> NDArray[Any]:
    """The array in a file, mapped rather than loaded.

    Raises:
        DataError: the file is missing or damaged; ``remedy`` says what to do again.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read; {remedy}: {error}") from error
    return array
