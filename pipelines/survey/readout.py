"""From charge to counts: full wells that bleed, linearity, cross-talk, bias, noise, and the converter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.instrument.camera import Detector
from qserv_py.pipelines.kernels._library import Array, FloatArray
from qserv_py.pipelines.kernels.isr import Amplifier
from qserv_py.pipelines.survey.devices import Device

_LEVEL_DRIFT = 3.0  # ADU rms from exposure to exposure
_ADU = 65535
_INVERSIONS = 6
_WELL_OVER_LIMIT = 0.02
"""Wells hold a little more than where counts are called saturated: such pixels are always recognised."""


def full_well(amplifier: Amplifier, bias_level: float) -> float:
    """Return the electrons that a pixel holds; its counts are above the amplifier's ``saturation``."""
    counts = (amplifier.saturation - bias_level) * (1 + _WELL_OVER_LIMIT)
    return float(amplifier.gain * _linear(np.array([counts]), amplifier)[0])


def bleed(electrons: FloatArray, detector: Detector, device: Device) -> npt.NDArray[np.bool_]:
    """Let charge above the full well run along the columns, in place; return which pixels are full."""
    full = np.zeros(electrons.shape, bool)
    for amplifier, level in zip(detector.readouts, device.bias_levels, strict=True):
        box = _box(amplifier)
        well = full_well(amplifier, float(level))
        part = electrons[box]
        for column in np.flatnonzero((part > well).any(axis=0)):
            _bleed_column(part[:, column], well)
        full[box] = part >= well
    return full


def read_out(
    electrons: FloatArray, detector: Detector, device: Device, random: np.random.Generator
) -> npt.NDArray[np.uint16]:
    """Return the raw counts of a detector.

    Parameters
    ----------
    electrons
        Of each pixel, whole numbers or not; shape of the detector.
    detector
        Its description.
    device
        What is particular to it.
    random
        Of this exposure and detector.
    """
    signals = [_signal(electrons, amplifier) for amplifier in detector.readouts]
    raw = np.zeros(detector.raw_shape, np.uint16)
    for number, (amplifier, level) in enumerate(zip(detector.readouts, device.bias_levels, strict=True)):
        counts = signals[number].copy()
        if detector.crosstalk:
            _add_crosstalk(counts, signals, detector.crosstalk[number])
        counts += _ordered(device.bias[_box(amplifier)], amplifier) / np.float32(amplifier.gain)
        level = float(level) + random.normal(0, _LEVEL_DRIFT)
        noise = np.float32(amplifier.read_noise / amplifier.gain)
        lines = slice(amplifier.raw_y, amplifier.raw_y + amplifier.height)
        for start, width, signal in (
            (amplifier.raw_x, amplifier.width, counts),
            (amplifier.overscan_x, amplifier.overscan_width, np.float32(0)),
        ):
            shown = noise * random.standard_normal((amplifier.height, width), dtype=np.float32)
            shown += signal
            shown += np.float32(level)
            raw[lines, start : start + width] = np.clip(np.rint(shown), 0, _ADU)
    return raw


def _bleed_column(column: Array, well: float) -> None:
    """Spread what is above the well to both sides, half of it each way, until it is held or has left the column."""
    over = np.maximum(column - well, 0.0)
    np.minimum(column, well, out=column)
    held, half = column.tolist(), (over / 2).tolist()
    sources = np.flatnonzero(over)
    for rows in (range(sources[0], len(held)), range(sources[-1], -1, -1)):
        carried, left = 0.0, len(sources)
        for row in rows:
            if half[row]:
                carried, left = carried + half[row], left - 1
            taken = min(well - held[row], carried)
            held[row], carried = held[row] + taken, carried - taken
            if carried <= 0 and not left:
                break
    column[:] = held


def _signal(electrons: FloatArray, amplifier: Amplifier) -> Array:
    """Return counts above the bias, in the order of the raw frame, bent as the amplifier bends them."""
    linear = _ordered(electrons[_box(amplifier)], amplifier).astype(np.float32) / np.float32(amplifier.gain)
    counts = linear.copy()
    for _ in range(_INVERSIONS if any(amplifier.linearity) else 0):
        counts = linear / _bend(counts, amplifier)
    return counts


def _linear(counts: Array, amplifier: Amplifier) -> Array:
    return counts * _bend(counts, amplifier)


def _bend(counts: Array, amplifier: Amplifier) -> Array:
    factor = np.zeros_like(counts)
    for coefficient in reversed(amplifier.linearity):
        factor = (factor + coefficient) * counts
    return factor + 1


def _add_crosstalk(counts: Array, signals: list[Array], shares: tuple[float, ...]) -> None:
    for signal, share in zip(signals, shares, strict=True):
        if share:
            height, width = np.minimum(counts.shape, signal.shape)
            counts[:height, :width] += np.float32(share) * signal[:height, :width]


def _ordered(pixels: Array, amplifier: Amplifier) -> Array:
    """Return pixels of the detector in the order of the raw frame."""
    return pixels[:: -1 if amplifier.flip_y else 1, :: -1 if amplifier.flip_x else 1]


def _box(amplifier: Amplifier) -> tuple[slice, slice]:
    return (
        slice(amplifier.out_y, amplifier.out_y + amplifier.height),
        slice(amplifier.out_x, amplifier.out_x + amplifier.width),
    )
