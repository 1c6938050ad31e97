"""From the raw read-out of a detector to electrons: what the instrument did to the sky's light is taken away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qserv_py.errors import CalibrationError, UnusableImageError
from qserv_py.pipelines.images.exposure import Exposure, RawImage
from qserv_py.pipelines.instrument.camera import Detector
from qserv_py.pipelines.kernels.isr import Amplifier, MaskedImage, remove_signature
from qserv_py.pipelines.kernels.planes import Plane
from qserv_py.pipelines.kernels.wcs import Wcs
from qserv_py.pipelines.single_frame.interpolation import interpolate


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrations:
    """What is known of a detector; None for what is not to be applied."""

    bias: Exposure | None = None
    """Electrons."""

    dark: Exposure | None = None
    """Electrons per second."""

    flat: Exposure | None = None
    """Response, 1 in the mean."""

    defects: Any = None
    """Table of boxes: x0, y0, width, height, in pixels of the detector."""


def without_signature(
    raw: RawImage, detector: Detector, *, calibrations: Calibrations, dark_s: float, wcs: Wcs | None = None
) -> Exposure:
    """Return a detector in electrons, with variance and mask.

    Parameters
    ----------
    raw
        As read out.
    detector
        Of the camera.
    calibrations
        What to apply.
    dark_s
        Seconds during which dark current was collected.
    wcs
        Guess of the coordinates, handed on.

    Returns
    -------
    exposure
        Pixels of defects, of dead amplifiers and of unusable calibrations are BAD and interpolated.

    Raises
    ------
    CalibrationError
        If the raw frame or a calibration has another shape than the camera says.
    UnusableImageError
        If no amplifier read anything, or every pixel is saturated.
    """
    _check_shapes(raw, detector, calibrations)
    planes = planes_of(calibrations, detector.shape)
    for amplifier in dead_amplifiers(raw, detector):
        planes[_on_detector(amplifier)] |= Plane.BAD
    image = remove_signature(
        raw.pixels,
        detector.readouts,
        shape=detector.shape,
        bias=None if calibrations.bias is None else calibrations.bias.image,
        dark=None if calibrations.dark is None else calibrations.dark.image,
        flat=None if calibrations.flat is None else calibrations.flat.image,
        defects=planes,
        dark_s=dark_s,
    )
    saturated = (image.mask & Plane.SAT) != 0
    if saturated.mean() > 0.5:
        raise UnusableImageError(
            f"{100 * saturated.mean():.0f} % of detector {detector.id} is saturated", hint="Was the Moon in the field?"
        )
    flat = None if calibrations.flat is None else calibrations.flat.image
    electrons = without_crosstalk(image.image, detector, flat=flat)
    exposure = Exposure(image=electrons, variance=image.variance, mask=image.mask, header=dict(raw.header), wcs=wcs)
    return interpolate(exposure)


def planes_of(calibrations: Calibrations, shape: tuple[int, int]) -> npt.NDArray[np.int32]:
    """Return the mask that calibrations start an image with: defects, and pixels that they could not calibrate."""
    planes = np.zeros(shape, np.int32)
    for one in (calibrations.bias, calibrations.dark, calibrations.flat):
        if one is not None:
            planes |= np.where(((one.mask & Plane.BAD) != 0) | ~np.isfinite(one.image), Plane.BAD, 0).astype(np.int32)
    for box in calibrations.defects if calibrations.defects is not None else ():
        x, y = max(0, int(box["x0"])), max(0, int(box["y0"]))
        planes[y : int(box["y0"]) + int(box["height"]), x : int(box["x0"]) + int(box["width"])] |= Plane.BAD
    return planes


def dead_amplifiers(raw: RawImage, detector: Detector) -> list[Amplifier]:
    """Return the amplifiers whose pixels all have one value.

    Raises
    ------
    UnusableImageError
        If all of them.
    """
    dead = []
    for amplifier in detector.readouts:
        section = raw.pixels[_in_raw(amplifier)]
        if (section == section.flat[0]).all():
            dead.append(amplifier)
    if len(dead) == len(detector.readouts):
        raise UnusableImageError(
            f"detector {detector.id} is blank: the pixels of each amplifier have one value",
            hint="The detector was not read out, or the file was damaged before it came here.",
        )
    return dead


def without_crosstalk(
    image: npt.NDArray[np.float32], detector: Detector, *, flat: npt.NDArray[np.float32] | None = None
) -> npt.NDArray[np.float32]:
    """Return an image without what amplifiers saw of each other's signal.

    Parameters
    ----------
    image
        Electrons after the flat.
    detector
        Its ``crosstalk`` says how much of whose signal, in ADU; without, the image is returned.
    flat
        That was applied: cross-talk is a share of what was read, not of what fell on the detector.
    """
    if not detector.crosstalk:
        return image
    read = image if flat is None else image * flat
    read = np.where(np.isfinite(read), read, 0)
    out = image.copy()
    for victim, shares in zip(detector.readouts, detector.crosstalk, strict=True):
        leaked = np.zeros((victim.height, victim.width), np.float32)
        for source, share in zip(detector.readouts, shares, strict=True):
            if share:
                rows, columns = min(victim.height, source.height), min(victim.width, source.width)
                seen = _as_read(read[_on_detector(source)], source)[:rows, :columns]
                leaked[:rows, :columns] += np.float32(share * victim.gain / source.gain) * seen
        spoilt = _as_read(leaked, victim)
        out[_on_detector(victim)] -= spoilt if flat is None else spoilt / flat[_on_detector(victim)]
    return out


def as_masked_image(exposure: Exposure) -> MaskedImage:
    """Return the planes of an exposure alone."""
    return MaskedImage(image=exposure.image, variance=exposure.variance, mask=exposure.mask)


def _as_read(section: npt.NDArray[np.float32], amplifier: Amplifier) -> npt.NDArray[np.float32]:
    """Turn a section from the detector's order to that of the read-out, or back: mirroring undoes itself."""
    return section[:: -1 if amplifier.flip_y else 1, :: -1 if amplifier.flip_x else 1]


def _on_detector(one: Amplifier) -> tuple[slice, slice]:
    return slice(one.out_y, one.out_y + one.height), slice(one.out_x, one.out_x + one.width)


def _in_raw(one: Amplifier) -> tuple[slice, slice]:
    return slice(one.raw_y, one.raw_y + one.height), slice(one.raw_x, one.raw_x + one.width)


def _check_shapes(raw: RawImage, detector: Detector, calibrations: Calibrations) -> None:
    if raw.pixels.shape != detector.raw_shape:
        raise CalibrationError(
            f"detector {detector.id} read out {raw.pixels.shape} rows and columns; the camera has {detector.raw_shape}",
            hint="The camera in the repository is not the one that made this file.",
        )
    for name in ("bias", "dark", "flat"):
        one = getattr(calibrations, name)
        if one is not None and one.image.shape != detector.shape:
            raise CalibrationError(
                f"the {name} has the shape {one.image.shape}, detector {detector.id} {detector.shape}"
            )
