"""What leaves training: programs that need none of this code.

program.py       a whole model as one module, and its tracing
classifier.py    what is exported of a classifier, and by what it is proved
front_end.py     its way from waveforms to patches, as modules that can be exported
taggers/         the same for taggers
detectors/       the same for detectors
graphs.py        ONNX graphs of it; the network cut out and put back
opsets.py        older versions of ONNX's operator set
quantisation.py  the network in 8 bits
calibration.py   the clips from which its ranges are learnt
checks.py        comparison with the way in which models are evaluated
runtime.py       exported networks run by ONNX Runtime
folder.py        the ``exported/`` folder: how it is made, and what stands where
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.errors import MissingExtra

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.classification.evaluation import Quantized
    from soundgate.audio.classification.tagging.evaluation import QuantizedTagger
    from soundgate.audio.config import UserConfig
    from soundgate.audio.config.spot import SpotConfig
    from soundgate.audio.config.tagging import TaggingConfig
    from soundgate.audio.formats.exported import Export


def write(
    features: Path,
    model: Path,
    exported: Path,
    config: UserConfig,
    *,
    calibration_clips: Path | None = None,
) -> Export:
    """Write the ``exported/`` folder of a model; see ``classifier.export``.

    Raises:
        MissingExtra: a library that only exporting needs is not installed.
    """
    require()
    from soundgate.audio.export import classifier

    return classifier.export(features, model, exported, config, calibration_clips=calibration_clips)


def write_tagger(
    waveforms: Path,
    model: Path,
    exported: Path,
    config: TaggingConfig,
    *,
    calibration_clips: Path | None = None,
) -> Export:
    """Write the ``exported/`` folder of a tagger; see ``taggers.tagger.export``.

    Raises:
        MissingExtra: a library that only exporting needs is not installed.
    """
    require()
    from soundgate.audio.export.taggers import tagger

    return tagger.export(waveforms, model, exported, config, calibration_clips=calibration_clips)


def write_detector(
    corpus: Path, model: Path, exported: Path, config: SpotConfig, *, hop_s: float
) -> Export:
    """Write the ``exported/`` folder of a detector; see ``detectors.detector.export``.

    Raises:
        MissingExtra: a library that only exporting needs is not installed.
    """
    require()
    from soundgate.audio.export.detectors import detector

    return detector.export(corpus, model, exported, config.quantization, hop_s=hop_s)


def int8_tagger(exported: Path, model: Path) -> QuantizedTagger:
    """The int8 network of a tagger's ``exported/`` folder, ready to be evaluated beside it.

    Raises:
        DataError: a file is missing or damaged, or the folder was made of another model.
        MissingExtra: a library that only exporting needs is not installed.
    """
    require()
    from soundgate.audio.classification.tagging.evaluation import QuantizedTagger
    from soundgate.audio.export.taggers import scorer

    return QuantizedTagger(*scorer.int8_tagger(exported, model))


def int8_network(exported: Path, model: Path) -> Quantized:
    """The int8 network of an ``exported/`` folder, ready to be evaluated beside its model.

    Raises:
        DataError: a file is missing or damaged, or the folder was made of another model.
        MissingExtra: a library that only exporting needs is not installed.
    """
    require()
    from soundgate.audio.export import runtime

    return runtime.int8_network(exported, model)


def require() -> None:
    """Look for the libraries that only exported models need.

    Raises:
        MissingExtra: one is not installed.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript
    except ImportError as error:
        message = f"{error.name} is not installed; pip install 'soundgate[export]'"
        raise MissingExtra(message) from error
    del onnx, onnxruntime, onnxscript
