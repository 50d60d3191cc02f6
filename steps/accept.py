"""Refuse a data set in which preprocessing found what may not be, before anything is trained on it.

Reads   inspection/  inspection.json
Writes  accepted/    accepted.txt, what was accepted in one line
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, main


def accept(inspection: InputPath, accepted: OutputPath) -> None:
    """Pass where no rule of the section ``inspection`` is broken; else fail with the reasons."""
    from soundgate.audio.inspection import check

    said = check(inspection)
    accepted.mkdir(parents=True, exist_ok=True)
    (accepted / "accepted.txt").write_text(f"{said}\n", "utf-8")
    print(said)


if __name__ == "__main__":
    main(accept)
