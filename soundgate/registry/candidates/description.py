"""What MLflow is told of a model: ``MLmodel``, flavors that need no pickle, the version's page.

``soundgate`` is a flavor of our own. A model with an exported ONNX program has MLflow's ``onnx``
and ``python_function`` flavors besides, so that
``mlflow.pyfunc.load_model("models:/aed@champion")`` takes waveforms without any of our code.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from soundgate.gates import label
from soundgate.registry.versions.bundle import EXAMPLE, EXPORT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mlflow.entities import LoggedModel
    from mlflow.models import Model

    from soundgate.gates import Verdict
    from soundgate.registry.candidates.signatures import Signature, TensorDescription

ONNX = f"{EXPORT}/model.onnx"
BOUNDS = {"at_least": "≥", "at_most": "≤"}
NEEDED_BY_ONNX = ("mlflow", "numpy", "onnx", "onnxruntime")


def write_ml_model(
    folder: Path, logged: LoggedModel, signature: Signature | None, *, exported: bool
) -> None:
    """Write ``MLmodel``, and what loading an exported program needs, into ``folder``."""
    weights = sorted(path.name for path in folder.glob("*.safetensors"))
    model = _ml_model(logged, signature, weights)
    if exported:
        _add_onnx(model, folder)
        # MLflow's wrapper of an ONNX session reads the description beside the program.
        (folder / EXPORT).mkdir(exist_ok=True)
        _add_example(model, folder, signature)
        model.save(str(folder / EXPORT / "MLmodel"))
    model.save(str(folder / "MLmodel"))


def _ml_model(logged: LoggedModel, signature: Signature | None, weights: list[str]) -> Model:
    import numpy as np
    from mlflow.models import Model, ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(*tensors: TensorDescription) -> Schema:
        return Schema([TensorSpec(np.dtype(t.dtype), t.shape, t.name) for t in tensors])

    return Model(
        run_id=logged.source_run_id,
        model_id=logged.model_id,
        signature=signature and ModelSignature(schema(signature.input), schema(*signature.outputs)),
        flavors={"soundgate": {"description": "model.json", "weights": ", ".join(weights)}},
        metadata=_facts(signature),
    )


def _facts(signature: Signature | None) -> dict[str, Any] | None:
    """What a schema cannot hold: the names of the scores' columns, the rate of the audio."""
    if signature is None or not signature.classes:
        return None
    return {"classes": list(signature.classes), "sample_rate_hz": signature.rate_hz}


def _add_example(model: Model, folder: Path, signature: Signature | None) -> None:
    """Write an input: one waveform of a tenth of a second of silence."""
    if signature is None or signature.rate_hz is None:
        return
    waveform = [0.0] * (signature.rate_hz // 10)
    (folder / EXAMPLE).write_text(json.dumps({signature.input.name: [waveform]}), "utf-8")
    model.saved_input_example_info = {"artifact_path": EXAMPLE, "type": "ndarray"}


def _add_onnx(model: Model, folder: Path) -> None:
    versions = {name: _installed(name) for name in NEEDED_BY_ONNX}
    model.add_flavor(
        "onnx",
        onnx_version=versions["onnx"],
        data=ONNX,
        # MLflow warns of each that is named here and absent, on every machine without a GPU.
        providers=["CPUExecutionProvider"],
        onnx_session_options=None,
        code=None,
    )
    model.add_flavor(
        "python_function",
        loader_module="mlflow.onnx",
        data=ONNX,
        python_version=platform.python_version(),
        env={"virtualenv": "python_env.yaml"},
    )
    (folder / "python_env.yaml").write_text(
        f"python: {platform.python_version()}\ndependencies:\n- -r requirements.txt\n", "utf-8"
    )
    lines = [f"{name}=={found}" if found else name for name, found in versions.items()]
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n", "utf-8")


def _installed(name: str) -> str:
    """The version of a library, empty where this machine only registers and lacks it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def version_page(logged: LoggedModel, report_path: str, verdicts: Sequence[Verdict]) -> str:
    """Markdown for the version's page: the report first, then the gates as a table."""
    run = f"#/experiments/{logged.experiment_id}/runs/{logged.source_run_id}"
    lines = [f"[review report]({run}/artifacts/{report_path})", ""]
    lines += ["| gate | value | bound | verdict |", "| --- | --- | --- | --- |"]
    for verdict in verdicts:
        value = "unreadable" if verdict.value is None else verdict.value
        bound = f"{BOUNDS[verdict.bound]} {verdict.threshold}"
        word = "passed" if verdict.passed else "missed"
        advisory = " (advisory)" if verdict.advisory else ""
        lines.append(f"| {label(verdict, verdicts)} | {value} | {bound} | {word}{advisory} |")
    return "\n".join(lines)
