"""Sections that all systems share: ``general``, ``quantization`` and ``evaluation``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from soundgate.audio.config.sections.section import Section


class General(Section):
    """What concerns every step."""

    project_name: str = "aed_project"
    """Name of the project, for the reader; the parameter ``model_name`` names the model."""
    global_seed: int = Field(default=120, ge=0)
    """Seed of the training."""
    deterministic_ops: bool = False
    """Whether slower kernels are chosen that give the same bits on every run of one machine."""
    batch_size: int = Field(default=256, ge=1)
    """Patches scored at once in evaluation and prediction."""


class Quantization(Section):
    """The int8 model, made by post-training quantisation."""

    quantization_type: Literal["PTQ"] = "PTQ"
    """Post-training quantisation is the only kind."""
    quantization_input_type: Literal["int8", "uint8", "float"] = "int8"
    """Number format of the model's input."""
    quantization_output_type: Literal["int8", "uint8", "float"] = "float"
    """Number format of the model's output."""
    granularity: Literal["per_channel", "per_tensor"] = "per_channel"
    """Whether each channel of a weight has a scale of its own."""
    optimize: bool = False
    """Whether the graph is simplified before it is quantised."""
    target_opset: int = Field(default=17, ge=15, le=20)
    """Version of the ONNX operator set; older ones lack what the graphs use."""


class Evaluation(Section):
    """How a model is judged."""

    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Level of the confidence intervals."""
