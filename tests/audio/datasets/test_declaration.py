"""What a pipeline knows of a data set before it runs: files of the user's, and folds."""

from __future__ import annotations

import pytest

from soundgate.audio.datasets.declaration import declare
from soundgate.errors import ParameterError


def config(values):
    """The values of a user config by dotted key, sections included."""
    sections = {}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        sections.setdefault(section, {})[name] = value
    return {**sections, **values}.get


def test_files_are_those_the_config_names():
    named = config(
        {
            "dataset.training_audio_path": "clips",
            "dataset.training_csv_path": "labels.csv",
            "dataset.test_audio_path": "more",
            "dataset_specific.fsd50k.dev_audio_folder": "not read by this data set",
        }
    )
    data = declare("custom", named)
    assert data.files == {"source": "clips", "source_labels": "labels.csv", "test": "more"}
    assert declare("custom", named, path="given").files["source"] == "given"


def test_a_data_set_reads_the_paths_of_its_own_section():
    named = {
        "dataset_specific.fsd50k.csv_folder": "truth",
        "dataset_specific.fsd50k.dev_audio_folder": "dev",
        "dataset_specific.fsd50k.eval_audio_folder": "eval",
        "dataset_specific.fsd50k.audioset_ontology_path": "o.json",
    }
    assert declare("fsd50k", config(named)).files == {
        "source": "dev", "source_labels": "truth", "test": "eval", "test_labels": "truth",
        "ontology": "o.json",
    }  # fmt: skip
    assert declare("ESC-10", config(named)).files == {}
    shared = config(named | {"dataset.training_audio_path": "mine"})
    assert declare("FSD50K", shared).files["source"] == "mine"


def test_a_description_is_a_file():
    assert declare("birds.yaml", config({})).files == {"description": "birds.yaml"}


@pytest.mark.parametrize(
    ("name", "values", "folds"),
    [
        ("ESC-10", {}, 5),
        ("esc50", {"dataset.n_folds": 10}, 5),
        ("synthetic", {}, 5),
        ("synthetic", {"dataset_specific.synthetic.clips_per_class": 5}, 3),
        ("FSD50K", {"dataset_specific.fsd50k.csv_folder": "x"}, 0),
        ("folder", {"dataset.training_audio_path": "x"}, 5),
        ("folder", {"dataset.training_audio_path": "x", "dataset.n_folds": 3}, 3),
        ("mine", {"dataset.training_audio_path": "x", "dataset.n_folds": 3}, 3),
        ("mine", {"dataset.training_audio_path": "x", "dataset.training_csv_path": "y"}, None),
        ("csv", {"dataset.training_audio_path": "x"}, None),
        ("birds.yaml", {}, None),
    ],
)
def test_folds_that_the_data_can_have(name, values, folds):
    assert declare(name, config(values)).folds == folds


@pytest.mark.parametrize(
    ("name", "values", "folds", "test_fold", "said"),
    [
        ("ESC-10", {}, [1, 6], 1, "folds: ESC-10 has folds 1 to 5, got 6"),
        ("ESC-10", {}, [], 9, "test_fold: ESC-10 has folds 1 to 5, got 9"),
        (
            "synthetic", {"dataset_specific.synthetic.clips_per_class": 2}, [], 2,
            "test_fold: synthetic has folds 1 to 1, got 2",
        ),
        ("folder", {"dataset.n_folds": 2}, [3], 1, "folds: folder has folds 1 to 2, got 3"),
        ("FSD50K", {}, [1, 2], 1, "folds: FSD50K divides its clips .* remove folds"),
        (
            "folder", {"dataset.test_audio_path": "x"}, [1], 1,
            r"folds cannot be combined with test clips .*\(dataset.test_audio_path\)",
        ),
    ],
)  # fmt: skip
def test_folds_that_the_data_cannot_have_are_refused(name, values, folds, test_fold, said):
    data = declare(name, config(values), path="x" if name == "folder" else "")
    with pytest.raises(ParameterError, match=said):
        data.check_folds(folds, test_fold)


@pytest.mark.parametrize(
    ("name", "values", "folds", "test_fold"),
    [
        ("ESC-10", {}, [1, 5], 9),  # the single fold is not used
        ("csv", {}, [7], 1),  # only the table can tell
        ("FSD50K", {}, [], 3),  # no fold is used
        ("folder", {"dataset.test_audio_path": "x"}, [], 9),
    ],
)
def test_folds_that_may_be(name, values, folds, test_fold):
    declare(name, config(values), path="x").check_folds(folds, test_fold)


def test_unknown_names_are_refused_where_nothing_is_brought():
    with pytest.raises(ParameterError, match="'ESC-11' is unknown; did you mean 'ESC-10'"):
        declare("ESC-11", config({}))
    assert declare("mine", config({}), command="cp -r x ./temp").folds == 5


def test_a_wrong_option_is_refused():
    wrong = config({"dataset_specific.synthetic.clips_per_class": 1})
    with pytest.raises(ParameterError, match="clips_per_class: 1 is not a whole number from 2"):
        declare("synthetic", wrong)


def test_an_address_in_place_of_a_folder_is_answered_with_what_to_do():
    named = config({"dataset.training_audio_path": "s3://bucket/clips"})
    with pytest.raises(ParameterError, match=r"training_audio_path: s3://bucket/clips is an addr"):
        declare("custom", named)
