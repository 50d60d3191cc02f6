"""Several clips in one, with the union of their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from soundgate.audio.signal.augmentation.waveforms import decibels

if TYPE_CHECKING:
    from soundgate.audio.signal.augmentation.draws import Draws

# Places that are looked at when an excerpt is cut: the loudest is taken, so that a clip's labels
# are heard in it.
_PLACES = 4


class Clips(NamedTuple):
    """Waveforms with what is known of them."""

    waveforms: Tensor
    """Float32 ``(clip, sample)``."""
    targets: Tensor
    """Float32 ``(clip, label)``, 0..1."""
    mask: Tensor
    """Bool ``(clip, label)``: what is annotated."""


class Partners(Protocol):
    """The training clips, from which the partners of a mix are drawn.

    They are drawn from all clips rather than from the batch: a clip's mix then does not depend on
    the batch it is in.
    """

    def __len__(self) -> int:
        """How many training clips there are."""

    def __call__(self, numbers: Tensor, places: Tensor) -> Clips:
        """The clips int64 ``(clip,)``, as long as those of a batch, on the device.

        Args:
            numbers: int64 ``(clip,)``.
            places: float32 ``(clip,)``, 0 to below 1: where in a longer clip its excerpt begins.
        """


def united(first: Clips, second: Clips, keep: Tensor) -> tuple[Tensor, Tensor]:
    """Targets and mask of mixes of two clips; where ``keep`` is false, those of the first.

    A label is there where it is in one of them. It is annotated where one is annotated as there,
    or where both are annotated.
    """
    one, other = (each.targets.masked_fill(~each.mask, 0.0) for each in (first, second))
    targets = torch.maximum(one, other)
    mask = (first.mask & second.mask) | (targets >= 0.5)
    chosen = keep[:, None]
    return torch.where(chosen, targets, one), torch.where(chosen, mask, first.mask)


def summed(
    clips: Clips,
    draws: Draws,
    partners: Partners,
    *,
    most: int,
    name: str,
    level_db: float = 0.0,
) -> Clips:
    """Mix each clip with others, ``most`` at most in all; the mean of their samples.

    How many is drawn evenly from 1, the clip alone, to ``most``. Each of the others is first made
    up to ``level_db`` louder or quieter.
    """
    counts = 1 + draws.integers(f"{name} count", most)
    sums = clips.waveforms.clone()
    for number in range(1, most):
        partner = _partner(partners, draws, name, number)
        mixes = counts > number
        gains = decibels(draws.uniform(f"{name} level {number}", -level_db, level_db))
        sums = sums + partner.waveforms * (gains * mixes)[:, None]
        clips = Clips(clips.waveforms, *united(clips, partner, mixes))
    return clips._replace(waveforms=sums / counts[:, None])


def joined(clips: Clips, draws: Draws, partners: Partners, *, most: int) -> Clips:
    """Excerpts of several clips, ``most`` at most, one after another in the length of one.

    How many is drawn evenly from 1, the clip alone, to ``most``; each gets the same time.
    """
    name = "CONCAT_N_SAMPLES"
    counts = 1 + draws.integers(f"{name} count", most)
    samples = clips.waveforms.shape[1]
    lengths = samples // counts
    places = torch.arange(samples, device=clips.waveforms.device)
    turn = torch.minimum(places // lengths[:, None], counts[:, None] - 1)
    within = places - turn * lengths[:, None]
    found = torch.zeros_like(clips.waveforms)
    current = clips
    for number in range(most):
        partner = clips
        if number:
            partner = _partner(partners, draws, name, number)
            united_with = united(current, partner, counts > number)
            current = Clips(clips.waveforms, *united_with)
        start = _loud_start(partner.waveforms, lengths, draws, f"{name} place {number}")
        excerpt = partner.waveforms.gather(1, (start[:, None] + within).clamp(max=samples - 1))
        found = torch.where(turn == number, excerpt, found)
    alone = counts == 1
    return Clips(torch.where(alone[:, None], clips.waveforms, found), current.targets, current.mask)


def _partner(partners: Partners, draws: Draws, name: str, number: int) -> Clips:
    chosen = draws.integers(f"{name} partner {number}", len(partners))
    return partners(chosen, draws.uniform(f"{name} excerpt {number}"))


def _loud_start(waveforms: Tensor, lengths: Tensor, draws: Draws, purpose: str) -> Tensor:
    """Where an excerpt of ``lengths`` samples starts, int64 ``(clip,)``."""
    energy = torch.nn.functional.pad(waveforms.double().square().cumsum(1), (1, 0))
    starts = draws.integers(purpose, waveforms.shape[1] - lengths + 1, count=_PLACES)
    heard = energy.gather(1, starts + lengths[:, None]) - energy.gather(1, starts)
    return starts.gather(1, heard.argmax(1, keepdim=True))[:, 0]
