"""The same model behind LitServe, with its batches; run by a Python that has it.

python benchmarks/serving_peers/with_litserve.py MODEL PORT
"""
# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ARG002 - LitServe is not installed here

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

import litserve
import numpy as np
import onnxruntime
import soundfile
import soxr

MODEL, PORT = Path(sys.argv[1]), int(sys.argv[2])


class Api(litserve.LitAPI):
    """Decodes in the worker, scores clips of one length together."""

    def setup(self, device):
        """Open the program."""
        self.about = json.loads((MODEL / "export" / "export.json").read_text("utf-8"))
        self.session = onnxruntime.InferenceSession(MODEL / "export" / "model.onnx")

    def decode_request(self, request):
        """A file in base64 to samples."""
        content = io.BytesIO(base64.b64decode(request["audio"]))
        samples, rate_hz = soundfile.read(content, dtype="float32")
        return soxr.resample(samples, rate_hz, self.about["sample_rate_hz"])

    def batch(self, inputs):
        """All clips are of one length here."""
        return np.stack(inputs)

    def predict(self, batch):
        """Scores (clip, class)."""
        return self.session.run(["scores"], {"waveform": batch})[0]

    def unbatch(self, output):
        """A row a clip."""
        return list(output)

    def encode_response(self, output):
        """Scores by class."""
        return {"scores": dict(zip(self.about["classes"], map(float, output), strict=True))}


if __name__ == "__main__":
    api = Api(max_batch_size=16, batch_timeout=0.005)
    litserve.LitServer(api, accelerator="cpu").run(port=PORT, log_level="warning")
