"""Values for pixels that cannot be used, from the usable ones beside them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.kernels._library import Array, FloatImage, check, image_of, lib, like, pointer

LONGEST_GAP = 12
"""Pixels across which a value is interpolated: three widths of a PSF of four pixels. Beyond, nothing is known."""


def interpolated(
    image: npt.ArrayLike,
    wanted: npt.ArrayLike,
    *,
    mask: npt.ArrayLike | None = None,
    bad: int = 0,
    longest: int = LONGEST_GAP,
    cubic: bool = True,
) -> tuple[FloatImage, npt.NDArray[np.bool_]]:
    """Return an image with some pixels interpolated, and which of them could be.

    Parameters
    ----------
    image
        Any unit.
    wanted
        Which pixels to fill, of the image's shape.
    mask, bad
        Planes of each pixel, and those of pixels that say nothing; pixels that are not finite never do.
    longest
        Pixels of a gap, along the row or the column, that is filled; the shorter of the two is taken, and at the border
        of the image the nearest pixel.
    cubic
        Whether gaps of one and two pixels are filled by a cubic, which keeps the top of a star, else straight.

    Raises
    ------
    KernelArgumentError
        If shapes differ or ``longest`` is out of range.
    """
    pixels = image_of(image, name="image")
    planes = like(mask, pixels, name="mask", dtype=np.int32)
    chosen: Array = like(wanted, pixels, name="wanted", dtype=np.uint8)
    out, found = pixels.copy(), np.empty(pixels.shape, np.uint8)
    check(
        lib.qk_interpolate(
            pointer(pixels), pointer(planes), bad, *pixels.shape, pointer(chosen), longest, int(cubic), pointer(out),
            pointer(found),
        )
    )  # fmt: skip
    return out, found.view(bool)
