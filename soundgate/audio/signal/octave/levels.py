"""Levels of bands, block by block, on the CPU: every filter in one pass over the samples.

All filters run side by side in float64 and only the sums of squares of a block are kept, so that
memory does not grow with the recording. Results do not depend on how the samples are handed over,
nor on the machine: no operations are fused or reordered.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from soundgate.audio.signal.octave.filters import EXTRA, sections
from soundgate.errors import ConfigError, DataError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from soundgate.audio.signal.octave.bands import Band

    Floats = NDArray[np.float64]
    Kernel = Callable[[NDArray[np.floating], Floats, Floats, Floats, int, int, Floats], int]

BLOCK_S: Final = 0.1
SOUND_PRESSURE_PA: Final = 2e-5
"""Reference of sound pressure levels in air (ISO 1683): samples must then be in pascals."""
LEAST_RMS: Final = 1e-15
"""Digital silence has the level of this: -300 dB re 1."""


class OctaveLevels:
    """Filters that remember the samples so far: a recording may be handed over in parts."""

    def __init__(
        self,
        bands: Sequence[Band],
        sample_rate_hz: int,
        *,
        block_s: float = BLOCK_S,
        reference: float = 1.0,
    ) -> None:
        """Design the filters.

        Args:
            bands: below half the sample rate.
            sample_rate_hz: of the waveforms.
            block_s: seconds of a block; a whole number of samples.
            reference: root mean square of 0 dB, in the unit of the samples.

        Raises:
            ConfigError: a block is no whole number of samples, or the reference is not above 0.
            MissingExtra: scipy or numba is not installed.
        """
        self.bands, self.sample_rate_hz = tuple(bands), sample_rate_hz
        self.block_samples = block_samples(block_s, sample_rate_hz)
        self._reference = checked_reference(reference)
        sos = sections(self.bands, sample_rate_hz)
        # (section, coefficient, band): the loop over bands reads neighbours.
        self._coefficients = np.ascontiguousarray(sos[..., (0, 1, 2, 4, 5)].transpose(1, 2, 0))
        self._state = np.zeros((sos.shape[1], 2, len(self.bands)))
        self._sums = np.zeros(len(self.bands))
        self._filled = 0
        self._kernel = _kernel()

    def fresh(self) -> Self:
        """The same filters, that remember no samples: designing them costs more than a copy."""
        made = copy.copy(self)
        made.forget()
        return made

    def forget(self) -> None:
        """Begin another recording."""
        self._state, self._sums = np.zeros_like(self._state), np.zeros_like(self._sums)
        self._filled = 0

    def push(self, samples: NDArray[np.floating]) -> Floats:
        """Filter further samples.

        Args:
            samples: float32 or float64 (sample,).

        Returns:
            Levels of the blocks that are complete now, dB, float64 (block, band).

        Raises:
            DataError: the samples are of another shape, or some are not finite.
        """
        if samples.ndim != 1:
            raise DataError(f"octave bands take one channel, got an array of {samples.shape}")
        if not np.isfinite(samples).all():
            raise DataError("octave bands take finite samples; some are NaN or infinite")
        blocks = (self._filled + len(samples)) // self.block_samples
        squares = np.empty((blocks, len(self.bands)))
        self._filled = self._kernel(
            np.ascontiguousarray(samples),
            self._coefficients,
            self._state,
            self._sums,
            self._filled,
            self.block_samples,
            squares,
        )
        return in_db(squares, self._reference)

    def rest(self) -> Floats | None:
        """Level of the samples after the last whole block, (band,); None where there are none."""
        if not self._filled:
            return None
        return in_db(self._sums / self._filled, self._reference)


def levels(
    samples: NDArray[np.floating],
    bands: Sequence[Band],
    sample_rate_hz: int,
    *,
    block_s: float = BLOCK_S,
    reference: float = 1.0,
) -> Floats:
    """Levels of a waveform's whole blocks, dB, float64 (block, band); see :class:`OctaveLevels`."""
    made = OctaveLevels(bands, sample_rate_hz, block_s=block_s, reference=reference)
    return made.push(samples)


def block_samples(block_s: float, sample_rate_hz: float) -> int:
    """Samples of a block.

    Raises:
        ConfigError: they are no whole number.
    """
    count = round(block_s * sample_rate_hz)
    if count < 1 or abs(count - block_s * sample_rate_hz) > 1e-6 * count:
        raise ConfigError(
            f"block_s: {block_s:g} s at {sample_rate_hz:g} Hz are "
            f"{block_s * sample_rate_hz:g} samples; choose a whole number of them"
        )
    return count


def checked_reference(reference: float) -> float:
    """``reference``.

    Raises:
        ConfigError: it is not above 0.
    """
    if not reference > 0:
        raise ConfigError(f"reference must be above 0, got {reference:g}")
    return reference


def in_db(squares: Floats, reference: float) -> Floats:
    """Levels of mean squares, dB re ``reference``."""
    rms = np.sqrt(squares)
    made: Floats = 20 * np.log10(np.maximum(rms, LEAST_RMS) / reference)
    return made


@cache
def _kernel() -> Kernel:
    """The compiled loop; compiled once for each type of samples, and kept on disk."""
    try:
        import numba
    except ImportError as error:
        raise MissingExtra(f"octave bands need numba: {EXTRA}") from error
    try:
        made: Any = numba.njit(nogil=True, cache=True)(_filtered_squares)
    except RuntimeError:  # nowhere to keep it, in a read-only container say
        made = numba.njit(nogil=True)(_filtered_squares)
    kernel: Kernel = made
    return kernel


def _filtered_squares(  # noqa: PLR0913, PLR0917 - compiled: it takes arrays, no records
    samples: NDArray[np.floating],
    coefficients: Floats,
    state: Floats,
    sums: Floats,
    filled: int,
    block: int,
    squares: Floats,
) -> int:
    """Run every filter over the samples; direct form II, transposed.

    Args:
        samples: (sample,).
        coefficients: ``b0 b1 b2 a1 a2``, (section, 5, band).
        state: (section, 2, band), changed.
        sums: sums of squares since the last whole block, (band,), changed.
        filled: samples since then.
        block: samples of a block.
        squares: mean squares of the whole blocks, (block, band), written.

    Returns:
        Samples after the last whole block.
    """
    count = sums.shape[0]
    values = np.empty(count)
    done = 0
    for t in range(samples.shape[0]):
        values[:] = samples[t]
        for s in range(coefficients.shape[0]):
            for b in range(count):
                into = values[b]
                out = coefficients[s, 0, b] * into + state[s, 0, b]
                state[s, 0, b] = (
                    coefficients[s, 1, b] * into - coefficients[s, 3, b] * out + state[s, 1, b]
                )
                state[s, 1, b] = coefficients[s, 2, b] * into - coefficients[s, 4, b] * out
                values[b] = out
        for b in range(count):
            sums[b] += values[b] * values[b]
        filled += 1
        if filled == block:
            for b in range(count):
                squares[done, b] = sums[b] / block
                sums[b] = 0.0
            done += 1
            filled = 0
    return filled
