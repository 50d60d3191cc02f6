"""Which sampling rates a model takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

_MOST: Final = 2
"""How many times the model's rate a file may have without anybody asking for it."""


def check_rate(path: Path, rate_hz: int, sample_rate_hz: int, *, downsample: bool) -> None:
    """Refuse a file of which a model would not hear a good part.

    Raises:
        DataError: names the file, what is lost and how to allow it.
    """
    if rate_hz > _MOST * sample_rate_hz and not downsample:
        raise DataError(
            f"{path}: is sampled at {rate_hz} Hz, the model at {sample_rate_hz} Hz: everything "
            f"from {sample_rate_hz / 2:g} to {rate_hz / 2:g} Hz would be lost; raise "
            "audio.sample_rate_hz, or set downsample to true"
        )
