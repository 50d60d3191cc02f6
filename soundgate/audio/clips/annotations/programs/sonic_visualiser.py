"""Annotation layers of Sonic Visualiser: XML (``.svl``), sessions compressed with bzip2 (``.sv``).

Boxes, regions, time instants, notes and labels: every ``point`` of a sparse model is an event.
Frames count at the model's rate.
"""

from __future__ import annotations

import bz2
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from soundgate.audio.clips.annotations.event import Event, checked
from soundgate.audio.clips.annotations.text import LARGEST_BYTES, write_text
from soundgate.errors import DataError, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_BZIP2: Final = b"BZh"


def reads(lines: Sequence[str]) -> bool:
    """Whether a file with these first lines is a layer."""
    return any("sonic-visualiser" in line or line.startswith("<sv>") for line in lines)


def read(path: Path, columns: Mapping[str, str] | None = None) -> list[Event]:
    """Read every box, region, note and instant of a layer or session.

    Args:
        path: the file.
        columns: not used: there are none.

    Raises:
        DataError: it cannot be read, is damaged, or states no rate.
    """
    del columns
    try:
        tree = ET.fromstring(_bytes(path))  # noqa: S314 - expat bounds entities since 2.4
    except ET.ParseError as error:
        raise DataError(f"{path}: is not XML ({error}): export the layer again") from None
    datasets = {data.get("id"): data for data in tree.iter("dataset")}
    events = []
    for model in tree.iter("model"):
        if (data := datasets.get(model.get("dataset"))) is not None:
            events += list(_of_model(path, model, data))
    return sorted(events, key=lambda event: (event.start_s, event.end_s))


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        if data.startswith(_BZIP2):
            data = bz2.BZ2Decompressor().decompress(data, LARGEST_BYTES)
    except OSError as error:
        if error.errno is None:
            raise DataError(f"{path}: is not a session: its bzip2 data are damaged") from None
        raise unreadable(path, error) from error
    return data


def _of_model(path: Path, model: ET.Element, data: ET.Element) -> Iterator[Event]:
    rate = _number(path, model, "sampleRate")
    if not rate:
        raise DataError(f"{path}: a model states no sampleRate: export the layer again")
    in_hz = model.get("units") == "Hz"
    for number, point in enumerate(data.iter("point"), 1):
        frame = _number(path, point, "frame")
        if frame is None:
            raise DataError(f"{path}: point {number} has no frame: export the layer again")
        low = _number(path, point, "value") if in_hz else None
        extent = _number(path, point, "extent")
        event = Event(
            start_s=frame / rate,
            end_s=(frame + (_number(path, point, "duration") or 0)) / rate,
            low_hz=low,
            high_hz=low + extent if low is not None and extent is not None else None,
            label=point.get("label") or "",
        )
        yield checked(event, f"{path}: point {number}")


def _number(path: Path, element: ET.Element, name: str) -> float | None:
    text = element.get(name)
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{path}: {name} is {text!r}, which is not a number") from None


def write(path: Path, events: Sequence[Event], rate_hz: int) -> None:
    """Write a layer of boxes.

    Args:
        path: the file.
        events: of one recording; their times become whole frames.
        rate_hz: of the recording.

    Raises:
        DataError: an event has no frequency band, which a box needs.
    """
    sv = ET.Element("sv")
    data = ET.SubElement(sv, "data")
    frames = [(round(e.start_s * rate_hz), round(e.end_s * rate_hz)) for e in events]
    starts, ends = ([frame[side] for frame in frames] or [0] for side in (0, 1))
    model = {"id": "1", "name": "", "sampleRate": str(rate_hz), "start": str(min(starts))}
    model |= {"end": str(max(ends)), "type": "sparse", "dimensions": "2", "resolution": "1"}
    model |= {"notifyOnAdd": "true", "dataset": "0", "subtype": "box", "units": "Hz"}
    ET.SubElement(data, "model", model)
    points = ET.SubElement(data, "dataset", {"id": "0", "dimensions": "2"})
    for event, (start, end) in zip(events, frames, strict=True):
        if event.low_hz is None or event.high_hz is None:
            raise DataError(
                f"{path}: the event at {event.start_s:g} s has no frequency band, which a box needs"
            )
        point = {"frame": str(start), "value": repr(event.low_hz), "duration": str(end - start)}
        point |= {"extent": repr(event.high_hz - event.low_hz), "label": event.label}
        ET.SubElement(points, "point", point)
    layer = {"id": "2", "type": "boxes", "name": "Boxes", "model": "1", "verticalScale": "0"}
    ET.SubElement(ET.SubElement(sv, "display"), "layer", layer)
    ET.indent(sv)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE sonic-visualiser>\n'
    write_text(path, head + ET.tostring(sv, encoding="unicode") + "\n")
