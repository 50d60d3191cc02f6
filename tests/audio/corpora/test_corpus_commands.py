"""``prepare-datasets`` and ``make-selection-tables`` at the command line."""

from __future__ import annotations

import json

import pytest
from toy_corpus import calls, index_of, recording, write_corpus

from soundgate.audio.clips.annotations.programs import raven
from soundgate.audio.datasets.corpora.indexing.index import build_index
from soundgate.audio.formats.datasets.variant import read_variant_index
from soundgate.cli import main


@pytest.fixture
def corpus(tmp_path):
    folder = write_corpus(tmp_path / "corpus", index_of(5))
    strategies = {
        "calm": {"split_strategy": "quality_balanced", "seed": 1},
        "rough": {"noise_per_hum": 0},
    }
    document = {"active_strategies": ["calm"], "strategies": strategies}
    (folder / "dataset_prep_configs.json").write_text(json.dumps(document))
    return folder


def test_prepares_the_active_strategies_and_replaces_what_was_there(corpus, capsys):
    assert main(["prepare-datasets", str(corpus), "--generate_spectrograms"]) == 0
    out = capsys.readouterr().out
    assert f"{corpus / 'dataset_calm'}: written" in out
    assert "24 calls and 24 noise files: 24 train, 12 val, 12 test" in out
    assert len(list((corpus / "dataset_calm/spectrograms").iterdir())) == 48
    assert main(["prepare-datasets", str(corpus), "--strategy", "calm", "--strategy", "rough"]) == 0
    assert not (corpus / "dataset_calm/spectrograms").exists()
    assert read_variant_index(corpus / "dataset_rough").meta.n_noise == 0
    assert not [path for path in corpus.iterdir() if path.name[0] == "."]


def test_a_failing_strategy_leaves_no_folder(corpus, capsys):
    document = {"strategies": {"bad": {"min_quality": 9}}}
    (corpus / "dataset_prep_configs.json").write_text(json.dumps(document))
    assert main(["prepare-datasets", str(corpus)]) == 2
    assert "prepare-datasets: the corpus has no calls of quality 9" in capsys.readouterr().err
    assert not [path for path in corpus.iterdir() if "bad" in path.name]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--strategy", "clam"], "no strategy 'clam'; did you mean 'calm'?"),
        (["--config", "absent.json"], "absent.json: cannot be read: No such file"),
    ],
)
def test_mistakes_are_one_line(corpus, capsys, arguments, told):
    assert main(["prepare-datasets", str(corpus), *arguments]) == 2
    assert told in capsys.readouterr().err


def test_leaves_a_folder_alone_that_is_no_data_set(corpus, capsys):
    (corpus / "dataset_calm").mkdir()
    assert main(["prepare-datasets", str(corpus)]) == 2
    assert "dataset_calm: is in the way and has no variant_index.json" in capsys.readouterr().err


def test_selection_tables_of_recordings_and_of_tapes(tmp_path, capsys):
    clips = [recording(f"c{at}.wav", "tape", 20, at) for at in (900, 920)]
    found = [call for clip in clips for call in calls(clip.path, [2.0, 5.0])]
    folder = write_corpus(tmp_path / "corpus", build_index("tape", clips, found))
    command = ["make-selection-tables", "--index", str(folder), "--out"]
    assert main([*command, str(tmp_path / "clips")]) == 0
    assert "4 calls in 2 tables" in capsys.readouterr().out
    assert [e.start_s for e in raven.read(tmp_path / "clips/c920_selection.txt")] == [2.0, 5.0]
    tables = str(tmp_path / "tapes")
    chosen = ["--group-by", "raw", "--qualities", "2", "--path-filter", "^c9", "--regex"]
    assert main([*command, tables, *chosen]) == 0
    assert [e.start_s for e in raven.read(tmp_path / "tapes/tape_selection.txt")] == [905.0, 925.0]
    assert main([*command, tables, "--path-filter", "b"]) == 2
    assert main([*command, tables, "--path-filter", "(", "--regex"]) == 2
    assert "no regular expression" in capsys.readouterr().err
