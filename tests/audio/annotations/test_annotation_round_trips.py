"""Events that are written and read again are the same events, as far as the format holds them."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from soundgate.audio.clips.annotations.event import (
    Event,
    by_file,
    match_recordings,
    past_the_end,
)
from soundgate.audio.clips.annotations.files import (
    FORMATS,
    format_named,
    lost,
    read_annotations,
    write_annotations,
)
from soundgate.audio.clips.annotations.programs.aoef import Recording
from soundgate.cli import main
from soundgate.errors import DataError

WRITTEN = [each.name for each in FORMATS if each.suffix]
HOLD_ALL = ("raven", "csv", "jsonl")
FULL = Event(
    file="tapes/B 2.wav",
    start_s=1 / 3,
    end_s=2.0,
    low_hz=4000.0,
    high_hz=8000.25,
    label='hum, "deep" ü',
    score=0.925,
    channel=2,
    split="test",
    columns=(("quality", "Q2"), ("observer", "A; B")),
)
RECORDINGS = {name: Recording(90.0, 2, 48_000) for name in ("tapes/A.wav", "tapes/B 2.wav")}


def there_and_back(folder, events, name, recording=""):
    kind = format_named(name)
    [path] = write_annotations(folder / f"calls{kind.suffix}", events, kind, RECORDINGS)
    return read_annotations(path, recording=recording)


@pytest.mark.parametrize("name", HOLD_ALL)
def test_formats_that_hold_everything_give_it_back(tmp_path, name):
    other = Event(file="tapes/A.wav", start_s=3.0, end_s=3.0, columns=(("observer", "C"),))
    if name == "raven":
        other = replace(other, channel=1)  # Raven needs one
    assert there_and_back(tmp_path, [FULL, other], name) == [FULL, other]


@pytest.mark.parametrize("name", WRITTEN)
def test_what_a_format_does_not_hold_is_named_and_the_rest_comes_back(tmp_path, name):
    """Of one recording, whose name the caller gives where the format has none."""
    kind = format_named(name)
    [back] = there_and_back(tmp_path, [FULL], name, recording=FULL.file)
    for field in ("low_hz", "high_hz", "channel", "score", "split", "columns"):
        kept = getattr(FULL, field) if field in kind.keeps else getattr(back, field)
        assert getattr(back, field) == kept
        assert (field in lost([FULL], kind)) == (field not in kind.keeps)
    assert back.label == FULL.label
    if name == "raven":
        assert back.file in (FULL.file, "")
    else:
        assert back.file == FULL.file
    within = 0.5 / 48_000 if name == "sonic-visualiser" else 0
    assert abs(back.start_s - FULL.start_s) <= within
    assert abs(back.end_s - FULL.end_s) <= within


TEXT = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\t"), min_size=1
).filter(lambda text: text.strip() == text)
TIMES = st.floats(0, 86_400, allow_nan=False)
EVENTS = st.lists(
    st.builds(
        lambda a, b, low, high, label: Event(
            file="a.wav",
            start_s=min(a, b),
            end_s=max(a, b),
            low_hz=min(low, high),
            high_hz=max(low, high),
            label=label,
            channel=1,
        ),
        TIMES,
        TIMES,
        st.floats(0, 1e5),
        st.floats(0, 1e5),
        TEXT,
    ),
    max_size=4,
)


@pytest.mark.parametrize("name", [*HOLD_ALL, "audacity"])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=EVENTS)
def test_times_and_texts_come_back_exactly(tmp_path, name, events):
    kind = format_named(name)
    [path] = write_annotations(tmp_path / f"x{kind.suffix}", events, kind)
    back = read_annotations(path, kind=name, recording="a.wav")
    assert [replace(event, channel=1) for event in back] == events


def test_overlapping_events_get_tiers_of_their_own(tmp_path):
    events = [
        Event(start_s=1.0, end_s=3.0, label='he said "yes"', columns=(("tier", "a"),)),
        Event(start_s=2.0, end_s=4.0, label="two", columns=(("tier", "a"),)),
        Event(start_s=5.0, end_s=6.0, label="three", columns=(("tier", "a"),)),
    ]
    back = there_and_back(tmp_path, events, "textgrid")
    assert back == events
    text = (tmp_path / "calls.TextGrid").read_text()
    assert text.count('class = "IntervalTier"') == 2
    assert 'text = "he said ""yes"""' in text


def test_praat_s_silence_stays_silence(tmp_path):
    kind = format_named("textgrid")
    for event, told in (
        (Event(start_s=1.0, end_s=2.0), "no label"),
        (Event(start_s=1.0, end_s=1.0, label="x"), "no length"),
    ):
        with pytest.raises(DataError, match=f"event at 1 s has {told}"):
            write_annotations(tmp_path / "x.TextGrid", [event], kind)
    assert list(tmp_path.iterdir()) == []


def test_a_raven_table_has_the_exact_names_and_decimals(tmp_path):
    """Other readers refuse "Begin time (s)" and whole frequencies."""
    kind = format_named("raven")
    event = replace(FULL, columns=(), split=None, score=None)
    [path] = write_annotations(tmp_path / "t.txt", [event], kind)
    header, row = path.read_text().splitlines()
    assert header.split("\t") == [
        *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)"),
        *("Low Freq (Hz)", "High Freq (Hz)", "Annotation"),
    ]
    assert row.split("\t")[:6] == ["1", "Spectrogram 1", "2", "0.3333333333333333", "2.0", "4000.0"]
    crowsetta = pytest.importorskip("crowsetta")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [box] = crowsetta.formats.bbox.Raven.from_file(path).to_bbox()
    assert (box.onset, box.offset, box.low_freq, box.high_freq, box.label) == (
        *(event.start_s, event.end_s, event.low_hz, event.high_hz, event.label),
    )


def test_formats_of_one_recording_get_a_file_each(tmp_path):
    events = [FULL, replace(FULL, file="tapes/A.wav"), replace(FULL, start_s=0.5)]
    kind = format_named("audacity")
    written = write_annotations(tmp_path / "labels", events, kind)
    assert [path.name for path in written] == ["B 2.txt", "A.txt"]
    assert [event.start_s for event in read_annotations(written[0])] == [1 / 3, 0.5]
    twins = [FULL, replace(FULL, file="other/B 2.wav")]
    with pytest.raises(DataError, match="two recordings have this name"):
        write_annotations(tmp_path / "twins", twins, kind)


def test_formats_that_need_more_than_events_say_so(tmp_path):
    with pytest.raises(DataError, match=r"needs the length and rate of 'x\.wav'.*--audio"):
        write_annotations(tmp_path / "x", [replace(FULL, file="x.wav")], format_named("aoef"))
    with pytest.raises(DataError, match="boris is only read; written are: raven"):
        write_annotations(tmp_path / "x", [FULL], format_named("boris"))
    with pytest.raises(DataError, match="no recording: name it with --recording"):
        write_annotations(tmp_path / "x", [replace(FULL, file="")], format_named("dcase"))
    with pytest.raises(DataError, match="has a tab or a line break"):
        write_annotations(tmp_path / "x", [replace(FULL, label="a\tb")], format_named("raven"))
    assert list(tmp_path.iterdir()) == []


def test_recordings_are_found_by_the_end_of_their_path():
    there = ["north/2024/tape 1.wav", "south/2024/tape 1.wav", "south/a.flac"]
    named = [r"C:\data\south\2024\tape 1.wav", "a", "a.WAV", "north/2024/tape 1.wav"]
    events = [Event(file=name, start_s=0.0, end_s=1.0) for name in named]
    assert match_recordings(events, there) == {
        named[0]: there[1],
        "a": there[2],
        "a.WAV": there[2],
        named[3]: there[0],
    }
    with pytest.raises(
        DataError, match=r"'tape 1\.wav', which could be north/2024/tape 1\.wav, south"
    ):
        match_recordings([replace(events[0], file="tape 1.wav")], there)
    with pytest.raises(DataError, match=r"'b\.wav', which is not there"):
        match_recordings([replace(events[0], file="b.wav")], there)


def test_events_past_the_end_are_told_and_rounding_is_not():
    events = [
        Event(file="a.wav", start_s=9.0, end_s=10.0005),
        Event(file="a.wav", start_s=9.5, end_s=10.5),
        Event(file="b.wav", start_s=0.0, end_s=99.0),
    ]
    assert list(past_the_end(events, {"a.wav": 10.0})) == [
        "a.wav: the event at 9.5 s ends at 10.5 s, but the recording at 10 s"
    ]
    assert list(by_file(events)) == ["a.wav", "b.wav"]


# The command


def test_the_command_converts_and_says_what_it_left_out(spot, tmp_path, capsys):
    tables = [spot / "ohun_lbh" / f"lbh{number}.Table.1.selections.txt" for number in (1, 2)]
    target = tmp_path / "all.jsonl"
    arguments = ["convert-annotations", *map(str, tables), str(target)]
    assert main([*arguments, "--audio", str(spot / "ohun_lbh")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{target}: written",
        "19 events of 2 recordings as jsonl",
    ]
    assert main(["convert-annotations", str(target), str(tmp_path / "all.tsv")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "dcase has no place for low_hz, high_hz, channel: left out"
    )
    back = read_annotations(tmp_path / "all.tsv")
    assert [(e.file, e.start_s, e.end_s) for e in back] == [
        (e.file, e.start_s, e.end_s) for table in tables for e in read_annotations(table)
    ]


def test_the_command_states_lengths_and_rates_of_the_recordings(spot, tmp_path):
    folder = spot / "ohun_lbh"
    table, audio = str(folder / "lbh1.Table.1.selections.txt"), ["--audio", str(folder)]
    assert main(["convert-annotations", table, str(tmp_path / "lbh1.svl"), *audio]) == 0
    assert main(["convert-annotations", table, str(tmp_path / "lbh1.json"), *audio]) == 0
    events = read_annotations(spot / "ohun_lbh/lbh1.Table.1.selections.txt")
    boxes = read_annotations(tmp_path / "lbh1.svl")
    for box, event in zip(boxes, events, strict=True):
        assert box.start_s == pytest.approx(event.start_s, abs=0.5 / 22_050)
        assert (box.low_hz, box.high_hz) == pytest.approx((event.low_hz, event.high_hz))
    data = json.loads((tmp_path / "lbh1.json").read_text())["data"]
    assert data["recordings"][0]["samplerate"] == 22_050
    assert data["recordings"][0]["duration"] == pytest.approx(5.0, abs=0.01)


def test_the_command_writes_nothing_where_something_is_wrong(spot, tmp_path, capsys):
    table = tmp_path / "t.csv"
    table.write_text("file,start_s,end_s\nlbh1.wav,1,2\nlbh1.wav,4,99\n")
    target = tmp_path / "x.jsonl"
    audio = ["--audio", str(spot / "ohun_lbh")]
    for words, told in (
        (
            [table, target, *audio],
            "lbh1.wav: the event at 4 s ends at 99 s, but the recording at 5 s",
        ),
        ([table, tmp_path / "x"], "name the format with --to, one of raven, audacity"),
        ([tmp_path / "absent.csv", target], "absent.csv: cannot be read"),
    ):
        assert main(["convert-annotations", *map(str, words)]) == 2
        said = capsys.readouterr().err
        assert told in said
        assert said.count("\n") == 1
    assert not target.exists()
