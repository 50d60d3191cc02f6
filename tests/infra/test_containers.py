"""The images: one list, one base, what is copied is enough to run, nobody is root unasked."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from account_by_hand import ROOT
from codebuild import Build, read

FOLDER = ROOT / "infra" / "containers"
DOCKERFILES = ("Dockerfile.cpu", "Dockerfile.gpu")
FILES = (*DOCKERFILES, "soundgate.def")
PLACE = "/opt/soundgate"
REGISTRIES = re.compile(r"https?://|pypi|pythonhosted|download\.pytorch|quay\.io|ghcr\.io|nvcr\.io")


def instructions(name: str) -> list[tuple[str, str]]:
    """A Dockerfile's instructions and their arguments, lines joined, comments left out."""
    text = (FOLDER / name).read_text("utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    pairs = [line.partition(" ") for line in joined.splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in pairs]


def sections(name: str) -> dict[str, list[str]]:
    """An Apptainer definition's header and sections."""
    found: dict[str, list[str]] = {"": []}
    at = ""
    for line in (FOLDER / name).read_text("utf-8").splitlines():
        if line.startswith("%"):
            at = line[1:]
            found[at] = []
        elif line.strip() and not line.lstrip().startswith("#"):
            found[at].append(line.strip())
    return found


def copied(name: str) -> dict[str, str]:
    """What a file copies: path in the image by path in the checkout."""
    if name == "soundgate.def":
        return dict(line.split() for line in sections(name)["files"])
    found = {}
    for word, rest in instructions(name):
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                place = f"{PLACE}/{source}" if target == source else f"{PLACE}/{Path(source).name}"
                found[source] = place
    return found


@pytest.mark.parametrize("name", FILES)
def test_no_file_names_a_package_registry(name):
    for path in (FOLDER / name, FOLDER / "install.sh", FOLDER / "publish.sh"):
        assert not REGISTRIES.search(path.read_text("utf-8"))


def test_the_three_are_made_from_one_base_by_tag_and_digest():
    bases = {rest for name in DOCKERFILES for word, rest in instructions(name) if word == "FROM"}
    header = dict(line.split(": ") for line in sections("soundgate.def")[""])
    assert bases == {header["From"]}
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", header["From"])
    assert header["Bootstrap"] == "docker"


def test_the_three_install_one_list():
    for name in DOCKERFILES:
        run = [rest for word, rest in instructions(name) if word == "RUN"]
        assert [r.split()[:2] for r in run] == [
            ["./install.sh", "libraries"],
            ["./install.sh", "programs"],
        ]
    assert sections("soundgate.def")["post"] == [
        f"cd {PLACE}",
        "./install.sh libraries",
        "./install.sh programs",
    ]
    script = (FOLDER / "install.sh").read_text("utf-8")
    assert script.count("--constraint constraints.txt") == 2, "uv, and what it installs"
    assert script.count("--build-constraints constraints.txt") == 2, "what builds both"
    extras = set(re.findall(r"--extra (\w+)", script))
    assert extras == {"audio", "aws", "export", "registry"}, "what steps import, and no more"
    for name in re.findall(r"--constraint constraints.txt (\S+)", script):
        assert f"\n{name}==" in (ROOT / "constraints.txt").read_text("utf-8")


def test_the_three_copy_the_same_and_it_is_all_that_a_build_is_sent(monkeypatch):
    [files] = {tuple(sorted(copied(name).items())) for name in FILES}
    ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    kept = {line[1:] for line in ignore if line.startswith("!")}
    assert "*" in ignore, "everything else stays out"
    assert set(dict(files)) == kept
    publish = (FOLDER / "publish.sh").read_text("utf-8")
    [parts] = re.findall(r"^parts=\(([^)]*)\)", publish, re.MULTILINE)
    assert set(parts.split()) == kept | {'"$dockerfile"', ".dockerignore"}, "the tag's digest"


@pytest.mark.parametrize("name", DOCKERFILES)
def test_nobody_is_root_unless_asked(name):
    found = instructions(name)
    users = [rest for word, rest in found if word == "USER"]
    assert users == ["${RUN_AS}"]
    assert ("ARG", "RUN_AS=1000") in found
    assert [word for word, _ in found][-2:] == ["USER", "CMD"], "nothing is made as that user"
    assert ("WORKDIR", PLACE) in found
    assert any("PYTHONPATH=/opt/soundgate" in rest for word, rest in found if word == "ENV")
    assert not any(re.search(r"\bsudo\b|curl .*\| *sh", rest) for _, rest in found)


def test_what_is_copied_is_enough_to_run_every_step(tmp_path):
    for source, place in copied("Dockerfile.cpu").items():
        target = tmp_path / Path(place).relative_to(PLACE)
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)
    code = """
        import importlib, pathlib, sys
        sys.path = [p for p in sys.path if p != CHECKOUT]
        sys.meta_path = [f for f in sys.meta_path if "__editable__" not in repr(f)]
        modules = ["soundgate.cli", "pipeline_parameters"]
        for package in ("steps", "pipelines"):
            files = sorted(pathlib.Path(package).glob("[!_]*.py"))
            modules += [f"{package}.{file.stem}" for file in files]
        for name in modules:
            at = pathlib.Path(importlib.import_module(name).__file__).resolve()
            assert at.is_relative_to(pathlib.Path.cwd().resolve()), (name, at)
        print(len(modules))
    """
    code = "\n".join(line[8:] for line in code.splitlines()).replace("CHECKOUT", repr(str(ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


@pytest.mark.parametrize("name", DOCKERFILES)
def test_hadolint_finds_nothing(name):
    found = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if (found or shutil.which("hadolint")) is None:
        pytest.skip("hadolint is not installed")
    command = [found or "hadolint", "--no-color", str(FOLDER / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


INSTALLED = """#!/bin/sh
echo "$(basename "$0") $*" | tee -a "$CALLS"
"""


def test_everything_an_image_installs_is_compiled(tmp_path):
    """A container is started for each task, by a user who cannot write compiled files."""
    for name in ("apt-get", "dpkg-query", "python", "uv", "rm"):
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(INSTALLED)
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
    shutil.copy(ROOT / "constraints.txt", tmp_path)
    environment = {
        "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
        "CALLS": str(tmp_path / "calls"),
        "TORCH_INDEX": "file:///torch",
    }
    for part in ("libraries", "programs"):
        command = ["sh", str(FOLDER / "install.sh"), part]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert "dpkg-query --show" in (tmp_path / "debian-packages.txt").read_text()
    installs = [call for call in calls if call.startswith("uv ")]
    assert len(installs) == 3
    assert all("--compile-bytecode" in call for call in installs)
    [compiled] = [call for call in calls if call.startswith("python -m compileall ")]
    assert calls.index(compiled) > calls.index(installs[-1]), "the sources stay where they are"
    programs = set(copied("Dockerfile.cpu")) & {path.name for path in ROOT.iterdir()}
    programs -= {"pyproject.toml", "constraints.txt"}
    assert set(compiled.split()[4:]) == programs
    for name in FILES:
        assert "PYTHONDONTWRITEBYTECODE" not in (FOLDER / name).read_text("utf-8")


def test_setup_installs_the_locked_uv_and_compiles_what_it_installs():
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "setup"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    [own] = [line for line in lines if "pip install" in line and line.endswith(" uv")]
    assert "--constraint constraints.txt" in own
    assert "\nuv==" in (ROOT / "constraints.txt").read_text("utf-8")
    rest, unbound = [line.split() for line in lines if "/uv pip install" in line]
    assert {"--compile-bytecode", "--constraint", "--build-constraints"} <= set(rest)
    # what pins libraries below ours is named by its version, and brings nothing else
    assert {"--compile-bytecode", "--no-deps"} <= set(unbound)
    names = unbound[unbound.index("--no-deps") + 1 :]
    assert names
    assert all("==" in name for name in names)
    assert "\nsetuptools==" in (ROOT / "constraints.txt").read_text("utf-8")


# Stand for Docker and for AWS's command line: the repository is a folder of tags.
DOCKER = """#!/bin/sh
echo "docker $*" >> "$CALLS"
case $1 in
login) cat > /dev/null ;;
push) touch "$REPOSITORY/${2##*:}" ;;
esac
"""
AWS = """#!/bin/sh
echo "aws $*" >> "$CALLS"
case "$1 $2" in
"ecr get-login-password") echo token ;;
"ecr batch-get-image")
  if [ -n "${DENIED:-}" ]; then echo AccessDenied >&2; exit 254; fi
  tag=$(echo "$*" | sed 's/.*imageTag=\\([^ ]*\\).*/\\1/')
  if [ -e "$REPOSITORY/$tag" ]; then echo "sha256:$tag"; else echo None; fi ;;
esac
"""


@pytest.fixture
def registry(tmp_path):
    """A checkout, a repository, and what was asked of Docker and AWS."""
    for folder in ("bin", "repository", "checkout/infra"):
        (tmp_path / folder).mkdir(parents=True)
    for name, text in (("docker", DOCKER), ("aws", AWS)):
        path = tmp_path / "bin" / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    shutil.copytree(FOLDER, tmp_path / "checkout/infra/containers")
    for name in copied("Dockerfile.cpu"):
        target = tmp_path / "checkout" / name
        if (ROOT / name).is_dir():
            (target / "__pycache__").mkdir(parents=True)
            (target / "a.py").write_text(name)
        elif not target.exists():
            shutil.copy(ROOT / name, target)
    shutil.copy(ROOT / ".dockerignore", tmp_path / "checkout")
    return tmp_path


def publish(registry: Path, kind: str, **more: str):
    """Run publish.sh; the result's ``calls`` are what it asked of others."""
    calls = registry / "calls"
    calls.write_text("")
    env = {
        "PATH": f"{registry / 'bin'}:/usr/bin:/bin",
        "CALLS": str(calls),
        "REPOSITORY": str(registry / "repository"),
        "ECR_REPOSITORY_URI": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/sounds",
        **more,
    }
    script = registry / "checkout/infra/containers/publish.sh"
    done = subprocess.run(
        [str(script), kind], env=env, cwd="/", capture_output=True, text=True, check=False
    )
    done.calls = calls.read_text().splitlines()
    return done


def test_an_image_is_pushed_once_and_named_by_digest(registry):
    first = publish(registry, "cpu")
    uri = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/team/sounds"
    assert re.fullmatch(rf"{uri}@sha256:cpu-[0-9a-f]{{32}}\n", first.stdout), first.stderr
    asked = sorted(" ".join(call.split()[:2]) for call in first.calls)
    assert asked == ["aws ecr"] * 3 + ["docker build", "docker login", "docker push"]
    [built] = [call for call in first.calls if call.startswith("docker build")]
    assert "--build-arg RUN_AS=root" in built, "SageMaker's /opt/ml is root's"
    assert "--file infra/containers/Dockerfile.cpu" in built
    assert "--repository-name team/sounds" in first.calls[0]
    again = publish(registry, "cpu")
    assert again.stdout == first.stdout
    assert len(again.calls) == 1, "it was there"


def test_an_image_is_made_anew_when_something_that_goes_into_it_changed(registry):
    first = publish(registry, "cpu").stdout
    for name in ("README.md", "user_configs/aed.yaml", "soundgate/__pycache__/a.pyc"):
        path = registry / "checkout" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("changed")
    assert publish(registry, "cpu").stdout == first
    seen = {first, publish(registry, "gpu").stdout, publish(registry, "cpu", RUN_AS="1000").stdout}
    for name in ("soundgate/a.py", "constraints.txt", "infra/containers/install.sh", "steps/b.py"):
        path = registry / "checkout" / name
        path.write_text("changed")
        seen.add(publish(registry, "cpu").stdout)
    assert len(seen) == 7, "each has a tag of its own"


def test_what_cannot_be_asked_is_not_built(registry):
    denied = publish(registry, "cpu", DENIED="yes")
    assert denied.returncode != 0
    assert not denied.stdout
    assert not any(call.startswith("docker") for call in denied.calls)
    unknown = publish(registry, "tpu")
    assert (unknown.returncode, unknown.calls) == (2, [])
    assert "say cpu or gpu" in unknown.stderr


def test_the_image_buildspec_exports_both_addresses(registry, monkeypatch):
    monkeypatch.setenv("PATH", f"{registry / 'bin'}:/usr/bin:/bin")
    given = {
        "CALLS": str(registry / "calls"),
        "REPOSITORY": str(registry / "repository"),
        "ECR_REPOSITORY_URI": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/sounds",
    }
    folder = registry / "machine"
    folder.mkdir()
    spec = read(FOLDER / "buildspec.yml")
    done = Build(spec, registry / "checkout", folder, given).run()
    assert done.succeeded, done.log
    assert "@sha256:cpu-" in done.exported["IMAGE_URI"]
    assert "@sha256:gpu-" in done.exported["TRAINING_IMAGE_URI"]
    broken = registry / "broken"
    broken.mkdir()
    failed = Build(spec, registry / "checkout", broken, {**given, "DENIED": "yes"}).run()
    assert failed.states == {"build": "failed"}
