"""Collect the clips of sound event data sets in one folder: audio of one rate, clips, events.

Reads   folder/     a data set as it is published; which one, ``layout`` says (optional: synthetic
                    soundscapes are rendered)
        excluded    lists of files that no training part may have, a filename a row (optional)
Writes  events/     sound_events.json, clips.jsonl, events.jsonl and audio/

Missing files are recorded in sound_events.json, with the share that is there.
"""

from __future__ import annotations

from soundgate.step import InputPath, InputPaths, OutputPath, main


def collect(
    events: OutputPath,
    folder: InputPath | None = None,
    excluded: InputPaths | None = None,
    *,
    layout: str = "synthetic",
    rate_hz: int = 16_000,
    resample: bool = False,
    most_missing: float = 1.0,
    scale: float = 1.0,
    seed: int = 0,
) -> None:
    """Collect the data; say what each part holds and lacks."""
    from soundgate.audio.datasets.sound_events import gathering, layouts

    options = gathering.Options(
        rate_hz=rate_hz,
        resample=resample,
        most_missing=most_missing,
        excluded=gathering.read_excluded(excluded or []),
    )
    with layouts.root(layout, folder, scale=scale, seed=seed) as root:
        parts, space = layouts.layout(layout, root)
        described = gathering.gather(parts, space, events, options)
    print("\n".join(gathering.wording(described)))


if __name__ == "__main__":
    main(collect)
