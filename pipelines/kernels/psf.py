"""The PSF of an image, from its stars, and the fluxes of all sources under it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from qserv_py.errors import KernelArgumentError, NoFitError
from qserv_py.pipelines.kernels._library import (
    Array,
    FloatArray,
    FloatImage,
    check,
    ffi,
    lib,
    pointer,
    record_dtype,
    records,
    vectors,
)
from qserv_py.pipelines.kernels.detection import Flag
from qserv_py.pipelines.kernels.measurement import Frame, aperture_fluxes, windowed_positions
from qserv_py.pipelines.kernels.planes import Plane

PSF_FLUX = record_dtype("qk_psf_flux")
"""Fields of a PSF flux; ``c/kernels.h`` says what they are."""

_UNCLEAN = Flag.EDGE | Flag.MASKED | Flag.NO_DATA | Flag.NOT_CONVERGED | Flag.TOO_LARGE
_MAD_TO_SIGMA = 1.4826
_LEAST_WIDTH = 0.05  # of reduced chi-squares, as of 800 pixels of noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Psf:
    """A PSF that varies over the image: pixels times a polynomial of the position."""

    coefficients: FloatArray
    """Shape (terms, side, side): term u**i v**j for j = 0 to order, i = 0 to order - j."""

    order: int
    """Of the polynomial."""

    x0: float
    """u = (x - x0) / scale_x."""

    y0: float
    """v = (y - y0) / scale_y."""

    scale_x: float
    """Pixels."""

    scale_y: float
    """Pixels."""

    @property
    def side(self) -> int:
        """Pixels along a side of the grid."""
        return int(self.coefficients.shape[-1])

    def at(self, x: npt.ArrayLike, y: npt.ArrayLike, *, dx: npt.ArrayLike = 0.0, dy: npt.ArrayLike = 0.0) -> FloatArray:
        """Return the PSF at positions, shape (n, side, side), each of sum 1.

        Parameters
        ----------
        x, y
            Pixels, shape (n,).
        dx, dy
            How far its middle is from the middle pixel, -0.5 to 0.5, one or shape (n,).

        Returns
        -------
        stamps
            NaN where a position is not finite or the model has no positive sum.
        """
        shape = np.shape(np.atleast_1d(np.asarray(x)))
        columns = vectors(x=x, y=y, dx=np.broadcast_to(dx, shape), dy=np.broadcast_to(dy, shape))
        stamps = np.empty((len(columns[0]), self.side, self.side))
        check(lib.qk_psf_draw(self.native(), *map(pointer, columns), len(columns[0]), pointer(stamps)))
        return stamps

    def native(self) -> Any:
        """Return the C struct; it lives as long as the model."""
        if self.coefficients.ndim != 3 or self.coefficients.shape[0] != _terms(self.order):
            raise KernelArgumentError(f"a PSF of order {self.order} with coefficients {self.coefficients.shape}")
        psf = ffi.new("qk_psf *")
        psf.coefficients, psf.side, psf.order = pointer(self.coefficients), self.side, self.order
        psf.x0, psf.y0, psf.scale_x, psf.scale_y = self.x0, self.y0, self.scale_x, self.scale_y
        return psf


@dataclass(frozen=True, slots=True, kw_only=True)
class PsfFit:
    """A PSF and the stars that it is from."""

    psf: Psf
    """The model."""

    used: npt.NDArray[np.bool_]
    """Which sources it is from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PsfPhotometry:
    """Sources fitted together."""

    fluxes: Array
    """Rows of ``PSF_FLUX``."""

    residual: FloatImage
    """The image without them."""


def select_stars(
    shapes: Array, *, flux: npt.ArrayLike, error: npt.ArrayLike, planes: npt.ArrayLike, least: float = 50.0
) -> npt.NDArray[np.bool_]:
    """Return which sources are stars that a PSF can be made from.

    Sources of one size crowd in a diagram of size against brightness, and those are the stars: the densest tenth of the
    sizes is looked for, then everything within three widths of it is taken.

    Parameters
    ----------
    shapes
        Rows of ``MOMENTS``, adaptive.
    flux, error
        Of the sources, shape (n,).
    planes
        Of their segments; saturated and suspect ones are left out.
    least
        Flux over error.

    Raises
    ------
    NoFitError
        If fewer than three sources are bright and clean enough.
    """
    light, noise = vectors(flux=flux, error=error)
    spoilt = int(Plane.SAT | Plane.SUSPECT | Plane.BAD | Plane.CR)
    with np.errstate(invalid="ignore"):
        clean = (shapes["flags"] & int(_UNCLEAN) == 0) & (light > least * noise) & (np.asarray(planes) & spoilt == 0)
    if clean.sum() < 3:
        raise NoFitError(
            f"{clean.sum()} of {len(shapes)} sources are bright and clean enough for a PSF; 3 are needed",
            hint=f"Lower the least signal to noise of {least:g}, or look at the mask and the background.",
        )
    size = 0.5 * np.log(shapes["xx"] + shapes["yy"], where=clean, out=np.full(len(shapes), np.nan))
    ordered = np.sort(size[clean])
    window = max(2, len(ordered) // 10)
    start = int(np.argmin(ordered[window:] - ordered[:-window]))
    middle = float(np.median(ordered[start : start + window + 1]))
    near = ordered[np.abs(ordered - middle) < 0.1]
    width = max(0.02, _MAD_TO_SIGMA * float(np.median(np.abs(near - middle))))
    with np.errstate(invalid="ignore"):
        stars: npt.NDArray[np.bool_] = clean & (np.abs(size - middle) < 3 * width)
    return stars


def fit_psf(
    frame: Frame,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    star: npt.ArrayLike,
    side: int = 25,
    order: int = 2,
    rounds: int = 3,
    clip: float = 4.0,
    softening: float = 0.003,
) -> PsfFit:
    """Return the PSF of an image from its stars.

    Every round fits the stars and their neighbours with the model so far, takes the neighbours' light away, drops stars
    that do not look like the others, and fits the model again.

    Parameters
    ----------
    frame
        Background subtracted, with its noise. Its segments keep neighbours out of the first round.
    x, y
        All sources, pixels, shape (n,); source i has the segment i + 1.
    star
        Which are stars, shape (n,).
    side
        Pixels along a side of the model, odd.
    order
        Of its polynomial in x and y.
    rounds
        At least 1; three settle.
    clip
        A star is dropped when its chi-square stands out by this many widths of the others'.
    softening
        Relative error of the model that bounds the weight of bright stars.

    Raises
    ------
    NoFitError
        If fewer stars are left than the polynomial has terms.
    KernelArgumentError
        If the vectors' lengths differ or a number is out of range.

    References
    ----------
    Bertin 2011, ASP 442, 435.
    """
    at_x, at_y = vectors(x=x, y=y)
    used = np.array(star, dtype=bool).reshape(-1)
    if used.size != at_x.size or rounds < 1:
        raise KernelArgumentError(f"star and x have the lengths {used.size}, {at_x.size}; {rounds} rounds")
    image: Array = np.asarray(frame.image)
    ny, nx = image.shape
    blank = np.zeros((_terms(order), side, side)) if 0 <= order <= lib.QK_MAX_ORDER else np.zeros((1, side, side))
    psf = Psf(coefficients=blank, order=order, x0=nx / 2, y0=ny / 2, scale_x=nx / 2, scale_y=ny / 2)
    psf, used = _first_psf(frame, psf, at_x, at_y, used, softening)
    near = np.nonzero(_near(at_x, at_y, used, within=side))[0]
    kept = used[near]
    for _ in range(rounds):
        found = psf_photometry(frame, psf, at_x[near], at_y[near])
        kept = _without_outliers(kept & _settled(found.fluxes), found, clip)
        rows = found.fluxes[kept]
        left = replace(frame, image=found.residual, segments=None)
        psf = _fit(left, psf, rows["x"], rows["y"], rows["flux"], None, softening, before=psf)
    used = np.zeros(at_x.size, bool)
    used[near[kept]] = True
    return PsfFit(psf=psf, used=used)


def psf_photometry(
    frame: Frame,
    psf: Psf,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    visits: int = 3,
    stray: float = 1.5,
    free_position: bool = True,
) -> PsfPhotometry:
    """Return flux and position of all sources under the PSF, each without its neighbours' light.

    Parameters
    ----------
    frame
        Background subtracted, with its noise; segments are not used.
    psf
        Of the image.
    x, y
        Pixels to start from, shape (n,).
    visits
        Rounds over all sources; three are enough where a few overlap.
    stray
        Pixels that a position may move; beyond, the flux at the given position is returned with a flag.
    free_position
        False for forced photometry: positions are kept.

    Raises
    ------
    KernelArgumentError
        If the vectors' lengths differ or a number is out of range.
    """
    at_x, at_y = vectors(x=x, y=y)
    image: Array = np.asarray(frame.image)
    order = np.argsort(-_brightness(image, at_x, at_y), kind="stable").astype(np.int64)
    out = np.empty(at_x.size, PSF_FLUX)
    residual = np.empty_like(image)
    check(
        lib.qk_psf_photometry(
            frame.native(),
            psf.native(),
            pointer(at_x),
            pointer(at_y),
            pointer(order),
            at_x.size,
            visits,
            stray,
            int(free_position),
            records(out, "qk_psf_flux"),
            pointer(residual),
        )
    )
    return PsfPhotometry(fluxes=out, residual=residual)


def _terms(order: int) -> int:
    return (order + 1) * (order + 2) // 2


def _brightness(image: Array, x: FloatArray, y: FloatArray) -> Array:
    """Return the pixel at each position, -inf where there is none."""
    with np.errstate(invalid="ignore"):
        on = (x > -0.5) & (x < image.shape[1] - 0.5) & (y > -0.5) & (y < image.shape[0] - 0.5)
    values = np.full(x.size, -np.inf)
    values[on] = image[np.rint(y[on]).astype(int), np.rint(x[on]).astype(int)]
    return np.where(np.isnan(values), -np.inf, values)


def _first_psf(
    frame: Frame, psf: Psf, x: FloatArray, y: FloatArray, star: Array, softening: float
) -> tuple[Psf, npt.NDArray[np.bool_]]:
    """Return the PSF from windowed positions and aperture fluxes, and the stars that have both."""
    rows = np.nonzero(star)[0]
    at = windowed_positions(frame, x[rows], y[rows], 2.0)
    flux = aperture_fluxes(frame, at["x"], at["y"], psf.side / 2)["flux"]
    with np.errstate(invalid="ignore"):
        good = np.isfinite(at["x"]) & (flux > 0)
    used = np.zeros(x.size, bool)
    used[rows[good]] = True
    rows, at, flux = rows[good], at[good], flux[good]
    return _fit(frame, psf, at["x"], at["y"], flux, rows + 1, softening, before=None), used


def _fit(
    frame: Frame,
    psf: Psf,
    x: Array,
    y: Array,
    flux: Array,
    segment: Array | None,
    softening: float,
    *,
    before: Psf | None,
) -> Psf:
    columns = vectors(x=x, y=y, flux=flux)
    own = None if segment is None else np.ascontiguousarray(segment, np.int32)
    coefficients = np.zeros((_terms(psf.order), psf.side, psf.side))
    status = lib.qk_psf_fit(
        frame.native(),
        *map(pointer, columns),
        pointer(own),
        len(columns[0]),
        softening,
        ffi.NULL if before is None else before.native(),
        replace(psf, coefficients=coefficients).native(),
        pointer(coefficients),
    )
    check(status, hint="Lower the order, or the signal to noise that makes a star.")
    return replace(psf, coefficients=coefficients)


def _near(x: FloatArray, y: FloatArray, star: Array, *, within: float) -> npt.NDArray[np.bool_]:
    """Return which sources may shine into the stamp of a star."""
    found = np.zeros(x.size, bool)
    for at_x, at_y in zip(x[star], y[star], strict=True):
        found |= (np.abs(x - at_x) <= within) & (np.abs(y - at_y) <= within)
    return found


def _settled(fluxes: Array) -> npt.NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        fitted: npt.NDArray[np.bool_] = fluxes["flags"] & int(Flag.NO_DATA | Flag.NOT_CONVERGED) == 0
        fitted &= fluxes["flux"] > 0
    return fitted


def _without_outliers(used: Array, found: PsfPhotometry, clip: float) -> npt.NDArray[np.bool_]:
    """Drop stars whose chi-square is too large for their brightness."""
    if not used.any():
        return used
    stars = found.fluxes[used]
    # A model that is wrong by a share e gives a star of signal to noise s the chi-square 1 + (e s)**2 / pixels; what
    # the stars have in common is not the fault of one of them.
    signal = (stars["flux"] / stars["flux_error"]) ** 2
    common = max(0.0, float(np.median((stars["chi2"] - 1) / signal)))
    excess = stars["chi2"] / (1 + common * signal)
    middle = np.median(excess)
    width = max(_LEAST_WIDTH, _MAD_TO_SIGMA * float(np.median(np.abs(excess - middle))))
    keep: npt.NDArray[np.bool_] = used.copy()
    keep[used] = excess < middle + clip * width
    return keep
