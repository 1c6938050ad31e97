"""Pixels that cannot be used get a value from their neighbours, and the plane INTRP.

Detection sees these values: a star that a bad column crosses is one source. The planes stay, so whatever is measured
there says so, and measurements put something better in their place where they know it (``filled_light``).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.kernels._library import FloatImage
from qserv_py.pipelines.kernels.frame import UNMEASURABLE, Frame
from qserv_py.pipelines.kernels.interpolation import interpolated
from qserv_py.pipelines.kernels.planes import Plane


def interpolate(exposure: Exposure) -> Exposure:
    """Return an image whose unusable pixels have the values of their neighbours, as far as these are near.

    Parameters
    ----------
    exposure
        Pixels with a plane of ``UNMEASURABLE`` count as unusable, and so do those whose value or variance is not
        finite: these get the plane NO_DATA where they have no other.

    Returns
    -------
    exposure
        The same object where nothing is to be done. Pixels with the plane INTRP keep their values; what is farther from
        usable pixels than ``LONGEST_GAP`` keeps its value, and is not INTRP.
    """
    unknown = ~np.isfinite(exposure.image)
    unknown |= ~np.isfinite(exposure.variance)
    wanted = _marked(exposure.mask) | unknown
    if not wanted.any():
        return exposure
    mask = exposure.mask.copy()
    mask[unknown & ((mask & int(UNMEASURABLE)) == 0)] |= np.int32(Plane.NO_DATA)
    image, found = interpolated(exposure.image, wanted, mask=mask, bad=int(UNMEASURABLE))
    variance, _ = interpolated(exposure.variance, wanted, mask=mask, bad=int(UNMEASURABLE), cubic=False)
    mask[wanted] &= ~np.int32(Plane.INTRP)
    mask[found] |= np.int32(Plane.INTRP)
    return replace(exposure, image=image, variance=variance, mask=mask)


def _marked(mask: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return which pixels cannot be used and have not been interpolated."""
    planes = mask & int(UNMEASURABLE | Plane.INTRP)
    marked: npt.NDArray[np.bool_] = planes > 0
    marked &= (planes & int(Plane.INTRP)) == 0
    return marked


def filled_light(frame: Frame, residual: FloatImage) -> npt.NDArray[np.float32] | None:
    """Return what stands for pixels that cannot be used: the sources' models, and what is left beside these pixels.

    Parameters
    ----------
    frame
        The image that was fitted.
    residual
        The image without the models of its sources, of ``psf_photometry``.

    Returns
    -------
    fill
        Of ``Frame``; None where every pixel can be used. What is left of the image is smooth where the image is not,
        and interpolated across gaps that are short enough; farther inside there are only the models.
    """
    image, mask = np.asarray(frame.image), frame.mask
    if mask is None:
        return None
    wanted = (np.asarray(mask) & frame.bad) != 0
    if not wanted.any():
        return None
    left, found = interpolated(residual, wanted, mask=mask, bad=frame.bad, cubic=False)
    fill = (image - residual).astype(np.float32)
    fill[found] += left[found]
    return fill
