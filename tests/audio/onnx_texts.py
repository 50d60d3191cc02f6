"""Read a model from its text, for the tests of exported graphs."""

from __future__ import annotations

import onnx


def graph(text):
    return onnx.parser.parse_model(text)
