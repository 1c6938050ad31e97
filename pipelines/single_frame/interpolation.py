"""Pixels that cannot be used get a value from their neighbours along the row, and the plane INTRP.

The value is for the eye and for filters that cannot skip a pixel; the planes stay, so no measurement counts it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.images.exposure import Exposure
from qserv_py.pipelines.kernels.planes import Plane


def interpolate(exposure: Exposure, *, planes: int = Plane.BAD | Plane.NO_DATA) -> Exposure:
    """Return an image whose unusable pixels lie on a line between their usable neighbours in the row.

    Parameters
    ----------
    exposure
        Pixels that are not finite count as unusable.
    planes
        Of pixels to replace.

    Returns
    -------
    exposure
        A row without a usable pixel is filled from the rows beside it; without any usable pixel nothing is changed.
        The variance of a replaced pixel is that of its neighbours.
    """
    bad = ((exposure.mask & planes) != 0) | ~np.isfinite(exposure.image) | ~np.isfinite(exposure.variance)
    if not bad.any() or bad.all():
        return exposure
    image, variance = exposure.image.copy(), exposure.variance.copy()
    for plane in (image, variance):
        _fill_rows(plane, bad)
        _fill_rows(plane.T, np.broadcast_to(bad.all(axis=1), plane.T.shape))
    mask = exposure.mask | np.where(bad, np.int32(Plane.INTRP), np.int32(0))
    return replace(exposure, image=image, variance=variance, mask=mask)


def _fill_rows(values: npt.NDArray[np.float32], bad: npt.NDArray[np.bool_]) -> None:
    """Replace bad values in place, row by row where a row has both kinds."""
    columns = np.arange(values.shape[1])
    for row in np.nonzero(bad.any(axis=1) & ~bad.all(axis=1))[0]:
        spoilt = bad[row]
        values[row, spoilt] = np.interp(columns[spoilt], columns[~spoilt], values[row, ~spoilt])
