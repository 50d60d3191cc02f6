"""What a pipeline must know of a data set before it runs: files of the user's, and folds.

Only the standard library is imported here. The user config is read through a function of dotted
keys, so that this works on any pipeline's parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from soundgate.audio.datasets import CUSTOM, is_description, is_known, load, resolve
from soundgate.audio.datasets.base import OWN_SPLIT, Dataset, read_options, rules
from soundgate.errors import ParameterError

Value = Callable[[str], object]
"""Returns the value of the user config at a dotted key, or None."""

OWN_FILES: Final = {
    "source": "dataset.training_audio_path",
    "source_labels": "dataset.training_csv_path",
    "validation": "dataset.validation_audio_path",
    "validation_labels": "dataset.validation_csv_path",
    "test": "dataset.test_audio_path",
    "test_labels": "dataset.test_csv_path",
}
"""Where a user config names folders and tables, by the argument of ``steps.fetch``."""

DEFAULT_FOLDS: Final = 5
"""Number of folds that are made where neither the data nor ``dataset.n_folds`` says."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """A data set as a pipeline asks for it."""

    name: str
    """As the user wrote it."""
    files: dict[str, str]
    """Files and folders of the user's that it reads, by the argument of ``steps.fetch``."""
    folds: int | None
    """How many cross-validation folds it can have, :data:`OWN_SPLIT`, or None where only its
    tables can tell."""

    def check_folds(self, folds: Sequence[int], test_fold: int) -> None:
        """Refuse folds that the data cannot have; ``test_fold`` counts where ``folds`` is empty.

        Raises:
            ParameterError: naming the parameter, the fold and the folds there are.
        """
        if folds and "test" in self.files:
            raise ParameterError(
                "folds cannot be combined with test clips of their own "
                "(dataset.test_audio_path): they would be the test of every fold; remove one"
            )
        if folds and self.folds == OWN_SPLIT:
            raise ParameterError(
                f"folds: {self.name} divides its clips into training, validation and test itself, "
                "so every fold would be the same; remove folds"
            )
        if not self.folds or "test" in self.files:  # not known, or no fold is used
            return
        key = "folds" if folds else "test_fold"
        for fold in folds or [test_fold]:
            if fold > self.folds:
                raise ParameterError(
                    f"{key}: {self.name} has folds 1 to {self.folds}, got {int(fold)}"
                )


def declare(name: str, value: Value, *, path: str = "", command: str = "") -> Declaration:
    """Say what a data set reads and which folds it has, without reading it.

    Args:
        name: A data set's name, or the path of a YAML description.
        value: The user config.
        path: Folder that holds the data, given beside the config.
        command: Download command of the user's own, or "".

    Raises:
        ParameterError: no data set has that name and no data of the user's own is given, or one
            of its options is wrong.
    """
    files = _files(name, value, path)
    if is_description(name):
        return Declaration(name, files, None)
    brought = "source" in files or bool(command)
    tables = any(argument.endswith("_labels") for argument in files)
    key = resolve(name if is_known(name) or not brought else CUSTOM)
    if key == resolve(CUSTOM) and tables:
        return Declaration(name, files, None)
    dataset = load(key)
    if dataset.request and not brought:
        raise ParameterError(f"dataset {name}: {dataset.request}: give its folder (dataset_path)")
    return Declaration(name, files, _folds(dataset, value))


def _files(name: str, value: Value, path: str) -> dict[str, str]:
    found = {"description": name} if is_description(name) else {}
    own = _paths(load(name)) if is_known(name) and not found else {}
    # The keys that all data sets share come last: they override those of one data set.
    for argument, key in (*own.items(), *OWN_FILES.items()):
        if file := value(key):
            found[argument] = _on_this_machine(key, str(file))
    return found | ({"source": path} if path else {})


def _on_this_machine(key: str, path: str) -> str:
    if "://" in path:
        raise ParameterError(
            f"{key}: {path} is an address, not a folder: copy it here first, or set "
            "download_command to what copies it into ./temp"
        )
    return path


def _paths(dataset: Dataset[Any]) -> dict[str, str]:
    """Dotted keys of its own section that are paths, by the argument that each fills."""
    return {
        argument: f"dataset_specific.{dataset.section}.{name}"
        for name, rule in rules(dataset.options).items()
        for argument in rule.arguments
    }


def _folds(dataset: Dataset[Any], value: Value) -> int | None:
    if dataset.folds is None:
        made = value("dataset.n_folds")
        return made if isinstance(made, int) else DEFAULT_FOLDS
    section = value(f"dataset_specific.{dataset.section}") if dataset.section else None
    known = {name for name, rule in rules(dataset.options).items() if not rule.key}
    given = section if isinstance(section, dict) else {}
    values = {name: each for name, each in given.items() if name in known and each is not None}
    return dataset.folds(read_options(dataset, values))
