"""The README's commands and snippets, run as they are typed, in a checkout with a small config."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from aed_runs import SMALL, copy_of

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
LINKED = ("Makefile", "constraints.txt", "infra", "pipeline_parameters.py", "pipelines")
LINKED += ("pyproject.toml", "soundgate", "steps")
MISSED = "--set q_clip_level_acc_threshold=0.99"
NOT_RUN = {
    "make test": "this is one of its tests",
    "review-model rollback": "needs a second release; tests/test_review.py rolls back",
}


def section(title: str) -> str:
    """The text below a heading, up to the next one."""
    return re.split(r"^## ", README.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]


def commands(text: str) -> list[str]:
    """The command lines of the code blocks of ``text``, without comments and printed output."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    lines = "".join(blocks(text, "")).replace("\\\n", " ").splitlines()
    typed = [line.removeprefix("$ ").split("  #")[0].strip() for line in lines]
    found = [line for line in typed if line.partition(" ")[0] in (*scripts, "make")]
    return [line for line in found if not any(line.startswith(each) for each in NOT_RUN)]


def blocks(text: str, language: str) -> list[str]:
    """The contents of the code blocks in a language; in none: the terminal's."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    return [content for named, content in found if named == language]


@pytest.fixture(scope="module")
def checkout(small_aed, tmp_path_factory) -> Path:
    """A checkout whose default config is the tests' small one, after that run."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.prefix) / "bin")
    (folder / ".venv" / ".installed").touch()  # `make` finds the installation up to date
    configs = folder / "user_configs"
    configs.mkdir()
    for path in (ROOT / "user_configs").iterdir():
        (configs / path.name).symlink_to(path)
    (configs / "aed.yaml").unlink()
    (configs / "aed.yaml").write_text(small_config())
    copy_of(small_aed, folder / "runs")
    write_sounds(folder)
    return folder


def small_config() -> str:
    """``user_configs/aed.yaml`` with the tests' values; its gates let every model pass."""
    config = yaml.safe_load((ROOT / "user_configs" / "aed.yaml").read_text("utf-8"))
    for setting in SMALL:
        key, _, value = setting.partition("=")
        *sections, name = key.split(".") if "." in key else ("pipeline", key)
        target = config
        for each in sections:
            target = target.setdefault(each, {})
        target[name] = yaml.safe_load(value)
    return yaml.safe_dump(config)


def write_sounds(folder: Path) -> None:
    """What the README's placeholders stand for: a folder to predict, clips by class, a table."""
    noise = np.random.default_rng(0)
    for place in ("FOLDER", "PATH/dog", "PATH/rain", "PATH/ESC-10"):
        (folder / place).mkdir(parents=True)
        for number in range(3):
            samples = noise.normal(scale=0.1, size=16_000)
            soundfile.write(folder / place / f"{number}.wav", samples, 16_000)
    soundfile.write(folder / "clip.wav", samples, 16_000)
    rows = [f"{label}/{number}.wav,{label}" for label in ("dog", "rain") for number in range(3)]
    (folder / "PATH" / "labels.csv").write_text("\n".join(["filename,label", *rows]) + "\n")
    (folder / "PATH" / "yamnet_256_f32.h5").write_bytes(b"")


def typed(folder: Path, command: str | list[str]) -> subprocess.CompletedProcess[str]:
    """Run what a reader types in the checkout."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("SOUNDGATE_", "MLFLOW_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=folder,
        env={**kept, "PATH": path},
        shell=isinstance(command, str),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


@pytest.mark.slow
def test_commands_up_to_a_prediction_run_in_their_order(checkout):
    """From `make run` to predictions; the snippets between them find what was copied."""
    tour = README.partition("## Your own sounds")[0]
    first, *others = commands(tour)
    assert first == "make run"
    steps: list[str | list[str]] = [first, *others]
    predict = next(i for i, command in enumerate(steps) if "pipelines.predict" in command)
    steps[predict:predict] = [[sys.executable, "-c", each] for each in blocks(tour, "python")]
    for step in steps:
        done = typed(checkout, step)
        expected = 1 if MISSED in step else 0
        assert done.returncode == expected, f"{step}\n{done.stdout}\n{done.stderr}"
    assert (checkout / "predictions" / "clips.csv").is_file()
    assert not (checkout / "mlflow.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", commands(section("Your own sounds")))
def test_commands_for_own_sounds_are_accepted(checkout, command):
    """Planned, not run: they train for minutes."""
    done = typed(checkout, f"{command} --dry-run")
    assert done.returncode == 0, done.stderr
    assert "fetch " in done.stdout
