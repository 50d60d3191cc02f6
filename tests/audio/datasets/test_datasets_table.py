"""The table of data sets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from soundgate.audio import datasets
from soundgate.audio.datasets.base import Source
from soundgate.errors import ParameterError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ESC-10", "ESC-10"),
        ("esc10", "ESC-10"),
        ("ESC_50", "ESC-50"),
        ("ESC50", "ESC-50"),
        ("fsd50k", "FSD50K"),
        ("my/birds.yaml", "my/birds.yaml"),
        ("Synthetic", "synthetic"),
        ("csv", "csv"),
        ("custom", "folder"),
    ],
)
def test_names_as_the_model_zoo_spells_them(name, expected):
    assert datasets.resolve(name) == expected


def test_custom_is_csv_where_there_is_a_table():
    assert datasets.resolve("custom", [Source(Path("a"), Path("a.csv"))]) == "csv"


def test_known_names():
    assert datasets.is_known("esc10")
    assert datasets.is_known("custom")
    assert not datasets.is_known("AED_Dataset")


def test_unknown_name():
    with pytest.raises(ParameterError, match="'ESC-100' is unknown; did you mean 'ESC-10'"):
        datasets.load("ESC-100")
    with pytest.raises(
        ParameterError,
        match="known: ESC-10, ESC-50, FSD50K, csv, folder, synthetic, synthetic-instruments, cus",
    ):
        datasets.load("zzz")


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_every_entry_describes_itself(name):
    dataset = datasets.load(name)
    assert dataset.name == name
    assert (dataset.list_clips is None) != (dataset.render is None)
    assert dataset.labels.endswith(".")
    assert dataset.title
    assert dataset.licence
    assert dataset.size
    if dataset.download_command:
        assert "./temp" in dataset.download_command
        assert dataset.homepage.startswith("https://")
        assert dataset.citation.startswith("@")
        assert dataset.clips_per_class or dataset.clips_per_split


@pytest.mark.parametrize(("name", "classes", "clips"), [("ESC-10", 10, 400), ("ESC-50", 50, 2000)])
def test_published_sizes(name, classes, clips):
    counts = datasets.load(name).clips_per_class
    assert (len(counts), sum(counts.values())) == (classes, clips)


def test_esc10_is_part_of_esc50():
    assert (
        datasets.load("esc10").clips_per_class.keys()
        < datasets.load("esc50").clips_per_class.keys()
    )


def test_describing_data_sets_imports_the_standard_library_only():
    code = (
        "import sys; before = set(sys.modules)\n"
        "import soundgate.audio.datasets as d, soundgate.audio.datasets.declaration as e\n"
        "[d.load(name) for name in d.DATASETS]; e.declare('esc10', {}.get).check_folds([1], 1)\n"
        "found = {m.split('.')[0] for m in set(sys.modules) - before}\n"
        "assert found - set(sys.stdlib_module_names) == {'soundgate'}, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
