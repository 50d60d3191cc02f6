"""The data part of a pipeline: the data set comes through the store into one form.

fetch ─clips, card─▶
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.parameters.data import UNNAMED_DATASET
from pipelines.parts.resources import CPU
from soundgate.audio.datasets import is_description, is_known, load
from soundgate.audio.datasets.declaration import OWN_FILES, declare
from soundgate.errors import ParameterError
from soundgate.pipeline import File
from steps.fetch import fetch

if TYPE_CHECKING:
    from pipelines.parameters.data import DataParameters
    from soundgate.audio.datasets.declaration import Declaration
    from soundgate.pipeline import Pipeline, Task

LONGEST_COMMAND = 200
"""Characters of a download command that travel as an argument."""


def add_data(pipeline: Pipeline, p: DataParameters) -> Task:
    """Add the task that brings the data set, and what the user brings of it.

    Returns:
        Its outputs are ``clips``, the data set in Soundgate's form, and ``card``, which says what
        it is and where it came from.

    Raises:
        ParameterError: the data set is not one, or cannot have the folds that are asked for.
    """
    # Each file of the user's is an artifact: a changed clip is noticed.
    files: dict[str, Any] = {name: pipeline.file(path) for name, path in _data(p).files.items()}
    return pipeline.add(
        fetch,
        dataset=p.dataset_name,
        store=p.store,
        **_download(p),
        config=p.config.only("dataset", "dataset_specific"),
        needs_network=True,
        retries=2,
        resources=CPU,
        **files,
    )


def _download(p: DataParameters) -> dict[str, Any]:
    """Make a long download command a file: engines cut long arguments, or refuse them."""
    command = p.download_command
    if "\n" in command or len(command) > LONGEST_COMMAND:
        return {"download_script": File("download_command.sh", text=command)}
    return {"download_command": command}


def _data(p: DataParameters) -> Declaration:
    """What the data set reads, once its name and the folds that are asked for have been checked."""
    own = (p.dataset_path, p.download_command, *map(p.config.get, OWN_FILES.values()))
    if p.dataset_name == UNNAMED_DATASET and not any(own):
        raise ParameterError(
            f"no data set is named: pass --config FILE ({p.config.path} does not exist or names "
            "none) or --set dataset=NAME"
        )
    _check_brought(p, is_brought=any(own))
    data = declare(p.dataset_name, p.config.get, path=p.dataset_path, command=p.download_command)
    data.check_folds(p.folds, p.test_fold or p.config.get("dataset.test_fold", 1))
    return data


def _check_brought(p: DataParameters, *, is_brought: bool) -> None:
    """Refuse a kind of the user's own data where none is given: there is nothing to download."""
    name = p.dataset_name
    if is_brought or is_description(name) or not is_known(name):
        return
    known = load(name)
    if known.download_command is None and known.render is None:
        raise ParameterError(
            f"dataset {name!r} is data of your own, and none is given: pass --set "
            "dataset_path=FOLDER, or dataset.training_audio_path in the user config"
        )
