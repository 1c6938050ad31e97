"""What is particular to one detector: bias, dark current, response, bad columns and hot pixels. Drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qserv_py.pipelines.instrument.camera import Camera, Detector
from qserv_py.pipelines.kernels._library import Array, FloatArray, FloatImage
from qserv_py.pipelines.survey.chance import Draw, numbers_for
from qserv_py.pipelines.survey.sky import BANDS

DEFECT = np.dtype([("x0", "i4"), ("y0", "i4"), ("width", "i4"), ("height", "i4"), ("kind", "U11")])
"""Boxes of pixels of the detector that are of no use, and why: ``dead column``, ``hot column`` or ``hot pixel``."""

_DARK_E_S = 0.03
_GLOW_E_S = 0.3  # in a corner, near the electronics
_HOT_SHARE = 2e-5
_COLUMNS = 3.0  # bad ones of a detector of 2048, in the mean
_DEAD_RESPONSE = 0.02
_PIXEL_RESPONSE = 0.008  # rms
_VIGNETTING = 0.08  # at the edge of the field


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What can be said of a detector in a few numbers."""

    bias_levels: FloatArray
    """ADU of each amplifier, in its overscan, too."""

    defects: Array
    """Rows of ``DEFECT``."""

    throughput: FloatArray
    """In each band of ``BANDS``, relative to the camera's mean."""


@dataclass(frozen=True, kw_only=True)
class Device(Traits):
    """A detector as it is."""

    bias: FloatImage
    """Electrons that the read-out adds to each pixel, but not to the overscan; shape of the detector."""

    dark: FloatImage
    """Electrons per second."""


def draw_traits(seed: int, detector: Detector) -> Traits:
    """Return the traits of a detector."""
    random = numbers_for(seed, Draw.DEVICE, detector.id, 0)
    return Traits(
        throughput=np.exp(random.normal(0, 0.02, len(BANDS))),
        bias_levels=np.round(random.uniform(900, 1300, len(detector.amplifiers)), 2),
        defects=_draw_defects(random, detector),
    )


def draw_device(seed: int, detector: Detector) -> Device:
    """Return the device of a detector."""
    traits, random = draw_traits(seed, detector), numbers_for(seed, Draw.DEVICE, detector.id, 1)
    return Device(**vars(traits), bias=_draw_bias(random, detector), dark=_draw_dark(random, detector, traits.defects))


def response(seed: int, camera: Camera, detector: Detector, band: str, *, defects: Array) -> FloatImage:
    """Return the response of each pixel to light of a band, 1 in the mean of the good ones."""
    random = numbers_for(seed, Draw.RESPONSE, detector.id, BANDS.index(band))
    shape = detector.shape
    flat = 1 + np.float32(_PIXEL_RESPONSE) * random.standard_normal(shape, dtype=np.float32)
    for amplifier in detector.readouts:  # silicon of one piece, electronics that are not
        box = np.s_[
            amplifier.out_y : amplifier.out_y + amplifier.height, amplifier.out_x : amplifier.out_x + amplifier.width
        ]
        flat[box] *= np.float32(1 + random.normal(0, 0.004))
    for _ in range(random.poisson(6)):
        _add_dust(flat, random)
    flat *= _vignetting(camera, detector)
    for defect in defects[defects["kind"] == "dead column"]:
        flat[_box(defect)] *= np.float32(_DEAD_RESPONSE)
    good = np.ones(shape, bool)
    for defect in defects:
        good[_box(defect)] = False
    flat /= np.float32(flat[good].mean(dtype=np.float64))
    return flat


def _draw_defects(random: np.random.Generator, detector: Detector) -> Array:
    height, width = detector.shape
    found = []
    for number in range(1 + random.poisson(_COLUMNS * width / 2048)):
        start = int(random.integers(0, height // 2)) if random.random() < 0.5 else 0
        kind = "hot column" if number % 3 == 2 else "dead column"
        wide = int(random.choice([1, 1, 2]))
        found.append((int(random.integers(0, width - wide + 1)), start, wide, height - start, kind))
    for _ in range(random.poisson(_HOT_SHARE * width * height)):
        found.append((int(random.integers(0, width)), int(random.integers(0, height)), 1, 1, "hot pixel"))
    return np.array(found, DEFECT)


def _draw_bias(random: np.random.Generator, detector: Detector) -> FloatImage:
    height, width = detector.shape
    columns = random.normal(0, 1.5, width)
    bias = np.zeros((height, width))
    for amplifier in detector.readouts:
        rows = np.arange(amplifier.height)[:: -1 if amplifier.flip_y else 1]
        start = random.uniform(3, 8) * np.exp(-rows / 40.0)  # the first rows are read before all is settled
        box = np.s_[
            amplifier.out_y : amplifier.out_y + amplifier.height, amplifier.out_x : amplifier.out_x + amplifier.width
        ]
        bias[box] = start[:, None] + columns[amplifier.out_x : amplifier.out_x + amplifier.width]
    return bias.astype(np.float32)


def _draw_dark(random: np.random.Generator, detector: Detector, defects: Array) -> FloatImage:
    height, width = detector.shape
    dark = _DARK_E_S * (1 + 0.2 * random.standard_normal((height, width), dtype=np.float32))
    across, up = np.arange(width) / width, np.arange(height) / height
    dark += _GLOW_E_S * np.exp(-across / 0.03) * np.exp(-up / 0.03)[:, None]
    dark = np.maximum(dark, 0.0)
    for defect in defects:
        if defect["kind"] == "hot column":
            dark[_box(defect)] += random.uniform(20, 200)
        elif defect["kind"] == "hot pixel":
            dark[_box(defect)] += 10 ** random.uniform(0.7, 2.5)
    currents: FloatImage = dark.astype(np.float32)
    return currents


def _add_dust(flat: FloatImage, random: np.random.Generator) -> None:
    """Darken a ring: the shadow of a grain on the window."""
    height, width = flat.shape
    x, y = random.uniform(0, width), random.uniform(0, height)
    radius, depth = random.uniform(15, 40), random.uniform(0.005, 0.03)
    x0, x1 = max(int(x - 2 * radius), 0), min(int(x + 2 * radius), width)
    y0, y1 = max(int(y - 2 * radius), 0), min(int(y + 2 * radius), height)
    away = np.hypot(np.arange(x0, x1) - x, (np.arange(y0, y1) - y)[:, None])
    flat[y0:y1, x0:x1] *= (1 - depth * np.exp(-(((away - radius) / (0.25 * radius)) ** 2))).astype(np.float32)


def _vignetting(camera: Camera, detector: Detector) -> FloatImage:
    height, width = detector.shape
    x, y = np.arange(width, dtype=float), np.arange(height, dtype=float)
    across, up = camera.to_focal(detector, x[None, :], y[:, None])
    edge = (across**2 + up**2) / camera.field_radius_deg**2
    return (1 - _VIGNETTING * edge**2).astype(np.float32)


def _box(defect: Array) -> tuple[slice, slice]:
    x, y = int(defect["x0"]), int(defect["y0"])
    return slice(y, y + int(defect["height"])), slice(x, x + int(defect["width"]))
