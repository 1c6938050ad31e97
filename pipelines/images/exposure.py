"""A raw read-out, and the image of a detector on its way to a catalogue: pixels, noise, mask, position, PSF, scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from qserv_py.pipelines.kernels._library import image_of, like
from qserv_py.pipelines.kernels.psf import Psf
from qserv_py.pipelines.kernels.wcs import Wcs

HeaderValue = str | int | float | bool
"""What a FITS card holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawImage:
    """What one detector read out."""

    pixels: npt.NDArray[np.uint16]
    """ADU, overscans included, shape (rows, columns)."""

    header: Mapping[str, HeaderValue]
    """Cards of the file, by keyword."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """An image without its instrument's signature, and what is known of it so far.

    Planes may come in any type of number and any order of bytes, and are kept as the types below say; pixels that
    numpy.ma masks are NaN.

    Raises
    ------
    KernelArgumentError
        If a plane is not an image of numbers, or the planes' shapes differ.
    """

    image: npt.NDArray[np.float32]
    """Electrons, or nJy where ``njy_per_unit`` is 1; shape (rows, columns)."""

    variance: npt.NDArray[np.float32]
    """The image's unit squared."""

    mask: npt.NDArray[np.int32]
    """Planes of ``kernels.planes.Plane``; of booleans, True is BAD."""

    header: Mapping[str, HeaderValue] = field(default_factory=dict)
    """Cards that came with the raw, and those that tasks add."""

    wcs: Wcs | None = None
    """Pixel to sky; the header's guess until the astrometric fit."""

    psf: Psf | None = None
    """None until it is modelled."""

    njy_per_unit: float | None = None
    """Nanojansky of one unit of ``image``; None until the photometric calibration."""

    def __post_init__(self) -> None:
        image = image_of(self.image, name="image")
        object.__setattr__(self, "image", image)
        for name, dtype in (("variance", np.float32), ("mask", np.int32)):
            object.__setattr__(self, name, like(getattr(self, name), image, name=name, dtype=dtype))
