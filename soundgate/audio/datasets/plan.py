"""How the fetching task makes a data set: from what, with which options, kept under which name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from soundgate.audio.datasets import (
    CUSTOM,
    download,
    is_description,
    is_known,
    is_library,
    load,
    preparation,
    resolve,
)
from soundgate.audio.datasets.base import Dataset, OptionsT, Source, read_options, rules
from soundgate.audio.files.digests import sha256_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.audio.config import UserConfig


@dataclass(frozen=True, slots=True)
class Plan(Generic[OptionsT]):
    """A data set, whence it comes, and what is asked of it."""

    dataset: Dataset[OptionsT]
    name: str
    """What reports and the store call it."""
    sources: tuple[Source, ...]
    """The user's own folders; empty where it is downloaded or rendered."""
    options: OptionsT
    command: str | None
    """Download command of the user's own."""
    variant: str
    """Tells this download from the usual one of that name; "": it is the usual one."""

    @property
    def key(self) -> str:
        """Where a store keeps it; of what is not downloaded, the digest of the clips follows."""
        name = self.name.replace(":", "/")  # not every store has ':' in its keys
        return f"{name}/{self.variant}" if self.variant else name

    @property
    def is_downloaded(self) -> bool:
        """Whether it is named by where it comes from; otherwise its content names it."""
        return not self.sources and self.dataset.render is None

    def make(self, clips: Path) -> None:
        """Write the ``clips/`` folder, whole.

        Raises:
            DataError: the data cannot be had, or is wrong.
            ParameterError: there is no way to get it.
        """
        if self.is_downloaded:
            download.acquire(self.dataset, clips, self.command, self.options)
        else:
            # What is brought has no better copy to fetch: the inspection names what is damaged.
            preparation.prepare(self.dataset, self.sources, clips, self.options, tolerant=True)

    def narrow(self, clips: Path) -> bool:
        """Leave in the ``clips/`` folder what the options ask for; whether any clip went."""
        return preparation.narrow(self.dataset, clips, self.options)


def make_plan(
    name: str, config: UserConfig, files: Mapping[str, Path | None], command: str = ""
) -> Plan[Any]:
    """Choose the data set, its sources and its options.

    Args:
        name: A data set's name, or the path of a YAML description.
        config: The user config.
        files: What the user brings, by the argument of ``steps.fetch``.
        command: Download command of the user's own, or "".

    Raises:
        ParameterError: no data set has that name, or an option is wrong.
        ConfigError: the YAML description is wrong.
    """
    sources = _sources(files)
    asked = str(files.get("description") or name)
    own = CUSTOM if sources or command else asked
    key = resolve(asked if is_known(asked) else own, sources)
    dataset = load(key)
    options = _options(dataset, config, files)
    return Plan(
        dataset,
        dataset.name if is_description(key) or is_library(key) else name,
        sources,
        options,
        command or None,
        _variant(key, dataset, options, command),
    )


def _sources(files: Mapping[str, Path | None]) -> tuple[Source, ...]:
    splits = {"source": "training", "validation": "validation", "test": "test"}
    one_folder = not (files.get("validation") or files.get("test"))  # it is divided by folds
    return tuple(
        Source(audio, files.get(f"{argument}_labels"), None if one_folder else split)
        for argument, split in splits.items()
        if (audio := files.get(argument))
    )


def _options(
    dataset: Dataset[OptionsT], config: UserConfig, files: Mapping[str, Path | None]
) -> OptionsT:
    values: dict[str, object] = {}
    for name, rule in rules(dataset.options).items():
        if rule.arguments:  # the config's path is one of the submitting machine
            path = next((files[a] for a in rule.arguments if files.get(a)), None)
            values[name] = None if path is None else str(path)
        elif rule.key == "dataset.class_names" and config.dataset.use_garbage_class:
            values[name] = ()  # clips of all other classes are needed too
        else:
            key = rule.key or f"dataset_specific.{dataset.section}.{name}"
            values[name] = reduce(getattr, key.split("."), config)
    return read_options(dataset, values)


def _variant(key: str, dataset: Dataset[OptionsT], options: OptionsT, command: str) -> str:
    """Tell what a command, a description or options brought from what the catalogue's would."""
    usual = asdict(dataset.options())  # type: ignore[call-overload]
    reading: dict[str, object] = {}
    for name, rule in rules(dataset.options).items():
        value = getattr(options, name)
        if rule.arguments and value is not None and Path(value).is_file():
            reading[name] = sha256_of(Path(value))
        elif not rule.arguments and not rule.chooses and value != usual[name]:
            reading[name] = value
    own = command if command and command != dataset.download_command else ""
    described = Path(key).read_text("utf-8") if is_description(key) else ""
    if not (own or reading or described):
        return ""
    text = json.dumps([described, own, reading], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
