"""``train_variants.json`` and ``benchmark_variants.json``: which detectors are compared.

{"active_variants": ["v1"],
 "globals": {"sequence_len": 400},
 "variants": {"v1": {"dataset": "corpus_v1/dataset_calm", "n_fft": 2048, "hop_length": 1024}}}

[{"seq_len": 0.40, "hop": 0.05, "threshold": 0.90}]
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from soundgate.errors import ConfigError, nearest, unreadable

PLACES: Final = ("src_dir", "data_root", "runs_root")
"""Folders of earlier tools, which a run answers itself."""
SLURM: Final = ("partition", "gpus", "cpus", "nodes", "time", "account", "constraint")
"""What a job asks for; here ``cpus`` and ``time`` count, the rest stands in the site's profile."""
NUMBERS: Final = ("sequence_len", "n_fft", "hop_length")
_TIME: Final = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
_BENCHMARK: Final = ("seq_len", "hop", "threshold")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainVariant:
    """A detector that is trained."""

    dataset: str
    """Name of its strategy in ``dataset_prep_configs.json``."""
    sequence_len: float = 0.0
    """Window, milliseconds; 0: as the user config says, like the numbers below."""
    n_fft: int = 0
    hop_length: int = 0
    settings: tuple[str, ...] = ()
    """Further keys as ANIMAL-SPOT's config files spell them: ``freq_compression=mel``."""


@dataclass(frozen=True, slots=True)
class TrainVariants:
    """``train_variants.json``."""

    by_name: Mapping[str, TrainVariant]
    """Those that are trained, in their order."""
    cpus: int | None = None
    hours: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How recordings are heard."""

    seq_len: float
    """Seconds."""
    hop: float
    """Seconds."""

    @property
    def name(self) -> str:
        """The name that folders of earlier tools have: ``len400_hop050``."""
        return f"len{round(1000 * self.seq_len):03d}_hop{round(1000 * self.hop):03d}"


@dataclass(frozen=True, slots=True)
class BenchmarkVariants:
    """``benchmark_variants.json``."""

    windows: tuple[Window, ...]
    thresholds: tuple[float, ...]
    """Of all windows together: scores are stored once, so that a threshold costs nothing."""


def read_train_variants(path: str, strategies: list[str], active: list[str]) -> TrainVariants:
    """Read the variants that are active.

    Args:
        path: the file.
        strategies: all that ``dataset_prep_configs.json`` has.
        active: those it calls active; without ``variants`` each of them is one, ``v1_<name>``.

    Raises:
        ConfigError: the file is missing or damaged, or a value is wrong; names variant and field.
    """
    document = _object(path, _document(path), ("active_variants", "globals", "variants"))
    shared = dict(_mapping(f"{path}: globals", document.get("globals", {})))
    slurm = _object(f"{path}: globals.slurm", shared.pop("slurm", {}), SLURM)
    for name in PLACES:
        shared.pop(name, None)
    listed = document.get("variants")
    if listed is None:
        listed = {f"v{n}_{name}": {"dataset": name} for n, name in enumerate(sorted(active), 1)}
    listed = _mapping(f"{path}: variants", listed)
    chosen = {}
    for name in _active(path, document.get("active_variants", list(listed)), listed):
        where = f"{path}: variants.{name}"
        chosen[name] = _train_variant(
            where, {**shared, **_mapping(where, listed[name])}, strategies
        )
    cpus = _number(f"{path}: globals.slurm", slurm, "cpus", whole=True)
    return TrainVariants(chosen, int(cpus) or None, _hours(path, slurm.get("time")))


def read_benchmark_variants(path: str) -> BenchmarkVariants:
    """Read windows and thresholds.

    Raises:
        ConfigError: the file is missing or damaged, or a value is wrong; names entry and field.
    """
    document = _document(path)
    if isinstance(document, dict):
        fields = _object(path, document, ("active_variants", "globals", "variants"))
        shared = _mapping(f"{path}: globals", fields.get("globals", {}))
        listed = _mapping(f"{path}: variants", fields.get("variants", {}))
        names = _active(path, fields.get("active_variants", list(listed)), listed)
        document = [{**shared, **_mapping(f"{path}: variants.{n}", listed[n])} for n in names]
    if not (isinstance(document, list) and document):
        raise ConfigError(
            f'{path}: must list variants such as {{"seq_len": 0.4, "hop": 0.05, ...}}'
        )
    windows: dict[str, Window] = {}
    thresholds: set[float] = set()
    for number, entry in enumerate(document, 1):
        window, threshold = _benchmark_variant(f"{path}: variant {number}", entry)
        other = windows.setdefault(window.name, window)
        if other != window:
            raise ConfigError(
                f"{path}: variant {number}: differs from {window.name} by less than a millisecond"
            )
        thresholds.add(threshold)
    return BenchmarkVariants(tuple(windows.values()), tuple(sorted(thresholds)))


def _train_variant(where: str, values: Mapping[str, Any], strategies: list[str]) -> TrainVariant:
    dataset = values.get("dataset")
    if not isinstance(dataset, str):
        raise ConfigError(f"{where}.dataset: name a data set, not {dataset!r}")
    name = PurePosixPath(dataset.replace("\\", "/")).name.removeprefix("dataset_")
    if name not in strategies:
        raise ConfigError(
            f"{where}.dataset: dataset_prep_configs has no strategy {name!r}"
            f"{nearest(name, strategies)}"
        )
    numbers = {key: _number(where, values, key, whole=key != "sequence_len") for key in NUMBERS}
    further = {key: value for key, value in values.items() if key not in ("dataset", *NUMBERS)}
    variant = TrainVariant(
        dataset=name,
        sequence_len=numbers["sequence_len"],
        n_fft=int(numbers["n_fft"]),
        hop_length=int(numbers["hop_length"]),
    )
    return replace(variant, settings=_settings(where, further))


def _settings(where: str, further: Mapping[str, Any]) -> tuple[str, ...]:
    """Further keys as words, checked as the training will read them."""
    if not further:
        return ()
    from soundgate.audio.config.animal_spot import apply, read_settings
    from soundgate.audio.config.spot import SpotConfig

    words = tuple(
        f"{key}={str(value).lower() if isinstance(value, bool) else value}"
        for key, value in further.items()
    )
    try:
        apply(SpotConfig(), read_settings(words))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return words


def _benchmark_variant(where: str, entry: object) -> tuple[Window, float]:
    values = _object(where, entry, _BENCHMARK)
    found = {key: _number(where, values, key) for key in _BENCHMARK}
    for key in _BENCHMARK:
        if key not in values:
            raise ConfigError(f"{where}: has no {key}")
    for key in ("seq_len", "hop"):
        if found[key] <= 0:
            raise ConfigError(f"{where}.{key}: must be more than 0 seconds, got {found[key]:g}")
    if not 0 <= found["threshold"] <= 1:
        raise ConfigError(f"{where}.threshold: must be between 0 and 1, got {found['threshold']:g}")
    return Window(seq_len=found["seq_len"], hop=found["hop"]), found["threshold"]


def _document(path: str) -> object:
    try:
        return json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise unreadable(path, error, ConfigError) from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not JSON: {error}") from error


def _mapping(where: str, values: object) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: must be an object, not {values!r}")
    return values


def _object(where: str, values: object, known: tuple[str, ...]) -> Mapping[str, Any]:
    for name in _mapping(where, values):
        if name not in known:
            raise ConfigError(f"{where}: no field {name!r}{nearest(str(name), known)}")
    return _mapping(where, values)


def _active(path: str, names: object, listed: Mapping[str, Any]) -> list[str]:
    if not (isinstance(names, list) and names):
        raise ConfigError(f"{path}: active_variants: name at least one variant")
    for name in names:
        if name not in listed:
            raise ConfigError(f"{path}: active_variants: no {name!r}{nearest(str(name), listed)}")
    return [str(name) for name in names]


def _number(where: str, values: Mapping[str, Any], key: str, *, whole: bool = False) -> float:
    value = values.get(key, 0)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or (whole and value != int(value)) or value < 0:
        kind = "a whole number" if whole else "a number"
        raise ConfigError(f"{where}.{key}: must be {kind} of at least 0, not {value!r}")
    return float(value)


def _hours(path: str, text: object) -> float | None:
    """Hours of Slurm's ``[days-]hours:minutes:seconds``, ``minutes:seconds`` or ``minutes``."""
    if text is None:
        return None
    found = _TIME.fullmatch(str(text))
    if not found:
        raise ConfigError(f"{path}: globals.slurm.time: write hours:minutes:seconds, not {text!r}")
    days, *parts = (None if part is None else int(part) for part in found.groups())
    given = [part for part in parts if part is not None]
    units = (
        (1.0, 1 / 60, 1 / 3600)
        if days is not None or len(given) == len(parts)
        else (1 / 60, 1 / 3600)
    )
    return 24 * (days or 0) + sum(part * unit for part, unit in zip(given, units, strict=False))
