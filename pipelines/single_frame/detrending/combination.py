"""The clipped mean of many images of one detector, with bounded memory.

Images are written to a scratch file as they come and read back as bands of rows, so memory does not grow with their
number: one image, and one band of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
import numpy.typing as npt

from qserv_py.errors import PipelineError
from qserv_py.pipelines.kernels.isr import MaskedImage
from qserv_py.pipelines.kernels.planes import Plane

_BAND_BYTES = 32 << 20
_MAD_TO_SIGMA = 1.4826
_UNUSABLE = int(Plane.BAD | Plane.NO_DATA | Plane.SAT | Plane.CR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """The mean of some images."""

    image: MaskedImage
    """Variance is that of the mean; a pixel that no image had is NaN and BAD."""

    images: int
    """How many there were."""

    clipped: int
    """Pixels of single images that were left out as outliers."""


def clipped_mean(images: Iterable[MaskedImage], *, clip: float = 4.0, scratch: Path | None = None) -> Combined:
    """Return the mean of images, outliers left out.

    A pixel counts if it is within ``clip`` widths of the median of all; the width is the wider of the spread around the
    median and of the noise that the images state, since the spread of three or four values is not to be trusted.

    Parameters
    ----------
    images
        Of one shape; read once, one at a time.
    clip
        Widths.
    scratch
        Directory of the scratch file; None for the system's.

    Raises
    ------
    PipelineError
        If there are no images or their shapes differ.
    """
    with _stack_of(images, scratch) as (stack, count, shape):
        out = MaskedImage(
            image=np.empty(shape, np.float32), variance=np.empty(shape, np.float32), mask=np.zeros(shape, np.int32)
        )
        rows = max(1, _BAND_BYTES // (8 * shape[1] * count))
        clipped = 0
        for first in range(0, shape[0], rows):
            band = slice(first, min(first + rows, shape[0]))
            clipped += _combine_band(_read_band(stack, count, shape, band), out, band, clip)
    return Combined(image=out, images=count, clipped=clipped)


@contextmanager
def _stack_of(images: Iterable[MaskedImage], scratch: Path | None) -> Iterator[tuple[IO[bytes], int, tuple[int, int]]]:
    """Write value and variance of every image behind each other; yield the file, the number and the shape."""
    count, shape = 0, (0, 0)
    with TemporaryFile(dir=scratch) as stack:
        for one in images:
            if count and one.image.shape != shape:
                raise PipelineError(f"image {count + 1} has the shape {one.image.shape}, those before {shape}")
            shape = (one.image.shape[0], one.image.shape[1])
            usable = ((one.mask & _UNUSABLE) == 0) & np.isfinite(one.image)
            stack.write(np.where(usable, one.image, np.float32(np.nan)).tobytes())
            stack.write(np.ascontiguousarray(one.variance, np.float32).tobytes())
            count += 1
        if not count:
            raise PipelineError("no image to combine", hint="Look at the data query: it selects no exposure.")
        stack.flush()
        yield stack, count, shape


def _read_band(stack: IO[bytes], count: int, shape: tuple[int, int], band: slice) -> npt.NDArray[np.float32]:
    """Return values and variances of some rows, shape (images, 2, rows, columns)."""
    ny, nx = shape
    rows = band.stop - band.start
    values = np.empty((count, 2, rows, nx), np.float32)
    for place in range(2 * count):
        stack.seek(4 * nx * (place * ny + band.start))
        values[divmod(place, 2)] = np.frombuffer(stack.read(4 * nx * rows), np.float32).reshape(rows, nx)
    return values


def _combine_band(values: npt.NDArray[np.float32], out: MaskedImage, band: slice, clip: float) -> int:
    """Write the mean of a band; return how many values were outliers."""
    image, variance = values[:, 0], values[:, 1]
    good = np.isfinite(image)
    middle = _median(image)
    spread = _MAD_TO_SIGMA * _median(np.abs(image - middle))
    width = np.maximum(spread, np.sqrt(_median(variance)))
    with np.errstate(invalid="ignore"):
        kept = good & (np.abs(image - middle) <= clip * width)
    number = kept.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        out.image[band] = np.where(kept, image, 0).sum(axis=0, dtype=np.float64) / number
        out.variance[band] = np.where(kept, variance, 0).sum(axis=0, dtype=np.float64) / number.astype(float) ** 2
    out.mask[band] = np.where(number == 0, np.int32(Plane.BAD), np.int32(0))
    return int((good & ~kept).sum())


def _median(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the median along the first axis of what is not NaN; NaN where nothing is. Faster than nanmedian."""
    ordered = np.sort(values, axis=0)  # NaN last
    number = np.isfinite(ordered).sum(axis=0)
    low, high = np.maximum(number - 1, 0) // 2, np.minimum(number // 2, len(ordered) - 1)
    at = [np.take_along_axis(ordered, place[None], axis=0)[0] for place in (low, high)]
    middle: npt.NDArray[np.float32] = np.where(number > 0, (at[0] + at[1]) / 2, np.float32(np.nan))
    return middle
