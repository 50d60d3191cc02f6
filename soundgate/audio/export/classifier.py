"""What is exported of a classifier of log-mel patches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from soundgate.audio.classification import inference
from soundgate.audio.export import calibration, checks, folder, opsets, program
from soundgate.audio.export.front_end import FrontEnd, least_samples, most_samples
from soundgate.audio.formats.exported import Export, ModelFacts, Samples
from soundgate.audio.formats.feature_set import read_features
from soundgate.audio.formats.model import Normalization, check_same_features
from soundgate.audio.formats.model import digest as model_digest
from soundgate.audio.metrics.classification import THRESHOLD
from soundgate.audio.networks import models
from soundgate.audio.signal.log_mel import log_mel
from soundgate.audio.signal.patches import arrange_patches

if TYPE_CHECKING:
    import numpy.typing as npt

    from soundgate.audio.classification.inference import Classifier
    from soundgate.audio.config import UserConfig
    from soundgate.audio.formats.model import Description

    Array = npt.NDArray[Any]

# Clips longer than this are not made only to be cut: it would take as long as the export.
_LONGEST_S = 60.0


def export(
    features: Path,
    model: Path,
    exported: Path,
    config: UserConfig,
    *,
    calibration_clips: Path | None = None,
) -> Export:
    """Write the programs of a classifier.

    Args:
        features: the features that the model was trained with; calibration takes of them.
        model: folder that training wrote.
        exported: folder to write.
        config: ``quantization``, ``dataset.quantization_*`` and ``dataset.seed`` are used.
        calibration_clips: folder of audio to calibrate with instead of training clips; goes before
            ``dataset.quantization_audio_path``.

    Returns:
        What ``export.json`` holds.

    Raises:
        ConfigError: ``quantization`` asks for what cannot be done.
        DataError: the model cannot be exported, or a program does not compute what torch does.
    """
    opsets.check(config.quantization.target_opset)
    description, network = inference.read_network(model)
    clips = read_features(features)
    check_same_features(clips, description, model)
    classifier = inference.load(model, torch.device("cpu"))
    source = calibration_clips or config.dataset.quantization_audio_path
    if source:
        held = calibration.of_folder(Path(source), description)
    else:
        share, seed = config.dataset.quantization_split, config.dataset.seed
        held = calibration.of_training(clips, model, share, seed)
    network.requires_grad_(requires_grad=False)
    network = models.to_device(network, torch.device("cpu"))
    spec = description.feature_extraction
    made = folder.Source(
        about=_about(description, model_digest(model)),
        traced=program.trace(program_of(description, network), description.architecture),
        taken=(1, spec.n_mels, spec.patch_length),
        feed=classifier,
        calibration=held,
        cases=cases(description, classifier),
    )
    return folder.export(made, config.quantization, exported)


class _OneChannel(nn.Module):
    """A front end whose patches (batch, patch, mel, frame) become images of one channel."""

    def __init__(self, front_end: FrontEnd) -> None:
        super().__init__()
        self.patches = front_end

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Patches float32 (batch, patch, 1, mel, frame); how many are real, int64 (batch,)."""
        patches, count = self.patches(waveform)
        return patches.unsqueeze(2), count


def program_of(description: Description, network: nn.Module) -> program.Program:
    """A classifier from the waveform on; ``network`` returns logits."""
    sound, spec = description.preprocessing, description.feature_extraction
    return program.Program(
        _OneChannel(FrontEnd(sound, spec, description.standardisation)),
        network,
        multi_label=description.multi_label,
        example_samples=2 * least_samples(sound, spec) + 1,
    )


def _about(description: Description, sha256: str) -> Export:
    sound, spec = description.preprocessing, description.feature_extraction
    standardisation = description.standardisation
    return Export(
        model=ModelFacts(
            architecture=description.architecture, sha256=sha256, **description.training
        ),
        classes=description.classes,
        multi_label=description.multi_label,
        threshold=THRESHOLD if description.multi_label else None,
        sample_rate_hz=sound.target_rate,
        samples=Samples(at_least=least_samples(sound, spec), at_most=most_samples(sound)),
        preprocessing=sound,
        feature_extraction=spec,
        normalization=Normalization(
            mean=standardisation.mean.tolist(),
            standard_deviation=standardisation.standard_deviation.tolist(),
        ),
    )


def cases(description: Description, classifier: Classifier) -> list[checks.Case]:
    """Batches of 1 to 3 clips that meet every branch of the front end.

    Shorter than ``min_length``, one patch exactly, odd lengths, silence inside, nothing but
    silence, longer than ``max_length``.
    """
    rate_hz = description.preprocessing.target_rate
    least = least_samples(description.preprocessing, description.feature_extraction)
    most = most_samples(description.preprocessing)
    lengths = [(1, max(1, least // 3)), (3, least), (2, 2 * least + 311), (3, 3 * least + 1)]
    if most <= _LONGEST_S * rate_hz:
        lengths.append((2, most + rate_hz // 3))
    rng = np.random.default_rng(checks.SEED)
    batches = [checks.waveforms(rng, batch, samples, rate_hz) for batch, samples in lengths]
    return [
        checks.Case(waveform, [reference(clip, description, classifier) for clip in waveform])
        for waveform in batches
    ]


def reference(clip: Array, description: Description, classifier: Classifier) -> Array:
    """Patch scores float32 (patch, class) of one waveform float32 (sample,), as evaluation has it.

    Where evaluation would refuse a clip because it fills no patch, it is repeated until it does.
    """
    preprocessing, options = description.preprocessing, description.feature_extraction
    clip = clip[: most_samples(preprocessing)]
    samples = arrange_patches(clip, preprocessing, options).apply(clip)
    with torch.inference_mode():
        mel = log_mel(torch.from_numpy(samples), options, preprocessing.target_rate)
    return classifier.patch_scores(mel.numpy())
