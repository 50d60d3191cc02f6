"""The documentation says what is true: commands exist, paths exist, nothing is left out."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from reference import CONFIGS, config_keys, parameter_types, parser, reference

from soundgate import cli, executors
from soundgate.audio.config import UserConfig
from soundgate.audio.datasets import DATASETS
from soundgate.audio.networks.models import MODELS
from soundgate.parameters import describe

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/annotations.md",
    "docs/datasets.md",
    "docs/encoders.md",
    "docs/executors.md",
    "docs/training-loop.md",
    "docs/spot.md",
    "docs/slurm.md",
    "docs/sagemaker.md",
    "docs/kubeflow.md",
    "infra/README.md",
)


def test_the_reference_is_up_to_date(update_golden):
    path = ROOT / "docs" / "reference.md"
    if update_golden:
        path.write_text(reference(), "utf-8")
    assert path.read_text("utf-8") == reference(), "run pytest tests/test_docs.py --update-golden"


def test_every_parameter_and_config_value_says_what_it_means():
    keys = [row for config in CONFIGS.values() for row in config_keys(config)]
    undocumented = [key for key, _, _, meaning in keys if not meaning]
    undocumented += [d.name for kind in parameter_types() for d in describe(kind) if not d.meaning]
    assert undocumented == []


def code_lines(document: str) -> list[str]:
    text = (ROOT / document).read_text("utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_in_documents_are_real(document):
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for line in code_lines(document):
        words = line.removeprefix("$ ").split("#")[0].split()
        if not words:
            continue
        name = words[0].removeprefix(".venv/bin/")
        if name == "make":
            assert set(words[1:]) <= set(targets), line
        elif name in scripts and name != "soundgate":
            key = next(k for k in (" ".join([name, *words[1:2]]), name) if k in cli.COMMANDS)
            known = {option for a in parser(key)._actions for option in a.option_strings}
            used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            assert used <= known, line


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_in_documents_exist(document):
    text = (ROOT / document).read_text("utf-8")
    named = re.findall(r"`((?:\.?[\w-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml|yml|yaml|txt))`", text)
    library = [f"{path.relative_to(ROOT)}/" for path in (ROOT / "soundgate").rglob("*/")]
    folders = ("", "user_configs/", "infra/", "soundgate/", *library)
    missing = [
        path
        for path in named
        if not re.search(r"NAME|runs/|^tasks/|^inputs/", path)
        and path not in WRITTEN
        and not any((ROOT / folder / path).exists() for folder in folders)
    ]
    assert missing == []


WRITTEN = {
    *("raw_recordings/", "annotations/", "selection_tables/", "spectrograms/"),
    *("user_config.yaml", "datasets/csv_labels.py", "config/", "review/report.html", "templates/"),
    *("datasets/fsd50k.py", "review/", "model/", "executions/", "kubeflow/run.json", "evaluation/"),
    *("owner/name", "train.yml", "request.txt", "report/", "annotations_2/"),
    *("evaluation/index.json", "evaluation/tables/", "review/raven/", "review/audacity/"),
    *("postrf/index.json", "gpt2/config.json"),
}
"""Named in documents, but no files of the checkout by that very path."""


def test_the_readme_mentions_everything_a_user_can_name():
    text = (ROOT / "README.md").read_text("utf-8")
    names = [*cli.COMMANDS, *executors.EXECUTORS, *DATASETS, *MODELS]
    names += [path.stem for path in (ROOT / "steps").glob("[!_]*.py")]
    names += [f"pipelines.{path.stem}" for path in (ROOT / "pipelines").glob("[!_]*.py")]
    missing = [
        name for name in names if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w])", text)
    ]
    assert missing == []


def test_the_readme_s_tree_has_every_top_level_entry():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    entries = {line.split("/")[0] for line in listed.stdout.splitlines()}
    text = (ROOT / "README.md").read_text("utf-8")
    missing = [e for e in sorted(entries) if not e.startswith(".") and e not in text]
    assert missing == []


@pytest.mark.parametrize(
    "path",
    [*sorted((ROOT / "user_configs").glob("*.yaml")), *(ROOT / "user_configs/sec").glob("*.yaml")],
    ids=lambda p: p.name,
)
def test_every_user_config_is_valid(path):
    from soundgate.audio.config import check, check_sec, check_spot, check_tagging

    checks = {"tagging": check_tagging, "spot": check_spot, "sec": check_sec}
    system = path.stem.partition("_")[0] if path.parent.name == "user_configs" else path.parent.name
    if checked := checks.get(system):
        sections, notice = checked(path.read_text(), path.name)
        assert (bool(sections), notice) == (True, "")
        return
    values = yaml.safe_load(path.read_text())
    values.pop("pipeline", None)
    adopted, notice = check(yaml.safe_dump(values), path.name)
    assert notice == ""
    UserConfig.model_validate(adopted)


def test_no_address_of_a_package_registry_is_committed():
    wanted = "|".join(
        ("pypi" + r"\.org", "pythonhosted" + r"\.org", "registry" + r"\.npmjs", "index" + "-url")
    )
    found = subprocess.run(
        ["git", "grep", "-lE", wanted, "--", ".", ":!tests/test_docs.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""


def test_decisions_have_numbers_of_their_own():
    decisions = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    numbers = [int(path.name[:4]) for path in decisions]
    assert len(set(numbers)) == len(numbers) > 30
    for number, path in zip(numbers, decisions, strict=True):
        assert path.read_text("utf-8").startswith(f"# {number}. "), path.name
