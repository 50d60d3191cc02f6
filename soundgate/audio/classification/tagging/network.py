"""From a config, or from a ``model/`` folder, to a tagger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from soundgate.audio.clips.splits import TRAINING
from soundgate.audio.formats.model import DESCRIPTION, WEIGHTS, Pretrained, read_weights
from soundgate.audio.formats.models.tagger import (
    FrontEndRecord,
    NetworkRecord,
    TaggerFile,
    read_tagger,
)
from soundgate.audio.networks.tagger import Tagger, TaggerSettings, make_tagger
from soundgate.audio.signal.front_ends import FrontEndSettings, front_end
from soundgate.audio.signal.front_ends.measuring import measured
from soundgate.errors import ConfigError, DataError

if TYPE_CHECKING:
    from soundgate.audio.config.tagging import TaggingConfig
    from soundgate.audio.formats.waveforms import WaveformSet

ENCODER = "encoder"
"""Folder in a model's with the ``config.json`` of ``transformers``."""


_MEASURED_CLIPS = 400
_MEASURED_S = 10.0
"""What the normalisation is measured on: so many training clips at most, spread evenly over the
list, and so many seconds of each."""


def settings_of(config: TaggingConfig, sample_rate_hz: int) -> TaggerSettings:
    """What the config's network is made of, for waveforms of a rate."""
    sound, network = config.audio_transform, config.model
    return TaggerSettings(
        network=network.name,
        front_end=FrontEndSettings(
            name=sound.name,
            sample_rate_hz=sample_rate_hz,
            n_fft=sound.n_fft,
            hop_length=sound.hop_length,
            n_mels=sound.n_mels,
            n_mfcc=sound.n_mfcc,
            fmin_hz=sound.fmin_hz,
            fmax_hz=sound.fmax_hz,
            height=sound.image_size,
            frames=sound.frames,
        ),
        head=network.head,
        head_hidden=network.head_hidden_dim,
        dropout=network.dropout,
        use_fluffy=network.use_fluffy,
        use_rgb=network.use_rgb,
        architecture=Path(network.architecture) if network.architecture else None,
        weights=_weights(network.pretrained_weights),
        other_labels=network.other_labels,
    )


def _weights(path: str | None) -> Path | None:
    """The file or folder to start from; of a ``model/`` folder, the file in it."""
    if path is None:
        return None
    own = Path(path) / WEIGHTS
    return own if own.is_file() else Path(path)


def fresh(config: TaggingConfig, clips: WaveformSet) -> Tagger:
    """The config's network for the labels of ``clips``: weights are fresh, or of a file.

    Fresh ones are drawn from torch's global generator.

    Raises:
        ConfigError: there is no such network, or it does not fit the front end or the weights.
        DataError: the file with the weights is damaged.
        MissingExtra: a library that it needs is not installed.
    """
    settings = settings_of(config, clips.sample_rate_hz)
    if config.audio_transform.normalisation == "measured":
        found = _earlier(settings.front_end, config.model.pretrained_weights)
        found = found or _measured(settings.front_end, clips)
        settings = replace(settings, front_end=found)
    return make_tagger(settings, len(clips.labels))


def _earlier(settings: FrontEndSettings, pretrained: str | None) -> FrontEndSettings | None:
    """The front end of the ``model/`` folder that is started from, if it is this one.

    Its weights are used to that normalisation.
    """
    if pretrained is None or not (Path(pretrained) / DESCRIPTION).is_file():
        return None
    found = read_tagger(Path(pretrained)).front_end.settings()
    return found if replace(found, mean=(), standard_deviation=()) == settings else None


def _measured(settings: FrontEndSettings, clips: WaveformSet) -> FrontEndSettings:
    """The settings with the normalisation of the training clips, of several hundred at most."""
    front = front_end(settings)
    rows = clips.of(TRAINING)
    chosen = rows[:: -(-len(rows) // _MEASURED_CLIPS)]
    longest = max(front.least_samples, round(_MEASURED_S * clips.sample_rate_hz))
    pieces = (clips.waveform(row)[:longest] for row in chosen)
    # resize copies: the array of waveforms cannot be written to, and torch wants that it can
    sounds = (np.resize(piece, max(piece.size, front.least_samples)) for piece in pieces)
    return measured(front, map(torch.from_numpy, sounds))


def record_of(tagger: Tagger) -> tuple[FrontEndRecord, NetworkRecord]:
    """What ``model.json`` says of a network."""
    settings = tagger.settings
    return FrontEndRecord.of(tagger.front_end.settings), NetworkRecord(
        network=settings.network,
        head=settings.head,
        head_hidden=settings.head_hidden,
        dropout=settings.dropout,
        use_fluffy=settings.use_fluffy,
        use_rgb=settings.use_rgb,
    )


def write_encoder(folder: Path, tagger: Tagger) -> None:
    """Keep beside a model how large its encoder is, where it is one of ``transformers``."""
    if tagger.encoder_config is not None:
        tagger.encoder_config.save_pretrained(folder / ENCODER)


def pretrained_of(tagger: Tagger) -> Pretrained | None:
    """Which weights a network started from; None: fresh ones."""
    origin = tagger.origin
    if origin is None:
        return None
    return Pretrained(
        name=Path(origin.path).name, sha256=origin.sha256, architecture=tagger.settings.network
    )


def read_network(model: Path) -> tuple[TaggerFile, Tagger]:
    """The description and the network of a ``model/`` folder, on the CPU.

    Raises:
        DataError: a file is missing or damaged, or the folder holds no tagger.
    """
    description, weights = read_tagger(model), read_weights(model)
    encoder = model / ENCODER
    settings = TaggerSettings(
        front_end=description.front_end.settings(),
        architecture=encoder if encoder.is_dir() else None,
        **dict(description.network),
    )
    try:
        tagger = make_tagger(settings, len(description.classes))
        tagger.load_state_dict(weights)
    except (RuntimeError, ConfigError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{model / WEIGHTS}: does not fit {DESCRIPTION}: {reason}") from error
    return description, tagger
