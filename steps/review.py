"""Make the page a reviewer decides by.

Reads   report/ comparison/           figures, and the champion's beside them
        gates judged/                 what the gates ask, and every report that one of them reads
        model/ metrics/ exported/     the candidate, how its training went, what it became
        clips/ card/                  the audio, and which data it is
Writes  review/    report.html, one file that needs nothing besides itself; review.json
"""

from __future__ import annotations

import json

from soundgate.step import InputPath, NamedInputPaths, OutputPath, main


def review(
    report: InputPath,
    model: InputPath,
    metrics: InputPath,
    clips: InputPath,
    card: InputPath,
    comparison: InputPath,
    gates: InputPath,
    judged: NamedInputPaths,
    review: OutputPath,
    exported: InputPath | None = None,
    *,
    model_name: str = "",
) -> None:
    """Write verdicts, metrics beside the champion's, clips to listen to, and provenance.

    ``model_name`` is the registered model that the candidate is for; the page names it.
    """
    import platform
    from dataclasses import asdict
    from importlib.metadata import version

    from soundgate.audio.review.evidence import Folders
    from soundgate.audio.review.page import write
    from soundgate.gates import judge_all, label
    from soundgate.runs import Context

    context = Context.from_environment()
    declared = json.loads(gates.read_text("utf-8"))
    verdicts = judge_all(gates, judged)
    libraries = [f"{name} {version(name)}" for name in ("soundgate", "torch", "numpy", "soundfile")]
    provenance = {
        "model": model_name,
        "run": context.run or "by hand",
        "pipeline": context.pipeline,
        "commit": context.commit,
        "versions": ", ".join([f"Python {platform.python_version()}", *libraries]),
    }
    write(
        Folders(
            report=report,
            model=model,
            metrics=metrics,
            clips=clips,
            card=card,
            comparison=comparison,
            exported=exported,
            # several tasks may have an output "report": the page shows the bounds on this one
            report_name=next((name for name, path in judged.items() if path == report), ""),
        ),
        review,
        verdicts=[
            gate | asdict(verdict) | {"label": label(verdict, verdicts)}
            for gate, verdict in zip(declared, verdicts, strict=True)
        ],
        origin={name: value for name, value in provenance.items() if value},
    )


if __name__ == "__main__":
    main(review)
