"""What the header of directives says of a cluster, as a profile and parameters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from soundgate.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SLURM_KEYS: Final = ("SIF_FILE", "SLURM_ACCOUNT", "SLURM_PARTITION", "SLURM_TIME")
_TIME: Final = re.compile(r"(?:(\d+)-)?(\d+):(\d+):(\d+)")


def slurm_profile(header: Mapping[str, str], base: str, into: Path) -> Path:
    """Write a profile of what the header says above another, and return its path.

    Args:
        header: of the directives.
        base: path of the profile below it; "": the defaults.
        into: file that is written.

    Raises:
        ConfigError: ``base`` cannot be read.
    """
    from soundgate.executors import profiles  # pydantic and yaml: costly where nothing is run
    from soundgate.parameters import dump_yaml

    fields: dict[str, Any] = profiles.read(base, "account: NAME")
    if "SLURM_ACCOUNT" in header:
        fields["account"] = header["SLURM_ACCOUNT"]
    if "SLURM_PARTITION" in header:
        for kind in ("gpu", "cpu"):
            own = dict(fields.get(kind) or {})
            if kind == "gpu" or not own.get("name"):  # the header names the GPUs' partition
                fields[kind] = {**own, "name": header["SLURM_PARTITION"]}
    if "SIF_FILE" in header:
        fields["container"] = {**(fields.get("container") or {}), "image": header["SIF_FILE"]}
    into.parent.mkdir(parents=True, exist_ok=True)
    partial = into.with_name(f".{into.name}.partial")
    partial.write_text(dump_yaml(fields), "utf-8")
    partial.replace(into)
    return into


def hours_of(header: Mapping[str, str]) -> float | None:
    """Time limit of a unit of work, hours; None where the header gives none.

    Raises:
        ParameterError: ``SLURM_TIME`` is no time.

    >>> hours_of({"SLURM_TIME": "1-12:30:00"})
    36.5
    """
    if "SLURM_TIME" not in header:
        return None
    found = _TIME.fullmatch(header["SLURM_TIME"])
    if not found:
        raise ParameterError(
            f"SLURM_TIME: write [days-]hours:minutes:seconds, not {header['SLURM_TIME']!r}"
        )
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 24 * days + hours + minutes / 60 + seconds / 3600
