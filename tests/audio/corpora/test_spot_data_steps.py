"""``steps.spot.collect`` and ``steps.spot.prepare``."""

from __future__ import annotations

import json

import numpy as np
import pytest
from toy_corpus import RATE_HZ, index_of, write_corpus

from soundgate.audio.datasets.corpora.strategies import Strategy
from soundgate.audio.files.reading import write
from soundgate.audio.formats.datasets.card import read_card
from soundgate.audio.formats.datasets.corpus import read_corpus_index
from soundgate.audio.formats.datasets.variant import read_variant_index
from soundgate.errors import DataError
from steps.spot.collect import collect
from steps.spot.prepare import prepare


@pytest.fixture
def run(tmp_path):
    """Runs ``collect`` on a plan; returns the corpus."""

    def run_collect(plan, **inputs):
        path = tmp_path / "plan.json"
        path.write_text(json.dumps(plan))
        outputs = [tmp_path / plan["name"] / name for name in ("corpus", "card")]
        for output in outputs:
            output.mkdir(parents=True)
        collect(path, *outputs, store=str(tmp_path / "store"), **inputs)
        return outputs

    return run_collect


def test_collects_what_the_index_names_and_nothing_else(run, tmp_path, capsys):
    index = index_of(3)
    folder = write_corpus(tmp_path / "theirs", index)
    (folder / "dataset_old").mkdir()
    (folder / "dataset_old/a.wav").write_bytes(b"")
    corpus, card = run({"kind": "folder", "name": "toy"}, folder=folder)
    assert read_corpus_index(corpus) == index
    names = {p.relative_to(corpus).as_posix() for p in corpus.rglob("*") if p.is_file()}
    assert names == {"corpus_index.json", "dataset.json", *(r.path for r in index.recordings)}
    described = read_card(card)
    assert described.clips == 3
    assert described.digest.startswith("sha256:")
    assert "12 calls in 3 recordings, 1.0 minutes, kept as train/datasets/corpora/" in (
        capsys.readouterr().out
    )


def test_collects_recordings_with_tables_that_lie_elsewhere(run, tmp_path):
    folder = write_corpus(tmp_path / "theirs", index_of(2))
    (folder / "corpus_index.json").unlink()
    table = tmp_path / "calls.csv"
    table.write_text("file,from,start_s,end_s\nt0.wav,hum,1,1.5\n")
    plan = {"kind": "folder", "name": "tables", "columns": {"label": "from"}}
    corpus, _ = run(plan, folder=folder, annotations=[table])
    index = read_corpus_index(corpus)
    assert [(e.clip_path, e.label) for e in index.entries] == [("tapes/t0.wav", "hum")]
    assert len(index.recordings) == 1


def test_a_recording_that_is_not_there_is_named(run, tmp_path):
    folder = write_corpus(tmp_path / "theirs", index_of(2))
    (folder / "tapes/t0.wav").unlink()
    with pytest.raises(DataError, match=r"t0\.wav: is named in corpus_index\.json and not there"):
        run({"kind": "folder", "name": "toy"}, folder=folder)


def test_an_index_of_other_audio_is_refused(run, tmp_path):
    folder = write_corpus(tmp_path / "theirs", index_of(2))
    write(folder / "tapes/t1.wav", np.zeros(19 * RATE_HZ, "float32"), RATE_HZ)
    told = r"t1\.wav: lasts 19 s at 8000 Hz, but corpus_index\.json says 20 s .* build-corpus-index"
    with pytest.raises(DataError, match=told):
        run({"kind": "folder", "name": "toy"}, folder=folder)


def test_renders_a_synthetic_corpus_and_prepares_a_data_set_of_it(run, tmp_path, capsys):
    tapes = {"tapes": 3, "silent_tapes": 1, "tape_s": 12.0, "seed": 3}
    corpus, card = run({"kind": "synthetic", "name": "synthetic", "tapes": tapes})
    assert read_card(card).classes == ("hum", "whoop")
    strategy = Strategy(clip_s=0.5, noise_per_hum=1.5, fractions=(0.4, 0.3, 0.3))
    settings = {"name": "calm", "strategy": strategy.as_json(), "spectrograms": False}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    prepare(corpus, tmp_path / "settings.json", tmp_path / "dataset")
    variant = read_variant_index(tmp_path / "dataset")
    assert variant.meta.strategy == strategy.as_json()
    assert len(variant.meta.validation_regions) >= 1
    assert f"{variant.meta.n_target} calls and" in capsys.readouterr().out
