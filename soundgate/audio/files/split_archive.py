"""Unpack zip archives that were split into parts: ``x.z01``, ``x.z02``, ..., ``x.zip``.

Python's ``zipfile`` reads no split archive: its index counts offsets from the beginning of each
part. Here the parts are read as one file, without copying them, behind which stands an index that
counts from its beginning, as ``zip -s 0`` would write it (PKWARE's APPNOTE.TXT 6.3, sections 4.3.12
to 4.3.16 and 8).
"""

from __future__ import annotations

import bisect
import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from soundgate.errors import DataError
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typing_extensions import Buffer

_END: Final = struct.Struct("<4s4H2IH")
_END64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR64: Final = struct.Struct("<4sIQI")
_ENTRY: Final = struct.Struct("<4s6H3I5H2I")
_END_MARK: Final = b"PK\5\6"
_END64_MARK: Final = b"PK\6\6"
_LOCATOR64_MARK: Final = b"PK\6\7"
_ENTRY_MARK: Final = b"PK\1\2"
_SHORT, _LONG = 0xFFFF, 0xFFFFFFFF  # "look in the 64-bit field"
_ZIP64: Final = 1


@dataclass(frozen=True)
class _End:
    """The end record: where the index of the archive lies."""

    last_disk: int
    disk: int
    offset: int
    size: int
    entries: int


def extract(archive: Path, folder: Path, *, remove: bool = False) -> None:
    """Unpack ``archive``, the part that ends in ``.zip``, into ``folder``.

    Args:
        archive: Its other parts lie beside it.
        folder: Made if missing.
        remove: Delete the parts afterwards: a data set and its archives fill a disk.

    Raises:
        DataError: a part is missing, or the archive is damaged.
    """
    try:
        parts = parts_of(archive)
        with _joined(parts) as file, zipfile.ZipFile(file) as contents:
            members = contents.infolist()
            for member in track(members, total=len(members), label=f"unpack {archive.name}"):
                contents.extract(member, folder)
        if remove:
            for part in parts:
                part.unlink()
    except (zipfile.BadZipFile, struct.error, zlib.error, EOFError, OverflowError) as error:
        raise DataError(f"{archive}: is damaged ({error}): download all its parts again") from error
    except (NotImplementedError, RuntimeError) as error:
        raise DataError(f"{archive}: cannot be unpacked here ({error})") from error
    except OSError as error:
        raise DataError(f"{archive}: cannot be unpacked: {error.strerror or error}") from error


def parts_of(archive: Path) -> list[Path]:
    """The parts in their order, ``archive`` last.

    Raises:
        DataError: one is missing, or ``archive`` is no zip.
        OSError: ``archive`` cannot be read.
    """
    with archive.open("rb") as file:
        last_disk = _last_disk(archive, file)
    parts = [archive.with_suffix(f".z{number:02d}") for number in range(1, last_disk + 1)]
    for part in parts:
        if not part.is_file():
            raise DataError(
                f"{part}: is missing: {archive.name} has {last_disk + 1} parts; put them in the "
                "same folder"
            )
    return [*parts, archive]


def _tail(archive: Path, file: BinaryIO) -> tuple[bytes, int]:
    """The last bytes of an archive, and where in them its end record begins."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _END.size - _LOCATOR64.size - _SHORT))
    tail = file.read()
    at = len(tail)
    while (at := tail.rfind(_END_MARK, 0, at)) >= 0:
        # A comment may hold the mark too: the true one is as far from the end as it says.
        if len(tail) - at >= _END.size and at + _END.size + _END.unpack_from(tail, at)[7] == len(
            tail
        ):
            return tail, at
    raise DataError(f"{archive}: is not a zip archive or is cut short: download it again")


def _last_disk(archive: Path, file: BinaryIO) -> int:
    tail, at = _tail(archive, file)
    disk: int = _END.unpack_from(tail, at)[1]
    return disk


def _end(archive: Path, starts: list[int], file: BinaryIO) -> _End:
    """The end record of the joined parts; 64-bit where the archive has one."""
    tail, at = _tail(archive, file)
    _, last, disk, _, entries, size, offset, _ = _END.unpack_from(tail, at)
    if _LONG in (size, offset) or _SHORT in (entries, disk):
        mark, disk64, offset64, _ = _LOCATOR64.unpack_from(tail, at - _LOCATOR64.size)
        if mark != _LOCATOR64_MARK:
            raise zipfile.BadZipFile("no 64-bit index")
        file.seek(_start(starts, disk64) + offset64)
        found = _END64.unpack(file.read(_END64.size))
        if found[0] != _END64_MARK:
            raise zipfile.BadZipFile("no 64-bit index where its locator points")
        disk, entries, size, offset = found[5], found[7], found[8], found[9]
    return _End(last, disk, offset, size, entries)


def _joined(parts: list[Path]) -> BinaryIO:
    """The parts as one archive that ``zipfile`` can read."""
    if len(parts) == 1:
        return parts[0].open("rb")
    sizes = [part.stat().st_size for part in parts]
    starts = [sum(sizes[:number]) for number in range(len(parts))]
    pieces: list[Path | bytes] = [*parts]
    with io.BufferedReader(_Pieces(pieces, sizes)) as file:
        end = _end(parts[-1], starts, file)
        first = _start(starts, end.disk) + end.offset
        file.seek(first)
        index = b"".join(_rebased(file.read(end.size), end.entries, starts))
    last = _end_records(first, len(index), end.entries)
    # Up to the old index, then the new one.
    sizes[-1] = max(0, first - starts[-1])
    pieces += [index + last]
    sizes += [len(index) + len(last)]
    if first < starts[-1]:  # the index itself is split: nothing of the last part is left
        keep = bisect.bisect_right(starts, first) - 1
        sizes[keep : len(parts)] = [first - starts[keep], *[0] * (len(parts) - keep - 1)]
    return io.BufferedReader(_Pieces(pieces, sizes), buffer_size=1 << 20)


def _rebased(index: bytes, entries: int, starts: list[int]) -> Iterator[bytes]:
    """The entries of an index, each with its place counted from the beginning of part one."""
    at = 0
    for _ in range(entries):
        fields = list(_ENTRY.unpack_from(index, at))
        if fields[0] != _ENTRY_MARK:
            raise zipfile.BadZipFile("an entry of the index is no entry")
        name, extra, comment = fields[10], fields[11], fields[12]
        begin = at + _ENTRY.size
        at = begin + name + extra + comment
        if at > len(index):
            raise zipfile.BadZipFile("the index is cut short")
        wide, others = _extra(index[begin + name : begin + name + extra])
        # The 64-bit field holds, in this order, those that the entry itself has no room for.
        numbers = iter(struct.unpack(f"<{len(wide) // 8}Q", wide[: len(wide) // 8 * 8]))
        sizes = [next(numbers) for size in (fields[9], fields[8]) if size == _LONG]
        offset = next(numbers) if fields[16] == _LONG else fields[16]
        disk = struct.unpack("<I", wide[-4:])[0] if fields[13] == _SHORT else fields[13]
        body = struct.pack(f"<{len(sizes) + 1}Q", *sizes, _start(starts, disk) + offset)
        field = struct.pack("<2H", _ZIP64, len(body)) + body + others
        fields[11], fields[13], fields[16] = len(field), 0, _LONG
        yield _ENTRY.pack(*fields) + index[begin : begin + name] + field
        yield index[begin + name + extra : at]


def _start(starts: list[int], disk: int) -> int:
    """Where a part begins in the joined ones."""
    if disk >= len(starts):
        raise zipfile.BadZipFile(f"it names part {disk + 1} of {len(starts)}")
    return starts[disk]


def _extra(fields: bytes) -> tuple[bytes, bytes]:
    """The 64-bit field of an entry, and the others as they are."""
    at, wide, others = 0, b"", b""
    while at + 4 <= len(fields):
        kind, size = struct.unpack_from("<2H", fields, at)
        if kind == _ZIP64:
            wide = fields[at + 4 : at + 4 + size]
        else:
            others += fields[at : at + 4 + size]
        at += 4 + size
    return wide, others


def _end_records(offset: int, size: int, entries: int) -> bytes:
    at = offset + size
    wide = _END64.pack(_END64_MARK, 44, 45, 45, 0, 0, entries, entries, size, offset)
    locator = _LOCATOR64.pack(_LOCATOR64_MARK, 0, at, 1)
    return wide + locator + _END.pack(_END_MARK, 0, 0, _SHORT, _SHORT, _LONG, _LONG, 0)


class _Pieces(io.RawIOBase):
    """Files and bytes, one after another, read as one file."""

    def __init__(self, pieces: list[Path | bytes], sizes: list[int]) -> None:
        super().__init__()
        self._sizes = sizes
        self._starts = [sum(sizes[:number]) for number in range(len(sizes))]
        self._files = [
            io.BytesIO(piece) if isinstance(piece, bytes) else piece.open("rb", buffering=0)
            for piece in pieces
        ]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: sum(self._sizes)}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        number = bisect.bisect_right(self._starts, self._at) - 1
        while number < len(self._sizes):
            within = self._at - self._starts[number]
            left = self._sizes[number] - within
            if left > 0:
                file = self._files[number]
                file.seek(within)
                data = file.read(min(left, len(view)))
                if not data:
                    raise EOFError("a part is shorter than it was")
                view[: len(data)] = data
                self._at += len(data)
                return len(data)
            number += 1
        return 0

    def close(self) -> None:
        if not self.closed:
            for file in self._files:
                file.close()
        super().close()
