"""The data part of a pipeline: the data set comes through the store into one form.

fetch ─clips, card─▶
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.parameters.data import UNNAMED_DATASET
from pipelines.parts.resources import CPU
from soundgate.errors import ParameterError
from soundgate.pipeline import File
from steps.fetch import fetch

if TYPE_CHECKING:
    from pipelines.parameters.data import DataParameters
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
    if p.folds and p.config.get("dataset.test_audio_path"):
        raise ParameterError(
            "folds: dataset.test_audio_path gives every fold the same test clips: drop one of both"
        )
    return pipeline.add(
        fetch,
        dataset=p.dataset_name,
        store=p.store,
        **_download(p),
        config=p.config.only("dataset", "dataset_specific"),
        needs_network=True,
        retries=2,
        resources=CPU,
        **_sources(pipeline, p),
    )


def _download(p: DataParameters) -> dict[str, Any]:
    """Make a long download command a file: engines cut long arguments, or refuse them."""
    command = p.download_command
    if "\n" in command or len(command) > LONGEST_COMMAND:
        return {"download_script": File("download_command.sh", text=command)}
    return {"download_command": command}


def _fsd50k(pipeline: Pipeline, p: DataParameters) -> dict[str, Any]:
    """The parts of FSD50K, where the user config names them one by one."""
    parts = {
        "source": "dev_audio_folder",
        "source_labels": "csv_folder",
        "test": "eval_audio_folder",
        "test_labels": "csv_folder",
        "ontology": "audioset_ontology_path",
    }
    paths = {name: p.config.get(f"dataset_specific.fsd50k.{key}") for name, key in parts.items()}
    return {
        name: pipeline.file(path) for name, path in paths.items() if isinstance(path, str) and path
    }


def _sources(pipeline: Pipeline, p: DataParameters) -> dict[str, Any]:
    """Folders and tables that the user brings, each an artifact: a changed clip is noticed."""
    found = _fsd50k(pipeline, p)
    if p.is_described:
        found["description"] = pipeline.file(p.dataset_name)
    for split, argument in (("training", "source"), ("validation", "validation"), ("test", "test")):
        path = p.config.get(f"dataset.{split}_audio_path")
        if split == "training":
            path = p.dataset_path or path
        table = p.config.get(f"dataset.{split}_csv_path")
        if path:
            found[argument] = pipeline.file(path)
        if table:
            found[f"{argument}_labels"] = pipeline.file(table)
    if not found and not p.download_command and p.dataset_name == UNNAMED_DATASET:
        raise ParameterError(
            f"no data set is named: pass --config FILE ({p.config.path} is absent or names none) "
            "or --set dataset=NAME"
        )
    return found
