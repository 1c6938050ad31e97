"""The frame that measurements look at: an image with its noise, its mask and its segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels._library import (
    Array,
    ffi,
    image_of,
    like,
    pointer,
)
from qserv_py.pipelines.kernels.planes import Plane

UNMEASURABLE = Plane.BAD | Plane.CR | Plane.NO_DATA
"""Planes of pixels that do not count."""

_PLANES = (
    ("variance", np.float32),
    ("mask", np.int32),
    ("segments", np.int32),
    ("fill", np.float32),
    ("gains", np.float32),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What is measured: an image with its noise, checked once for any number of measurements.

    Raises
    ------
    KernelArgumentError
        If shapes differ or the noise is not known.
    """

    image: npt.ArrayLike
    """Background subtracted."""

    variance: npt.ArrayLike | None = None
    """Of every pixel, the image's unit squared."""

    noise: float = 0.0
    """Standard deviation of the background in a pixel; where ``variance`` is None."""

    gain: float = 0.0
    """Electrons per unit; 0 for not known. Where ``variance`` is None, the noise of the source itself; where it is not,
    this noise is in it, and fits put that of the model in its place."""

    gains: npt.ArrayLike | None = None
    """The gain of every pixel in place of ``gain``, where amplifiers or the exposures of a coadd differ; beside
    ``variance`` only."""

    mask: npt.ArrayLike | None = None
    """Planes of each pixel."""

    bad: int = UNMEASURABLE
    """Planes of pixels that do not count."""

    segments: npt.ArrayLike | None = None
    """Segments of ``Detections``: pixels of other sources do not count for a source whose segment is named."""

    fill: npt.ArrayLike | None = None
    """What stands for pixels with a plane of ``bad``, NaN where nothing is known. Without it interpolated pixels stand
    for themselves, others have the light opposite to them."""

    def __post_init__(self) -> None:
        image = image_of(self.image, name="image")
        for name, dtype in _PLANES:
            object.__setattr__(self, name, like(getattr(self, name), image, name=name, dtype=dtype))
        object.__setattr__(self, "image", image)
        if self.gains is not None and self.variance is None:
            raise KernelArgumentError("gains of every pixel without the variance of every pixel")

    def native(self) -> Any:
        """Return the C struct; it lives as long as the frame is used."""
        image: Array = np.asarray(self.image)
        frame = ffi.new("qk_frame *")
        frame.image, frame.variance = pointer(image), pointer(self.variance)  # type: ignore[arg-type]
        frame.mask, frame.segments = pointer(self.mask), pointer(self.segments)  # type: ignore[arg-type]
        frame.fill, frame.gains = pointer(self.fill), pointer(self.gains)  # type: ignore[arg-type]
        frame.ny, frame.nx = image.shape
        frame.noise, frame.gain, frame.bad = self.noise, self.gain, self.bad
        return frame


def with_segments(frame: Frame, own: Array | None) -> Any:
    """Return the C frame, without segments when the sources do not name theirs."""
    native = frame.native()
    if own is None:
        native.segments = ffi.NULL
    return native


def own_segments(segment: npt.ArrayLike | None, x: npt.ArrayLike) -> Array | None:
    """Return the segments that sources name as their own, None for None."""
    if segment is None:
        return None
    given = np.asanyarray(segment).reshape(1, -1)
    own: Array = image_of(given, name="segment", dtype=np.int32)[0] if given.size else np.empty(0, np.int32)
    if own.size != np.size(x):
        raise KernelArgumentError(f"segment and x have the lengths {own.size}, {np.size(x)}")
    return own
