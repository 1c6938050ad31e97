"""Instrument signature removal, whole arrays at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.kernels._library import Array
from qserv_py.pipelines.kernels.isr import Amplifier, MaskedImage
from qserv_py.pipelines.kernels.planes import Plane

_ONE = np.float32(1)


def remove_signature(
    raw: npt.NDArray[np.uint16],
    amplifiers: Sequence[Amplifier],
    *,
    shape: tuple[int, int],
    bias: Array | None = None,
    dark: Array | None = None,
    flat: Array | None = None,
    defects: npt.NDArray[np.int32] | None = None,
    dark_s: float = 0.0,
    overscan: str = "row_median",
) -> MaskedImage:
    """Do what ``kernels.isr.remove_signature`` does."""
    image = np.full(shape, np.nan, np.float32)
    variance = np.full(shape, np.nan, np.float32)
    mask = np.full(shape, Plane.NO_DATA, np.int32)
    for amp in amplifiers:
        to = (slice(amp.out_y, amp.out_y + amp.height), slice(amp.out_x, amp.out_x + amp.width))
        counts, level = _sections(raw, amp, overscan)
        planes = np.where(counts >= np.float32(amp.saturation), Plane.SAT, 0).astype(np.int32)
        planes |= np.where(counts >= np.float32(amp.suspect), Plane.SUSPECT, 0).astype(np.int32)
        if defects is not None:
            planes |= defects[to]
        electrons = _linear(counts - level, amp)
        with np.errstate(all="ignore"):
            if bias is not None:
                electrons = electrons - bias[to]
            if dark is not None:
                electrons = electrons - dark[to] * np.float32(dark_s)
            noise = np.float32(amp.read_noise) * np.float32(amp.read_noise)
            square: Array = np.maximum(electrons, np.float32(0)) + noise
            if flat is not None:
                response = np.where(flat[to] > 0, flat[to], np.float32(np.nan))
                electrons = electrons / response
                square /= response * response
        good = np.isfinite(electrons) & np.isfinite(square)
        image[to] = np.where(good, electrons, np.float32(np.nan))
        variance[to] = np.where(good, square, np.float32(np.nan))
        mask[to] = planes | np.where(good, 0, Plane.BAD).astype(np.int32)
    return MaskedImage(image=image, variance=variance, mask=mask)


def _sections(raw: npt.NDArray[np.uint16], amp: Amplifier, overscan: str) -> tuple[Array, Array]:
    """Return the data of an amplifier as the detector has them, and the overscan level of its rows."""
    rows = slice(amp.raw_y, amp.raw_y + amp.height)
    counts = raw[rows, amp.raw_x : amp.raw_x + amp.width].astype(np.float32)
    level = np.zeros((amp.height, 1), np.float32)
    if overscan != "none":
        strip = raw[rows, amp.overscan_x : amp.overscan_x + amp.overscan_width]
        level = np.median(strip.astype(np.float32), axis=1, keepdims=True)
    if overscan == "amplifier_median":
        level = np.full_like(level, np.median(level))
    if amp.flip_x:
        counts = counts[:, ::-1]
    if amp.flip_y:
        counts, level = counts[::-1], level[::-1]
    return counts, level


def _linear(adu: Array, amp: Amplifier) -> Array:
    gain = np.float32(amp.gain)
    if not amp.linearity:
        return adu * gain
    factor = np.zeros_like(adu)
    for coefficient in reversed(amp.linearity):
        factor = (factor + np.float32(coefficient)) * adu
    return adu * (_ONE + factor) * gain
