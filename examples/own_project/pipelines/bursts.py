"""Two detectors on every recording; each has to clear a gate of its own."""

from soundgate.bounds import Bounds
from soundgate.pipeline import Axis, Metric, Pipeline
from steps.detect import detect
from steps.summarise import summarise

F1 = Metric(name="f1", json_path="f1.value", message="F1 <", values=Bounds(0, 1))
LEVELS = {"sensitive": {"level": 2.0}, "strict": {"level": 3.0}}
RECORDINGS = {"near": {"snr_db": 18.0}, "far": {"snr_db": 12.0}}
LEAST = {"sensitive": 0.8, "strict": 0.7}


def get_pipeline() -> Pipeline:
    """Describe the pipeline."""
    p = Pipeline("bursts")
    detectors = Axis("detector", LEVELS)
    detected = p.map(detect, over=[detectors, Axis("recording", RECORDINGS)])
    reports = p.map(summarise, over=detectors, counts=detected["counts"].by("detector"))
    for task in reports.tasks:
        detector = task.item["detector"]
        p.gate(task["report"], metric=F1, at_least=LEAST[detector], name=f"gate-{detector}")
    return p
