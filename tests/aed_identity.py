"""Whether an AED run gives the same weights and figures, to the last bit, as it did before.

    python tests/aed_identity.py NAME RUN_FOLDER [--write]

compares a run with the entry NAME of ``tests/golden/aed_identity.json``: ``small`` is the run that
tests share, ``synthetic`` is plain ``run-pipeline -n pipelines.aed``, ``esc10`` the same with
``user_configs/aed_esc10.yaml``. Bits depend on the processor and on torch, so a name has an entry
for each kind of machine, and a run is compared with that of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parent / "golden" / "aed_identity.json"
BYTES = (
    "tasks/preprocess/features/frames.npy",
    "tasks/train/model/weights.safetensors",
    "tasks/export/exported/model_int8.onnx",
)
FIGURES = (
    "tasks/evaluate/report/evaluation.json",
    "tasks/compare/comparison/comparison.json",
)
VECTOR_UNITS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16")


def machine() -> dict[str, Any]:
    """What the bits depend on besides the code and the data."""
    from importlib.metadata import version

    flags: set[str] = set()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        flags = {
            f for line in lines if line.startswith(("flags", "Features")) for f in line.split()
        }
    return {
        "processor": platform.machine(),
        "vector_units": [unit for unit in VECTOR_UNITS if unit in flags],
        "cores": len(os.sched_getaffinity(0)),
        "torch": version("torch"),
        "numpy": version("numpy"),
    }


def routines() -> dict[str, str]:
    """Return the variables by which libraries pick the routines for a processor.

    They change bits. A container has an environment of its own, so that whoever compares its
    figures with this machine's has to hand these over.
    """
    prefixes = ("ATEN_", "DNNL_", "MKL_", "NPY_", "OMP_", "ONEDNN_", "OPENBLAS_")
    return {name: value for name, value in os.environ.items() if name.startswith(prefixes)}


def leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every scalar of a JSON document by its dotted path."""
    if isinstance(value, dict):
        items = [(f"{path}.{name}" if path else name, each) for name, each in value.items()]
    elif isinstance(value, list):
        items = [(f"{path}[{index}]", each) for index, each in enumerate(value)]
    else:
        return {path: value}
    return {name: leaf for key, each in items for name, leaf in leaves(each, key).items()}


def found_in(run: Path) -> dict[str, Any]:
    """Digests and figures of a run."""
    digests = {p: hashlib.sha256((run / p).read_bytes()).hexdigest() for p in BYTES}
    figures = {p: leaves(json.loads((run / p).read_text("utf-8"))) for p in FIGURES}
    return {"digests": digests, "figures": figures}


def differences(expected: dict[str, Any], run: Path) -> list[str]:
    """What is not as expected; figures that are new in a report are no difference."""
    found = found_in(run)
    said = [
        f"{path}: other bytes"
        for path, digest in expected["digests"].items()
        if found["digests"][path] != digest
    ]
    for path, figures in expected["figures"].items():
        for name, value in figures.items():
            now = found["figures"][path].get(name, "absent")
            if now != value:
                said.append(f"{path}: {name} was {value}, is {now}")
    return said


def pinned(name: str) -> dict[str, Any] | None:
    """Return the entry that was made on a machine like this one; None where there is none."""
    golden = json.loads(GOLDEN.read_text("utf-8"))
    here = machine()
    return next((entry for entry in golden[name] if entry["machine"] == here), None)


def pin(name: str, folder: Path) -> None:
    """Write the entry of this machine, in place of the one that it has."""
    golden = json.loads(GOLDEN.read_text("utf-8")) if GOLDEN.is_file() else {}
    others = [entry for entry in golden.get(name, []) if entry["machine"] != machine()]
    golden[name] = [*others, {"machine": machine(), **found_in(folder)}]
    GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n", "utf-8")


def main() -> int:
    """Compare, or write anew; return the exit code."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    if "--write" in sys.argv:
        pin(name, folder)
        return 0
    expected = pinned(name)
    if expected is None:
        print(f"not compared: no entry of {name} was made on a machine like this: {machine()}")
        return 3
    said = differences(expected, folder)
    print("\n".join(said) if said else f"{name}: every weight and figure is the same")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
