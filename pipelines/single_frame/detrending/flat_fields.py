"""From exposures of a lit screen to the response of a detector's pixels."""

from __future__ import annotations

import numpy as np

from qserv_py.errors import CalibrationError
from qserv_py.pipelines.kernels.isr import MaskedImage
from qserv_py.pipelines.kernels.planes import Plane

_LEAST_ELECTRONS = 100.0
_BLIND = 0.1  # of the mean response
_UNUSABLE = int(Plane.BAD | Plane.NO_DATA | Plane.SAT)


def normalised(frame: MaskedImage) -> MaskedImage:
    """Return a flat exposure in units of its median.

    Raises
    ------
    CalibrationError
        If there is hardly any light in it.
    """
    usable = ((frame.mask & _UNUSABLE) == 0) & np.isfinite(frame.image)
    level = float(np.median(frame.image[usable])) if usable.any() else 0.0
    if level < _LEAST_ELECTRONS:
        raise CalibrationError(
            f"a flat exposure has {level:.0f} electrons in the median; {_LEAST_ELECTRONS:.0f} are needed",
            hint="Was the lamp on, and is the filter the one that the header says?",
        )
    return _divided(frame, level)


def as_response(image: MaskedImage) -> MaskedImage:
    """Return combined flats as a response of mean 1; pixels that see less than a tenth of that are bad."""
    usable = ((image.mask & _UNUSABLE) == 0) & np.isfinite(image.image)
    if not usable.any():
        raise CalibrationError("the flat has no usable pixel")
    with np.errstate(invalid="ignore"):
        blind = ~(image.image > _BLIND * np.median(image.image[usable]))
    response = _divided(image, float(np.mean(image.image[usable & ~blind])))
    mask = response.mask | np.where(blind, np.int32(Plane.BAD), np.int32(0))
    return MaskedImage(image=response.image, variance=response.variance, mask=mask)


def _divided(image: MaskedImage, level: float) -> MaskedImage:
    return MaskedImage(
        image=(image.image / np.float32(level)).astype(np.float32),
        variance=(image.variance / np.float32(level**2)).astype(np.float32),
        mask=image.mask,
    )
