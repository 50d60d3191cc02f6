"""Write down what arrives, in the order in which it arrives.

Reads   source/   one artifact        parts/   any number of them
Writes  out/      result.txt: ``text``, then every file that was read
"""

from __future__ import annotations

from steps.work import note

from soundgate.step import InputPath, InputPaths, OutputPath, main


def join(
    out: OutputPath,
    source: InputPath | None = None,
    parts: InputPaths | None = None,
    *,
    text: str = "",
) -> None:
    """Concatenate."""
    note("start")
    for part in [*([source] if source else []), *(parts or [])]:
        files = [part] if part.is_file() else sorted(p for p in part.rglob("*") if p.is_file())
        text += "".join(p.read_text("utf-8") for p in files)
    (out / "result.txt").write_text(text, "utf-8")
    print(f"joined: {text}", flush=True)


if __name__ == "__main__":
    main(join)
