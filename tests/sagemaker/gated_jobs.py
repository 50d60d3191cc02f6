"""Jobs behind gates, for the tests of the definition runner."""

from __future__ import annotations

from jobs_by_hand import get, join, json_get, parameter


def report(world, value: str, name: str = "evaluate") -> dict:
    code = f"""
    import pathlib
    pathlib.Path("/opt/ml/processing/output/report/evaluation.json").write_text('{value}')
    """
    files = [{"PropertyFileName": "report", "OutputName": "report", "FilePath": "evaluation.json"}]
    return world.processing(name, code, outputs=("report",), PropertyFiles=files)


def gate(name: str, inside: list, *, path: str = "acc.value", **step) -> dict:
    threshold = get(f"Parameters.{name}_threshold")
    return {
        "Name": name,
        "Type": "Condition",
        "Arguments": {
            "Conditions": [
                {
                    "Type": "GreaterThanOrEqualTo",
                    "LeftValue": json_get("evaluate", "report", path),
                    "RightValue": threshold,
                }
            ],
            "IfSteps": inside,
            "ElseSteps": [
                {
                    "Name": f"{name}-missed",
                    "Type": "Fail",
                    "Arguments": {"ErrorMessage": join(f"{name} <", threshold, on=" ")},
                }
            ],
        },
        **step,
    }


THRESHOLDS = [parameter(f"{name}_threshold", "Float", 0.5) for name in ("clip", "patch")]
