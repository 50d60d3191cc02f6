"""Names as people, cameras and enemies give them, from ``fetch`` to ``predict``.

A try is a data set of two classes whose folders and files have odd names. Either every file comes
out under its own name, or a step refuses the data set in one line that a terminal can bear;
prediction takes them all. Names of pipelines, models and folders of runs are tried too: they are
taken as they are, or refused.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TESTS = Path(__file__).resolve().parents[1]
PARTS: Final = (
    *(" ", "  ", "'", '"', "`", "\n", "\r", "\t", "\x1b[31m", "\x7f", "\\", "|", ";", "&", "$HOME"),
    *("#", "?", "%", "%20", "%s", "{x}", "{0}", "*", "[a]", "(1)", "~", "!", ",", "=", ":", "<b>"),
    *("-", "--help", "-rf", ".", "..", "_", "con", "nul", "null", "true", "1e5", "007", "@", "^"),
    *("ä", "a\u0308", "犬", "🐕", "👩‍🚀", "\u200b", "\u202e", "\ufeff", "\u2028", "ß", "İ"),
    *(
        "a" * 60,
        "ü" * 40,
        "\udcff",
        "train",
        "other",
        "score",
        "path",
        "remark",
        "=1+1",
        "index.html",
    ),
)
CONFIG: Final = """
dataset: {n_folds: 2}
preprocessing: {min_length: 1.0}
inspection: {similar_labels: true}
"""
LONGEST_BYTES: Final = 240
PROGRESS: Final = re.compile(r"[a-z ]+: [\d ,]+ of .*")
TOY_EVERY: Final = 12
"""A run by the command line takes seconds."""


def name(rng: np.random.Generator) -> str:
    """An odd name that a file system takes, without an extension."""
    chosen = rng.choice(np.array(PARTS, dtype=object), size=int(rng.integers(1, 4)))
    plain = [str(rng.choice(["dog", "x", ""])) for _ in chosen]
    text = "".join(part for pair in zip(plain, chosen, strict=True) for part in pair)
    while len(os.fsencode(text)) > LONGEST_BYTES:
        text = text[:-1]
    return text if text.strip(".") else f"{text}x"


def attack(folder: Path, count: int) -> Iterator[str]:
    """Yield what went wrong with each of ``count`` tries; empty where nothing did."""
    folder.mkdir(parents=True, exist_ok=True)
    tries = count - count // TOY_EVERY
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), str(folder), str(tries)],
        capture_output=True,
        text=True,
        timeout=120 + 10 * count,
        check=False,
    )
    if done.returncode:
        yield f"the attack ended with {done.returncode}: {done.stderr[-600:]}"
        return
    yield from json.loads(done.stdout.splitlines()[-1])
    for number in range(count // TOY_EVERY):
        yield _toy(folder / f"toy{number}", number)


def _toy(folder: Path, number: int) -> str:
    """A project and its folder of runs have odd names: its pipeline runs, or is refused."""
    from toy_project import Toy

    odd = name(np.random.default_rng([7, number]))
    toy = Toy(folder / odd)
    toy.pipeline("p", 't.add(work, name="a", text="x")')
    done = toy.run("pipelines.p")
    if done.returncode not in (0, 2):
        return f"runs in {odd!r} ended with {done.returncode}: {done.stderr[-300:]}"
    if done.returncode == 2:
        return _unreadable(done.stderr) and f"runs in {odd!r}: {done.stderr!r}"
    return ""


def _unreadable(said: str) -> str:
    """What makes an answer other than one line that a terminal can bear."""
    line = said.removesuffix("\n")
    return "" if line.isprintable() and line.startswith("error: ") else said or "nothing"


# -- what follows runs in a process of its own, which steps may set up as they like ---------------


def main(folder: Path, count: int) -> None:
    """Try everything; print a JSON list of what fell."""
    sys.path[:0] = [str(TESTS / "audio"), str(TESTS.parent)]
    from toy_model import write_model

    model = write_model(folder / "model")
    found = []
    for number in range(count):
        rng = np.random.default_rng(number)
        found.append(_names_only(rng) or _data_set(folder / str(number), model, rng))
    print(json.dumps(found))


def _names_only(rng: np.random.Generator) -> str:
    """A pipeline's and a model's name is kept as it is, or refused in one line."""
    from pipelines.parameters.release import check_model_name
    from soundgate.errors import UserError
    from soundgate.pipeline import Pipeline

    odd = name(rng)
    for take in (Pipeline, check_model_name):
        try:
            take(odd)  # type: ignore[operator]
        except UserError as error:
            if not str(error).isprintable():
                return f"{take.__name__}({odd!r}) answers {str(error)!r}"
        else:
            if not odd.isprintable() or {"/", ":", "'", '"', "%"} & set(odd):
                return f"{take.__name__}({odd!r}) is taken"
    return ""


def _data_set(folder: Path, model: Path, rng: np.random.Generator) -> str:
    """Fetch, preprocess, accept and predict a data set; what went wrong."""
    from toy_model import write_sound

    # Many names are refused at once: most tries shall come further.
    clean = rng.random() < 0.7
    classes = [_named(rng, clean=clean) for _ in range(2)]
    files = {
        f"{label}/{_named(rng, clean=clean)}.wav": label for label in classes for _ in range(2)
    }
    for number, (path, label) in enumerate(files.items()):
        (folder / "in" / label).mkdir(parents=True, exist_ok=True)
        write_sound(folder / "plain.wav", 0.6, number).rename(folder / "in" / path)
    (folder / "config.yaml").write_text(CONFIG)
    wrong = _prepared(folder, files) or _predicted(folder, model, files, rng)
    return wrong and f"files {[*files]!r}: {wrong}"


def _prepared(folder: Path, files: dict[str, str]) -> str:
    """From ``fetch`` to ``accept``; what went wrong, nothing where a step refused rightly."""
    from steps.accept import accept
    from steps.fetch import fetch
    from steps.preprocess import preprocess

    clips = {"config": folder / "config.yaml", "clips": folder / "clips"}
    inspection = {"inspection": folder / "inspection"}
    source = {"source": folder / "in", "dataset": "folder", "store": folder / "store"}
    steps: list[tuple[Callable[..., None], dict[str, object]]] = [
        (fetch, {**clips, **source, "card": folder / "card"}),
        (preprocess, {**clips, **inspection, "features": folder / "features"}),
        (accept, {**inspection, "accepted": folder / "accepted"}),
    ]
    for step, arguments in steps:
        code, wrong = _run(step, arguments)
        if code or wrong:
            return wrong
    rows = [json.loads(line) for line in (folder / "clips/manifest.jsonl").open("rb")]
    found = {row["path"].removeprefix("audio/"): row["labels"] for row in rows}
    if found != {path: [label] for path, label in files.items()}:
        return f"the manifest is {found!r}"
    kept = {json.loads(line)["path"] for line in (folder / "features/clips.jsonl").open("rb")}
    if kept != {f"audio/{path}" for path in files}:
        return f"the features are of {sorted(kept)!r}"
    return ""


def _predicted(folder: Path, model: Path, files: dict[str, str], rng: np.random.Generator) -> str:
    """Whether every file is scored under its own name, or is one row of failures."""
    from steps.predict import predict

    form = str(rng.choice(["csv", "jsonl"]))
    asked = {"version": model, "audio": folder / "in", "predictions": folder / "out"}
    expected = {path for path in files if not _has_surrogate(path)}
    code, wrong = _run(predict, {**asked, "format": form})
    if wrong or (code and not expected):  # rightly refused: no file could be scored
        return wrong
    if code:
        return "refused by predict"
    with (folder / f"out/clips.{form}").open(encoding="utf-8", newline="") as table:
        lines = csv.DictReader(table) if form == "csv" else map(json.loads, table)
        scored = [row["path"] for row in lines]
    failed = [json.loads(line)["path"] for line in (folder / "out/failures.jsonl").open("rb")]
    if sorted(scored) != sorted(expected) or len(failed) != len(files) - len(expected):
        return f"scored are {scored!r}, failed are {failed!r}"
    return ""


def _has_surrogate(text: str) -> bool:
    return any(unicodedata.category(letter) == "Cs" for letter in text)


def _named(rng: np.random.Generator, *, clean: bool) -> str:
    while True:
        odd = name(rng)
        if not odd.startswith(".") and not (clean and (not odd.isprintable() or "\\" in odd)):
            return odd


def _run(step: Callable[..., None], arguments: Mapping[str, object]) -> tuple[int, str]:
    """Run a step as its program does; the exit code, and what is wrong with its answer."""
    from soundgate.step import run

    words = [word for key, value in arguments.items() for word in (f"--{key}", str(value))]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(step, words)
    if _hostile(out.getvalue()):
        return code, f"{step.__name__} prints {out.getvalue()!r}"
    lines = err.getvalue().split("\n")
    said = "\n".join(line for line in lines if not PROGRESS.fullmatch(line))
    if code not in (0, 2):
        return code, f"{step.__name__} ended with {code}: {said[-500:]}"
    return code, f"{step.__name__} answers {said!r}" if code and _unreadable(said) else ""


def _hostile(text: str) -> bool:
    """Whether a line holds what steers a terminal."""
    return any(unicodedata.category(letter) in {"Cc", "Cs"} and letter != "\n" for letter in text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
