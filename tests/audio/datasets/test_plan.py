"""How the fetching task makes a data set."""

from __future__ import annotations

import pytest

from soundgate.audio import config
from soundgate.audio.datasets import csv_labels, folder, fsd50k
from soundgate.audio.datasets.base import Source
from soundgate.audio.datasets.plan import make_plan


def plan(text, name, command="", **files):
    return make_plan(name, config.parse(text, "x.yaml"), files, command)


def test_options_come_from_the_config(tmp_path):
    text = "dataset: {class_names: [a, b], file_extension: .ogg}"
    own = plan(text, "mine", source=tmp_path, source_labels=tmp_path)
    assert own.dataset.name == "csv"
    assert own.options == csv_labels.Options(("a", "b"), ".ogg")
    assert plan(text, "mine", source=tmp_path).options == folder.Options(("a", "b"))
    garbage = "dataset: {class_names: [a, b], use_garbage_class: true}"
    assert plan(garbage, "folder", source=tmp_path).options == folder.Options(())


def test_paths_are_those_of_the_artifacts_not_of_the_submitting_machine(tmp_path):
    text = "dataset_specific: {fsd50k: {audioset_ontology_path: elsewhere, csv_folder: there}}"
    ontology = tmp_path / "ontology.json"
    ontology.write_text("[]")
    made = plan(text, "FSD50K", ontology=ontology)
    assert made.options == fsd50k.Options(audioset_ontology_path=str(ontology))
    assert plan(text, "FSD50K").options == fsd50k.Options()


def test_sources_have_the_split_they_are_given_for(tmp_path):
    a, b, table = tmp_path / "a", tmp_path / "b", tmp_path / "t.csv"
    one = plan("general: {}", "csv", source=a, source_labels=table)
    assert one.sources == (Source(a, table),)
    two = plan("general: {}", "folder", source=a, test=b)
    assert two.sources == (Source(a, None, "training"), Source(b, None, "test"))


def test_a_download_is_kept_under_its_name_and_what_was_changed_about_it(tmp_path):
    def key(text="general: {}", command="", **files):
        return plan(text, "FSD50K", command, **files).key

    ontology = tmp_path / "ontology.json"
    ontology.write_text("[]")
    usual = fsd50k.DOWNLOAD_COMMAND
    chosen = "dataset_specific: {fsd50k: {only_keep_monolabel: false}}\ndataset: {class_names: [A]}"
    assert key() == key(chosen) == key(command=usual) == "FSD50K"
    assert key(command="cp a ./temp").startswith("FSD50K/")
    others = {key(command="cp a ./temp"), key(command="cp b ./temp"), key(ontology=ontology)}
    ontology.write_text("[1]")
    assert len(others | {key(ontology=ontology)}) == 4


@pytest.mark.parametrize(("name", "downloaded"), [("ESC-10", True), ("synthetic", False)])
def test_what_is_named_by_where_it_comes_from(name, downloaded):
    assert plan("general: {}", name).is_downloaded is downloaded
