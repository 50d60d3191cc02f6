"""The whole classifier as one module, from raw waveforms to scores, and its traced program."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental import _config

from soundgate.audio.export.quiet import quiet
from soundgate.errors import DataError

INPUT = "waveform"
OUTPUTS = ("scores", "patch_scores", "patches")
NETWORK = "network"
"""Attribute of ``Program`` that holds the network; its nodes carry the name in every graph."""


class Program(nn.Module):
    """A classifier of waveforms, with everything in it that follows decoding and resampling."""

    def __init__(
        self,
        front_end: nn.Module,
        network: nn.Module,
        *,
        multi_label: bool,
        example_samples: int,
        join: str = "mean",
    ) -> None:
        """Join a front end with a network.

        Args:
            front_end: waveforms float32 (batch, sample) to what the network takes of each patch
                (batch, patch, ...), and how many patches of each clip are real, int64 (batch,).
            network: of what it takes (patch, ...), logits (patch, class).
            multi_label: whether each score stands on its own.
            example_samples: length of the waveform that is traced.
            join: how the scores of patches become the clip's: mean or max.
        """
        super().__init__()
        self.front_end, self.example_samples, self.join = front_end, example_samples, join
        self.network = _Scores(network, multi_label=multi_label)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score clips.

        Args:
            waveform: float32 (batch, sample), mono at the model's rate, nominally in -1..1. Clips
                of a batch are of one length.

        Returns:
            Clip scores float32 (batch, class): over patches, the mean or the highest. Patch scores
            float32 (batch, patch, class), 0 beyond a clip's last patch. How many patches each clip
            has, int64 (batch,).
        """
        patches, count = self.front_end(waveform)
        scores = self.network(patches.flatten(0, 1))
        scores = scores.unflatten(0, patches.shape[:2])
        real = torch.arange(patches.shape[1], device=count.device) < count.unsqueeze(1)
        scores = torch.where(real.unsqueeze(2), scores, 0.0)
        if self.join == "max":
            return scores.amax(1), scores, count
        return scores.sum(1) / count.unsqueeze(1), scores, count


class _Scores(nn.Module):
    """What the network takes of patches (patch, ...) to scores (patch, class)."""

    def __init__(self, network: nn.Module, *, multi_label: bool) -> None:
        super().__init__()
        self.logits = network
        self.multi_label = multi_label

    def forward(self, patches: Tensor) -> Tensor:
        logits: Tensor = self.logits(patches)
        return logits.sigmoid() if self.multi_label else logits.softmax(1)


def trace(program: Program, architecture: str) -> ExportedProgram:
    """Trace ``program`` for any number of clips of any number of samples.

    Raises:
        DataError: the network's Python code depends on what its input holds.
    """
    example = torch.zeros(2, program.example_samples)
    shapes = {INPUT: {0: Dim("batch", min=1), 1: Dim("sample", min=1)}}
    # Otherwise a batch of one clip would be held for another program than a batch of several.
    sizes = _config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    try:
        with quiet(), sizes, torch.no_grad():
            traced = torch.export.export(program.eval(), (example,), dynamic_shapes=shapes)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{architecture}: cannot be exported: {reason}") from error
    _forget_origin(traced)
    return traced


def _forget_origin(traced: ExportedProgram) -> None:
    """Drop the stack traces: they name folders of this machine, and change with line numbers."""
    for graph_module in traced.graph_module.modules():
        for node in getattr(graph_module, "graph", torch.fx.Graph()).nodes:
            node.meta.pop("stack_trace", None)
            node.meta.pop("from_node", None)
