"""Files of weights and folders as CLAP's users have them, with random numbers."""

from __future__ import annotations

import json

import torch

from soundgate.audio.networks.encoders.clap import cnn14, htsat
from soundgate.audio.networks.encoders.clap.microsoft import (
    AUDIO,
    SCALE,
    TEXT,
    MicrosoftClap,
    Projection,
)
from soundgate.audio.signal.front_ends.settings import FrontEndSettings
from soundgate.audio.signal.front_ends.spectra import mel_bank

TINY = {
    "clap-2023": htsat.Geometry(size=8, depths=(2, 2, 2, 2), heads=(2, 2, 4, 4), classes=5),
    "clap-2022": cnn14.Geometry(channels=(2, 4, 4, 8, 8, 16), embedding_size=12, classes=5),
}
SIZE = 16
"""Of tiny embeddings."""
BANKS = {"clap-2023": (32_000, 14_000), "clap-2022": (44_100, 14_000)}


def clap_weights(name="clap-2023", geometry=None, size=SIZE, seed=0):
    """Random weights of the half that hears, of a tiny network or of one of any geometry."""
    geometry = geometry or TINY[name]
    kind = htsat.Htsat if name == "clap-2023" else cnn14.Cnn14
    base = kind(geometry)
    module = MicrosoftClap(base, size, 1)
    rng = torch.Generator().manual_seed(seed)
    rate_hz, top_hz = BANKS[name]
    settings = FrontEndSettings(
        sample_rate_hz=rate_hz, n_fft=geometry.n_fft, n_mels=geometry.bands, fmin_hz=50.0,
        fmax_hz=top_hz,
    )  # fmt: skip
    base.log_mel.bank.copy_(mel_bank(settings).T)
    inside = f"{AUDIO}base.htsat." if name == "clap-2023" else f"{AUDIO}base."
    named = {f"{inside}{key}": value for key, value in base.expected().items()}
    named |= {
        f"{AUDIO}projection.{key}": value for key, value in module.projection.state_dict().items()
    }
    fixed = ("stft.", "logmel", "attn_mask", "position_index", "num_batches", "norm")
    return {
        key: value.clone()
        if any(part in key for part in fixed) and value.device.type != "meta"
        else drawn(key, value, rng)
        for key, value in named.items()
    }


def drawn(key, value, rng):
    """Random numbers of a tensor's shape, of a size that keeps deep networks alive."""
    if "running_var" in key or (".bn" in key and key.endswith("weight")):
        return torch.rand(value.shape, generator=rng) + 0.5
    scale = 1.0 if "bias_table" in key else (value[0].numel() if value.ndim > 1 else 9) ** -0.5
    return torch.randn(value.shape, generator=rng) * scale


def text_folder(folder, kind="gpt2", width=12):
    """A tiny tower's config and tokens: the 256 bytes and the end of GPT-2."""
    import transformers

    folder.mkdir(parents=True, exist_ok=True)
    if kind == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=257, n_positions=80, n_embd=width, n_layer=2, n_head=2
        )
    else:
        config = transformers.RobertaConfig(
            vocab_size=257, hidden_size=width, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=8,
        )  # fmt: skip
    config.save_pretrained(folder)
    # GPT-2 writes bytes as visible characters: first those that are, then the others.
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in visible] + [chr(256 + k) for k in range(256 - len(visible))]
    vocabulary = {letter: k for k, letter in enumerate(letters)} | {"<|endoftext|>": 256}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    return config


def text_weights(config, size=SIZE, seed=1):
    """Random weights of the half that reads."""
    import transformers

    torch.manual_seed(seed)
    tower = transformers.GPT2Model(config)
    projection = Projection(config.hidden_size, size)
    named = {f"{TEXT}base.{key}": value for key, value in tower.state_dict().items()}
    named |= {f"{TEXT}projection.{key}": value for key, value in projection.state_dict().items()}
    # The published file was saved by a version of transformers that kept these among the weights.
    named |= {f"{TEXT}base.h.0.attn.{key}": torch.ones(1) for key in ("bias", "masked_bias")}
    return named | {SCALE: torch.tensor(2.5)}


def write_clap(path, name="clap-2023", *, text=None, width=12, **options):
    """A file as Microsoft publishes it; ``text``: a folder for a tower, which it gets too."""
    held = clap_weights(name, **options)
    if text is not None:
        held |= text_weights(text_folder(text, width=width), options.get("size", SIZE))
    torch.save({"model": held}, path)
    return path
