"""Astrometry: the coordinates that bring sources onto a reference catalogue.

The fits are small linear systems that NumPy's LAPACK solves; the matching runs in C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from qserv_py.errors import KernelArgumentError, NoFitError
from qserv_py.pipelines.kernels._library import (
    Array,
    FloatArray,
    vectors,
)
from qserv_py.pipelines.kernels.catalogues.matching import mutual_pairs
from qserv_py.pipelines.kernels.wcs import Wcs, from_plane, powers_of, to_plane

_CLIP = 4.0  # sigmas
_MEDIAN_OF_LARGER = 1.0518  # of the absolute values of two standard normal numbers
_ROUNDS = 20
_MAX_ORDER = 5
_SIMILAR = 0  # as an order: the guess turned, scaled and moved, its angles kept
_MAX_VOTERS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class WcsFit:
    """A solution and what it is from."""

    wcs: Wcs
    """The coordinates."""

    sources: npt.NDArray[np.int64]
    """Sources of the pairs that were used."""

    references: npt.NDArray[np.int64]
    """References of the pairs that were used."""

    rms_arcsec: float
    """Of the pairs' residuals per axis, those of uncertain pairs scaled to the median error."""


def solve_wcs(
    guess: Wcs,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    ra: npt.ArrayLike,
    dec: npt.ArrayLike,
    *,
    search_arcsec: float = 10.0,
    match_arcsec: float = 1.0,
    max_order: int = 3,
    error_arcsec: npt.ArrayLike = 0.0,
    reference_error_arcsec: npt.ArrayLike = 0.0,
) -> WcsFit:
    """Return coordinates that bring sources onto their references, from a guess that is a few arc seconds off.

    The offset with most votes among all pairs starts the matching, an affine fit brings it within ``match_arcsec``.
    Then the guess is turned, scaled and moved; it is sheared, and the order of the polynomial rises, where the
    residuals say that it must (Bayesian information criterion).

    Parameters
    ----------
    guess
        Its tangent pixel is kept. Its rotation and scale may be wrong by as much as moves a corner by ``match_arcsec``.
    x, y
        Sources, pixels, shape (n,), the brightest first.
    ra, dec
        References, ICRS degrees, shape (m,), the brightest first.
    search_arcsec
        The guess is off by at most this, on each axis.
    match_arcsec
        Of a pair, after the offset.
    max_order
        Of the polynomial, 1 to 5.
    error_arcsec, reference_error_arcsec
        Of the positions of sources and references on an axis, one or a number each; where they are not known, all count
        alike.

    Raises
    ------
    NoFitError
        If no offset stands out, or too few pairs are left.
    KernelArgumentError
        If lengths differ or a number is out of range.

    References
    ----------
    Shupe et al. 2005, ASP 347, 491 (SIP).
    """
    at_x, at_y = vectors(x=x, y=y)
    at_ra, at_dec = vectors(ra=ra, dec=dec)
    if not 1 <= max_order <= _MAX_ORDER or not match_arcsec > 0 or not search_arcsec > 0:
        raise KernelArgumentError(f"order {max_order}, within {match_arcsec} of {search_arcsec} arc seconds")
    errors = [
        np.broadcast_to(np.asarray(error, float), each.shape)
        for error, each in ((error_arcsec, at_x), (reference_error_arcsec, at_ra))
    ]
    wcs = _voted(guess, at_x, at_y, at_ra, at_dec, search_arcsec, match_arcsec)
    for radius in (2 * match_arcsec, match_arcsec, match_arcsec):
        pairs = mutual_pairs(*wcs.to_sky(at_x, at_y), at_ra, at_dec, radius_arcsec=radius)
        columns = at_x[pairs[0]], at_y[pairs[0]], at_ra[pairs[1]], at_dec[pairs[1]]
        error = np.hypot(errors[0][pairs[0]], errors[1][pairs[1]])
        wcs = fit_wcs(guess, *columns, order=1, error_arcsec=error).wcs
    best = fit_wcs(guess, *columns, max_order=max_order, error_arcsec=error)
    return replace(best, sources=pairs[0][best.sources], references=pairs[1][best.references])


def fit_wcs(
    guess: Wcs,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    ra: npt.ArrayLike,
    dec: npt.ArrayLike,
    *,
    order: int | None = None,
    max_order: int = 3,
    error_arcsec: npt.ArrayLike = 0.0,
) -> WcsFit:
    """Return coordinates from pairs, outliers beyond 4 sigmas left out.

    Parameters
    ----------
    guess
        Its tangent pixel is kept, its tangent point where to start.
    x, y, ra, dec
        Pairs, pixels and ICRS degrees, shape (n,).
    order
        Of the polynomial; None for the one, up to ``max_order``, that the residuals ask for, or for the guess turned,
        scaled and moved where they ask for no more.
    max_order
        1 to 5.
    error_arcsec
        Of the distance of pairs on an axis, one or a number each; where it is not known, all count alike.

    Raises
    ------
    NoFitError
        If there are too few pairs, or they stand in a line.
    """
    columns = (*vectors(x=x, y=y, ra=ra, dec=dec), _relative(error_arcsec, np.shape(x)))
    if order is not None:
        if not 1 <= order <= _MAX_ORDER:
            raise KernelArgumentError(f"a WCS of order {order}; 1 to {_MAX_ORDER} are possible")
        return _clipped_fit(guess, columns, order)
    fits = {1: _clipped_fit(guess, columns, 1), _SIMILAR: _clipped_fit(guess, columns, _SIMILAR)}
    for more in range(2, max_order + 1):
        if len(columns[0]) < 2 * len(powers_of(more)):
            break
        fits[more] = _clipped_fit(guess, columns, more)
    # Every order is judged by all pairs, each counting up to the same bound: or the one that drops most would win.
    bound = (_CLIP * min(fit.rms_arcsec for fit in fits.values())) ** 2 + 1e-20
    return fits[min(fits, key=lambda order: _criterion(fits[order].wcs, columns, order, bound))]


def _relative(error: npt.ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return errors in units of their median: what residuals are divided by; 1 where errors are not known."""
    each = np.broadcast_to(np.asarray(error, float), shape).reshape(-1)
    known = np.isfinite(each) & (each > 0)
    if not known.all():
        return np.ones(each.size)
    relative: FloatArray = each / np.median(each) if each.size else np.ones(0)
    return relative


def _criterion(wcs: Wcs, columns: Sequence[FloatArray], order: int, bound: float) -> float:
    """Return the Bayesian information criterion of a fit, squared residuals cut at a bound."""
    terms = 4 if order == _SIMILAR else 2 * len(powers_of(order))
    square = _residuals(wcs, columns) ** 2
    mean = float(np.mean(np.where(square < bound, square, bound))) + 1e-20
    return float(square.size * np.log(mean) + terms * np.log(square.size))


def _residuals(wcs: Wcs, columns: Sequence[FloatArray]) -> Array:
    """Return how far sources are from their references, arc seconds of a pair with the median error, shape (2, n)."""
    x, y, ra, dec, relative = columns
    sky = to_plane(*wcs.to_sky(x, y), ra0=wcs.ra0, dec0=wcs.dec0)
    reference = to_plane(ra, dec, ra0=wcs.ra0, dec0=wcs.dec0)
    return 3600 * (np.stack(sky) - np.stack(reference)) / relative


def _voted(
    guess: Wcs, x: FloatArray, y: FloatArray, ra: FloatArray, dec: FloatArray, search: float, cell: float
) -> Wcs:
    """Return the guess moved by the offset that most pairs of sources and references have."""
    near = slice(None, _MAX_VOTERS)
    sky = to_plane(*guess.to_sky(x[near], y[near]), ra0=guess.ra0, dec0=guess.dec0)
    reference = to_plane(ra, dec, ra0=guess.ra0, dec0=guess.dec0)
    margin = search / 3600
    inside = (
        (reference[0] > np.nanmin(sky[0], initial=np.inf) - margin)
        & (reference[0] < np.nanmax(sky[0], initial=-np.inf) + margin)
        & (reference[1] > np.nanmin(sky[1], initial=np.inf) - margin)
        & (reference[1] < np.nanmax(sky[1], initial=-np.inf) + margin)
    )
    chosen = np.nonzero(inside)[0][near]
    d: list[Array] = [3600 * np.subtract.outer(reference[axis][chosen], sky[axis]).ravel() for axis in (0, 1)]
    with np.errstate(invalid="ignore"):
        close = (np.abs(d[0]) <= search) & (np.abs(d[1]) <= search)
    d = [values[close] for values in d]
    bins = max(3, int(2 * search / cell))
    votes = np.histogram2d(d[0], d[1], bins=bins, range=[[-search, search]] * 2)[0]
    padded = np.pad(votes, 1)
    summed = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).sum(axis=(2, 3))
    most, mean = summed.max(), summed.mean()
    if most < 4 or most < mean + 4 * np.sqrt(mean + 1):
        raise NoFitError(
            f"no offset within {search:g} arc seconds brings {len(sky[0])} sources onto {chosen.size} references",
            detail=f"The best one pairs {most:.0f}; by chance {mean:.1f} are expected.",
            hint="Widen the search, or look at the pointing, the orientation and the pixel scale in the header.",
        )
    peak = np.unravel_index(np.argmax(summed), summed.shape)
    middle = [(-search + (place + 0.5) * 2 * search / bins) for place in peak]
    around = (np.abs(d[0] - middle[0]) < 1.5 * cell) & (np.abs(d[1] - middle[1]) < 1.5 * cell)
    shift = [float(np.median(values[around])) / 3600 for values in d]
    moved = from_plane(np.array([shift[0]]), np.array([shift[1]]), ra0=guess.ra0, dec0=guess.dec0)
    return replace(guess, ra0=float(moved[0][0]), dec0=float(moved[1][0]))


def _clipped_fit(guess: Wcs, columns: Sequence[FloatArray], order: int) -> WcsFit:
    x, y, ra, dec, _ = columns
    keep = np.isfinite(x) & np.isfinite(y) & np.isfinite(ra) & np.isfinite(dec)
    wcs, rms = guess, 0.0
    for _ in range(_ROUNDS):
        wcs = _fit_once(guess, tuple(each[keep] for each in columns), order)
        d = _residuals(wcs, columns)
        # of the larger of both axes: outliers move the fit, and then the rest is off by the same, on one axis perhaps
        sigma = float(np.median(np.max(np.abs(d[:, keep]), axis=0))) / _MEDIAN_OF_LARGER
        rms = float(np.sqrt(np.mean(d[:, keep] ** 2)))
        with np.errstate(invalid="ignore"):
            near = np.max(np.abs(d), axis=0) <= max(_CLIP * sigma, 1e-9)
        if (near == keep).all():
            break
        keep = near
    rows = np.nonzero(keep)[0]
    return WcsFit(wcs=wcs, sources=rows, references=rows, rms_arcsec=rms)


def _fit_once(guess: Wcs, columns: Sequence[FloatArray], order: int) -> Wcs:
    x, y, ra, dec, relative = columns
    powers = powers_of(max(1, order))
    if len(x) < len(powers):
        raise NoFitError(
            f"{len(x)} pairs for a WCS of order {order}, which needs {len(powers)}",
            hint="Lower the order, widen the matching radius, or look at the reference catalogue.",
        )
    u, v = x - guess.x0, y - guess.y0
    scale = max(1.0, float(np.max(np.abs([u, v]))))
    design = np.stack([(u / scale) ** i * (v / scale) ** j for i, j in powers], axis=1)
    ra0, dec0 = guess.ra0, guess.dec0
    for _ in range(5):  # until the tangent point is where the tangent pixel looks
        plane = np.stack(to_plane(ra, dec, ra0=ra0, dec0=dec0), axis=1)
        weighted = design / relative[:, None], plane / relative[:, None]
        solution, rank = _similar(guess, *weighted) if order == _SIMILAR else _polynomial(*weighted)
        if rank < len(powers) or not np.isfinite(solution).all():
            raise NoFitError(f"{len(x)} pairs stand so that they do not determine a WCS of order {order}")
        moved = from_plane(solution[:1, 0], solution[:1, 1], ra0=ra0, dec0=dec0)
        ra0, dec0 = float(moved[0][0]), float(moved[1][0])
    terms = {power: solution[k] / scale ** sum(power) for k, power in enumerate(powers)}
    cd = np.stack([terms[1, 0], terms[0, 1]], axis=1)
    if abs(np.linalg.det(cd)) < 1e-20:
        raise NoFitError(f"{len(x)} pairs give a WCS that maps the image onto a line")
    return _with_distortion(replace(guess, ra0=ra0, dec0=dec0, cd=cd, order=max(1, order)), terms)


def _polynomial(design: Array, plane: Array) -> tuple[Array, int]:
    """Return the terms of both axes, shape (terms, 2), and how many the pairs determine."""
    solution, _, rank, _ = np.linalg.lstsq(design, plane, rcond=1e-10)
    return solution, int(rank)


def _similar(guess: Wcs, design: Array, plane: Array) -> tuple[Array, int]:
    """Return what ``_polynomial`` does, of the guess turned, scaled and moved."""
    one = design[:, 0]
    ahead = design[:, 1:] @ guess.cd.T  # where the guess sees a pair, but for the scale of its pixels
    zero = np.zeros_like(one)
    both = np.concatenate([
        np.stack([one, zero, ahead[:, 0], -ahead[:, 1]], axis=1),
        np.stack([zero, one, ahead[:, 1], ahead[:, 0]], axis=1),
    ])  # fmt: skip
    scale = np.array([1, 1, *[np.abs(guess.cd).max()] * 2])
    found, _, rank, _ = np.linalg.lstsq(both / scale, plane.T.ravel(), rcond=1e-10)
    east, north, same, across = found / scale
    matrix = np.array([[same, -across], [across, same]]) @ guess.cd
    return np.concatenate([[[east, north]], matrix.T]), int(rank) - 1


def _with_distortion(wcs: Wcs, terms: dict[tuple[int, int], Array]) -> Wcs:
    """Return the WCS with the terms of higher order, as pixels before the matrix."""
    a, b = np.zeros((wcs.order + 1, wcs.order + 1)), np.zeros((wcs.order + 1, wcs.order + 1))
    for (i, j), value in terms.items():
        if i + j > 1:
            a[i, j], b[i, j] = np.linalg.solve(wcs.cd, value)
    return replace(wcs, a=a, b=b) if wcs.order > 1 else replace(wcs, a=None, b=None)
