"""Files of directives, and the runs, profiles and settings that they ask for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from soundgate.commands.campaign import site
from soundgate.commands.campaign.directives import read_directives
from soundgate.commands.campaign.entries import entries_of
from soundgate.errors import ParameterError

ROOT = Path(__file__).resolve().parent.parent

# as the document has it, escapes of its export included
DOCUMENT = r"""
\# \==========================================================
\# GLOBAL SCHEDULER PARAMETERS (HEADER)
SIF\_FILE          | /path/to/clap\_pipeline.sif
CLAP\_WEIGHTS      | /path/to/CLAP\_weights\_2023.pth
ROBERTA\_PATH      | /path/to/roberta-base
SLURM\_ACCOUNT     | IscrC\_Pb-skite
SLURM\_PARTITION   | boost\_usr\_prod
SLURM\_TIME        | 23:59:59

\# EXECUTION LIST (Format: config | format | octave)
production\_v1.yaml | wav  | 1
production\_v1.yaml | wav  | 3
production\_v2.yaml | flac | 1
"""


@pytest.fixture
def folder(tmp_path):
    """Two configs beside the directives, one with two lengths of segments."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "production_v1.yaml").write_text("seed: 1\nvalid_cut_secs: [7, 3.5]\n")
    (tmp_path / "configs" / "production_v2.yaml").write_text("seed: 2\n")
    return tmp_path


def write(folder, text, name="jobs.txt"):
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize("text", [DOCUMENT, DOCUMENT.replace("\\", "")])
def test_the_documents_example_is_read_as_it_is(folder, text):
    found = read_directives(write(folder, text))
    assert found.header == {
        "SIF_FILE": "/path/to/clap_pipeline.sif",
        "CLAP_WEIGHTS": "/path/to/CLAP_weights_2023.pth",
        "ROBERTA_PATH": "/path/to/roberta-base",
        "SLURM_ACCOUNT": "IscrC_Pb-skite",
        "SLURM_PARTITION": "boost_usr_prod",
        "SLURM_TIME": "23:59:59",
    }
    assert [(each.config, each.audio_format, each.octave) for each in found.lines] == [
        ("production_v1.yaml", "wav", 1),
        ("production_v1.yaml", "wav", 3),
        ("production_v2.yaml", "flac", 1),
    ]
    assert found.lines[0].where.endswith("jobs.txt:12")


def test_the_example_beside_the_configs_is_read():
    found = read_directives(ROOT / "user_configs/sec/job_directives.txt")
    assert [each.name for each in entries_of(found)] == [
        "production_v1.yaml wav 7s",
        "production_v1.yaml flac 7s",
    ]


def test_one_run_serves_all_octaves_of_a_config_format_and_length(folder):
    entries = entries_of(read_directives(write(folder, DOCUMENT)))
    assert [(each.name, each.octaves) for each in entries] == [
        ("production_v1.yaml wav 7s", (1, 3)),
        ("production_v1.yaml wav 3.5s", (1, 3)),
        ("production_v2.yaml flac 7s", (1,)),
    ]


def test_header_and_line_become_settings_which_the_command_line_overrides(folder):
    found = read_directives(write(folder, DOCUMENT))
    entry = entries_of(found)[2]
    words = entry.words("jobs", dict(found.header), ["encoder.path=own.pth"], ["--executor", "x"])
    sets = [words[n + 1] for n, word in enumerate(words) if word == "--set"]
    assert sets == [
        "heads=[]",
        "encoder.path=own.pth",
        "encoder.text_path=/path/to/roberta-base",
        "audio_format=flac",
        "octaves=[1]",
        "cut_secs=7",
    ]
    tags = {each["Key"]: each["Value"] for each in json.loads(words[words.index("--tags") + 1])}
    assert tags["campaign"] == "jobs"
    assert tags["entry"] == "production_v2.yaml flac 7s"


def test_an_edited_config_is_another_run(folder):
    def tags():
        words = entries_of(read_directives(write(folder, DOCUMENT)))[0].words("jobs", {}, [], [])
        return words[words.index("--tags") + 1]

    before = tags()
    (folder / "configs" / "production_v1.yaml").write_text("seed: 3\nvalid_cut_secs: [7]\n")
    assert tags() != before


def test_yaml_says_the_same(folder):
    text = read_directives(write(folder, DOCUMENT))
    document = {
        "header": dict(text.header),
        "runs": [
            {"config": "production_v1.yaml", "format": "wav", "octave": [1, 3]},
            {"config": "production_v2.yaml", "format": "flac", "octave": 1},
        ],
    }
    found = read_directives(write(folder, yaml.safe_dump(document), "jobs.yaml"))
    assert found.header == text.header
    assert entries_of(found) == entries_of(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SLURM_ACOUNT | x", r"jobs.txt:1: unknown key 'SLURM_ACOUNT'; did you mean 'SLURM_ACCOUN"),
        ("SIF_FILE |", r"jobs.txt:1: SIF_FILE has no value"),
        ("SIF_FILE | a\nSIF_FILE | b", r"jobs.txt:2: SIF_FILE is given twice"),
        ("a.yaml | wav", r"jobs.txt:1: write KEY . value or config.yaml . format . octave"),
        ("a.yaml, wav, 3", r"jobs.txt:1: write KEY . value"),
        ("a.yaml | wave | 3", r"jobs.txt:1: 'wave' is no format; did you mean 'wav'"),
        ("a.yaml | wav | three", r"jobs.txt:1: 'three' is no number of bands an octave"),
        ("a.yaml | wav | 97", r"jobs.txt:1: '97' is no number"),
        ("a | wav | 3", r"jobs.txt:1: a: name a config"),
        ("# nothing", r"jobs.txt: lists nothing to run"),
        ("SCHEDULING_MODE | both\na.yaml | wav | 3", "SCHEDULING_MODE: write sequential or paral"),
    ],
)
def test_a_mistake_names_file_and_line(folder, text, problem):
    with pytest.raises(ParameterError, match=problem) as raised:
        read_directives(write(folder, text))
    assert "\n" not in str(raised.value)


def test_a_config_that_is_not_there_is_named_with_the_nearest(folder):
    found = read_directives(write(folder, "\nproduction_v3.yaml | wav | 3"))
    with pytest.raises(ParameterError, match=r"jobs.txt:2: no config 'production_v3.yaml' in .* "):
        entries_of(found)


def test_what_has_no_effect_is_told(folder):
    text = "DIFF_MODELS | /m\nproduction_v2.yaml | wav | 0 | True\n"
    found = read_directives(write(folder, text))
    assert len(found.notices) == 2
    assert found.lines[0].octave == 3


def test_the_header_becomes_a_profile_above_the_sites(folder):
    base = write(folder, "throttle: 4\ncpu: {name: serial}\ngpu: {constraint: a100}\n", "site.yaml")
    header = dict(read_directives(write(folder, DOCUMENT)).header)
    made = site.slurm_profile(header, str(base), folder / "made" / "profile.yaml")
    assert yaml.safe_load(made.read_text()) == {
        "throttle": 4,
        "cpu": {"name": "serial"},
        "gpu": {"constraint": "a100", "name": "boost_usr_prod"},
        "account": "IscrC_Pb-skite",
        "container": {"image": "/path/to/clap_pipeline.sif"},
    }
    from soundgate.executors.slurm.profile import load

    assert load(str(made)).gpu.name == "boost_usr_prod"


def test_the_time_limit_is_that_of_a_unit():
    assert site.hours_of({"SLURM_TIME": "23:59:59"}) == pytest.approx(24, abs=1e-3)
    assert site.hours_of({}) is None
    with pytest.raises(ParameterError, match=r"SLURM_TIME: write \[days-\]hours"):
        site.hours_of({"SLURM_TIME": "one day"})
