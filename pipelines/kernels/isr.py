"""Instrument signature removal: raw counts of a detector to electrons, with variance and mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from qserv_py.errors import KernelArgumentError
from qserv_py.pipelines.kernels._library import (
    FloatImage,
    MaskImage,
    check,
    image_of,
    lib,
    like,
    pointer,
    record_dtype,
    records,
)

_OVERSCAN = {
    "none": lib.QK_OVERSCAN_NONE,
    "row_median": lib.QK_OVERSCAN_ROW_MEDIAN,
    "amplifier_median": lib.QK_OVERSCAN_AMPLIFIER_MEDIAN,
}
_AMPLIFIER = record_dtype("qk_amplifier")


@dataclass(frozen=True, slots=True, kw_only=True)
class Amplifier:
    """One amplifier: where its pixels are in the raw frame and in the detector, and what it does to them."""

    raw_x: int
    """First column of the data section in the raw frame."""

    raw_y: int
    """First row of the data section in the raw frame."""

    width: int
    """Columns of the data section."""

    height: int
    """Rows of the data section."""

    out_x: int
    """First column in the detector."""

    out_y: int
    """First row in the detector."""

    flip_x: bool = False
    """Whether columns run backwards in the raw frame."""

    flip_y: bool = False
    """Whether rows run backwards in the raw frame."""

    overscan_x: int = 0
    """First column of the serial overscan in the raw frame; its rows are those of the data section."""

    overscan_width: int = 0
    """Columns of the serial overscan."""

    gain: float = 1.0
    """Electrons per ADU."""

    read_noise: float = 0.0
    """Electrons."""

    saturation: float = float("inf")
    """Raw ADU; at or above, a pixel gets the plane SAT."""

    suspect: float = float("inf")
    """Raw ADU; at or above, a pixel gets the plane SUSPECT."""

    linearity: tuple[float, ...] = ()
    """l1, l2, ... of linear = adu (1 + l1 adu + l2 adu**2 + ...), adu above the overscan; at most 8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedImage:
    """An image with its variance and its mask, all of one shape."""

    image: FloatImage
    """Electrons."""

    variance: FloatImage
    """Electrons squared."""

    mask: MaskImage
    """Planes of ``Plane``."""


def remove_signature(
    raw: npt.ArrayLike,
    amplifiers: Sequence[Amplifier],
    *,
    shape: tuple[int, int],
    bias: npt.ArrayLike | None = None,
    dark: npt.ArrayLike | None = None,
    flat: npt.ArrayLike | None = None,
    defects: npt.ArrayLike | None = None,
    dark_s: float = 0.0,
    overscan: Literal["none", "row_median", "amplifier_median"] = "row_median",
) -> MaskedImage:
    """Return a detector in electrons: overscan, linearity, gain, bias, dark, variance, flat, mask, in one pass.

    Parameters
    ----------
    raw
        ADU as read out, 0 to 65535, overscans included.
    amplifiers
        At least one; they may not overlap on the detector.
    shape
        Rows and columns of the detector.
    bias
        Electrons, of the detector's shape; None for none, as the other calibrations.
    dark
        Electrons per second.
    flat
        Response, 1 in the mean. Where it is not positive, the pixel is NaN and BAD.
    defects
        Mask planes to start from.
    dark_s
        Seconds during which dark current was collected.
    overscan
        The level of a row is the median of its overscan pixels, the amplifier's the median of its rows'.

    Returns
    -------
    detector
        Variance is max(electrons, 0) + read noise**2, before the flat. Pixels of no amplifier are NaN and NO_DATA.

    Raises
    ------
    KernelArgumentError
        If a section leaves its frame, shapes differ or a gain is not positive; names the amplifier.
    """
    if overscan not in _OVERSCAN:
        raise KernelArgumentError(f'overscan method "{overscan}" is not known', hint=f"One of {', '.join(_OVERSCAN)}.")
    if len(shape) != 2 or min(shape) < 1:
        raise KernelArgumentError(f"a detector of shape {shape}; it has rows and columns")
    frame = image_of(raw, name="raw", dtype=np.uint16)
    image = np.empty(shape, np.float32)
    variance = np.empty(shape, np.float32)
    mask = np.empty(shape, np.int32)
    amps = _amplifier_records(amplifiers)
    calibrations = [
        like(values, image, name=name, dtype=dtype)
        for name, values, dtype in (
            ("bias", bias, np.float32),
            ("dark", dark, np.float32),
            ("flat", flat, np.float32),
            ("defects", defects, np.int32),
        )
    ]
    check(
        lib.qk_isr(
            pointer(frame),
            *frame.shape,
            records(amps, "qk_amplifier"),
            len(amps),
            _OVERSCAN[overscan],
            *map(pointer, calibrations),
            dark_s,
            *shape,
            pointer(image),
            pointer(variance),
            pointer(mask),
        )
    )
    return MaskedImage(image=image, variance=variance, mask=mask)


def _amplifier_records(amplifiers: Sequence[Amplifier]) -> npt.NDArray[np.void]:
    if not amplifiers:
        raise KernelArgumentError("a detector without amplifiers")
    rows = np.zeros(len(amplifiers), _AMPLIFIER)
    for number, (row, amp) in enumerate(zip(rows, amplifiers, strict=True)):
        if len(amp.linearity) > lib.QK_MAX_LINEARITY:
            raise KernelArgumentError(
                f"amplifier {number} has {len(amp.linearity)} linearity coefficients; at most {lib.QK_MAX_LINEARITY}"
            )
        for name in _AMPLIFIER.names or ():
            if name not in {"linearity", "n_linearity"}:
                row[name] = getattr(amp, name)
        row["n_linearity"] = len(amp.linearity)
        row["linearity"][: len(amp.linearity)] = amp.linearity
    return rows
