"""A file of directives: a header of ``KEY | value``, then lines ``config | format | octave``.

    SIF_FILE        | /path/to/clap_pipeline.sif
    CLAP_WEIGHTS    | /path/to/CLAP_weights_2023.pth
    SLURM_ACCOUNT   | IscrC_Pb-skite

    production_v1.yaml | wav | 1
    production_v1.yaml | wav | 3

Lines that begin with ``#`` are comments. A file that ends in ``.yaml`` holds the same as YAML::

    header: {CLAP_WEIGHTS: /path/to/CLAP_weights_2023.pth}
    runs:
      - {config: production_v1.yaml, format: wav, octave: [1, 3]}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from soundgate.errors import ParameterError, nearest, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

KEYS: Final = (
    "SIF_FILE",
    "CLAP_WEIGHTS",
    "ROBERTA_PATH",
    "DATASEC_GLOBAL",
    "DIFF_MODELS",
    "SCHEDULING_MODE",
    "SLURM_ACCOUNT",
    "SLURM_PARTITION",
    "SLURM_TIME",
)
MODES: Final = ("sequential", "parallel")
FORMATS: Final = ("wav", "mp3", "flac", "ogg")
USUAL_OCTAVE: Final = 3
"""What octave 0 stands for, which was written where only embeddings were wanted."""

_ESCAPED: Final = re.compile(r"\\([_#=.|-])")
_KEY: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_FIELDS: Final = {"config", "format", "octave"}


@dataclass(frozen=True, slots=True)
class Line:
    """A config, a format and an octave that are asked for."""

    where: str
    """File and line, for errors."""
    config: str
    audio_format: str
    octave: int


@dataclass(frozen=True, slots=True)
class Directives:
    """A file of directives."""

    path: Path
    header: Mapping[str, str]
    lines: tuple[Line, ...]
    notices: tuple[str, ...] = ()
    """What has no effect here."""


def read_directives(path: Path) -> Directives:
    """Read a file of directives.

    Raises:
        ParameterError: it cannot be read, or a line is wrong; names file and line.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError):
            raise unreadable(path, error, ParameterError) from error
        raise ParameterError(f"{path}: is no UTF-8 text: {error.reason}") from error
    is_yaml = path.suffix.lower() in (".yaml", ".yml")
    header, lines, notices = _from_yaml(path, text) if is_yaml else _from_text(path, text)
    if not lines:
        raise ParameterError(f"{path}: lists nothing to run; add config.yaml | wav | 3")
    if header.get("SCHEDULING_MODE", MODES[0]) not in MODES:
        raise ParameterError(
            f"{path}: SCHEDULING_MODE: write sequential or parallel, not "
            f"{header['SCHEDULING_MODE']!r}"
        )
    if "DIFF_MODELS" in header:
        notices.append("DIFF_MODELS has no effect: embeddings are of the sound itself")
    return Directives(path, header, tuple(lines), tuple(dict.fromkeys(notices)))


def _from_text(path: Path, text: str) -> tuple[dict[str, str], list[Line], list[str]]:
    header: dict[str, str] = {}
    lines: list[Line] = []
    notices: list[str] = []
    for number, written in enumerate(text.splitlines(), 1):
        # documents that were exported as Markdown escape these characters
        line, where = _ESCAPED.sub(r"\1", written).strip(), f"{path}:{number}"
        if not line or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 2 and not cells[0].lower().endswith((".yaml", ".yml")):
            key, value = cells
            _add(where, header, key, value)
        elif len(cells) in (3, 4):
            lines.append(_line(where, cells[0], cells[1], cells[2]))
            if len(cells) == 4:
                notices.append("inject_octave has no effect: embeddings are of the sound itself")
        else:
            raise ParameterError(
                f"{where}: write KEY | value or config.yaml | format | octave, not {line!r}"
            )
    return header, lines, notices


def _from_yaml(path: Path, text: str) -> tuple[dict[str, str], list[Line], list[str]]:
    from soundgate.text import yaml

    try:
        document = yaml.load(text)
    except ValueError as error:
        raise ParameterError(f"{path}: is not YAML: {error}") from error
    if not isinstance(document, dict) or set(document) - {"header", "runs"}:
        raise ParameterError(f"{path}: must hold header and runs, and nothing else")
    header: dict[str, str] = {}
    for key, value in (document.get("header") or {}).items():
        _add(f"{path}: header", header, str(key), str(value))
    return header, list(_yaml_lines(path, document.get("runs") or [])), []


def _yaml_lines(path: Path, runs: Any) -> Iterator[Line]:
    for number, run in enumerate(runs if isinstance(runs, list) else [runs], 1):
        where = f"{path}: run {number}"
        if not isinstance(run, dict) or set(run) != _FIELDS:
            raise ParameterError(f"{where}: must hold config, format and octave")
        octaves = run["octave"] if isinstance(run["octave"], list) else [run["octave"]]
        for octave in octaves:
            yield _line(where, str(run["config"]), str(run["format"]), str(octave))


def _add(where: str, header: dict[str, str], key: str, value: str) -> None:
    if key not in KEYS:
        kind = "key" if _KEY.fullmatch(key) else "line"
        raise ParameterError(f"{where}: unknown {kind} {key!r}{nearest(key, KEYS)}")
    if key in header:
        raise ParameterError(f"{where}: {key} is given twice; keep one")
    if not value:
        raise ParameterError(f"{where}: {key} has no value")
    header[key] = value


def _line(where: str, config: str, audio_format: str, octave: str) -> Line:
    if not config.lower().endswith((".yaml", ".yml")):
        raise ParameterError(f"{where}: {config or 'nothing'}: name a config, config.yaml")
    kind = audio_format.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ParameterError(
            f"{where}: {audio_format!r} is no format{nearest(kind, FORMATS)}; write "
            f"{', '.join(FORMATS)}"
        )
    if not octave.isdecimal() or int(octave) > 96:
        raise ParameterError(f"{where}: {octave!r} is no number of bands an octave; write 1 to 96")
    return Line(where, config, kind, int(octave) or USUAL_OCTAVE)
