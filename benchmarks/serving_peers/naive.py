"""What a first attempt looks like: one ``async def`` that decodes and scores where it stands.

python benchmarks/serving_peers/naive.py MODEL PORT
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import soundfile
import soxr
import uvicorn
from fastapi import FastAPI, Request

MODEL, PORT = Path(sys.argv[1]), int(sys.argv[2])
ABOUT = json.loads((MODEL / "export" / "export.json").read_text("utf-8"))
SESSION = onnxruntime.InferenceSession(MODEL / "export" / "model.onnx")
app = FastAPI()


@app.get("/ping")
async def ping() -> dict[str, str]:
    """Answer."""
    return {"status": "ready"}


@app.post("/invocations")
async def predict(request: Request) -> dict[str, Any]:
    """Score a file."""
    samples, rate_hz = soundfile.read(io.BytesIO(await request.body()), dtype="float32")
    if samples.ndim > 1:
        samples = samples.mean(1)
    samples = soxr.resample(samples, rate_hz, ABOUT["sample_rate_hz"])
    scores = SESSION.run(["scores"], {"waveform": samples[None]})[0][0]
    return {"scores": dict(zip(ABOUT["classes"], map(float, scores), strict=True))}


if __name__ == "__main__":
    uvicorn.run(app, port=PORT, log_level="warning")
