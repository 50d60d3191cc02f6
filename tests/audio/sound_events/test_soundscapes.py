"""Rendered soundscapes: their labels are true, and they are collected as published data is."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.random import RandomState

from soundgate.audio.clips.annotations.dcase import read_strong, read_weak
from soundgate.audio.datasets.sound_events.layouts import layout, root
from soundgate.audio.datasets.synthetic.soundscapes import scene
from soundgate.audio.datasets.synthetic.soundscapes.options import SoundscapeOptions
from soundgate.audio.datasets.synthetic.soundscapes.rendering import render, space
from soundgate.audio.datasets.synthetic.soundscapes.sounds import HOME, STREET
from soundgate.audio.files import reading
from soundgate.audio.formats.datasets import sound_events as stored
from soundgate.errors import ParameterError
from steps.sed.collect import collect

SMALL = SoundscapeOptions(
    synthetic=2,
    synthetic_validation=1,
    strong=2,
    weak=2,
    unlabelled=2,
    tune=2,
    test=2,
    recordings=1,
    test_recordings=1,
    clip_s=4.0,
    recording_s=12.0,
)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("soundscapes")
    render(folder, SMALL)
    return folder


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_options_give_the_same_bytes_and_more_clips_change_no_clip(rendered, tmp_path):
    more = SoundscapeOptions(**{f: getattr(SMALL, f) for f in SMALL.__dataclass_fields__})
    render(tmp_path / "again", more)
    first = digests(rendered)
    assert digests(tmp_path / "again") == first
    fewer = SMALL.scaled(0.5)
    render(tmp_path / "fewer", fewer)
    found = digests(tmp_path / "fewer")
    wavs = [name for name in found if name.endswith(".wav")]
    assert len(wavs) == 9
    assert all(found[name] == first[name] for name in wavs)
    assert len(set(first.values())) == len(first)  # no two clips are equal


@pytest.mark.parametrize("label", [*HOME, *STREET])
def test_a_class_is_heard_where_its_events_are(label):
    """Power of a clean clip within events, and outside, where only the background is."""
    heard = {label: (HOME | STREET)[label]}
    inside, outside, number = 0.0, 0.0, 0
    for seed in range(6):
        wave, placed = scene.render(RandomState([seed]), heard, "clean", 5.0, (1, 3))
        number += len(placed)
        active = np.zeros(wave.size, bool)
        for event in placed:
            assert event.label == label
            assert 0 <= event.onset_s < event.offset_s <= 5.0
            active[int(event.onset_s * 16_000) : int(event.offset_s * 16_000)] = True
        if active.any() and not active.all():
            level = (wave[~active] ** 2).mean()
            inside += (wave[active] ** 2).mean() / level
            outside += 1
    assert number >= 6
    assert inside > 3 * max(outside, 1)


def test_a_recorded_clip_sounds_otherwise_than_a_clean_one():
    """Hum at 50 Hz over the noise around it."""
    hum = {}
    for domain in ("clean", "recorded"):
        ratios = []
        for seed in range(4):
            wave, _ = scene.render(RandomState([seed]), HOME, domain, 4.0, (0, 0))
            power = np.abs(np.fft.rfft(wave)) ** 2
            ratios.append(power[196:205].max() / np.median(power[120:320]))
        hum[domain] = np.median(ratios)
    assert hum["recorded"] > 30 * hum["clean"]


def test_lists_say_what_they_may(rendered):
    strong = read_strong(rendered / "metadata/eval/public.tsv")
    assert len(strong.clips) == 2
    assert {event.label for event in strong.events} <= set(HOME)
    weak = read_weak(rendered / "metadata/train/weak.tsv")
    assert all(set(labels) <= set(HOME) and labels for labels in weak.values())
    unlabelled = (rendered / "metadata/train/unlabel_in_domain.tsv").read_text().splitlines()
    assert unlabelled[0] == "filename"
    assert all("\t" not in line for line in unlabelled)


def test_classes_have_aliases_both_ways():
    classes = space()
    assert classes.classes == (*HOME, *STREET)
    assert classes.implied("desed", "Speech") == ("Speech", "people talking")
    assert classes.implied("maestro", "people talking") == ("people talking", "Speech")
    assert classes.mask("desed").sum() == 6
    assert classes.mask("maestro").sum() == 5


def test_soundscapes_are_collected_as_published_data_is(tmp_path, capsys):
    collect(tmp_path / "events", layout="synthetic", scale=0.01)
    described = stored.read_set(tmp_path / "events")
    parts = {part.part: part for part in described.parts}
    assert list(parts) == [
        *("synthetic", "synthetic-validation", "strong", "weak", "unlabelled", "validation"),
        *("public-evaluation", "maestro", "maestro-validation"),
    ]
    assert all(part.found == part.listed and not part.missing for part in described.parts)
    assert {part.split for part in described.parts} == {"training", "validation", "tune", "test"}
    assert parts["maestro"].clips == 31
    clips = {row.id: row for row in stored.read_clips(tmp_path / "events")}
    windows = [row for row in clips.values() if row.part == "maestro-validation"]
    assert {row.recording for row in windows} == {"street_validation_s0_00"}
    for event in stored.read_events(tmp_path / "events"):
        row = clips[event.clip]
        assert 0 <= event.onset_s < event.offset_s <= row.duration_s
        assert (event.confidence is None) == (row.kind == "strong")
    assert reading.info(tmp_path / "events" / windows[0].path).rate_hz == 16_000
    assert "maestro (training, soft): 31 clips" in capsys.readouterr().out


def test_folders_are_asked_for_where_they_are_needed(tmp_path):
    with pytest.raises(ParameterError, match="remove the folder"), root("synthetic", tmp_path):
        pass
    with pytest.raises(ParameterError, match="needs the folder"), root("desed", None):
        pass
    with (
        pytest.raises(ParameterError, match="scale must be above 0"),
        root("synthetic", None, scale=0),
    ):
        pass


def test_a_rendered_folder_is_a_layout(rendered):
    parts, classes = layout("synthetic", rendered)
    assert len(parts) == 9
    assert classes == space()
