"""Joins of more parts than a job has inputs: every part arrives, in order, whatever the levels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import toy_graphs as toy

from soundgate.errors import DefinitionError
from soundgate.executors.sagemaker.validation import definition as validation
from soundgate.pipeline import File, Output, Pipeline
from soundgate.programs.archives import unpacked
from soundgate.programs.gather import gather

if TYPE_CHECKING:
    from pathlib import Path

INPUT = "/opt/ml/processing/input"


class Bucket:
    """Copies what jobs read and runs gathering jobs, in folders of one machine."""

    def __init__(self, root: Path, request) -> None:
        self.root, self.steps = root, toy.steps_of(request)
        self.uploads = {u.key: u.file for u in request.uploads}

    def fill(self, task: str, output: str, name: str, text: str) -> None:
        folder = self.root / "written" / task / output
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")

    def mount(self, step: str) -> Path:
        """Put everything that a step reads where it is told to look."""
        private = self.root / "jobs" / step
        for each in self.steps[step]["Arguments"]["ProcessingInputs"]:
            target = private / each["S3Input"]["LocalPath"].lstrip("/")
            assert not target.exists(), "two inputs at one place"
            target.mkdir(parents=True)
            uri = each["S3Input"]["S3Uri"]
            if "Std:Join" in uri:
                key = "/".join(uri["Std:Join"]["Values"][2:])
                (file,) = [f for k, f in self.uploads.items() if k.startswith(key)]
                (target / file.name).write_text(file.text, "utf-8")
                continue
            _, writer, rest = uri["Get"].split(".", 2)
            self._copy(writer, rest.split("'")[1], target)
        return private

    def _copy(self, writer: str, output: str, target: Path) -> None:
        folder = self.root / "written" / writer / output
        if not folder.is_dir():  # a gathering job: run it
            private = self.mount(writer)
            words = toy.command(self.steps[writer])
            parts = words[words.index("--parts") + 1 : words.index("--gathered")]
            folder.mkdir(parents=True)
            gather([unpacked(private / part.lstrip("/")) for part in parts], folder)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                (target / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
                (target / path.relative_to(folder)).write_bytes(path.read_bytes())


def arrived(p: Pipeline, root: Path, argument: str, *, task: str = "pool") -> list[str]:
    """Return what the parts of a join hold where the task looks for them."""
    request = toy.render(p, root / "runs")
    validation.check(request.definition)
    bucket = Bucket(root, request)
    for name, declared in p.tasks.items():
        for output in declared.outputs:
            bucket.fill(name, output, "it.txt", f"{name}/{output}")
    private = bucket.mount(task)
    words = toy.command(bucket.steps[task])
    start = words.index(f"--{argument}") + 1
    length = len(p.tasks[task].inputs[argument])
    found = [private / word.lstrip("/") for word in words[start : start + length]]
    return [(f / "it.txt" if f.is_dir() else f).read_text("utf-8") for f in found]


def many(p: Pipeline, count: int) -> list[Output]:
    return [p.add(toy.fetch, name=f"part-{i}", dataset=str(i))["clips"] for i in range(count)]


@pytest.mark.parametrize(("count", "jobs"), [(2, 0), (10, 0), (11, 1), (12, 1), (20, 2), (91, 9)])
def test_every_part_of_a_join_arrives_in_order(count, jobs, tmp_path):
    p = Pipeline("toy")
    parts = many(p, count)[::-1]
    p.add(toy.pool, parts=parts)
    assert arrived(p, tmp_path, "parts") == [str(part) for part in parts]
    steps = toy.steps_of(toy.render(p, tmp_path))
    gathering = [name for name in steps if name.startswith("pool-gather-")]
    assert len(gathering) == jobs
    assert max(len(s["Arguments"]["ProcessingInputs"]) for s in steps.values()) <= 10
    assert len(steps["pool"]["Arguments"]["ProcessingInputs"]) == min(count, 10)
    for name in gathering:
        assert steps[name]["CacheConfig"]["Enabled"] is True


def files(count: int) -> list[File]:
    return [File(f"{i}.txt", text=f"file {i}") for i in range(count)]


def test_a_join_beside_other_joins_files_and_the_same_part_twice(tmp_path):
    p = Pipeline("toy")
    parts, (first, *rest) = many(p, 60), files(3)
    p.add(toy.pool, parts=[*parts[:58], first, parts[0]], extra=[*rest, *parts[47:]])
    expected = [*map(str, parts[:58]), "file 0", str(parts[0])]
    assert arrived(p, tmp_path / "parts", "parts") == expected
    extra = ["file 1", "file 2", *map(str, parts[47:])]
    assert arrived(p, tmp_path / "extra", "extra") == extra


def test_a_join_that_takes_two_levels_of_gathering(tmp_path):
    p = Pipeline("toy")
    parts = [*many(p, 27), *files(3)][::-1]
    singles = [p.add(toy.fetch, name=f"single-{name}")["card"] for name in "abcdefgh"]
    p.add(toy.broad, parts=parts, **dict(zip("abcdefgh", singles, strict=True)))
    expected = [f"file {i}" for i in (2, 1, 0)] + [str(part) for part in parts[3:]]
    assert arrived(p, tmp_path, "parts", task="broad") == expected
    assert arrived(p, tmp_path / "single", "c", task="broad") == ["single-c/card"]
    steps = toy.steps_of(toy.render(p, tmp_path))
    gathering = {name: str(step) for name, step in steps.items() if "-gather-" in name}
    assert len(gathering) == 4
    # the last one reads two that gathered ten each
    assert sum("gather-" in text.replace(name, "") for name, text in gathering.items()) == 1


def test_the_parts_of_trainings_are_gathered_out_of_their_archives(tmp_path):
    p = Pipeline("toy")
    clips = p.add(toy.fetch)["clips"]
    models = [
        p.add(toy.train, name=f"train-{i}", clips=clips, epochs=i)["model"] for i in range(12)
    ]
    p.add(toy.pool, parts=models)
    steps = toy.steps_of(toy.render(p, tmp_path))
    words = toy.command(steps["pool-gather-1"])
    assert words[1:4] == [f"{INPUT}/parts/{i}/model.tar.gz/model" for i in range(3)]
    uris = [m["S3Input"]["S3Uri"] for m in steps["pool-gather-1"]["Arguments"]["ProcessingInputs"]]
    assert uris == [{"Get": f"Steps.train-{i}.ModelArtifacts.S3ModelArtifacts"} for i in range(3)]
    places = toy.command(steps["pool"])[1:13]
    gathered = [f"{INPUT}/gathered/1/{i}" for i in range(3)]
    direct = [f"{INPUT}/parts/{i}/model.tar.gz/model" for i in range(3, 12)]
    assert places == [*gathered, *direct]


def test_a_gathering_job_lies_where_its_reader_lies(tmp_path):
    p = Pipeline("toy")
    _, report, _ = toy.trained(p)
    gate = p.gate(report, metric=toy.ACCURACY, at_least=0.5)
    p.add(toy.pool, parts=many(p, 12), after=[gate])
    outer = [step["Name"] for step in toy.render(p, tmp_path).definition["Steps"]]
    assert "pool" not in outer
    assert "pool-gather-1" not in outer


def test_more_single_inputs_than_a_job_takes_are_refused(tmp_path):
    def wide(  # noqa: PLR0917
        a: toy.InputPath, b: toy.InputPath, c: toy.InputPath, d: toy.InputPath, e: toy.InputPath,
        f: toy.InputPath, g: toy.InputPath, h: toy.InputPath, i: toy.InputPath, j: toy.InputPath,
        k: toy.InputPath, out: toy.OutputPath,
    ) -> None:  # fmt: skip
        """Read eleven."""

    p = Pipeline("toy")
    p.add(wide, **dict(zip("abcdefghijk", many(p, 11), strict=True)))
    with pytest.raises(DefinitionError, match=r"'wide' reads 11 artifacts, .* at most 10 inputs"):
        toy.render(p, tmp_path)


def test_gather_copies_folders_and_files(tmp_path):
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "deep" / "x.txt").write_text("x")
    (tmp_path / "b.wav").write_bytes(b"sound")
    gathered = tmp_path / "gathered"
    gathered.mkdir()
    gather([tmp_path / "a", tmp_path / "b.wav"], gathered)
    assert (gathered / "0" / "deep" / "x.txt").read_text() == "x"
    assert (gathered / "1" / "b.wav").read_bytes() == b"sound"
