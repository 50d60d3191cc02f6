"""Blocks of the Swin transformer (Liu et al. 2021), for embeddings alone: nothing in them learns.

Their parameters have the published names. Grids of tokens are (clip, row, column, channel).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

# What keeps tokens apart that a shift brought side by side; the published masks hold it too.
_APART = -100.0


class WindowAttention(nn.Module):
    """Attention among the tokens of a window, biased by how far they are from one another."""

    bias: Tensor

    def __init__(self, size: int, heads: int, window: int) -> None:
        """Make the layers; ``place`` makes the bias."""
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(size, 3 * size)
        self.proj = nn.Linear(size, size)
        distances = (2 * window - 1) ** 2
        self.relative_position_bias_table = nn.Parameter(torch.zeros(distances, heads))
        self.register_buffer("bias", torch.zeros(1), persistent=False)

    def place(self, index: Tensor, mask: Tensor | None) -> None:
        """Lay out the biases of every pair of tokens once, with those of a mask.

        Args:
            index: int64 (token, token), which row of the table a pair has.
            mask: float32 (window, token, token); None where no window holds tokens of two sides.
        """
        bias = self.relative_position_bias_table.detach()[index].permute(2, 0, 1)
        if mask is not None:
            bias = (bias + mask.unsqueeze(1)).flatten(0, 1)
        self.bias = bias.unsqueeze(0).contiguous()

    def forward(self, windows: Tensor) -> Tensor:
        """Attend in windows float32 (clip, window, token, channel)."""
        clips, count, tokens, size = windows.shape
        # Windows that have masks of their own are told apart as heads are.
        rows = clips if self.bias.shape[1] > self.heads else clips * count
        parts = self.qkv(windows).view(clips * count, tokens, 3, self.heads, size // self.heads)
        query, key, value = (
            part.reshape(rows, -1, tokens, size // self.heads)
            for part in parts.permute(2, 0, 3, 1, 4)
        )
        bias = self.bias.to(query.dtype)
        found = functional.scaled_dot_product_attention(query, key, value, bias)
        found = found.reshape(clips * count, self.heads, tokens, -1).transpose(1, 2)
        mixed: Tensor = self.proj(found.reshape(clips, count, tokens, size))
        return mixed


class Mlp(nn.Module):
    """Two layers with GELU between them."""

    def __init__(self, size: int, hidden: int) -> None:
        """Make the layers."""
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(size, hidden), nn.Linear(hidden, size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Every token by itself."""
        found: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return found


class SwinBlock(nn.Module):
    """Attention in windows, which every second block shifts by half a window."""

    def __init__(self, size: int, heads: int, grid: int, window: int, *, shifted: bool) -> None:
        """Make the layers of a block on ``grid`` x ``grid`` tokens of ``size`` channels."""
        super().__init__()
        self.window = min(window, grid)
        self.shift = window // 2 if shifted and grid > window else 0
        self.norm1, self.norm2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.attn = WindowAttention(size, heads, self.window)
        self.mlp = Mlp(size, 4 * size)
        self.grid = grid

    def constants(self) -> dict[str, Tensor]:
        """What published files hold beside parameters, by its name there."""
        held = {"attn.relative_position_index": position_index(self.window)}
        if self.shift:
            held["attn_mask"] = shift_mask(self.grid, self.window, self.shift)
        return held

    def place(self) -> None:
        """Lay out the biases, once the parameters are there."""
        held = self.constants()
        self.attn.place(held["attn.relative_position_index"], held.get("attn_mask"))

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix a grid of tokens."""
        normed = self.norm1(tokens)
        if self.shift:
            normed = normed.roll((-self.shift, -self.shift), (1, 2))
        mixed = joined(self.attn(parted(normed, self.window)), self.grid)
        if self.shift:
            mixed = mixed.roll((self.shift, self.shift), (1, 2))
        tokens = tokens + mixed
        found: Tensor = tokens + self.mlp(self.norm2(tokens))
        return found


class PatchMerging(nn.Module):
    """Four neighbouring tokens become one of twice their channels."""

    def __init__(self, size: int) -> None:
        """Make the layers."""
        super().__init__()
        self.norm = nn.LayerNorm(4 * size)
        self.reduction = nn.Linear(4 * size, 2 * size, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Halve rows and columns."""
        corners = [tokens[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        found: Tensor = self.reduction(self.norm(torch.cat(corners, -1)))
        return found


class Stage(nn.Module):
    """Blocks on one grid, and what leads to the next."""

    def __init__(self, size: int, depth: int, heads: int, grid: int, window: int) -> None:
        """Make the blocks; the last stage gives its ``downsample`` up."""
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinBlock(size, heads, grid, window, shifted=bool(k % 2)) for k in range(depth)
        )
        self.downsample: nn.Module | None = PatchMerging(size)

    def forward(self, tokens: Tensor) -> Tensor:
        """From one grid of tokens to the next."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens if self.downsample is None else self.downsample(tokens)


def parted(tokens: Tensor, window: int) -> Tensor:
    """Grids (clip, row, column, channel) to windows (clip, window, token, channel)."""
    clips, rows, columns, size = tokens.shape
    cut = tokens.view(clips, rows // window, window, columns // window, window, size)
    return cut.transpose(2, 3).reshape(clips, -1, window * window, size)


def joined(windows: Tensor, grid: int) -> Tensor:
    """Windows (clip, window, token, channel) to grids; the inverse of ``parted``."""
    clips, _, tokens, size = windows.shape
    window = round(tokens**0.5)
    cut = windows.view(clips, grid // window, grid // window, window, window, size)
    return cut.transpose(2, 3).reshape(clips, grid, grid, size)


def position_index(window: int) -> Tensor:
    """Which row of a bias table a pair of tokens has, int64 (token, token)."""
    places = torch.arange(window)
    rows, columns = (axis.flatten() for axis in torch.meshgrid(places, places, indexing="ij"))
    down = rows[:, None] - rows[None] + window - 1
    right = columns[:, None] - columns[None] + window - 1
    return down * (2 * window - 1) + right


def shift_mask(grid: int, window: int, shift: int) -> Tensor:
    """-100 where a shifted window holds two tokens that were not neighbours, else 0.

    Returns:
        float32 (window, token, token).
    """
    edges = torch.tensor([grid - window, grid - shift])
    side = torch.bucketize(torch.arange(grid), edges, right=True)
    region = (3 * side[:, None] + side[None]).view(1, grid, grid, 1)
    regions = parted(region, window)[0, :, :, 0]
    apart = regions[:, :, None] != regions[:, None]
    return apart.float() * _APART
