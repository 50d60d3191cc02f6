"""librosa as a reference, without numba compiling it.

Importing it compiles its searches for peaks, troughs and zero crossings, for half a minute in every
fresh environment. No test calls those; what the tests call runs as plain Python.
"""

from __future__ import annotations

from unittest import mock

import numba
import numpy as np


def _refused(*_: object, **__: object) -> object:
    def decorate(function: object) -> object:
        def refuse(*_: object, **__: object) -> None:
            raise NotImplementedError(f"{function} runs compiled only")

        return refuse

    return decorate


def _plain(*_: object, **__: object) -> object:
    return np.vectorize


with (
    mock.patch.object(numba, "guvectorize", _refused),
    mock.patch.object(numba, "vectorize", _plain),
    mock.patch.object(numba.config, "DISABLE_JIT", True),
):
    import librosa

    # lazily loaded otherwise, after all is compiled again
    import librosa.core.audio
    import librosa.core.pitch
    import librosa.core.spectrum
    import librosa.effects
    import librosa.feature.spectral
    import librosa.filters
    import librosa.util.utils

__all__ = ["librosa"]
