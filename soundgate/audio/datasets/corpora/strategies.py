"""``dataset_prep_configs.json``: how data sets are cut from a corpus.

    {"active_strategies": ["calm"],
     "strategies": {"calm": {"split_strategy": "quality_balanced", "seed": 911, "min_quality": 1,
                             "noise_per_hum": 1.5, "noise_mining": {"margin_s": 0.1}}}}

Only the standard library is imported here: pipelines read the file where they are declared.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from soundgate.errors import ConfigError, nearest, unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SPLIT_STRATEGIES: Final = (
    "random",
    "quality_balanced",
    "clipwise_balanced",
    "quality_and_clipwise_balanced",
    "proportional_by_tape",
)
GROUPS: Final = ("tape", "clip", "call")
_EARLIER: Final = {"random_by_clip": "random"}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LEAST: Final = {"seed": 0, "noise_per_hum": 0, "clip_s": 0, "margin_s": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseMining:
    """Where noise is looked for."""

    margin_s: float = 0.1
    """Distance of noise from every known call, seconds."""
    fallback_raw: bool = True
    """Whether the tape is searched where its annotated recordings have no room left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How one data set is cut and divided."""

    split_strategy: str = "random"
    """What is spread evenly over the sides; see ``division``."""
    seed: int = 0
    """Of everything that is drawn."""
    min_quality: int = 1
    """Calls of a lower quality are left out; calls that nobody graded are kept."""
    noise_per_hum: float = 1.0
    """Files of noise for each call, exactly: of 11 calls, 0.5 gives 5 or 6."""
    noise_mining: NoiseMining = field(default_factory=NoiseMining)
    group_by: str = "tape"
    """What stays whole on one side: tape, clip (annotated recording) or call."""
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    """Shares of train, val and test."""
    classes: tuple[str, ...] = ()
    """Labels that are classes of their own; none: every call is of the class target."""
    clip_s: float = 0.0
    """Least length of a file: shorter calls keep real sound around them; 0: calls as they are."""
    allow_leakage: bool = False
    """Whether what the leakage report finds is only reported."""

    def as_json(self) -> dict[str, Any]:
        """All settings, as the file has them."""
        settings: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return settings


@dataclass(frozen=True, slots=True)
class Strategies:
    """``dataset_prep_configs.json``."""

    active: tuple[str, ...]
    by_name: Mapping[str, Strategy]

    def chosen(self) -> dict[str, Strategy]:
        """The active strategies, in their order."""
        return {name: self.by_name[name] for name in self.active}


def read_strategies(path: Path) -> Strategies:
    """Read the file.

    Raises:
        ConfigError: it is missing or damaged, or a value is wrong; names strategy and field.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise unreadable(path, error, ConfigError) from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not JSON: {error}") from error
    if not (isinstance(document, dict) and isinstance(document.get("strategies"), dict)):
        raise ConfigError(f"{path}: has no object called strategies")
    by_name = {
        name: read_strategy(f"{path}: strategies.{name}", values)
        for name, values in document["strategies"].items()
    }
    if wrong := next((name for name in by_name if not _NAME.fullmatch(name)), None):
        raise ConfigError(
            f"{path}: strategy {wrong!r}: use letters, digits and '._-': it is a name"
        )
    active = document.get("active_strategies", list(by_name))
    if not (isinstance(active, list) and active):
        raise ConfigError(f"{path}: active_strategies: name at least one strategy")
    for name in active:
        if name not in by_name:
            raise ConfigError(
                f"{path}: active_strategies: no {name!r}{nearest(str(name), by_name)}"
            )
    return Strategies(tuple(active), by_name)


def read_strategy(where: str, values: object) -> Strategy:
    """The strategy of an object.

    Args:
        where: file and name, for errors.
        values: what the file has.

    Raises:
        ConfigError: a field is not known, or its value is wrong.
    """
    given = dict(_object(where, values, {each.name for each in fields(Strategy)}))
    mining = _object(
        f"{where}.noise_mining", given.pop("noise_mining", {}), {"margin_s", "fallback_raw"}
    )
    for name in ("classes", "fractions"):
        if name in given:
            given[name] = tuple(_list(f"{where}.{name}", given[name]))
    given["split_strategy"] = _EARLIER.get(
        given.get("split_strategy", "random"), given.get("split_strategy", "random")
    )
    _check_types(where, Strategy(), given)
    _check_types(f"{where}.noise_mining", NoiseMining(), mining)
    strategy = Strategy(**given, noise_mining=NoiseMining(**mining))
    _check(where, strategy)
    return strategy


def _object(where: str, values: object, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: must be an object, not {values!r}")
    for name in values:
        if name not in known:
            raise ConfigError(f"{where}: no field {name!r}{nearest(str(name), sorted(known))}")
    return values


def _list(where: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigError(f"{where}: must be a list, not {value!r}")
    return value


def _check_types(where: str, default: object, given: Mapping[str, Any]) -> None:
    """Refuse a value whose type is not that of the field's default."""
    for name, value in given.items():
        kind = type(getattr(default, name))
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = is_number if kind is float else isinstance(value, kind)
        if kind is int:
            fits = is_number and isinstance(value, int)
        if not fits or (kind is float and not math.isfinite(value)):
            raise ConfigError(f"{where}.{name}: must be of type {kind.__name__}, not {value!r}")
        if name in _LEAST and value < _LEAST[name]:
            raise ConfigError(f"{where}.{name}: must be at least {_LEAST[name]}, got {value}")


def _check(where: str, strategy: Strategy) -> None:
    for name, known in (("split_strategy", SPLIT_STRATEGIES), ("group_by", GROUPS)):
        value = getattr(strategy, name)
        if value not in known:
            raise ConfigError(f"{where}.{name}: no {value!r}{nearest(value, known)}")
    shares = strategy.fractions
    are_numbers = all(isinstance(share, (int, float)) and share >= 0 for share in shares)
    if len(shares) != len(("train", "val", "test")) or not are_numbers or not shares[0]:
        raise ConfigError(f"{where}.fractions: give three shares, of train, val and test")
    if not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ConfigError(f"{where}.fractions: {list(shares)} must add up to 1")
    if not all(isinstance(label, str) and label for label in strategy.classes):
        raise ConfigError(f"{where}.classes: must be labels, not {list(strategy.classes)!r}")
