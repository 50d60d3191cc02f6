"""A step with an argument of every kind; it writes down what arrived."""

from __future__ import annotations

import json

from soundgate.step import InputPath, InputPaths, OutputPath, main


def spell(
    out: OutputPath,
    source: InputPath | None = None,
    parts: InputPaths | None = None,
    *,
    s: str = "100%",
    i: int = 1,
    f: float = 0.5,
    b: bool = False,
    ss: list[str] = ["a", "b"],  # noqa: B006 - read by the command line alone
    ints: list[int] = [],  # noqa: B006
    floats: list[float] = [],  # noqa: B006
    bools: list[bool] = [],  # noqa: B006
) -> None:
    """Write the values as JSON."""
    values = {"s": s, "i": i, "f": f, "b": b, "ss": ss, "ints": ints, "floats": floats}
    values |= {"bools": bools, "source": source and str(source)}
    values |= {"parts": parts and [str(p) for p in parts]}
    (out / "values.json").write_text(json.dumps(values), "utf-8")


if __name__ == "__main__":
    main(spell)
