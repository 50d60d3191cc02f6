"""The runs of a campaign: one for each config, format and length of segments, with all its octaves.

Embeddings do not depend on the octave, so that lines which differ by it alone are one run.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from soundgate.errors import ParameterError, nearest
from soundgate.reuse.digests import digest_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.commands.campaign.directives import Directives

PIPELINE: Final = "pipelines.sec"
SETTINGS: Final = {
    "CLAP_WEIGHTS": "encoder.path",
    "ROBERTA_PATH": "encoder.text_path",
    "DATASEC_GLOBAL": "dataset_path",
}
"""Keys of the header, and the parameters and values of the user config that they set."""
USUAL_CUTS: Final = (7.0,)
CAMPAIGN, ENTRY, CONFIG = "campaign", "entry", "config"
"""Tags of a campaign's runs, by which they are found again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One run."""

    config: Path
    audio_format: str
    octaves: tuple[int, ...]
    cut_s: float

    @property
    def text(self) -> str:
        """What its config holds: a run of another one is not its run."""
        return self.config.read_text("utf-8")

    @property
    def name(self) -> str:
        """What tells it from the others of its campaign."""
        return f"{self.config.name} {self.audio_format} {self.cut_s:g}s"

    def words(
        self, campaign: str, header: dict[str, str], asked: Sequence[str], site: Sequence[str]
    ) -> list[str]:
        """Arguments of ``run-pipeline`` that start it.

        Args:
            campaign: its name.
            header: of the directives.
            asked: ``NAME=VALUE`` of the command line, which override the header.
            site: ``--executor`` and ``--profile``.
        """
        sets = [
            "heads=[]",
            *(f"{SETTINGS[key]}={value}" for key, value in header.items() if key in SETTINGS),
            f"audio_format={self.audio_format}",
            f"octaves={list(self.octaves)}",
            f"cut_secs={self.cut_s:g}",
            *asked,
        ]
        last = {text.partition("=")[0]: text for text in sets}
        tags = {CAMPAIGN: campaign, ENTRY: self.name, CONFIG: digest_text(self.text)}
        listed = json.dumps([{"Key": key, "Value": value} for key, value in tags.items()])
        return [
            *("-n", PIPELINE, "--config", str(self.config), "--tags", listed, *site),
            *(word for text in last.values() for word in ("--set", text)),
        ]


def entries_of(directives: Directives, configs: Path | None = None) -> list[Entry]:
    """The runs that a file of directives asks for, in the order of their first lines.

    Args:
        directives: the file.
        configs: where its configs lie; None: beside it, in ``configs`` beside it, or here.

    Raises:
        ParameterError: a config is not there or cannot be read; names file and line.
    """
    octaves: dict[tuple[Path, str], list[int]] = {}
    for line in directives.lines:
        path = _found(line.where, line.config, directives.path, configs)
        octaves.setdefault((path, line.audio_format), []).append(line.octave)
    named: dict[str, Path] = {}
    for path, _ in octaves:
        if named.setdefault(path.name, path) != path:
            raise ParameterError(
                f"{directives.path}: two configs are named {path.name}; rename one of them"
            )
    return [
        Entry(path, audio_format, tuple(dict.fromkeys(asked)), cut_s)
        for (path, audio_format), asked in octaves.items()
        for cut_s in _cuts(path)
    ]


def _found(where: str, name: str, directives: Path, configs: Path | None) -> Path:
    beside = directives.parent
    places = (
        [configs] if configs else [beside, beside / "configs", Path(), Path("user_configs/sec")]
    )
    for place in places:
        if (place / name).is_file():
            return (place / name).resolve()
    known = [path.name for place in places for path in place.glob("*.yaml")]
    listed = ", ".join(str(place) for place in places)
    raise ParameterError(f"{where}: no config {name!r} in {listed}{nearest(name, known)}")


def _cuts(path: Path) -> tuple[float, ...]:
    """Lengths of segments that a config lists; the pipeline checks them."""
    from soundgate.text import yaml

    try:
        document: Any = yaml.load(path.read_text("utf-8")) or {}
        found = document.get("valid_cut_secs") or USUAL_CUTS
        return tuple(dict.fromkeys(float(cut) for cut in found))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ParameterError(f"{path}: valid_cut_secs: cannot be read: {error}") from error
