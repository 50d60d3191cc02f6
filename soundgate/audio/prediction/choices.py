"""What a prediction may be asked for; light, so that a pipeline can check it before it runs."""

from __future__ import annotations

from typing import Annotated, Literal

from soundgate.bounds import Bounds

Format = Literal["csv", "parquet", "jsonl"]
"""Of the tables of scores and of failures."""

Runtime = Literal["torch", "onnx", "int8"]
"""The trained network, its exported program, or that in 8 bits."""

Seconds = Annotated[float, Bounds(0)]
"""A length of time."""
