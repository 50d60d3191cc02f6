"""The half of Microsoft's CLAP that reads: GPT-2 (2023) or BERT (2022), and a projection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.audio.networks import weights
from soundgate.audio.networks.encoders import loading
from soundgate.audio.networks.encoders.clap.microsoft import SCALE, TEXT, Projection
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_TOWERS = {"clap-2023": "gpt2", "clap-2022": "bert"}
_LONGEST = {"clap-2023": 77, "clap-2022": 100}
# Buffers that older versions of transformers kept among the weights.
_KEPT = re.compile(r"\.attn\.(bias|masked_bias)$|\.position_ids$")


class MicrosoftText(nn.Module):
    """Tokens to embeddings of length 1 in the space of ``MicrosoftClap``."""

    def __init__(self, name: str, tower: Any, size: int) -> None:
        """Join a text tower of ``transformers`` and a projection into ``size`` numbers."""
        super().__init__()
        self.last = name == "clap-2023"
        self.longest, self.embedding_size = _LONGEST[name], size
        self.vocabulary = int(tower.config.vocab_size)
        self.base = tower
        self.projection = Projection(int(tower.config.hidden_size), size)
        self.scale = 1.0

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Embeddings float32 (sentence, size) of ids int64 (sentence, token)."""
        hidden = self.base(input_ids=ids, attention_mask=mask).last_hidden_state
        # Trained so: the place of the last token is found by counting ids that are not 0, the fill.
        places = (ids != 0).sum(1) - 1 if self.last else torch.zeros(len(ids), dtype=torch.int64)
        return functional.normalize(self.projection(hidden[torch.arange(len(ids)), places]), dim=-1)


def load_text(name: str, path: Path, folder: Path) -> MicrosoftText:
    """The half that reads, with the weights of a file of CLAP.

    Args:
        name: ``clap-2023`` or ``clap-2022``.
        path: its .pth or .safetensors file.
        folder: with ``config.json`` of the tower, and its tokens.

    Raises:
        ConfigError: file and folder are of different towers, or weights are missing.
        DataError: the file is damaged.
    """
    held = weights.read(path)
    scale = held.get(SCALE)
    given = {
        key: value for key, value in held.items() if key.startswith(TEXT) and not _KEPT.search(key)
    }
    config = loading.config_of(_TOWERS[name], folder, 1)
    projection = given.get(f"{TEXT}projection.layer_norm.bias")
    if projection is None or scale is None:
        raise ConfigError(f"encoder.path: {path} holds no text tower; give the weights of {name}")
    module = MicrosoftText(name, loading.fresh(_TOWERS[name], config), len(projection))
    wanted = {f"{TEXT}{key}": value for key, value in module.state_dict().items()}
    weights.check(
        path,
        given,
        wanted,
        field="encoder.text_path",
        fix=f"{folder} is of another tower: give the folder of {_TOWERS[name]} that {name} has",
    )
    module.load_state_dict({key.removeprefix(TEXT): value for key, value in given.items()})
    module.scale = float(scale.exp())
    return module
