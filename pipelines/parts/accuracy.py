"""The gates on a classifier's accuracies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.parameters import aed as parameters
from pipelines.parts.release import Wanted

if TYPE_CHECKING:
    from pipelines.parameters.aed import AedParameters
    from soundgate.pipeline import Output


def gates(p: AedParameters, report: Output) -> list[Wanted]:
    """Gates on the accuracies, and where asked for on the lower ends of their intervals."""
    clip_low = p.q_clip_level_acc_low_threshold or None
    patch_low = p.q_patch_level_acc_low_threshold or None
    return [
        Wanted(report, parameters.CLIP_ACCURACY, p.q_clip_level_acc_threshold),
        Wanted(report, parameters.PATCH_ACCURACY, p.q_patch_level_acc_threshold),
        Wanted(report, parameters.CLIP_ACCURACY_LOW, clip_low),
        Wanted(report, parameters.PATCH_ACCURACY_LOW, patch_low),
    ]


def int8_gates(p: AedParameters, report: Output) -> list[Wanted]:
    """Gates on the int8 model, where they are asked for."""
    clip = p.q_quantized_clip_level_acc_threshold or None
    patch = p.q_quantized_patch_level_acc_threshold or None
    return [
        Wanted(report, parameters.QUANTIZED_CLIP_ACCURACY, clip),
        Wanted(report, parameters.QUANTIZED_PATCH_ACCURACY, patch),
    ]
